"""What a worker does with a local model, wherever it is: it is handed calls, and hands back what comes of them."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.datasets.schemes import take_over
from ghostbench.errors import AttemptError, Crashed, MediaError, Unavailable
from ghostbench.media.far import Recipe
from ghostbench.media.sampling import Sampling
from ghostbench.plugins.registry import load_target
from ghostbench.records import Request
from ghostbench.running.ask.dispatch import as_attempt_error, as_unavailable
from ghostbench.running.ask.places.place import Answered, InThread, Prepared, prepared
from ghostbench.running.rules.replies import checked, in_words
from ghostbench.tasks.base import Task

if TYPE_CHECKING:
    from ghostbench.running.ask.places.looking import Looking, Wanted

Reply = Callable[[Any], None]
"""Hands back what came of a call."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is to do. target : "package.module:Class". path : where Python looks for modules.

    preparing : how many requests it prepares at the same time. name : of the worker. task, variants, sampling : what
    it asks of clips that it decodes itself; None where the run hands it frames. credentials : what it reads them with.
    ahead : what can be begun before, as a model's spec has it.
    """

    target: str
    settings: Any
    argument: str | None
    path: tuple[str, ...]
    preparing: int
    name: str = ""
    task: Task | None = None
    variants: Mapping[str, Task] | None = None
    sampling: Sampling | None = None
    credentials: Credentials = NO_CREDENTIALS
    ahead: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """In place of a request: the worker has it already, prepared, under this number."""

    number: int


class WorkerModel:
    """A model in a worker, constructed when it is loaded: its import may do anything. Calls may come at any time.

    ahead : what was begun before there was anything to do, and is waited for before the model is loaded.
    """

    def __init__(self, assignment: Assignment, ahead: threading.Thread | None = None) -> None:
        self._assignment = assignment
        self._ahead = ahead
        self._place: InThread
        self._preparing = ThreadPoolExecutor(assignment.preparing, "prepare")
        self._computing = ThreadPoolExecutor(1, "model")
        self._kept: dict[int, Request] = {}
        self._looking: Looking | None = None
        take_over(assignment.credentials)
        if assignment.task is not None and assignment.sampling is not None:
            # Here alone, since it imports what decodes clips.
            from ghostbench.running.ask.places.looking import Looking

            self._looking = Looking(
                assignment.task,
                assignment.variants or {},
                assignment.sampling,
                assignment.name,
                assignment.credentials,
            )
        self.batch_size = 1

    def take(self, kind: str, call: int, given: Any, reply: Reply) -> None:
        """Take a call; `reply` is called in a thread when it is done.

        kind : "load" gives the model's facts and how many batches it computes at once, "warm up" the facts that this
        adds, "prepare" a `Prepared` for a request, "answer" an `Answered` for several, "look" what is `Seen` of a clip,
        "question" one about it, "forget" None, once what was prepared in the call of that number is let go, "close"
        None; or an `AttemptError`, or words, in its place.
        """
        match kind:
            case "prepare":
                self._preparing.submit(lambda: reply(self._prepared(call, given)))
            case "answer":
                self._computing.submit(lambda: reply(self._answered(given)))
            case "forget":
                self._kept.pop(given, None)
                reply(None)
            case "look" | "question":
                self._preparing.submit(lambda: reply(self._looked(given)))
            case "load":
                self._computing.submit(lambda: reply(self._loaded()))
            case "warm up":
                self._computing.submit(lambda: reply(self._warmed_up()))
            case "close":
                self._computing.submit(lambda: reply(self._closed()))

    def _loaded(self) -> tuple[Any, int] | AttemptError:
        given = self._assignment
        if self._ahead is not None:
            self._ahead.join()
        try:
            model = load_target(given.target)(given.settings, given.argument)
            model.check_here()
            self._place = InThread(model)
            facts = self._place.load()
            self.batch_size = self._place.batch_size
            parallel = self._place.parallel_batches
            if parallel > 1:
                self._computing = ThreadPoolExecutor(parallel, "model")
            return _plain_facts(facts), parallel
        except BaseException as error:  # noqa: BLE001 - whatever a stranger's import raises
            return _why_unavailable(error)

    def _warmed_up(self) -> Any:
        try:
            facts = self._place.warm_up()
        except BaseException as error:  # noqa: BLE001
            return _why_unavailable(error)
        self.batch_size = self._place.batch_size
        return _plain_facts(facts)

    def _prepared(self, call: int, request: Request) -> Prepared:
        try:
            request = self._shown(request)
        except AttemptError as error:
            return Prepared(None, _sendable(error), 0.0)
        done = self._place.prepare(request)
        if done.failure is None:
            self._kept[call] = prepared(request, done.value)
        return replace(done, value=None, failure=_sendable(done.failure))

    def _answered(self, requests: Sequence[Request | Kept]) -> Answered:
        whole: list[Request] = []
        failed: dict[int, AttemptError] = {}
        for place, each in enumerate(requests):
            try:
                whole.append(self._kept.pop(each.number) if isinstance(each, Kept) else self._shown(each))
            except AttemptError as error:
                failed[place] = error
        answered = self._place.answer(whole)
        if failed:
            results, notes = iter(answered.results), iter(answered.notes)
            answered = replace(
                answered,
                results=[failed.get(place) or next(results) for place in range(len(requests))],
                notes=[() if place in failed else next(notes) for place in range(len(requests))],
            )
        self.batch_size = self._place.batch_size
        return _portable(answered)

    def _shown(self, request: Request) -> Request:
        """The request with frames in hand. Raises `AttemptError`."""
        return request if self._looking is None else self._looking.shown(request)

    def _looked(self, given: Wanted | Recipe) -> Any:
        """What there is to know of a clip, or of one question about it; or why there is nothing."""
        from ghostbench.running.ask.places.looking import Wanted

        assert self._looking is not None
        try:
            return self._looking.look(given) if isinstance(given, Wanted) else self._looking.question(given)
        except MediaError as error:
            return _sendable(error)
        except Exception as error:  # noqa: BLE001 - a stranger's task may raise anything
            return _sendable(as_attempt_error(error))

    def _closed(self) -> str | None:
        """What closing raises, in words: it is told, and no more."""
        try:
            self._place.close()
        except Exception as error:  # noqa: BLE001
            return in_words(error)
        return None


def _why_unavailable(error: BaseException) -> AttemptError:
    failure = _sendable(as_unavailable(error))
    return failure if isinstance(failure, AttemptError) else Unavailable("it cannot be loaded")


def _portable(answered: Answered) -> Answered:
    """The same with each result read and held against the contract here, where the model's own classes are."""
    return replace(answered, results=[_sendable(checked(result)) for result in answered.results])


def _sendable(result: Any) -> Any:
    """What comes through to another process; `Crashed` in place of what does not."""
    try:
        pickle.loads(pickle.dumps(result))  # noqa: S301 - this process made it
    except Exception as error:  # noqa: BLE001 - a stranger's class may raise anything
        said = in_words(result) if isinstance(result, BaseException) else type(result).__name__
        return Crashed(f"{said}; it cannot leave the worker: {in_words(error)}")
    return result


def _plain_facts(facts: Any) -> Any:
    """The facts of a model; those that do not come through to another process as their text."""
    try:
        pickle.loads(pickle.dumps(facts))  # noqa: S301 - this process made it
    except Exception:  # noqa: BLE001
        return {str(key): str(value) for key, value in facts.items()} if isinstance(facts, Mapping) else str(facts)
    return facts
