"""A worker that is started while the run is still planned: what its model imports takes longer than planning does."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ghostbench.plugins.choose import Choice, build_settings, parse_model, parse_set
from ghostbench.running.ask.places.started import Started, hand_over_streams, start

if TYPE_CHECKING:
    from ghostbench.running.ask.places.worker_model import Assignment
    from ghostbench.running.plan.options import Options


@dataclass(slots=True)
class Early:
    """A process for the first local model of a run that says what can be begun ahead, until it is taken on.

    path, environment : as they were when it was started. ahead, settings : what it was given to begin.
    """

    started: Started | None
    path: tuple[str, ...]
    environment: Mapping[str, str]
    ahead: str | None
    settings: Any

    def take(self, assignment: Assignment, environment: Mapping[str, str]) -> Started | None:
        """The process, if it is there and as one for this assignment would be started now; once. Raises nothing."""
        started, self.started = self.started, None
        if started is None:
            return None
        as_now = (
            not environment
            and started.process.poll() is None
            and (self.path, self.ahead, self.settings) == (assignment.path, assignment.ahead, assignment.settings)
            and self.environment == dict(os.environ)
        )
        if as_now:
            with contextlib.suppress(OSError):
                hand_over_streams(started)
                return started
        started.kill()
        return None

    def close(self) -> None:
        """End the process if nobody has taken it on."""
        started, self.started = self.started, None
        if started is not None:
            started.kill()


@contextlib.contextmanager
def starting_early(options: Options) -> Iterator[Early | None]:
    """For the length of a `with`, a process for the first local model that has something to begin; None without any.

    Nothing is said of what is wrong with the options: that is for the plan. A model of several replicas is left alone,
    since each has devices of its own, and so is a run that is gone on with, which may have nothing left to ask.
    """
    early = None
    with contextlib.suppress(Exception):
        early = _started(options)
    try:
        yield early
    finally:
        if early is not None:
            early.close()


def _started(options: Options) -> Early | None:
    if options.resume or options.replicas or options.placement.place != "process" or not hasattr(os, "memfd_create"):
        return None
    choice = _first_local(options.models)
    if choice is None or choice.spec.ahead is None:
        return None
    own = [pair for pair in options.settings if pair.partition("=")[0].rpartition(".")[0] == choice.row]
    settings = build_settings(choice, parse_set(own, [choice]).get(choice.row, {}))
    path = tuple(sys.path)
    environment = dict(os.environ)
    started = start(path, ahead=choice.spec.ahead, settings=settings, waits=True)
    return Early(started, path, environment, choice.spec.ahead, settings)


def _first_local(models: str) -> Choice | None:
    """The first local model that is named, of those that others do not only stand in for."""
    for word in models.split(","):
        choice = parse_model(word.partition(">")[0].strip())
        if choice.spec.kind == "local":
            return choice
    return None
