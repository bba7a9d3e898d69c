"""How a request reaches a model that is asked one by one: on the spot, or on the event loop with a limit."""

from __future__ import annotations

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from typing_extensions import override

from ghostbench.errors import AttemptError, Crashed, ModelError, TimedOut, Unavailable
from ghostbench.models import LONGEST_PAUSE_S, Model, ReferenceModel, RemoteModel, Truths
from ghostbench.outcomes import STOPS_MODEL
from ghostbench.records import Clip, Reply, Request, Usage
from ghostbench.running.rules.replies import checked, checked_usage, in_words
from ghostbench.running.rules.retry import put_off_for

T = TypeVar("T")

Sending = Callable[[], Awaitable[None]]
"""What a dispatcher awaits when a request's turn to be sent has come."""

WROTE_TO_FRAMES = "the model wrote into its own copy of the frames"
"""In the ledger's notes. What else it was asked, and every other model, had whole frames."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came back for one request: a reply or an error, the time it queued here and the time it took, seconds.

    Times are None where they would be no measurement of the model. notes : what the harness noticed, for the ledger.
    stops : whether the model is asked nothing more after this. worker : who computed it, where that has a name.
    lost : whether the worker that was at it is gone.
    """

    result: Reply | AttemptError
    queue_s: float | None
    wall_s: float | None
    notes: tuple[str, ...] = ()
    stops: bool = False
    worker: str | None = None
    lost: bool = False


class Withdrawn(Exception):
    """The model stopped while this request waited its turn: it was never sent."""


class Outdated(Withdrawn):
    """While this request waited its turn it became clear that it is not to be made this way: it was never sent."""


class PutOff(Withdrawn):
    """The service has no room for the request until later than a run waits: it was never sent, and the model stops.

    failure : what the model said of it. pause_s : how long it asks for.
    """

    def __init__(self, failure: AttemptError, pause_s: float) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.pause_s = pause_s


class Dispatcher(ABC):
    """The way to one loaded model. Construct it on the event loop.

    Once it has read an outcome that stops the model, it sends nothing more: requests in its queue are `Withdrawn`.
    """

    stopped = False
    in_flight: int
    """How many requests it can make use of at the same time, those being worked on and those waiting their turn."""
    left: Callable[[], int] | None = None
    """How many units of the model are not settled yet, where who asks can tell: so much is to be shared out."""
    lost: Callable[[BaseException], None] | None = None
    """Told why the model cannot be asked after all, where that is found once it was loaded: before what waits for it is
    withdrawn."""

    @abstractmethod
    async def load(self) -> Mapping[str, Any]:
        """Load the model; return facts for the manifest. Raises what the model raises. It can be asked from then on."""

    async def ready(self) -> Mapping[str, Any]:
        """Wait until it answers without further delay; return the facts that have been added since it was loaded.

        Raises what the model raises.
        """
        return {}

    @abstractmethod
    async def ask(
        self,
        clip: Clip,
        request: Request,
        *,
        group: str = "",
        expected: bool = False,
        due: Callable[[], bool] | None = None,
        sending: Sending | None = None,
        alone: bool = False,
    ) -> Delivery:
        """Have one request answered. `clip` reaches reference models alone.

        group : only requests of the same group may be computed together. expected : it was announced for its group.
        due : asked once its turn has come, where it may have to wait for that; False withdraws it as `Outdated`.
        sending : awaited when its turn has come, before it leaves this machine. alone : the model is at nothing else
            meanwhile, where its place can see to that.

        Raises `Withdrawn`, `PutOff`, and what `sending` raises.
        """

    def expect(self, count: int, group: str = "") -> None:
        """Announce requests of a group that are on their way (or, negative, that will not come after all)."""

    async def close(self) -> None:
        """Close the model."""

    async def leave(self) -> Sequence[Callable[[], None]]:
        """Ask the model nothing more; return what is left to be called to close it. That may take long, wants no event
        loop, and can be called from any thread."""
        await self.close()
        return ()

    def _read(self, result: object) -> Reply | AttemptError:
        """What the model returned, held against the contract."""
        read = checked(result)
        if isinstance(read, AttemptError) and read.outcome in STOPS_MODEL:
            self.stopped = True
        return read


class ReferenceDispatcher(Dispatcher):
    """Asks a reference model on the spot. Its answers take no time worth a figure, so that none is given.

    It gets clips of its own: by the run's all rows are scored.
    """

    in_flight = 1

    def __init__(self, model: ReferenceModel, truths: Truths) -> None:
        self._model = model
        self._truths = truths

    @override
    async def load(self) -> Mapping[str, Any]:
        try:
            return self._model.begin(replace(self._truths, clips=tuple(map(_copied, self._truths.clips))))
        except BaseException as error:  # noqa: BLE001
            raise as_unavailable(error) from None

    @override
    async def ask(
        self,
        clip: Clip,
        request: Request,
        *,
        group: str = "",
        expected: bool = False,
        due: Callable[[], bool] | None = None,
        sending: Sending | None = None,
        alone: bool = False,
    ) -> Delivery:
        try:
            result: object = self._model.answer(_copied(clip), request)
        except BaseException as error:  # noqa: BLE001
            result = as_attempt_error(error)
        return Delivery(self._read(result), None, None)

    @override
    async def close(self) -> None:
        close_model(self._model)


def _copied(clip: Clip) -> Clip:
    return replace(clip, parameters={**clip.parameters})


