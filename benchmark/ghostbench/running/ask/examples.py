"""The frames of examples, which belong to a wording and not to a clip: decoded once, before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from ghostbench.datasets.clip_ids import clip_id
from ghostbench.errors import BadInput, MediaError
from ghostbench.frames import Frames
from ghostbench.media.decode import decode
from ghostbench.media.shared import for_other_processes
from ghostbench.plugins.registry import printable
from ghostbench.records import ExampleFrames
from ghostbench.running.plan.plan import Plan

NO_EXAMPLES: Final[Mapping[str, Frames]] = MappingProxyType({})
_AT_ONCE = 4


def show_examples(plan: Plan, *, shared: bool = False) -> Mapping[str, Frames]:
    """Decode the clips that the plan's wordings show as examples, by the run's own rule; tell the wordings what came
    of it, and return the frames by the clips' ids.

    shared : whether other processes are to look at the frames.

    Raises `BadInput` for a clip that cannot be decoded: no wording is asked without its examples.
    """
    places = plan.split.examples
    if not places:
        return NO_EXAMPLES

    def frames_of(clip: str) -> Frames:
        try:
            with for_other_processes() if shared else nullcontext():
                return decode(places[clip], plan.sampling, plan.split.credentials)
        except MediaError as error:
            raise BadInput(
                f"the frames of the example {printable(clip)} are shown, and cannot be had: {printable(str(error))}; "
                "bring its media back, or name another clip in the task file"
            ) from None

    with ThreadPoolExecutor(_AT_ONCE, "examples") as pool:
        frames = dict(zip(places, pool.map(frames_of, places), strict=True))
    for wording in plan.wordings:
        wording.examples = {name: ExampleFrames.of(frames[clip_id(name)]) for name in wording.shown_clips}
    return frames


def by_digest(examples: Mapping[str, Frames]) -> dict[str, Frames]:
    """The frames of examples by what prompts know them by."""
    return {frames.sha256: frames for frames in examples.values()}


@dataclass(frozen=True, slots=True)
class Shown:
    """The examples of a run. frames : by what prompts know them by. media : where each of them is, likewise."""

    frames: Mapping[str, Frames] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, examples: Mapping[str, Frames], places: Mapping[str, str]) -> Shown:
        """examples, places : the frames and the media by the clips' ids."""
        return cls(by_digest(examples), {frames.sha256: places[clip] for clip, frames in examples.items()})
