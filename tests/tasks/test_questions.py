"""A question holds exactly what its prompt names, and nothing of a clip after its moment."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench import Answer, BadInput, Conclusion, FramePart, Frames, Question, Said, Task, TextPart
from ghostbench.frames import pixels_sha256
from ghostbench.outcomes import Outcome
from ghostbench.question import in_order
from ghostbench.running.ask.questions import Questions
from ghostbench.running.plan.causal import check_causal
from ghostbench.tasks.base import IN_RETROSPECT
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench.tasks.ghost_warning import GhostWarning

MakeFrames = Callable[..., Frames]
TASK = GhostProbing()


def drawn(count: int, *, duration_s: float = 9.0) -> Frames:
    pixels = np.arange(count * 12, dtype=np.uint8).reshape(count, 2, 2, 3)
    times = tuple(index / 2 for index in range(count))
    return Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=duration_s, decoder="drawn")


def naming(frames: Frames, positions: Sequence[int]) -> Any:
    """A prompt that names some of a clip's frames, in that order, under a digest that is not its own."""
    parts = [part for p in positions for part in (TextPart("look:"), FramePart(p, frames.times_s[p]))]
    return replace(TASK.build(None), parts=(*parts, TextPart("?")), sha256="made up")


class EveryOther(GhostProbing):
    """A task that overrides `build` alone, and names every other frame of those that it gets."""

    def build(self, frames: Frames | None) -> Any:
        return super().build(None) if frames is None else naming(frames, range(0, len(frames), 2))


class AtMoments(GhostProbing):
    """A task that asks at three moments."""

    at_moments = True

    def questions(self, frames: Frames) -> Sequence[Question]:
        prefixes = [(moment, frames.until(moment)) for moment in (1.0, 2.0, 3.0)]
        return [Question.about(self.build(prefix), prefix, moment) for moment, prefix in prefixes]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=15))
def test_a_question_has_the_frames_that_its_prompt_names_and_no_other(named: list[int]) -> None:
    clip = drawn(10)
    question = Question.about(naming(clip, named), clip)
    shown = sorted(set(named))
    assert question.frames is not None
    assert question.frames.indices == tuple(shown)
    assert np.array_equal(question.frames.pixels, clip.pixels[shown])
    assert question.frames.sha256 == pixels_sha256(np.ascontiguousarray(clip.pixels[shown]))
    parts = [part for part in question.prompt.parts if isinstance(part, FramePart)]
    assert [question.frames.times_s[part.position] for part in parts] == [part.time_s for part in parts]
    assert [shown[part.position] for part in parts] == named


@given(st.lists(st.integers(0, 9), max_size=15))
def test_its_digest_is_of_the_prompt_as_it_is_sent(named: list[int]) -> None:
    clip = drawn(10)
    prompt = Question.about(naming(clip, named), clip).prompt
    parts = [["text", p.text] if isinstance(p, TextPart) else ["frame", p.position, p.time_s] for p in prompt.parts]
    said = json.dumps([prompt.system, parts, prompt.schema], ensure_ascii=False, separators=(",", ":"))
    assert prompt.sha256 == sha256(said.encode()).hexdigest()


@pytest.mark.parametrize(("named", "count"), [([0, 1], 3), ([0, 2], 2), ([1], 1), ([-1], 1), ([], 1), ([0], 0)])
def test_frames_that_are_not_those_named_make_no_question(named: list[int], count: int) -> None:
    prompt = naming(drawn(10), named)
    with pytest.raises(ValueError, match="frames"):
        Question(prompt=prompt, frames=drawn(count) if count else None)


def test_a_prompt_that_names_no_frame_shows_none() -> None:
    assert Question.about(naming(drawn(3), []), drawn(3)).frames is None
    with pytest.raises(ValueError, match=r"names the frames \[3\], and the clip has 3"):
        Question.about(naming(drawn(4), [3]), drawn(3))


def test_a_task_that_says_nothing_else_shows_the_whole_clip_once() -> None:
    clip = drawn(4)
    (question,) = TASK.questions(clip)
    assert question == Question(prompt=TASK.build(clip), frames=clip)
    assert question.frames is clip
    assert question.moment_s is None
    assert Questions(TASK).described(clip) is None


def test_a_task_that_builds_a_prompt_of_some_frames_shows_those() -> None:
    clip = drawn(10)
    questions = Questions(EveryOther())
    question = questions.asked(clip, None)
    assert question.frames is not None
    assert question.frames.indices == (0, 2, 4, 6, 8)
    described = questions.described(clip)
    assert described is not None
    assert [line.frames_sha256 for line in described] == [question.frames.sha256]


