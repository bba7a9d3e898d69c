"""Frames that are decoded where they are looked at, known here by everything but their pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from ghostbench.frames import Frames
from ghostbench.media.sampling import Sampling


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to come by the frames of a question where its clip's media can be read.

    moment_s : of the question; None where it is about the whole clip. probe, variant, most : as for `Questions.asked`.
    """

    media: str
    sampling: Sampling
    moment_s: float | None = None
    probe: str | None = None
    variant: str | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of frames, as `Frames` has it. shape : of the pixels."""

    shape: tuple[int, ...]
    indices: tuple[int, ...]
    times_s: tuple[float, ...]
    duration_s: float
    decoder: str
    sha256: str

    @classmethod
    def of(cls, frames: Frames) -> Facts:
        """The facts of frames that are here or elsewhere."""
        shape = frames.facts.shape if isinstance(frames, FarFrames) else frames.pixels.shape
        return cls(shape, frames.indices, frames.times_s, frames.duration_s, frames.decoder, frames.sha256)


class FarFrames(Frames):
    """What is known of frames whose pixels are elsewhere.

    recipe : how to come by them. near : the worker that has looked at their clip, None where that is not known.
    """

    __slots__ = ("facts", "near", "recipe")

    def __init__(self, facts: Facts, recipe: Recipe, near: str | None = None) -> None:
        super().__init__(
            np.empty((len(facts.indices), 0, 0, 3), np.uint8),
            indices=facts.indices,
            times_s=facts.times_s,
            duration_s=facts.duration_s,
            decoder=facts.decoder,
            sha256=facts.sha256,
        )
        self.facts = facts
        self.recipe = recipe
        self.near = near

    @override
    def __reduce__(self) -> tuple[Callable[..., Frames], tuple[Any, ...]]:
        return FarFrames, (self.facts, self.recipe, self.near)

    @property
    @override
    def pixels(self) -> npt.NDArray[np.uint8]:
        raise RuntimeError("the pixels of these frames are where they are looked at, and not here")

    @override
    def private(self) -> FarFrames:
        return self

    @override
    def altered(self) -> bool:
        return False