class RemoteDispatcher(Dispatcher):
    """Awaits a remote model, never more requests at once than it allows."""

    def __init__(self, model: RemoteModel, deadline_s: float = math.inf) -> None:
        self._model = model
        self._deadline_s = deadline_s
        self._places = asyncio.Semaphore(max(1, model.concurrency))
        self.in_flight = max(1, model.concurrency) * 2

    @override
    async def load(self) -> Mapping[str, Any]:
        async def loaded() -> Mapping[str, Any]:
            try:
                return await self._model.load()
            except BaseException as error:
                if ends_the_run(error):
                    raise
                raise as_unavailable(error) from None

        try:
            return await within(loaded(), self._deadline_s)
        except TimedOut as error:
            raise did_not_load(self._deadline_s) from error

    @override
    async def ask(
        self,
        clip: Clip,
        request: Request,
        *,
        group: str = "",
        expected: bool = False,
        due: Callable[[], bool] | None = None,
        sending: Sending | None = None,
        alone: bool = False,
    ) -> Delivery:
        asked = time.perf_counter()
        async with self._places:
            if due is not None and not due():
                raise Outdated
            failed = None if self.stopped else await self._admitted(request)
            pause_s = put_off_for(failed) if failed is not None else None
            if failed is not None and pause_s is not None:
                self.stopped = True
                raise PutOff(failed, pause_s)
            if sending is not None and failed is None and not self.stopped:
                await sending()
            if self.stopped:
                raise Withdrawn
            started = time.perf_counter()
            try:
                if failed is not None:
                    raise failed
                result: object = await within(self._model.answer(request), self._deadline_s)
            except BaseException as error:
                if ends_the_run(error):
                    raise
                result = as_attempt_error(error)
            wall_s = time.perf_counter() - started if failed is None else None
            return Delivery(self._read(result), started - asked, wall_s, notes_on(request))

    async def _admitted(self, request: Request) -> AttemptError | None:
        """Wait for the model's leave to send; return the failure that what it raises stands for.

        No room may be waited for, for longer than an answer, and no model for ever.
        """
        try:
            await within(self._model.admit(request), self._deadline_s + LONGEST_PAUSE_S, "no leave to send")
        except BaseException as error:
            if ends_the_run(error):
                raise
            failure = checked(as_attempt_error(error))
            return failure if isinstance(failure, AttemptError) else None
        return None

    @override
    async def close(self) -> None:
        try:
            await self._model.aclose()
        except BaseException as error:
            if ends_the_run(error):
                raise
            raise as_attempt_error(error) from None
        finally:
            await asyncio.to_thread(close_model, self._model)


async def within(work: Coroutine[Any, Any, T], deadline_s: float, late: str = "no answer") -> T:
    """What the coroutine returns; what it raises that is no `Exception` (an exit, a library's panic) is `Crashed`.

    late : what there is not by the deadline, in words.

    Raises `TimedOut` at the deadline, whether or not the coroutine heeds that it is cancelled then.
    """

    async def contained() -> T:
        # Let out of a task, an exit would end the event loop, and the run with it.
        try:
            return await work
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:  # noqa: BLE001
            raise as_attempt_error(error) from None

    task = asyncio.ensure_future(contained())
    try:
        done, _ = await asyncio.wait({task}, timeout=None if math.isinf(deadline_s) else deadline_s)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        raise
    if not done:
        task.cancel()
        task.add_done_callback(lambda late: late.cancelled() or late.exception())
        raise TimedOut(f"{late} within the deadline of {deadline_s:g} s")
    return task.result()


def did_not_load(deadline_s: float) -> Unavailable:
    """The failure of a model whose `load` did not end."""
    return Unavailable(f"not loaded within the deadline of {deadline_s:g} s; give it more with --deadline")


def notes_on(request: Request) -> tuple[str, ...]:
    """What is to be said of a request that has been answered: whether the model wrote into its frames."""
    shown = (*request.examples, *(() if request.frames is None else (request.frames,)))
    return (WROTE_TO_FRAMES,) if any(frames.altered() for frames in shown) else ()


def close_model(model: Model) -> None:
    """Close the model; an exit that its code asks for becomes an error as any other."""
    try:
        model.close()
    except BaseException as error:  # noqa: BLE001
        raise as_attempt_error(error) from None


def ends_the_run(error: BaseException) -> bool:
    """Whether the run itself is being cancelled or taken apart, and not an exit or a cancellation that the adapter's
    own code let out."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    # Coroutines that nobody ends are closed when their event loop runs no more.
    return isinstance(error, GeneratorExit) and asyncio._get_running_loop() is None


def as_attempt_error(error: BaseException) -> AttemptError:
    """The error as one that the policy knows: a typed one as it is, anything else (an exit too) as `Crashed`."""
    said = in_words(error)
    if isinstance(error, ModelError) and said is not None:
        return error
    return Crashed(said or f"{type(error).__name__}, which cannot say what happened")


def estimated(model: RemoteModel, request: Request) -> Usage:
    """The most that a request can use, as the model says.

    Raises `AttemptError` where its code fails to tell, or tells what can be no amount: a limit could not be kept by it.
    """
    try:
        return checked_usage(model.estimate(request))
    except BaseException as error:  # noqa: BLE001 - an exit that an adapter asks for is its fault, no more
        raise as_attempt_error(error) from None


def as_unavailable(error: BaseException) -> Unavailable:
    """A failure while loading, as the outcome of every clip."""
    said = in_words(error)
    if isinstance(error, Unavailable) and said is not None:
        return error
    return Unavailable(said or f"{type(error).__name__}, which cannot say what happened")