@pytest.mark.parametrize("probe", ["blank", "shuffled"])
@pytest.mark.parametrize("task", [TASK, EveryOther(), AtMoments()], ids=["whole", "some", "moments"])
def test_a_probe_changes_pixels_and_not_a_word(task: Task, probe: str) -> None:
    clip, questions = drawn(10), Questions(task)
    for asked in questions.about(clip):
        probed = questions.asked(clip, asked.moment_s, probe=probe)
        assert probed.prompt == asked.prompt
        assert asked.frames is not None
        assert probed.frames is not None
        assert probed.frames.times_s == asked.frames.times_s
        assert probed.frames.sha256 != asked.frames.sha256
        if probe == "shuffled":
            assert sorted(map(bytes, probed.frames.pixels)) == sorted(map(bytes, asked.frames.pixels))


@given(moment=st.sampled_from([1.0, 2.0, 3.0]), most=st.integers(1, 9), probe=st.sampled_from([None, "shuffled"]))
def test_a_level_with_fewer_frames_shows_fewer_of_the_same_question(
    moment: float, most: int, probe: str | None
) -> None:
    clip, questions = drawn(10), Questions(AtMoments())
    whole = questions.asked(clip, moment, probe=probe)
    fewer = questions.asked(clip, moment, probe=probe, most=most)
    assert whole.frames is not None
    assert fewer.frames is not None
    assert len(fewer.frames) == min(most, len(whole.frames))
    assert set(fewer.frames.times_s) <= set(whole.frames.times_s)
    assert {bytes(frame) for frame in fewer.frames.pixels} <= {bytes(frame) for frame in whole.frames.pixels}
    assert fewer.moment_s == moment


def test_a_question_of_a_moment_knows_nothing_of_what_comes_after() -> None:
    clip = drawn(10, duration_s=5.0)
    for question in Questions(AtMoments()).about(clip):
        assert question.frames is not None
        assert max(question.frames.times_s) == question.moment_s == question.frames.duration_s
        unpickled = pickle.loads(pickle.dumps(question.frames.pixels))
        assert unpickled.base is None or len(unpickled.base) == len(unpickled)
        assert question.frames.private().pixels.base is None


@given(st.integers(0, 2**32 - 1))
def test_what_comes_after_a_moment_changes_nothing_of_its_question(seed: int) -> None:
    clip = drawn(10, duration_s=5.0)
    pixels = clip.pixels.copy()
    pixels[3:] = np.random.default_rng(seed).permutation(pixels[3:])
    other = Frames(
        pixels,
        indices=(*clip.indices[:3], *(i + 100 for i in clip.indices[3:])),
        times_s=clip.times_s,
        duration_s=500.0,
        decoder=clip.decoder,
    )
    first, again = (Questions(AtMoments()).asked(frames, 1.0) for frames in (clip, other))
    assert first.prompt == again.prompt
    assert first.frames is not None
    assert again.frames is not None
    assert (first.frames.sha256, first.frames.duration_s) == (again.frames.sha256, again.frames.duration_s)
    assert first.frames.indices == again.frames.indices


def made_up(clip: Frames) -> Frames:
    return drawn(4)


def of_another_clip(clip: Frames) -> Frames:
    return drawn(10)


