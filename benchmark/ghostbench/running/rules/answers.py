"""What a task reads and concludes, held against what an answer is: a stranger's task may give anything."""

from __future__ import annotations

from collections.abc import Sequence

from ghostbench.outcomes import Outcome
from ghostbench.plugins.text import printable
from ghostbench.records import GRADES, Answer, Conclusion, Said
from ghostbench.running.rules.replies import encodable
from ghostbench.tasks.base import Task

_MOST_S = 1e9


class NoAnswer(Exception):
    """A task gave what is no answer, or no conclusion. The message says what."""


def read_answer(task: Task, text: str) -> Answer:
    """A reply's text as the task reads it. Raises what its `parse` raises, and `NoAnswer` for what is none."""
    answer = task.parse(text)
    if not isinstance(answer, Answer):
        raise NoAnswer(f"it read {printable(type(answer).__name__)}, and no Answer")
    if answer.grade not in GRADES:
        raise NoAnswer(f"it read the grade {printable(repr(answer.grade))}")
    _require_plain(answer)
    return answer


def conclude(task: Task, said: Sequence[Said]) -> Conclusion:
    """What the task makes of the answers about a clip.

    Raises what its `reduce` raises, and `NoAnswer` for what is no conclusion of these: where nobody answered, there is
    no answer.
    """
    end = task.reduce(said)
    if not isinstance(end, Conclusion) or not isinstance(end.outcome, Outcome):
        raise NoAnswer("what it gives is no Conclusion")
    answered = end.outcome is Outcome.ANSWERED
    if answered != (end.grade is not None) or (answered and end.grade not in GRADES):
        raise NoAnswer(f"it gives the outcome {end.outcome} and the grade {printable(repr(end.grade))}")
    if answered and all(each.answer is None for each in said):
        raise NoAnswer("it gives an answer where there was none")
    told = (end.event_time_s, end.score, end.alarm_time_s, end.actor, end.occluder, end.evidence)
    if not answered and any(each is not None for each in told):
        raise NoAnswer("it gives no answer, and says something of it all the same")
    if not _lies_in(end.score, 1.0):
        raise NoAnswer(f"it gives a score of {printable(repr(end.score))}")
    if end.alarm_time_s is not None and end.alarm_time_s not in {each.moment_s for each in said}:
        raise NoAnswer(f"it gives an alarm at {printable(repr(end.alarm_time_s))}, when nothing was asked")
    _require_plain(end)
    return end


def _require_plain(said: Answer | Conclusion) -> None:
    """Raise `NoAnswer` for a time that is none, and words that are no text."""
    if not _lies_in(said.event_time_s, _MOST_S):
        raise NoAnswer(f"it gives a time of {printable(repr(said.event_time_s))}")
    for words in (said.actor, said.occluder, said.evidence):
        if words is not None and not (isinstance(words, str) and encodable(words) == words):
            raise NoAnswer(f"it gives words that are no text: {printable(repr(words))}")


def _lies_in(value: object, most: float) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most)
