"""What a task is: it builds the prompt for a clip's frames, and reads a reply's text as an answer."""

from __future__ import annotations

import copy
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ghostbench.records import Answer, FramePart, Frames, Part, Prompt, TextPart, Verdict


class Task(ABC):
    """One question about a clip, asked of every model in the same words.

    A subclass fills in the class attributes and reads and writes answers; `build` is the same for all tasks.

    name : as in `--task`.
    version : changes whenever wording, schema or reading changes; runs of different versions are not comparable.
    system : the system text, the same for every clip.
    question : the user's last words, after the frames.
    schema : JSON schema (draft 2020-12, no $ref) of the answer; its first property is the verdict.
    schema_name : the schema's name for servers that want one; letters, digits, "_".
    verdict_field, verdict_values : as in `Prompt`.
    max_output_tokens : enough for the longest answer that the schema allows, in English.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    system: ClassVar[str]
    question: ClassVar[str]
    schema: ClassVar[dict[str, Any]]
    schema_name: ClassVar[str]
    verdict_field: ClassVar[str | None]
    verdict_values: ClassVar[tuple[str, ...]]
    max_output_tokens: ClassVar[int] = 256

    def build(self, frames: Frames | None) -> Prompt:
        """The prompt for a clip: its length, its frames each after its time, the question.

        frames : the sampled frames. None for models that look at nothing and for text-only probes: the prompt then
            says that no frames are given, so that it claims nothing that is not so.

        Nothing in the prompt identifies the clip: of the clip it holds durations and timestamps alone.
        """
        parts = (*_clip_parts(frames), TextPart(self.question))
        schema = copy.deepcopy(self.schema)
        return Prompt(
            system=self.system,
            parts=parts,
            schema=schema,
            schema_name=self.schema_name,
            verdict_field=self.verdict_field,
            verdict_values=self.verdict_values,
            max_output_tokens=self.max_output_tokens,
            sha256=prompt_sha256(self.system, parts, schema),
        )

    @abstractmethod
    def parse(self, text: str) -> Answer:
        """The answer that a reply's text states. Raises `Unparseable` where it states none; never guesses."""

    @abstractmethod
    def write(self, verdict: Verdict) -> str:
        """The verdict as text that `parse` reads back unchanged.

        Raises `ValueError` for a verdict that the schema has no room for (text too long, time out of range).
        """

    def template(self) -> dict[str, Any]:
        """All the words that are the same for every clip, by what they are; nothing of any clip."""
        return {
            "name": self.name,
            "version": self.version,
            "system": self.system,
            "frames": {"clip": _DURATION, "no_frames": _NO_FRAMES, "frame": _FRAME_TIME},
            "question": self.question,
            "schema": self.schema,
            "max_output_tokens": self.max_output_tokens,
        }

    def template_sha256(self) -> str:
        """Hex digest of name, version, wording, schema and output limit: what is the same for every clip."""
        return template_sha256(self.template())


def template_sha256(template: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a task's template: its values in order as a JSON list without spaces, `frames` a list of its own.

    Raises `ValueError` for what cannot stand in JSON.
    """
    frames = template.get("frames")
    listed = {**template, "frames": list(frames.values()) if isinstance(frames, Mapping) else frames}
    return _sha256(list(listed.values()))


def prompt_sha256(system: str, parts: tuple[Part, ...], schema: dict[str, Any]) -> str:
    """Hex SHA-256 of a prompt as UTF-8 JSON without spaces: `[system, [part, …], schema]`.

    A text part is `["text", text]`, a frame part `["frame", position, time_s]`; the order of the schema's keys counts.
    """
    listed = [
        ["text", part.text] if isinstance(part, TextPart) else ["frame", part.position, part.time_s] for part in parts
    ]
    return _sha256([system, listed, schema])


_DURATION = "The clip lasts {duration:.2f} s. Frames from it follow in order of time ({count} in all)."
_NO_FRAMES = "No frames of this clip are given. Answer for a dashcam clip about which nothing else is known."
_FRAME_TIME = "Frame at {time:.2f} s:"


def _clip_parts(frames: Frames | None) -> tuple[Part, ...]:
    if frames is None:
        return (TextPart(_NO_FRAMES),)
    parts: list[Part] = [TextPart(_DURATION.format(duration=frames.duration_s, count=len(frames)))]
    for position, time_s in enumerate(frames.times_s):
        parts += (TextPart(_FRAME_TIME.format(time=time_s)), FramePart(position, time_s))
    return tuple(parts)


def _sha256(value: Any) -> str:
    canonical = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