def painted(clip: Frames) -> Frames:
    return clip.with_pixels(clip.pixels // 2)


def under_the_clips_digest(clip: Frames) -> Frames:
    facts = {name: getattr(clip, name) for name in ("indices", "times_s", "duration_s", "decoder", "sha256")}
    return Frames(clip.pixels // 2, **facts)


@pytest.mark.parametrize("shown", [made_up, of_another_clip, painted, under_the_clips_digest])
def test_frames_that_are_not_the_clips_are_shown_to_nobody(shown: Callable[[Frames], Frames]) -> None:
    class Shows(GhostProbing):
        def questions(self, frames: Frames) -> Sequence[Question]:
            other = shown(frames)
            return [Question.about(self.build(other), other)]

    with pytest.raises(ValueError, match="frames of the clip in question, as they were decoded"):
        Questions(Shows()).about(drawn(10))


def test_nor_are_others_where_a_level_shows_fewer() -> None:
    class Shows(GhostProbing):
        def asked_with(self, question: Question, frames: Frames | None) -> Question:
            return Question.about(self.build(drawn(2)), drawn(2))

    with pytest.raises(ValueError, match="frames of the clip in question, as they were decoded"):
        Questions(Shows()).asked(drawn(10), None, most=2)


@pytest.mark.parametrize("says_so", [True, False])
def test_a_task_asks_at_moments_exactly_where_it_says_so(says_so: bool) -> None:
    class Says(GhostProbing if says_so else AtMoments):  # type: ignore[misc]
        at_moments = says_so

    with pytest.raises(ValueError, match="at moments exactly where it says so"):
        Questions(Says()).about(drawn(10))


class TellsTheLength(AtMoments):
    """In words, which no frame gives away."""

    name = "tells"

    def questions(self, frames: Frames) -> Sequence[Question]:
        told = TextPart(f"The clip lasts {frames.duration_s} s.")
        asked = super().questions(frames)
        return [replace(each, prompt=replace(each.prompt, parts=(told, *each.prompt.parts))) for each in asked]


class TellsHowItEnds(AtMoments):
    """In the digest of the last frame."""

    name = "tells"

    def questions(self, frames: Frames) -> Sequence[Question]:
        told = f"{TASK.system} {frames.pixels[-1].mean()}"
        return [replace(each, prompt=replace(each.prompt, system=told)) for each in super().questions(frames)]


@pytest.mark.parametrize("task", [TellsTheLength(), TellsHowItEnds()], ids=["length", "end"])
def test_a_task_that_tells_at_a_moment_what_comes_after_is_refused(task: Task) -> None:
    with pytest.raises(BadInput, match=r"task 'tells' tells at 1 s what comes after in the clip"):
        check_causal(task)


@pytest.mark.parametrize("task", [AtMoments(), GhostWarning(), TASK], ids=["moments", "ghost-warning", "whole"])
def test_a_task_that_does_not_is_asked(task: Task) -> None:
    check_causal(task)


def test_a_frame_later_than_the_moment_makes_no_question() -> None:
    clip = drawn(4)
    with pytest.raises(ValueError, match=r"a question of 1.0 s shows a frame of 1.5 s"):
        Question.about(TASK.build(clip), clip, 1.0)
    backdated = clip.take((3,))
    prompt = naming(backdated, [0])
    earlier = replace(prompt, parts=(FramePart(0, 0.5),))
    with pytest.raises(ValueError, match="shows a frame of"):
        Question(prompt=earlier, frames=backdated, moment_s=1.0)
    for moment in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="a moment is a number of seconds above 0"):
            Question(prompt=TASK.build(None), frames=None, moment_s=moment)


def test_questions_come_once_for_a_whole_clip_or_at_moments_in_order() -> None:
    whole = Question(prompt=TASK.build(None), frames=None)
    one, two = (replace(whole, moment_s=moment) for moment in (1.0, 2.0))
    assert in_order([whole]) == (whole,)
    assert in_order([one, two]) == (one, two)
    for wrong in ([], [whole, whole], [two, one], [one, one], [whole, one]):
        with pytest.raises(ValueError, match="at moments in order"):
            in_order(wrong)
    with pytest.raises(TypeError, match="not by Prompt"):
        in_order([TASK.build(None)])  # type: ignore[list-item]


def test_questions_are_made_once_and_go_with_their_frames() -> None:
    import gc
    import weakref

    made = []

    class Counting(AtMoments):
        def build(self, frames: Frames | None) -> Any:
            made.append(frames)
            return super().build(frames)

    class Held(Frames):
        __slots__ = ("__weakref__",)

    questions = Questions(Counting())
    whole = drawn(10)
    clip = Held(whole.pixels, indices=whole.indices, times_s=whole.times_s, duration_s=9.0, decoder="drawn")
    for _ in range(3):
        questions.about(clip)
        questions.asked(clip, 2.0)
        questions.asked(clip, 2.0, probe="shuffled", most=2)
    assert len(made) == 4
    gone = weakref.ref(clip)
    gc.disable()
    try:
        del clip
        assert gone() is None
    finally:
        gc.enable()


def said(moment: float | None, grade: Any, score: float | None = None) -> Said:
    answer = Answer(grade=grade, actor=f"at {moment}", evidence="seen")
    return Said(moment_s=moment, outcome=Outcome.ANSWERED, answer=answer, score=score)


def test_one_answer_is_the_conclusion() -> None:
    assert TASK.reduce([said(None, "ghost_probing", 0.4)]) == Conclusion(
        outcome=Outcome.ANSWERED, grade="ghost_probing", score=0.4, actor="at None", evidence="seen"
    )
    refused = Said(moment_s=None, outcome=Outcome.REFUSED)
    assert TASK.reduce([refused]) == Conclusion(outcome=Outcome.REFUSED)


def test_of_moments_the_first_of_the_strongest_counts() -> None:
    grades = [(1.0, "normal", 0.1), (2.0, "ghost_probing", 0.7), (3.0, "ghost_probing", 0.9), (4.0, "normal", 0.0)]
    end = TASK.reduce([said(*each) for each in grades])
    assert (end.grade, end.alarm_time_s, end.score, end.actor) == ("ghost_probing", 2.0, 0.9, "at 2.0")
    quiet = TASK.reduce([said(1.0, "normal"), said(2.0, "potential_ghost_probing"), said(3.0, "normal", 0.5)])
    assert (quiet.grade, quiet.alarm_time_s, quiet.score) == ("potential_ghost_probing", None, None)


def test_a_clip_with_a_moment_without_an_answer_is_not_answered() -> None:
    lost = Said(moment_s=2.0, outcome=Outcome.TIMED_OUT)
    assert TASK.reduce([said(1.0, "ghost_probing"), lost]) == Conclusion(outcome=Outcome.TIMED_OUT)


def test_the_claim_of_a_task_that_states_none_is_the_modest_one() -> None:
    assert EveryOther().claim == IN_RETROSPECT
