"""The way to a model, by its kind, and what it says of itself on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from ghostbench.errors import Unavailable
from ghostbench.models import LocalModel, Model, ReferenceModel, RemoteModel, Truths
from ghostbench.running.ask.dispatch import Dispatcher, ReferenceDispatcher, RemoteDispatcher
from ghostbench.running.ask.local import LocalDispatcher
from ghostbench.running.ask.places.place import InThread, Place


def dispatcher_for(
    model: Model | None,
    truths: Truths,
    pool: Executor,
    deadline_s: float = math.inf,
    places: Callable[[LocalModel], Sequence[Place]] = lambda model: [InThread(model)],
) -> Dispatcher:
    """The dispatcher for a model that is constructed and not loaded. Call it on the event loop.

    truths : for a reference model, which is asked on the spot. pool : where a local model prepares requests ahead.
    deadline_s : the longest that loading, and an attempt, may take. places : where a local model's replicas are
    to live.

    Raises `Unavailable` for what has none of the three base classes.
    """
    match model:
        case ReferenceModel():
            return ReferenceDispatcher(model, truths)
        case RemoteModel():
            return RemoteDispatcher(model, deadline_s)
        case LocalModel():
            return LocalDispatcher(places(model), pool, deadline_s)
    raise Unavailable("the model has none of the three base classes")


async def load(dispatcher: Dispatcher) -> Mapping[str, Any]:
    """Load the model, and wait until it is ready; return its facts. Raises what the model raises, or TypeError."""
    return {**await begin(dispatcher), **await ready(dispatcher)}


async def begin(dispatcher: Dispatcher) -> Mapping[str, Any]:
    """Load the model; return its facts, {} for one that returns nothing. Raises what the model raises, or TypeError."""
    return _facts(await dispatcher.load(), "load")


async def ready(dispatcher: Dispatcher) -> Mapping[str, Any]:
    """Wait until a model that was loaded is ready; return the facts that this has added. Raises as `begin` does."""
    return _facts(await dispatcher.ready(), "warm_up")


def _facts(told: Any, by: str) -> Mapping[str, Any]:
    if told is None:
        return {}
    if not isinstance(told, Mapping):
        raise TypeError(f"its {by} returned {type(told).__name__} where a mapping of facts belongs")
    return told
