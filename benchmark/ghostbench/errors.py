"""The error hierarchy: one type for bad input, one per outcome of a failed attempt.

An adapter raises the `ModelError` that fits what happened and does nothing else about it: whether to
retry, fall back or stop is the policy's decision, read from the error's type alone.

    BadInput                      the user's command, file or setting is wrong (exit status 2)
    └── OutputFailed              the standard output cannot be written
    OurFault                      ghostbench itself is wrong: never an outcome, the run ends (exit status 2)
    Unparseable                   the task could not read a reply
    AttemptError                  an attempt at a clip that ended without an answer
    ├── MediaError
    │   ├── DecodeFailed          the media is there and cannot be decoded
    │   ├── MissingMedia          the split names a clip whose media is not there
    │   └── MediaUnreachable      the storage did not give the media this time           (retried)
    └── ModelError                what an adapter raises
        ├── Refused  Truncated  ContentFiltered
        ├── RateLimited  TimedOut  ConnectionFailed  ServerError          (retried)
        ├── RequestRejected ── RequestTooLarge                            (next level)
        ├── Nonfinite  OutOfMemory                                        (next level)
        ├── AuthFailed  QuotaExhausted                                    (stops the model)
        ├── WorkerLost                                                    (retried once)
        └── NotRecorded  OverBudget  Unavailable  Crashed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ghostbench.outcomes import FALLS_BACK, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ghostbench.records import Reply


class BadInput(Exception):
    """Something the user gave is wrong. The message is one line: the thing, and the way out."""


class OutputFailed(BadInput):
    """The standard output cannot be written. Files are not concerned."""


class OurFault(Exception):
    """A mistake in ghostbench itself, which no clip and no model is to answer for. The message is one line."""


class Unparseable(Exception):
    """A task could not read a reply's text as an answer. The message says what did not fit."""

    outcome: ClassVar[Outcome] = Outcome.UNPARSEABLE


class AttemptError(Exception):
    """An attempt that ended without an answer.

    Parameters
    ----------
    message : what happened, in the words of whoever knows (decoder, server, library). No secrets.
    reply : what did come back, if anything (partial text, billed usage, served model, stage times).
    retry_after_s : the server's own wish for the pause before the next attempt, seconds >= 0.
    """

    outcome: ClassVar[Outcome]

    def __init__(self, message: str, *, reply: Reply | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.reply = reply
        self.retry_after_s = retry_after_s


class MediaError(AttemptError):
    """The clip's media gave no frames."""


class DecodeFailed(MediaError):
    """The media is there and cannot be decoded, or holds fewer frames than it declares."""

    outcome = Outcome.DECODE_FAILED


class MissingMedia(MediaError):
    """The media is not where the data root says it should be."""

    outcome = Outcome.MISSING_MEDIA


class MediaUnreachable(MediaError):
    """The storage could not be reached, refused, throttled or broke off: another time may go well."""

    outcome = Outcome.MEDIA_UNREACHABLE


class ModelError(AttemptError):
    """Base of what an adapter raises from `answer`."""


class Refused(ModelError):
    """The model declined to answer."""

    outcome = Outcome.REFUSED


class Truncated(ModelError):
    """The output limit cut the answer off. `reply` carries what was written."""

    outcome = Outcome.TRUNCATED


class ContentFiltered(ModelError):
    """The server's content filter stopped the request or the answer."""

    outcome = Outcome.CONTENT_FILTERED


class RateLimited(ModelError):
    """Too many requests; `retry_after_s` holds the server's Retry-After where it sent one."""

    outcome = Outcome.RATE_LIMITED


class TimedOut(ModelError):
    """No complete answer before the attempt's deadline (a stalled stream too)."""

    outcome = Outcome.TIMED_OUT


class ConnectionFailed(ModelError):
    """The connection could not be made, or broke."""

    outcome = Outcome.CONNECTION_FAILED


class ServerError(ModelError):
    """The server failed (5xx), or answered with a body that is not the protocol's."""

    outcome = Outcome.SERVER_ERROR


class RequestRejected(ModelError):
    """The server or library says that the request itself is wrong (400, 422).

    refuses : the parts of the request that it refuses by name, in the words of the ladder's `Level.without` and
        `Level.instead_of`; () where it names none.
    """

    outcome = Outcome.REQUEST_REJECTED

    def __init__(
        self,
        message: str,
        *,
        refuses: Sequence[str] = (),
        reply: Reply | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, reply=reply, retry_after_s=retry_after_s)
        self.refuses = tuple(refuses)


class RequestTooLarge(RequestRejected):
    """The request is too large for the model (413, context length exceeded)."""


class AuthFailed(ModelError):
    """The key is missing, wrong or not allowed (401, 403), or there is no such model for it."""

    outcome = Outcome.AUTH_FAILED


class QuotaExhausted(ModelError):
    """The account has nothing left to spend; waiting does not help."""

    outcome = Outcome.QUOTA_EXHAUSTED


class Nonfinite(ModelError):
    """The model computed NaN or infinity where a probability was needed."""

    outcome = Outcome.NONFINITE


class OutOfMemory(ModelError):
    """The device's memory does not hold this request, alone in its batch."""

    outcome = Outcome.OUT_OF_MEMORY


class NotRecorded(ModelError):
    """A recording has no answer for this clip."""

    outcome = Outcome.NOT_RECORDED


class OverBudget(ModelError):
    """Sending this request could take the run over its cost limit."""

    outcome = Outcome.OVER_BUDGET


class Unavailable(ModelError):
    """The model could not be loaded."""

    outcome = Outcome.UNAVAILABLE


class Crashed(ModelError):
    """The adapter raised something that is not a `ModelError`, or broke its contract."""

    outcome = Outcome.CRASHED


class WorkerLost(ModelError):
    """The process that computed this clip ended while it did."""

    outcome = Outcome.WORKER_LOST


FALL_BACK: tuple[type[ModelError] | type[Unparseable], ...] = (
    Unparseable,
    *(kind for kind in ModelError.__subclasses__() if kind.outcome in FALLS_BACK),
)
"""The failures that a fallback can follow: those of the outcomes in `FALLS_BACK`, which is where that is decided."""
