"""Checkpoints see the frames of examples before the clip's, and write what the library's own `generate` writes then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from drawn_examples import with_examples
from drawn_requests import drawn_request, written
from library_writes import library_writes
from tiny_checkpoints import FAMILIES

from ghostbench import Frames, Request
from ghostbench_hf.adapter import HFModel
from ghostbench_local.video_text import texts_and_videos, video_text

TOKENS = 8


def shown(*seeds: int) -> Request:
    """The clip of the last seed, behind examples of the others."""
    frames: list[Frames] = [drawn_request(seed, 2).frames for seed in seeds[:-1]]  # type: ignore[misc]
    return with_examples(drawn_request(seeds[-1], 1), *frames)


@pytest.mark.parametrize("family", FAMILIES)
def test_examples_come_before_the_clip_and_change_what_is_written(
    family: str, checkpoint: Callable[[str], Path], loaded: Callable[..., HFModel]
) -> None:
    model = loaded(checkpoint(family), grammar=False, max_new_tokens=TOKENS)
    requests = [shown(1, 2), shown(3, 2), drawn_request(4, 3)]
    turns = [model._reader.conversation.of(request)[0] for request in requests]
    for request, own in zip(requests, turns, strict=True):
        pictures = [part["image"] for part in own[-1]["content"] if part["type"] == "image"]
        assert [np.asarray(picture).tobytes() for picture in pictures] == [
            pixels.tobytes() for frames in (*request.examples, request.frames) for pixels in frames.pixels
        ]
    ready = [replace(request, prepared=model.prepare(request)) for request in requests]
    found = [written(reply).text for reply in model.answer(ready)]
    decode = model._reader.processor.tokenizer.decode
    assert found == [
        decode(tokens, skip_special_tokens=True) for tokens in library_writes(checkpoint(family), turns, TOKENS)
    ]
    assert ready[0].prepared.pictures != ready[1].prepared.pictures, "other examples are other pictures"
    assert len(set(found)) > 1


def test_frames_are_named_by_what_the_model_is_shown() -> None:
    prompt = shown(1, 3, 2).prompt
    lines = video_text(prompt, "the pictures").split("\n")
    named = [line.partition("frame ")[2] for line in lines if "of the pictures" in line]
    assert named == [f"{number} of the pictures" for number in (1, 2, 3, 4, 5)]
    pieces: list[Any] = texts_and_videos(prompt)
    assert [piece for piece in pieces if isinstance(piece, int)] == [0, 1, 2]
    for number in (0, 1, 2):
        behind = pieces[pieces.index(number) + 1]
        assert behind.startswith("Frame at 0.50 s: frame 1 of video ")
        assert f"video {number + 1}" in behind
    alone = drawn_request(1).prompt
    assert "frame 2 of the video" in video_text(alone)
    assert [piece for piece in texts_and_videos(alone) if isinstance(piece, int)] == [0]
