"""What a task of a plugin makes of answers is a conclusion of them, or is told of in one line and ends nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import ghostbench
from ghostbench import Answer, BadInput, Conclusion, Said
from ghostbench.outcomes import Outcome
from ghostbench.running.rules.answers import NoAnswer, read_answer
from ghostbench.running.rules.predictions import _concluded
from ghostbench.tasks.ghost_probing import GhostProbing

ANSWERED, REFUSED = Outcome.ANSWERED, Outcome.REFUSED
NONE = [Said(moment_s=moment, outcome=REFUSED) for moment in (1.0, 2.0)]
SOME = [NONE[0], Said(moment_s=2.0, outcome=ANSWERED, answer=Answer(grade="normal"))]
NAN = float("nan")


def concluded(said: Sequence[Said], end: Any) -> Conclusion:
    class Concludes(GhostProbing):
        name = "mine"

        def reduce(self, said: Sequence[Said]) -> Any:
            return end(said) if callable(end) else end

    return _concluded(Concludes(), said)


@pytest.mark.parametrize(
    "end",
    [
        Conclusion(outcome=ANSWERED, grade="normal", score=0.5, event_time_s=1.5, actor="boy", alarm_time_s=2.0),
        Conclusion(outcome=ANSWERED, grade="ghost_probing"),
        Conclusion(outcome=REFUSED),
    ],
    ids=lambda end: str(end.outcome),
)
def test_some_answers_are_enough_where_the_task_says_so(end: Conclusion) -> None:
    assert concluded(SOME, end) is end


def test_where_nobody_answered_there_is_no_answer() -> None:
    with pytest.raises(BadInput, match=r"task 'mine' comes to no conclusion .* an answer where there was none; repair"):
        concluded(NONE, Conclusion(outcome=ANSWERED, grade="normal"))
    assert concluded(NONE, Conclusion(outcome=REFUSED)).grade is None


@pytest.mark.parametrize(
    "end",
    [
        None,
        "normal",
        Conclusion(outcome="refused"),  # type: ignore[arg-type]
        Conclusion(outcome=ANSWERED),
        Conclusion(outcome=ANSWERED, grade="yes"),  # type: ignore[arg-type]
        Conclusion(outcome=REFUSED, grade="normal"),
        Conclusion(outcome=REFUSED, score=0.9),
        Conclusion(outcome=REFUSED, alarm_time_s=2.0),
        Conclusion(outcome=REFUSED, evidence="a boy"),
        *(Conclusion(outcome=ANSWERED, grade="normal", score=score) for score in (-0.1, 1.5, NAN, True)),
        *(Conclusion(outcome=ANSWERED, grade="normal", event_time_s=time) for time in (-1.0, NAN, float("inf"))),
        Conclusion(outcome=ANSWERED, grade="ghost_probing", alarm_time_s=1.5),
        Conclusion(outcome=ANSWERED, grade="normal", actor=5),  # type: ignore[arg-type]
        Conclusion(outcome=ANSWERED, grade="normal", occluder="\ud800"),
        pytest.param(lambda said: 1 / 0, id="it raises"),
    ],
    ids=repr,
)
def test_what_is_no_conclusion_is_told_in_one_line(end: Any) -> None:
    with pytest.raises(
        BadInput, match=r"^task 'mine' comes to no conclusion about 2 answers: [^\n]*; repair its `reduce`"
    ):
        concluded(SOME, end)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "normal",
        Conclusion(outcome=ANSWERED, grade="normal"),
        Answer(grade="yes"),  # type: ignore[arg-type]
        Answer(grade=None),  # type: ignore[arg-type]
        *(Answer(grade="normal", event_time_s=time) for time in (-1.0, NAN, float("inf"), True)),
        Answer(grade="normal", actor=5),  # type: ignore[arg-type]
        Answer(grade="normal", evidence="\ud800"),
    ],
    ids=repr,
)
def test_what_is_no_answer_is_none(answer: Any) -> None:
    class Reads(GhostProbing):
        def parse(self, text: str) -> Any:
            return answer

    with pytest.raises(NoAnswer):
        read_answer(Reads(), "text")


def test_a_reply_of_which_a_task_makes_no_answer_is_no_answer_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ReadsNothing(GhostProbing):
        def parse(self, text: str) -> Any:
            return None

    ReadsNothing.__module__ = "somebodys"
    monkeypatch.setattr("ghostbench.running.plan.plan.load_task", lambda name: ReadsNothing())
    run = ghostbench.run("always", out=tmp_path, run_id="r", limit=2, on="thread")
    assert set(run.attempts["outcome"]) == set(run.predictions["outcome"]) == {"crashed"}
    assert set(run.attempts["error_message"]) == {
        "the task could not read the reply: NoAnswer: it read NoneType, and no Answer"
    }
    assert run.predictions[["grade", "answered_by"]].isna().all(axis=None)


def test_a_task_that_says_nothing_else_concludes_as_ever() -> None:
    assert _concluded(GhostProbing(), NONE).outcome is REFUSED
    assert _concluded(GhostProbing(), SOME[1:]).grade == "normal"
