"""What a task is: it turns a clip's frames into questions, and reads what is said to them as an answer."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final

from ghostbench.frames import Frames
from ghostbench.outcomes import Outcome
from ghostbench.question import Question, json_sha256, prompt_sha256
from ghostbench.records import (
    Answer,
    Conclusion,
    ExampleFrames,
    FramePart,
    Grade,
    Part,
    Prompt,
    Said,
    TextPart,
    Verdict,
)

IN_RETROSPECT: Final = (
    "A model sees the whole clip, aftermath included: this is recognition in retrospect, not early warning."
)
WHOLE_CLIP: Final = "The clip lasts {duration:.2f} s. Frames from it follow in order of time ({count} in all)."
"""The opening of tasks that show the whole clip, and say how long it is."""
ALARMS: Final[tuple[Grade, ...]] = ("ghost_probing",)
"""The grades that are an alarm at a moment."""
_STRENGTH: Final[tuple[Grade, ...]] = ("normal", "potential_ghost_probing", "ghost_probing")


class Task(ABC):
    """What is asked about a clip, of every model in the same words.

    A subclass fills in the class attributes and reads and writes answers. One that shows only some frames overrides
    `build`; one that asks at moments overrides `questions` and, where its conclusion is one of its own, `reduce`.

    name : as in `--task`.
    claim : what a report of this task may claim, one sentence.
    left_out : tables of the report that say nothing true of this task, by the names of their files. What only this task
        can measure and say, `measure` and `section` give.
    at_moments : whether `questions` asks at moments. Of a task that does, every row is asked at them, those too that
        look at nothing, so that each clip's frames are decoded for their times.
    moments_per_s : how many moments a second `questions` asks at, where `--moments` may say so; else None.
    sampling : which frames of a clip are decoded unless the user says otherwise, as in `--sampling`. For a task that
        asks at moments an `fps:R`: where `uniform:N` has its frames tells how long the clip goes on.
    opening : the user's first words, before the frames, with `{count}` for their number. Only a task that shows whole
        clips may have `{duration}` in it, the clip's length in seconds (`WHOLE_CLIP`).
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
    claim: ClassVar[str] = IN_RETROSPECT
    left_out: ClassVar[tuple[str, ...]] = ()
    at_moments: ClassVar[bool] = False
    moments_per_s: float | None = None
    sampling: ClassVar[str] = "uniform:10"
    opening: ClassVar[str] = "Frames of a clip follow in order of time ({count} in all)."
    system: ClassVar[str]
    question: ClassVar[str]
    schema: ClassVar[dict[str, Any]]
    schema_name: ClassVar[str]
    verdict_field: ClassVar[str | None]
    verdict_values: ClassVar[tuple[str, ...]]
    max_output_tokens: ClassVar[int] = 256

    def variants(self) -> Mapping[str, Task]:
        """The same question in other words, by name, in order: same name, version, schema and reading.

        `--variants` asks them beside this one, which is called the main wording.
        """
        return {}

    def in_video(self) -> Task | None:
        """The wording in which a model is asked that sees the clip's own video and no frames.

        It has the same name, version, schema and reading, and a `build` whose one `VideoPart` stands for the video.
        None, as here, where there is none: such a model cannot be asked then.
        """
        return None

    examples: Mapping[str, ExampleFrames] = MappingProxyType({})
    """What is known of the frames of each of `shown_clips`, by its id: set by a run before the task asks anything."""

    @property
    def shown_clips(self) -> tuple[str, ...]:
        """Ids of the clips among `example_clips` whose frames the words show, each once.

        A run samples them as it does the clip in question, and says in `examples` what came of it; `build` names each
        frame with an `ExampleFramePart`, and none of them where it is built without frames.
        """
        return ()

    @property
    def example_clips(self) -> tuple[str, ...]:
        """Ids of the clips that the words tell of as examples, with their answers; they are not scored then."""
        return ()

    def questions(self, frames: Frames) -> Sequence[Question]:
        """What is asked about a clip: one question about the whole of it, or one at each of some moments, in order.

        frames : the clip's sampled frames. `Question.about` cuts them down to those that a prompt names, and
        `Frames.until` to those before a moment.
        """
        return (Question.about(self.build(frames), frames),)

    def asked_with(self, question: Question, frames: Frames | None) -> Question:
        """The same question about what a probe or a fallback level leaves of its frames; None for nothing."""
        return Question.about(self.build(frames), frames, question.moment_s)

    def build(self, frames: Frames | None) -> Prompt:
        """The prompt about these frames: the opening, the frames each after its time, the question.

        frames : those of the clip, or of the clip up to a moment. None for models that look at nothing and for
            text-only probes: the prompt then says that no frames are given, so that it claims nothing that is not so.

        Nothing in the prompt identifies the clip: of the clip it holds durations and timestamps alone.
        """
        parts = (*self._frame_parts(frames), TextPart(self.question))
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

    def reduce(self, said: Sequence[Said]) -> Conclusion:
        """What all answers about a clip come to, in the order in which they were asked.

        One question about the whole clip is its own conclusion. Of moments, the strongest grade counts, as it was first
        given, and the highest score; a clip with a moment that has no answer is not answered.
        """
        unanswered = [each.outcome for each in said if each.answer is None]
        if unanswered:
            return Conclusion(outcome=unanswered[0])
        grades = [(each.moment_s, each.answer) for each in said if each.answer is not None]
        moment_s, strongest = max(grades, key=lambda pair: _STRENGTH.index(pair[1].grade))
        scores = [each.score for each in said if each.score is not None]
        return Conclusion(
            outcome=Outcome.ANSWERED,
            grade=strongest.grade,
            event_time_s=strongest.event_time_s,
            score=max(scores) if len(scores) == len(said) else None,
            actor=strongest.actor,
            occluder=strongest.occluder,
            evidence=strongest.evidence,
            alarm_time_s=moment_s if strongest.grade in ALARMS else None,
        )

    def measure(self, predictions: Any, clips: Any) -> Mapping[str, Any]:
        """Numbers of this task's own for one row, `task` in metrics.json: JSON values by name.

        predictions, clips : data frames with the fields of predictions.jsonl, of that row, and of clips.jsonl.
        """
        return {}

    def section(self, run: Any) -> str | None:
        """A section of the report of this task's own, as Markdown; None for none.

        run : the run as report sections get it, `ghostbench.RunData`.
        """
        return None

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
            "frames": {"clip": self.opening, "no_frames": _NO_FRAMES, "frame": _FRAME_TIME},
            "question": self.question,
            "schema": self.schema,
            "max_output_tokens": self.max_output_tokens,
        }

    def template_sha256(self) -> str:
        """Hex digest of name, version, wording, schema and output limit: what is the same for every clip."""
        return template_sha256(self.template())

    def _frame_parts(self, frames: Frames | None) -> tuple[Part, ...]:
        if frames is None:
            return (TextPart(_NO_FRAMES),)
        parts: list[Part] = [TextPart(self.opening.format(duration=frames.duration_s, count=len(frames)))]
        for position, time_s in enumerate(frames.times_s):
            parts += (TextPart(_FRAME_TIME.format(time=time_s)), FramePart(position, time_s))
        return tuple(parts)


def template_sha256(template: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a task's template: its values in order as a JSON list without spaces, `frames` a list of its own.

    Raises `ValueError` for what cannot stand in JSON.
    """
    frames = template.get("frames")
    listed = {**template, "frames": list(frames.values()) if isinstance(frames, Mapping) else frames}
    return json_sha256(list(listed.values()))


_NO_FRAMES = "No frames of this clip are given. Answer for a dashcam clip about which nothing else is known."
_FRAME_TIME = "Frame at {time:.2f} s:"
