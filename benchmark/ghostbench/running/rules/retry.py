"""What follows a failed attempt: the one place where retries and fallbacks are decided.

An outcome in `RETRIED` is tried again with the same settings, never sooner than the server asks; where that would be
after more than `LONGEST_PAUSE_S`, the clip is put off: the outcome is final in this run, and `--resume` asks again.
What is away for everyone is waited for by time and not by count (`way.py`). One in `FALLS_BACK` moves to the rung of
the model's ladder that is there for it (`standing.Standing.after`); one in `STOPS_MODEL` ends the model's run; the rest
are final.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ghostbench import errors
from ghostbench.models import LONGEST_PAUSE_S, Level
from ghostbench.outcomes import FALLS_BACK, RETRIED, STOPS_MODEL, Outcome
from ghostbench.running.rules.patience import Patience
from ghostbench.running.rules.standing import AS_CONFIGURED, Standing

Failure = errors.AttemptError | errors.Unparseable
MOST_LOST = 2
"""How often a clip, or a load, may take its process down before it is not tried again."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do after an attempt.

    action : "settle" (this outcome is the clip's), "retry" (same standing) or "fall_back" (to `standing`).
    wait_s : the pause that the server asked for, seconds; None leaves it to the backoff. 0 for a fallback.
    put_off_s : settled only because the server asked for this pause, seconds, longer than a run waits; else None.
    """

    action: Literal["settle", "retry", "fall_back"]
    standing: Standing = AS_CONFIGURED
    wait_s: float | None = 0.0
    put_off_s: float | None = None

    @property
    def level(self) -> int:
        """The fallback level of the standing."""
        return self.standing.level

    @property
    def again(self) -> bool:
        """Whether another attempt follows."""
        return self.action != "settle"


def outcome_of(failure: Failure | None) -> Outcome:
    """The outcome that an attempt's failure stands for; `answered` for None."""
    return Outcome.ANSWERED if failure is None else failure.outcome


def next_step(
    failure: Failure | None,
    *,
    standing: Standing,
    attempts: int,
    max_attempts: int,
    ladder: Sequence[Level],
    lost: int = 0,
) -> Step:
    """Decide what follows an attempt.

    standing : where the attempt stood. attempts : those made so far for this clip that count, this one included, over
        all levels: what an outage of the model or the storage took counts for no clip. lost : how many attempts took
        their worker down or hung until it was ended, where this one did; else 0.
    """
    outcome = outcome_of(failure)
    if failure is None or outcome in STOPS_MODEL or attempts >= max_attempts or lost >= MOST_LOST:
        return Step("settle", standing)
    if lost:
        return Step("retry", standing)
    if outcome in RETRIED:
        asked = failure.retry_after_s if isinstance(failure, errors.AttemptError) else None
        too_long = put_off_for(failure)
        return Step("retry", standing, asked) if too_long is None else Step("settle", standing, put_off_s=too_long)
    onward = standing.after(failure, ladder) if outcome in FALLS_BACK else None
    return Step("fall_back", onward) if onward is not None else Step("settle", standing)


def put_off_for(failure: Failure) -> float | None:
    """The pause, seconds, that a failure asks for where that is longer than a run waits; None for every other one."""
    asked = failure.retry_after_s if isinstance(failure, errors.AttemptError) else None
    return asked if asked is not None and asked > LONGEST_PAUSE_S and outcome_of(failure) in RETRIED else None


def put_off(pause_s: float, until: datetime | None) -> str:
    """In words for people: how long the server asked to be left alone, when that ends, and what is done."""
    ends = f" (until {until:%Y-%m-%d %H:%M:%S} UTC)" if until is not None else ""
    return (
        f"the server asks for a pause of {pause_s:.10g} s{ends}, and a run waits for {LONGEST_PAUSE_S:g} s at most; "
        "bench run --resume asks again"
    )


def pause_before_round(steps: Sequence[tuple[Step, int]], patience: Patience) -> float:
    """Seconds before a round of batched requests, given what the last attempts of those in it, and their number, said:
    the longest of the pauses that each would take by itself."""
    return max([0.0, *(pause_after(step, attempts, patience) for step, attempts in steps)])


def pause_after(step: Step, attempts: int, patience: Patience) -> float:
    """Seconds before the attempt that follows so many: what the server asked for, else jittered backoff."""
    return step.wait_s if step.wait_s is not None else patience.before_retry(attempts)


def failure_from_ledger(outcome: Outcome, error_type: str | None, refuses: Sequence[str] = ()) -> Failure | None:
    """The failure that a ledger line tells of, for going on after a kill. The server's wish for a pause is not kept.

    refuses : the parts of the request that it refused by name.
    """
    if outcome is Outcome.ANSWERED:
        return None
    named = getattr(errors, error_type or "", None)
    if isinstance(named, type) and issubclass(named, errors.RequestRejected):
        return named("", refuses=refuses)
    if isinstance(named, type) and issubclass(named, (errors.AttemptError, errors.Unparseable)):
        return named("")
    for kind in errors.ModelError.__subclasses__():
        if kind.outcome is outcome:
            return kind("")
    return errors.Unparseable("") if outcome is Outcome.UNPARSEABLE else errors.Crashed("")
