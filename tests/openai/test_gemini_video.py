"""A row that sees the video and not the frames: what is sent, what can fail, and what is never compared with it."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loopback_openai import NATIVE_KEY, Fault, Server

from ghostbench import ModelError, Reply, Request, Video, errors
from ghostbench.media.own_file import read_video
from ghostbench.tasks.ghost_probing import GhostProbing

pytest.importorskip("google.genai")

from ghostbench_google.settings import GeminiVideoSettings
from ghostbench_google.video import GeminiVideoModel

pytestmark = pytest.mark.usefixtures("native_keys")
KEY = NATIVE_KEY
GEMINI = "gemini-2.5-flash"
GHOST5 = Path(__file__).parents[2] / "datasets" / "ghost5" / "clips"
Ask = Callable[..., list[Reply | ModelError]]


def model(server: Server, **settings: Any) -> GeminiVideoModel:
    return GeminiVideoModel(GeminiVideoSettings(base_url=f"http://127.0.0.1:{server.port}", **settings), GEMINI)


def about(video: Video | None, **changes: Any) -> Request:
    wording = GhostProbing().in_video()
    assert wording is not None
    given: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "prompt": wording.build(None),
        "frames": None,
        "seed": 7,
        "level": 0,
        "level_settings": {},
        "write_answer": wording.write,
        "video": video,
    }
    return Request(**{**given, **changes})


@pytest.fixture(scope="module")
def video() -> Video:
    return read_video(str(GHOST5 / "ghost5_01.mp4"), "ghost5_01")


def of_google(status: int, state: str, words: str) -> Fault:
    return Fault("status", status, {}, json.dumps({"error": {"code": status, "message": words, "status": state}}))


def parts_of(server: Server) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = server.natives.asked("gemini")[-1]["contents"][0]["parts"]
    return parts


def test_a_small_video_goes_in_the_request_as_it_lies_on_disk(native: Server, ask_model: Ask, video: Video) -> None:
    (reply,) = ask_model(model(native, fps=5, media_resolution="low"), about(video))
    assert isinstance(reply, Reply), reply
    opening, shown, question = parts_of(native)
    assert opening["text"] == "The clip follows as a video."
    assert "Grade this clip." in question["text"]
    # The SDK writes some names with an underline, and the API takes both.
    inline = {name.replace("_t", "T"): value for name, value in shown["inlineData"].items()}
    assert inline["mimeType"] == "video/mp4"
    assert base64.urlsafe_b64decode(inline["data"]) == (GHOST5 / "ghost5_01.mp4").read_bytes() == video.data
    assert shown["videoMetadata"] == {"fps": 5.0}
    body = native.natives.asked("gemini")[-1]
    assert body["generationConfig"]["mediaResolution"] == "MEDIA_RESOLUTION_LOW"
    told = json.dumps([body["systemInstruction"], opening, question])
    assert "frame" not in told.lower()
    assert native.natives.files.steps == []


def test_a_large_video_is_uploaded_by_a_name_that_says_nothing_and_deleted_after_the_answer(
    native: Server, ask_model: Ask, video: Video
) -> None:
    files = native.natives.files
    files.states = ["PROCESSING", "PROCESSING", "ACTIVE"]
    (reply,) = ask_model(model(native, inline_bytes=0), about(video))
    assert isinstance(reply, Reply), reply
    assert files.steps == ["start", "piece", "look", "look", "delete"]
    ((name, data),) = files.uploaded.items()
    assert data == video.data
    assert files.there == set()
    assert "ghost5" not in name
    shown = parts_of(native)[1]
    assert set(shown["fileData"].values()) == {f"https://files.example/v1beta/{name}", "video/mp4"}
    assert "videoMetadata" not in shown


UPLOADS: list[tuple[str, dict[str, Any], type[ModelError], list[str]]] = [
    (
        "429 at the start",
        {"faults": {"start": [of_google(429, "RESOURCE_EXHAUSTED", "Quota exceeded")]}},
        errors.RateLimited,
        ["start", "delete"],
    ),
    (
        "413 at the start",
        {"faults": {"start": [of_google(413, "INVALID_ARGUMENT", "Request payload size exceeds the limit")]}},
        errors.RequestTooLarge,
        ["start", "delete"],
    ),
    (
        "no address for the pieces",
        {"faults": {"start": [Fault("status", 200, {}, "{}")]}},
        errors.ServerError,
        ["start", "delete"],
    ),
    (
        "503 for a piece",
        {"faults": {"piece": [of_google(503, "UNAVAILABLE", "overloaded")]}},
        errors.ServerError,
        ["start", "piece", "delete"],
    ),
    (
        "a piece breaks off",
        {"faults": {"piece": [Fault("reset")]}},
        errors.ConnectionFailed,
        ["start", "piece", "delete"],
    ),
    (
        "processing failed",
        {"states": ["PROCESSING", "FAILED"], "error": {"code": 3, "message": "unsupported codec"}},
        errors.RequestRejected,
        ["start", "piece", "look", "delete"],
    ),
    (
        "processing failed for now",
        {"states": ["FAILED"], "error": {"code": 14, "message": "try again"}},
        errors.ServerError,
        ["start", "piece", "delete"],
    ),
    (
        "429 at a look",
        {"states": ["PROCESSING"], "faults": {"look": [of_google(429, "RESOURCE_EXHAUSTED", "slow down")]}},
        errors.RateLimited,
        ["start", "piece", "look", "delete"],
    ),
]


@pytest.mark.parametrize(("plan", "kind", "steps"), [pytest.param(*rest, id=name) for name, *rest in UPLOADS])
def test_each_failure_of_an_upload_has_its_outcome_and_leaves_nothing_behind(
    native: Server, ask_model: Ask, video: Video, plan: dict[str, Any], kind: type[ModelError], steps: list[str]
) -> None:
    for name, value in plan.items():
        setattr(native.natives.files, name, value)
    (failure,) = ask_model(model(native, inline_bytes=0), about(video))
    assert type(failure) is kind, repr(failure)
    assert native.natives.files.steps == steps, "nobody tries again but the harness"
    assert native.natives.files.there == set()
    assert native.natives.bodies == []
    assert KEY not in str(failure)


def test_an_upload_is_deleted_though_the_answer_failed(native: Server, ask_model: Ask, video: Video) -> None:
    native.natives.script = [of_google(400, "INVALID_ARGUMENT", "odd argument")]
    (failure,) = ask_model(model(native, inline_bytes=0), about(video))
    assert type(failure) is errors.RequestRejected, repr(failure)
    assert native.natives.files.there == set()


def test_an_upload_is_deleted_though_the_run_is_stopped_before_the_answer(native: Server, video: Video) -> None:
    native.natives.script = [Fault("hang")]

    async def stopped() -> None:
        asked = model(native, inline_bytes=0)
        await asked.load()
        answering = asyncio.ensure_future(asked.answer(about(video)))
        while not native.natives.bodies:
            await asyncio.sleep(0.01)
        assert len(native.natives.files.there) == 1
        answering.cancel()
        await asyncio.wait({answering})
        assert native.natives.files.there == set()
        await asked.aclose()
        asked.close()

    asyncio.run(stopped())


def test_what_could_not_be_deleted_is_deleted_at_the_end_or_told_of_in_the_log(
    native: Server, ask_model: Ask, video: Video, caplog: pytest.LogCaptureFixture
) -> None:
    busy = of_google(503, "UNAVAILABLE", "busy")
    native.natives.files.faults = {"delete": [busy]}
    (reply,) = ask_model(model(native, inline_bytes=0), about(video))
    assert isinstance(reply, Reply)
    assert native.natives.files.there == set(), "deleted when the model was closed"
    native.natives.files.faults = {"delete": [busy, busy]}
    (reply,) = ask_model(model(native, inline_bytes=0), about(video))
    assert isinstance(reply, Reply)
    assert len(native.natives.files.there) == 1
    assert "was not deleted (HTTP 503)" in caplog.text
    assert KEY not in caplog.text


def test_tokens_and_cost_are_bounded_by_the_length_of_the_video(native: Server, video: Video) -> None:
    usual, often = (model(native, fps=fps).estimate(about(video)) for fps in (None, 10))
    words = model(native).estimate(about(None))
    # 6.4 s: 8 frames of at most 288 tokens at one a second and 65 at ten, and at most 8 s of sound.
    assert (usual.input_tokens or 0) - (words.input_tokens or 0) == 8 * 288 + 8 * 32
    assert (often.input_tokens or 0) - (words.input_tokens or 0) == 65 * 288 + 8 * 32
    assert usual.cost_usd is not None
    assert often.cost_usd is not None
    assert 0 < usual.cost_usd < often.cost_usd
