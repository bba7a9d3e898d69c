"""A question: all that a model is shown of a clip, and when.

What is sent and what is hashed is what stands here, and nothing besides: the frames are exactly those that the prompt
names, and a question of a moment holds nothing of the clip that comes after it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ghostbench.frames import Frames
from ghostbench.records import ExampleFramePart, FramePart, Part, Prompt, TextPart, Video, VideoPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a task asks about a clip, once for the whole of it or at one moment.

    prompt : its digest is made right when the question is made. Examples that it shows are part of it: its parts name
        their frames by digest, whichever clip is asked about, and `examples_shown` gives them to a request.
    frames : exactly those that the prompt's frame parts name, each at least once; None where it names none. Of a
        question of a moment they end there: `duration_s` is that of the clip so far.
    moment_s : seconds > 0 from the clip's start, at which this is asked and after which nothing is known; None where
        the whole clip is looked at.
    video : the clip's own media file, where the prompt's one video part names it, in the place of frames; else None.

    Raises `ValueError` for frames that the prompt does not name, parts that name no frame, and frames that are later
    than the moment; for a video that the prompt does not name, or that is shown with frames or at a moment; and for
    examples that are not named one after the other, each by one digest and with every frame.
    """

    prompt: Prompt
    frames: Frames | None
    moment_s: float | None = None
    video: Video | None = None

    def __post_init__(self) -> None:
        named, there = positions(self.prompt), 0 if self.frames is None else len(self.frames)
        if named != tuple(range(there)) or (self.frames is not None and not named):
            raise ValueError(
                f"a prompt that names the frames {list(named)} cannot be asked with {there} frames; "
                "Question.about cuts a clip's frames down to those named"
            )
        filmed = sum(isinstance(part, VideoPart) for part in self.prompt.parts)
        if filmed != (self.video is not None) or (filmed and (self.frames is not None or self.moment_s is not None)):
            raise ValueError("a video is shown once, whole and alone, where the prompt names it, and nowhere else")
        _examples_named(self.prompt)
        if self.moment_s is not None:
            self._end_at(self.moment_s)
        digest = prompt_sha256(self.prompt.system, self.prompt.parts, self.prompt.schema)
        if self.prompt.sha256 != digest:
            object.__setattr__(self, "prompt", replace(self.prompt, sha256=digest))

    def _end_at(self, moment_s: float) -> None:
        if not 0 < moment_s < float("inf"):
            raise ValueError(f"a moment is a number of seconds above 0, not {moment_s}")
        if self.frames is None:
            return
        late = [time_s for time_s in self.frames.times_s if time_s > moment_s]
        late += [part.time_s for part in self.prompt.parts if isinstance(part, FramePart) and part.time_s > moment_s]
        if late:
            raise ValueError(f"a question of {moment_s} s shows a frame of {max(late)} s")
        object.__setattr__(self, "frames", self.frames.lasting(moment_s))

    @classmethod
    def about(cls, prompt: Prompt, frames: Frames | None, moment_s: float | None = None) -> Question:
        """The question that a prompt asks about a clip, with the frames that it names and no other.

        frames : the clip's, which the prompt's parts count; those that no part names are left out, and the parts are
            renumbered. None where the prompt names none.

        Raises `ValueError` for a part that names no frame.
        """
        named = positions(prompt)
        if not named:
            return cls(prompt=prompt, frames=None, moment_s=moment_s)
        if frames is None or not 0 <= named[0] <= named[-1] < len(frames):
            there = 0 if frames is None else len(frames)
            raise ValueError(f"the prompt names the frames {list(named)}, and the clip has {there}")
        if len(named) == len(frames):
            return cls(prompt=prompt, frames=frames, moment_s=moment_s)
        place = {position: number for number, position in enumerate(named)}
        parts = tuple(
            replace(part, position=place[part.position]) if isinstance(part, FramePart) else part
            for part in prompt.parts
        )
        return cls(prompt=replace(prompt, parts=parts), frames=frames.take(named), moment_s=moment_s)


def positions(prompt: Prompt) -> tuple[int, ...]:
    """The positions that a prompt's frame parts name, each once, ascending."""
    return tuple(sorted({part.position for part in prompt.parts if isinstance(part, FramePart)}))


def examples_shown(prompt: Prompt, known: Mapping[str, Frames]) -> tuple[Frames, ...]:
    """The frames of each example that a prompt shows, in order, of those that are known by their digests.

    Raises `ValueError` for an example that is not known, and for parts that do not name each of its frames.
    """
    found = []
    for digest, count in _examples_named(prompt):
        frames = known.get(digest)
        if frames is None or len(frames) != count:
            raise ValueError(f"the prompt shows {count} frames of an example, {digest[:12]}…, that are not there")
        found.append(frames)
    return tuple(found)


def _examples_named(prompt: Prompt) -> list[tuple[str, int]]:
    """The digest of each example's frames that a prompt names, in order, and how many frames these are."""
    named: dict[int, tuple[set[str], set[int]]] = {}
    for part in prompt.parts:
        if isinstance(part, ExampleFramePart):
            digests, places = named.setdefault(part.example, (set(), set()))
            digests.add(part.frames_sha256)
            places.add(part.position)
    whole = all(len(digests) == 1 and places == set(range(len(places))) for digests, places in named.values())
    if list(named) != list(range(len(named))) or not whole:
        raise ValueError("a prompt shows its examples in order, each with all frames of one digest")
    return [(digests.pop(), len(places)) for digests, places in named.values()]


def in_order(questions: Sequence[Question]) -> tuple[Question, ...]:
    """A task's questions about one clip, held against what a run asks: one about the whole clip, or moments, ascending.

    Raises `ValueError`, and `TypeError` for what are no questions.
    """
    asked = tuple(questions)
    for question in asked:
        if not isinstance(question, Question):
            raise TypeError(f"a task asks by Question, not by {type(question).__name__}")
    moments = [question.moment_s for question in asked]
    if moments == [None]:
        return asked
    stated = [moment for moment in moments if moment is not None]
    if not stated or len(stated) < len(moments) or stated != sorted(set(stated)):
        raise ValueError(f"a task asks about a whole clip once, or at moments in order, each once; not at {moments}")
    return asked


def prompt_sha256(system: str, parts: Sequence[Part], schema: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a prompt as UTF-8 JSON without spaces: `[system, [part, …], schema]`.

    A text part is `["text", text]`, a frame part `["frame", position, time_s]`, a video `["video"]`, a frame of an
    example `["example", example, position, time_s, frames_sha256]`; the order of the schema's keys counts.
    """
    return json_sha256([system, [_listed(part) for part in parts], schema])


def _listed(part: Part) -> list[Any]:
    if isinstance(part, TextPart):
        return ["text", part.text]
    if isinstance(part, ExampleFramePart):
        return ["example", part.example, part.position, part.time_s, part.frames_sha256]
    return ["frame", part.position, part.time_s] if isinstance(part, FramePart) else ["video"]


def json_sha256(value: Any) -> str:
    """Hex SHA-256 of a value as UTF-8 JSON without spaces. Raises `ValueError` for what cannot stand in JSON."""
    canonical = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
