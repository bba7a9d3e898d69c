"""Every adapter of the tree sees the frames of the question, and no other frame of the clip."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ghostbench import Clip, FramePart, Frames, Request
from ghostbench.running.ask.questions import Questions
from ghostbench.tasks.ghost_probing import GhostProbing

CLIP = Clip(id="images_1_001", truth="normal")


class FiveOfTen(GhostProbing):
    """Names every other frame, and overrides `build` alone."""

    def build(self, frames: Frames | None) -> Any:
        prompt = super().build(frames)
        kept = [part for part in prompt.parts if not isinstance(part, FramePart) or part.position % 2 == 0]
        return replace(prompt, parts=tuple(kept))


def film() -> Frames:
    """Ten grey frames, each lighter than the one before, with something in the last ones."""
    pixels = np.zeros((10, 96, 160, 3), dtype=np.uint8)
    pixels += np.arange(10, dtype=np.uint8)[:, None, None, None] * 20
    pixels[6:, 40:80, 70:90] = 255
    times = tuple(place / 2 for place in range(10))
    return Frames(pixels, indices=tuple(range(10)), times_s=times, duration_s=5.0, decoder="drawn")


def request() -> Request:
    question = Questions(FiveOfTen()).asked(film(), None)
    return Request(
        id="r",
        prompt=question.prompt,
        frames=question.frames,
        seed=0,
        level=0,
        level_settings={},
        write_answer=FiveOfTen().write,
    )


def halved() -> Frames:
    return film().take((0, 2, 4, 6, 8))


@pytest.mark.parametrize("encode", ["one by one", "by the file"])
def test_openai_sends_the_five(encode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ghostbench_openai.chat import ChatModel
    from ghostbench_openai.settings import OpenAISettings

    monkeypatch.setitem(os.environ, "OPENAI_API_KEY", "sk-none")
    model = ChatModel(OpenAISettings(batch=encode == "by the file"), "gpt-4.1")
    body = json.loads(model.encode(request()))["body"]
    parts = [part for message in body["messages"] if message["role"] == "user" for part in message["content"]]
    images = [part["image_url"]["url"].partition(",")[2] for part in parts if part["type"] == "image_url"]
    assert greys(images) == pytest.approx([0, 40, 80, 120, 160], abs=3)


def greys(pictures: list[str]) -> list[float]:
    return [float(np.asarray(Image.open(io.BytesIO(base64.b64decode(each))))[0, 0].mean()) for each in pictures]


def test_anthropic_sends_the_five() -> None:
    from ghostbench_anthropic.messages import ClaudeModel
    from ghostbench_anthropic.settings import ClaudeSettings

    model = ClaudeModel(ClaudeSettings(base_url="http://127.0.0.1:9"), "claude-opus-4-5")
    parts = json.loads(model.build(request()))["messages"][0]["content"]
    images = [part["source"]["data"] for part in parts if part["type"] == "image"]
    assert greys(images) == pytest.approx([0, 40, 80, 120, 160], abs=3)


def test_google_sends_the_five() -> None:
    from ghostbench_google.generate import GeminiModel
    from ghostbench_google.settings import GeminiSettings

    model = GeminiModel(GeminiSettings(base_url="http://127.0.0.1:9"), "gemini-2.5-flash")
    parts, _ = model.build(request())
    images = [base64.b64encode(part.inline_data.data).decode() for part in parts if part.inline_data is not None]
    assert greys(images) == pytest.approx([0, 40, 80, 120, 160], abs=3)


def test_motion_looks_at_the_five() -> None:
    pytest.importorskip("cv2")
    from ghostbench_motion.model import Motion
    from ghostbench_motion.settings import MotionSettings

    model = Motion(MotionSettings(), None)
    (reply,) = model.answer([request()])
    (alone,) = model.answer([replace(request(), frames=halved())])
    (whole,) = model.answer([replace(request(), frames=film())])
    assert reply.grade_probabilities == alone.grade_probabilities  # type: ignore[union-attr]
    assert reply.grade_probabilities != whole.grade_probabilities  # type: ignore[union-attr]


def test_drivemm_prepares_the_five(shared_data: Any) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("llguidance")
    from ghostbench_drivemm.adapter import DriveMMModel
    from ghostbench_drivemm.settings import DriveMMSettings

    folders = [path.parent for path in (shared_data / "drivemm").rglob("config.json")]
    if not folders:
        pytest.skip("no tiny checkpoint here")
    model = DriveMMModel(DriveMMSettings(checkpoint=str(folders[0]), device="cpu", dtype="float32"), None)
    model.load()
    try:
        ready = model.prepare(request())
        (visual,) = ready.prepared.visuals
        assert len(visual) == 5
        (whole,) = model.prepare(replace(request(), frames=halved())).prepared.visuals
        assert np.array_equal(np.asarray(visual), np.asarray(whole))
    finally:
        model.close()


def test_every_adapter_of_the_tree_that_looks_is_shown_here_or_beside_its_own_tests() -> None:
    root = Path(__file__).resolve().parents[2]
    here = Path(__file__).read_text(encoding="utf-8")
    beside = (root / "tests" / "hugging_face" / "test_families.py").read_text(encoding="utf-8")
    shown = set(re.findall(r"def test_(\w+)_(?:sends|looks_at|prepares)_the_five", here + beside))
    adapters = {path.parent.name.removeprefix("ghostbench_") for path in (root / "adapters").glob("*/__init__.py")}
    assert shown == adapters - {"remote", "local", "replay", "baselines"}, "the last two look at nothing"


def test_what_answers_without_looking_gets_no_frame() -> None:
    from ghostbench_baselines.models import Always

    blind = Questions(FiveOfTen()).asked(None, None)
    assert blind.frames is None
    reply = Always(None, None).answer(CLIP, replace(request(), frames=None, prompt=blind.prompt))
    assert FiveOfTen().parse(reply.text).grade == "ghost_probing"
