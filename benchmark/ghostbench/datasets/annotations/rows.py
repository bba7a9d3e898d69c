"""What an annotation file comes to: rows, and how they find their clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ghostbench.label import UNSAID, Label, Parameters
from ghostbench.records import Clip, Truth

FrameTimes = Callable[[str], tuple[float, ...]]
"""The presentation time of every frame that a clip's media decodes to, seconds from the clip's start.

Raises the errors of `ghostbench.media.decode.decode`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What a row says of its clip.

    truth : where the row has one, to be held against the label. flag : why the row may be another clip's, None where it
        is certain.
    """

    labels: Label = UNSAID
    parameters: Parameters = field(default_factory=dict)
    truth: Truth | None = None
    flag: str | None = None


Found = Annotation | str
"""A clip's row, or why it has none."""


class AnnotationFile(Protocol):
    """A file that was read."""

    @property
    def form(self) -> str:
        """What kind of file it is, in words."""

    @property
    def by_frames(self) -> bool:
        """Whether its rows are found by the frames of the clips, so that the media is needed."""

    def join(self, clips: Sequence[Clip], frame_times: FrameTimes | None) -> Mapping[str, Found]:
        """For every clip, by its id, its row or why it has none.

        frame_times : None where nothing can be decoded here.
        """


@dataclass(frozen=True, slots=True)
class NamedRows:
    """Rows that name their clips. A row that is no use holds the reason."""

    form: str
    rows: Mapping[str, Found]
    by_frames: bool = False

    def join(self, clips: Sequence[Clip], frame_times: FrameTimes | None) -> Mapping[str, Found]:
        """By the clip's id."""
        return {clip.id: self.rows.get(clip.id, "the file does not name it") for clip in clips}
