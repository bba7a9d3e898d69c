"""Frames and questions for the tests of `motion`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ghostbench import Answer, Frames, LocalModel, Reply, Request
from ghostbench.media.decode import decode
from ghostbench.media.sampling import parse_sampling
from ghostbench.plugins.choose import build_model, build_settings, parse_model
from ghostbench.tasks.ghost_probing import GhostProbing

GHOST5 = Path(__file__).resolve().parents[2] / "datasets" / "ghost5" / "clips"


class Motion:
    """`motion` as a run builds it, under the given settings, and ways to ask it."""

    def __init__(self, **settings: str) -> None:
        choice = parse_model("motion")
        model = build_model(choice, build_settings(choice, settings))
        assert isinstance(model, LocalModel)
        self.model = model
        self.task = GhostProbing()
        model.check()
        model.load()

    def request(self, frames: Frames | None) -> Request:
        return Request(
            id=uuid.uuid4().hex,
            prompt=self.task.build(frames),
            frames=frames,
            seed=0,
            level=0,
            level_settings={},
            write_answer=self.task.write,
        )

    def replies(self, clips: Sequence[Frames]) -> list[Reply]:
        replies = [r for r in self.model.answer([self.request(f) for f in clips]) if isinstance(r, Reply)]
        assert len(replies) == len(clips)
        return replies

    def reply(self, frames: Frames) -> Reply:
        return self.replies([frames])[0]

    def answer(self, frames: Frames) -> Answer:
        return self.task.parse(self.reply(frames).text)

    def score(self, frames: Frames) -> float:
        probabilities = self.reply(frames).grade_probabilities
        assert probabilities is not None
        return probabilities["ghost_probing"]


MakeFrames = Callable[..., Frames]


def _frames(pixels: npt.NDArray[np.uint8], step_s: float = 0.6) -> Frames:
    count = len(pixels)
    return Frames(
        pixels,
        indices=tuple(range(count)),
        times_s=tuple(0.3 + step_s * i for i in range(count)),
        duration_s=max(step_s * count, 0.1),
        decoder="drawn by a test",
    )


@pytest.fixture(scope="session")
def frames_of() -> MakeFrames:
    """Makes `Frames` of pixels, uint8 [n, height, width, 3], from 0.3 s on, `step_s` apart."""
    return _frames


@pytest.fixture(scope="session")
def make_motion() -> type[Motion]:
    """Builds `motion` under settings, given as texts as after `--set`."""
    return Motion


@pytest.fixture(scope="session")
def motion() -> Motion:
    """`motion` under its defaults."""
    return Motion()


@pytest.fixture(scope="session")
def ghost5() -> dict[str, Frames]:
    """The five embedded clips under the default sampling."""
    sampling = parse_sampling("uniform:10")
    return {path.stem: decode(str(path), sampling) for path in sorted(GHOST5.iterdir()) if path.suffix == ".mp4"}
