"""Services get the frames of examples where the prompt has them, before the clip's, and count what they cost."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from drawn_examples import grey_frames, with_examples
from PIL import Image

from ghostbench import Frames, Request, TextPart
from ghostbench_anthropic.messages import ClaudeModel
from ghostbench_anthropic.settings import ClaudeSettings
from ghostbench_google.generate import GeminiModel
from ghostbench_google.settings import GeminiSettings
from ghostbench_openai.chat import ChatModel
from ghostbench_openai.settings import OpenAISettings

URL = "http://127.0.0.1:9"


def openai_sends(request: Request) -> list[Any]:
    body = json.loads(ChatModel(OpenAISettings(base_url=f"{URL}/v1"), "gpt-4.1").build(request))
    parts = body["messages"][1]["content"]
    return [p["text"] if p["type"] == "text" else p["image_url"]["url"].partition(",")[2] for p in parts]


def openai_batch_sends(request: Request) -> list[Any]:
    line = json.loads(ChatModel(OpenAISettings(base_url=f"{URL}/v1", batch=True), "gpt-4.1").encode(request))
    parts = line["body"]["messages"][1]["content"]
    return [p["text"] if p["type"] == "text" else p["image_url"]["url"].partition(",")[2] for p in parts]


def claude_sends(request: Request) -> list[Any]:
    body = json.loads(ClaudeModel(ClaudeSettings(base_url=URL), "claude-opus-4-5").build(request))
    parts = body["messages"][0]["content"]
    return [p["text"] if p["type"] == "text" else p["source"]["data"] for p in parts]


def gemini_sends(request: Request) -> list[Any]:
    parts, _ = GeminiModel(GeminiSettings(base_url=URL), "gemini-2.5-flash").build(request)
    return [p.text if p.text is not None else base64.b64encode(p.inline_data.data).decode() for p in parts]


SENDS = [openai_sends, openai_batch_sends, claude_sends, gemini_sends]


def brightness(picture: str) -> int:
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        return round(float(np.asarray(image).mean()))


@pytest.fixture
def shown(make_request: Callable[..., Request]) -> Request:
    """Two examples, dark and grey, before a bright clip."""
    clip = make_request(frames=grey_frames(240, 3))
    return with_examples(clip, grey_frames(20, 2), grey_frames(130, 1, (32, 24)))


@pytest.mark.parametrize("sends", SENDS)
def test_each_frame_stands_where_the_prompt_has_it(sends: Callable[..., list[Any]], shown: Request) -> None:
    parts = sends(shown)
    assert len(parts) == len(shown.prompt.parts)
    seen = []
    for sent, asked in zip(parts, shown.prompt.parts, strict=True):
        if isinstance(asked, TextPart):
            assert sent == asked.text
            seen.append("answer" if "The answer to it" in sent else None)
        else:
            seen.append(brightness(sent))
    assert [each for each in seen if each is not None] == [20, 20, "answer", 130, "answer", 240, 240, 240]
    assert not any("clip_" in part for part in parts[:1])


@pytest.mark.parametrize(
    "model",
    [
        ChatModel(OpenAISettings(base_url=f"{URL}/v1"), "gpt-4.1"),
        ChatModel(OpenAISettings(base_url=f"{URL}/v1"), "nobody-knows-it"),
        ClaudeModel(ClaudeSettings(base_url=URL), "claude-opus-4-5"),
        GeminiModel(GeminiSettings(base_url=URL), "gemini-2.5-flash"),
    ],
    ids=["priced", "unpriced", "claude", "gemini"],
)
def test_the_images_of_examples_are_counted(model: Any, shown: Request, make_request: Callable[..., Request]) -> None:
    def tokens(*frames: Frames) -> int:
        return sum(
            model.image_tokens(make_request(frames=each, prompt=make_request(len(each)).prompt)) for each in frames
        )

    assert model.image_tokens(shown) == tokens(grey_frames(0, 3), grey_frames(0, 2), grey_frames(0, 1, (32, 24)))
    assert model.image_tokens(shown) > tokens(grey_frames(0, 3))


def test_examples_are_encoded_once_for_all_clips(make_request: Callable[..., Request]) -> None:
    example = grey_frames(60, 1)
    bodies = [with_examples(make_request(1, seed=seed), example.private()) for seed in (1, 2)]
    pictures = [[p for p in openai_sends(body) if p.startswith("/9j/")] for body in bodies]
    assert pictures[0][0] == pictures[1][0]
    assert pictures[0][1] != pictures[1][1]
    made = []
    example.memo_each(("jpeg-base64", 90, 1024), lambda _: made.append(1) or b"")
    assert not made, "what was made of its frames is there for the next clip"
