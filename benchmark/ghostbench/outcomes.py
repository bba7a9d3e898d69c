"""Every way an attempt can end, and what the policy may do after each."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How one attempt, or one clip for one model, ended. The value is what the ledger holds."""

    ANSWERED = "answered"
    UNPARSEABLE = "unparseable"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    CONTENT_FILTERED = "content_filtered"
    RATE_LIMITED = "rate_limited"
    TIMED_OUT = "timed_out"
    CONNECTION_FAILED = "connection_failed"
    SERVER_ERROR = "server_error"
    REQUEST_REJECTED = "request_rejected"
    AUTH_FAILED = "auth_failed"
    QUOTA_EXHAUSTED = "quota_exhausted"
    DECODE_FAILED = "decode_failed"
    MISSING_MEDIA = "missing_media"
    MEDIA_UNREACHABLE = "media_unreachable"
    NONFINITE = "nonfinite"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_RECORDED = "not_recorded"
    OVER_BUDGET = "over_budget"
    UNAVAILABLE = "unavailable"
    CRASHED = "crashed"
    WORKER_LOST = "worker_lost"


RETRIED: frozenset[Outcome] = frozenset(
    {
        Outcome.RATE_LIMITED,
        Outcome.TIMED_OUT,
        Outcome.CONNECTION_FAILED,
        Outcome.SERVER_ERROR,
        Outcome.MEDIA_UNREACHABLE,
        Outcome.WORKER_LOST,
    }
)
"""Tried again with the same settings, after a wait."""

TRANSIENT: frozenset[Outcome] = RETRIED - {Outcome.WORKER_LOST}
"""The way to the model or to the media failed, not the clip: it may go well another time, and `--resume` asks again."""

FALLS_BACK: frozenset[Outcome] = frozenset(
    {
        Outcome.REQUEST_REJECTED,
        Outcome.NONFINITE,
        Outcome.OUT_OF_MEMORY,
        Outcome.TRUNCATED,
        Outcome.UNPARSEABLE,
    }
)
"""Tried at the next level of the model's declared ladder, if there is one for it. Nothing else says which outcomes do:
a rung's default reasons, the policy and the checks of a ledger are all made of this."""

STOPS_MODEL: frozenset[Outcome] = frozenset({Outcome.AUTH_FAILED, Outcome.QUOTA_EXHAUSTED})
"""The model sends nothing more in this run; clips not sent get the same outcome with 0 attempts."""

NEVER_SENT: frozenset[Outcome] = frozenset(
    {Outcome.AUTH_FAILED, Outcome.QUOTA_EXHAUSTED, Outcome.UNAVAILABLE, Outcome.OVER_BUDGET, *TRANSIENT}
)
"""Outcomes that a clip can have without a line in the ledger; `--resume` tries such clips again."""

TURNED_AWAY: frozenset[Outcome] = frozenset(
    {Outcome.RATE_LIMITED, Outcome.REQUEST_REJECTED, Outcome.AUTH_FAILED, Outcome.QUOTA_EXHAUSTED}
)
"""The service says that it did not do the work: nothing is billed."""
