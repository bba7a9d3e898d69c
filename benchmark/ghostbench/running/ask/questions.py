"""The questions about a clip, made once for all models, and what is left of one for a probe or a fallback level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ghostbench.folder.lines import QuestionLine
from ghostbench.frames import Frames
from ghostbench.media.far import Recipe
from ghostbench.question import Question, in_order
from ghostbench.records import Prompt
from ghostbench.running.plan.probes import make_ready, probed, thinned
from ghostbench.tasks.base import Task

_FAILURE = "the task's failure"


class AskedElsewhere(Exception):
    """A task failed to ask about frames where their pixels are. The message is its own."""


def found_with_frames(task: Task) -> bool:
    """Whether how often a clip is asked about is known only when its frames are."""
    return type(task).questions is not Task.questions


class Questions:
    """What a task asks about the clips of a run. variants : its other wordings that are asked, by name.

    What a clip's frames lead to is kept with them, and goes when they go.
    """

    def __init__(self, task: Task, variants: Mapping[str, Task] | None = None) -> None:
        self._tasks: dict[str | None, Task] = {None: task}
        self._tasks.update((variants or {}).items())
        self._blind: dict[str | None, Question] = {}

    @property
    def blind(self) -> Question:
        """The main question to those who look at nothing, the same about every clip."""
        return self._to_the_blind(None)

    def _to_the_blind(self, variant: str | None) -> Question:
        if variant not in self._blind:
            self._blind[variant] = Question.about(self._tasks[variant].build(None), None)
        return self._blind[variant]

    def about(self, frames: Frames, variant: str | None = None) -> tuple[Question, ...]:
        """All questions about a clip, in order.

        Raises what the task raises, and `ValueError` as `in_order` does, for frames that are not the clip's, and for
        moments of a task that does not say that it asks at them, or none of one that does.

        variant : the wording; None for the main one.
        """
        if frames.remembers((_FAILURE, variant)):
            raise AskedElsewhere(frames.memo((_FAILURE, variant), lambda _: ""))
        kept = frames.memo(("questions", variant), lambda whole: self._made(whole, variant))
        return tuple(each.question(frames) for each in kept)

    def moments(self, frames: Frames) -> tuple[float | None, ...]:
        """When they are asked; (None,) for one about the whole clip."""
        return tuple(question.moment_s for question in self.about(frames))

    def described(self, frames: Frames) -> tuple[QuestionLine, ...] | None:
        """The questions as `clips.jsonl` has them; None for one that shows all that there is."""
        asked = self.about(frames)
        if [(question.moment_s, question.frames) for question in asked] == [(None, frames)]:
            return None
        return tuple(
            QuestionLine(
                moment_s=question.moment_s,
                frames_sha256=question.frames.sha256 if question.frames is not None else None,
            )
            for question in asked
        )

    def asked(
        self,
        frames: Frames | None,
        moment_s: float | None,
        *,
        probe: str | None = None,
        variant: str | None = None,
        most: int | None = None,
    ) -> Question:
        """The question of that moment about a clip's frames, or to those who look at nothing.

        variant : the wording; None for the main one. All wordings show the same frames, computed on once.
        probe : what is done to the question's own frames, and to no others. most : so many of them are shown at most.

        Raises what the task raises, and `ValueError` where it asks nothing at that moment.
        """
        if frames is None:
            return replace(self._to_the_blind(variant), moment_s=moment_s)
        question = self._at(frames, moment_s, variant)
        if question.frames is None:
            return question
        task = self._tasks[variant]
        key = _question_key(moment_s, probe, variant, most)
        return self._memo(frames, key, lambda: _changed(task, question, frames, probe, most))

    def make_ready(self, frames: Frames, moment_s: float | None, probe: str, variant: str | None = None) -> None:
        """Do to a question's frames what a probe does, so that `asked` finds it done: it may take long.

        Raises as `asked` does.
        """
        shown = self._at(frames, moment_s, variant).frames
        if shown is not None:
            make_ready(shown, probe, frames)

    def _at(self, frames: Frames, moment_s: float | None, variant: str | None) -> Question:
        for question in self.about(frames, variant):
            if question.moment_s == moment_s:
                return question
        raise ValueError(f"the task asks nothing of this clip at {moment_s} s")

    def _made(self, frames: Frames, variant: str | None) -> tuple[_Kept, ...]:
        task = self._tasks[variant]
        asked = in_order(task.questions(frames))
        for question in asked:
            _require_own(question, frames)
            if (question.moment_s is not None) != task.at_moments:
                raise ValueError("a task asks at moments exactly where it says so, by at_moments")
        return tuple(_Kept.of(question, frames) for question in asked)

    def _memo(self, frames: Frames, key: object, make: Callable[[], Question]) -> Question:
        return frames.memo(key, lambda whole: _Kept.of(make(), whole)).question(frames)


def _changed(task: Task, question: Question, clip: Frames, probe: str | None, most: int | None) -> Question:
    """The question about what a probe and a fallback level leave of its frames, which are of that clip."""
    shown = thinned(probed(question.frames, probe, clip), most)
    if shown is question.frames:
        return question
    if shown is None or question.frames is None or len(shown) != len(question.frames):
        asked = task.asked_with(question, shown)
        _require_own(asked, shown)
        return asked
    return replace(question, frames=shown)


def _require_own(question: Question, frames: Frames | None) -> None:
    """Raise `ValueError` where a question shows what is not among these frames."""
    if question.frames is not None and (frames is None or not question.frames.are_of(frames)):
        raise ValueError("a task shows frames of the clip in question, as they were decoded, and no others")


def foresee(
    frames: Frames, told: Mapping[str | None, tuple[Question, ...] | str], others: Sequence[tuple[Recipe, Question]]
) -> None:
    """Keep with frames whose pixels are elsewhere what was asked about them there.

    told : by wording, all questions, or what the task raised instead, in words. others : of probes.
    """
    for variant, questions in told.items():
        if isinstance(questions, str):
            _keep(frames, (_FAILURE, variant), questions)
            continue
        _keep(frames, ("questions", variant), tuple(_Kept.of(each, frames) for each in questions))
        for each in questions:
            _keep(frames, _question_key(each.moment_s, None, variant, None), _Kept.of(each, frames))
    for recipe, question in others:
        foresee_one(frames, recipe, question)


def foresee_one(frames: Frames, recipe: Recipe, question: Question) -> None:
    """Keep with frames one question about them, as `Questions.asked` would make it."""
    _keep(frames, _key_of(recipe), _Kept.of(question, frames))


def foreseen(frames: Frames, recipe: Recipe) -> bool:
    """Whether `Questions.asked` needs no pixels for this question."""
    return frames.remembers(_key_of(recipe)) or frames.remembers((_FAILURE, recipe.variant))


def _keep(frames: Frames, key: tuple[object, ...], kept: object) -> None:
    frames.memo(key, lambda _: kept)


def _key_of(recipe: Recipe) -> tuple[object, ...]:
    return _question_key(recipe.moment_s, recipe.probe, recipe.variant, recipe.most)


def _question_key(
    moment_s: float | None, probe: str | None, variant: str | None, most: int | None
) -> tuple[object, ...]:
    """Under what a question is kept with its clip's frames."""
    return ("asked", moment_s, probe, variant, most)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A question as it is kept with its clip's frames, without a way back to them: they are to go when nobody needs
    them, and not when the interpreter looks for circles."""

    prompt: Prompt
    own: Frames | None
    whole: bool
    moment_s: float | None

    @classmethod
    def of(cls, question: Question, frames: Frames) -> _Kept:
        whole = question.frames is frames
        return cls(question.prompt, None if whole else question.frames, whole, question.moment_s)

    def question(self, frames: Frames) -> Question:
        return Question(prompt=self.prompt, frames=frames if self.whole else self.own, moment_s=self.moment_s)
