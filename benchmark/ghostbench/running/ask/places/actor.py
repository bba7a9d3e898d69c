"""A worker that is an actor of a Ray cluster, on whichever of its nodes has what the model needs.

An actor is asked at most once: Ray is told to restart nothing and to repeat no call. What is lost with an actor or its
node is lost, and the run decides what is asked again. Nothing of a run is kept in the cluster: actors go with the run.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import re
import secrets
import sys
import threading
from concurrent.futures import Future
from importlib.util import find_spec
from typing import Any

from typing_extensions import override

from ghostbench.errors import BadInput, Unavailable
from ghostbench.models import Resources
from ghostbench.plugins.registry import printable
from ghostbench.running.ask.places.in_worker import Gone, Worker
from ghostbench.running.ask.places.said import Said, SayingSo, into_the_log
from ghostbench.running.ask.places.worker_model import Assignment, WorkerModel

_CALLS_AT_ONCE = 64
"""How many calls an actor takes at the same time; what they wait for is its model's threads."""
ROOM_S = 60.0
"""How long a worker that is to replace a lost one waits for a node with room, seconds."""
_LONGEST = 300
"""The most characters of Ray's words on how an actor ended."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A model that needs no GPU may be told by its settings which one to use.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}


def require_ray() -> None:
    """Raise `BadInput` where Ray is not installed."""
    if find_spec("ray") is None:
        raise BadInput("--on ray needs the package ray; install it with: pip install 'ghostbench[ray]'")


class Cluster:
    """The way into a Ray cluster: that of an address, else one of the run's own on this machine, which ends with it.

    address : "HOST:PORT", or "auto" for one that is found on this machine; None: RAY_ADDRESS, else its own.
    own : whether it is the run's own, to which no node comes.

    Raises `BadInput` where there is no way in.
    """

    def __init__(self, address: str | None, least_cpus: float = 1.0) -> None:
        require_ray()
        address = address or os.environ.get("RAY_ADDRESS") or None
        if address is not None and address.startswith("ray://"):
            raise BadInput(
                f"--on ray:{printable(address)}: a run needs more of Ray than its client gives; start bench on a node "
                "of the cluster (as a Ray job), with --on ray:auto"
            )
        own = address in (None, "local")
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        if own and "RAY_AUTH_MODE" not in os.environ:
            # Ray would write a token for all clusters of this user into the home folder.
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        import ray

        more: dict[str, Any] = {}
        if own:
            more = {"num_cpus": max(os.cpu_count() or 1, int(least_cpus) + 1), "include_dashboard": False}
        try:
            ray.init(
                address="local" if own else address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                namespace=f"ghostbench-{secrets.token_hex(8)}",
                **more,
            )
        except (RuntimeError, ConnectionError, ValueError, OSError, ray.exceptions.RayError) as error:
            said = " ".join(str(error).split())[:_LONGEST]
            raise BadInput(
                f"--on ray: no way into the cluster {printable(address or 'of this run')} ({printable(said)}); all of "
                "its machines need the Python and the Ray of this one, and this user its token (RAY_AUTH_TOKEN)"
            ) from None
        self.own = own
        self._actor = ray.remote(_ActorDesk)
        self._lock = threading.Lock()

    def start(self, assignment: Assignment, needs: Resources, again: bool) -> Worker:
        """Start a worker, as soon as a node has what it needs.

        again : whether it is in place of one that was lost: then others go on without it where no node has room soon.

        Raises `Unavailable`.
        """
        import ray

        options: dict[str, Any] = {"num_cpus": needs.cpus, "max_restarts": 0, "max_task_retries": 0}
        if needs.gpus:
            options["num_gpus"] = needs.gpus
        if needs.memory_bytes:
            options["memory"] = needs.memory_bytes
        options["max_concurrency"] = _CALLS_AT_ONCE + assignment.preparing
        handle: Any = None
        try:
            handle = self._actor.options(**options).remote(tuple(sys.path), pickle.dumps(assignment))
            if again:
                ray.get(handle.is_there.remote(), timeout=ROOM_S)
        except ray.exceptions.GetTimeoutError:
            ray.kill(handle, no_restart=True)
            raise Unavailable("its worker was lost, and no node has room for another") from None
        except Exception as error:  # noqa: BLE001 - the cluster may be gone
            raise Unavailable(f"Ray starts no worker: {' '.join(str(error).split())[:_LONGEST]}") from None
        return _Actor(assignment.name, handle)

    def what_is_missing(self, needs: Resources, count: int) -> str | None:
        """What the cluster's nodes have too little of for so many replicas, in words; None where they have all."""
        import ray

        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        for kind, each in (("CPU", needs.cpus), ("GPU", needs.gpus)):
            if each * count > there.get(kind, 0.0):
                return f"{each * count:g} {kind}s are needed, and the nodes have {there.get(kind, 0.0):g}"
        return None

    def close(self) -> None:
        """Leave the cluster; one of the run's own ends."""
        import ray

        with contextlib.suppress(Exception):
            ray.shutdown()


class _ActorDesk:
    """What runs in the actor."""

    def __init__(self, path: tuple[str, ...], pickled: bytes) -> None:
        # A module that lies beside the run's others is found here too, on a machine that has it: the path goes first.
        sys.path += [folder for folder in path if folder not in sys.path]
        assignment: Assignment = pickle.loads(pickled)  # noqa: S301 - the run made it
        self._said: list[Said] = []
        logging.getLogger().addHandler(SayingSo(self._said.append))
        self._model = WorkerModel(assignment)
        self._end = threading.Event()

    def take(self, kind: str, call: int, given: Any) -> tuple[Any, int, list[Said]]:
        """What comes of a call; the size of the model's batches; lines for the log."""
        done: Future[Any] = Future()
        self._model.take(kind, call, given, done.set_result)
        result = done.result()
        said, self._said[:] = list(self._said), []
        return result, self._model.batch_size, said

    def is_there(self) -> bool:
        """Comes back when a node has room for it."""
        return True

    def until_the_end(self) -> None:
        """Never returns: that it fails tells of the actor's end."""
        self._end.wait()


class _Actor(Worker):
    """One actor, and what it is asked."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self.batch_size = 1
        self._handle = handle
        self._numbers = itertools.count(1)
        self._ended: str | None = None
        self._why: str | None = None
        handle.until_the_end.remote().future().add_done_callback(self._note_end)

    @property
    @override
    def gone(self) -> bool:
        return self._ended is not None

    @property
    @override
    def was_ended(self) -> bool:
        return self._why is not None

    @override
    def ask(self, kind: str, given: Any) -> tuple[int, Future[Any]]:
        if self._ended is not None:
            raise Gone(self._ended)
        number = next(self._numbers)
        waiting: Future[Any] = Future()

        def came(done: Future[Any]) -> None:
            error = done.exception()
            if error is not None:
                self._note_end(done)
                waiting.set_exception(Gone(self._ended or _in_short(error)))
                return
            result, self.batch_size, said = done.result()
            for line in said:
                into_the_log(self.name, line)
            waiting.set_result(result)

        self._handle.take.remote(kind, number, given).future().add_done_callback(came)
        return number, waiting

    @override
    def end(self, how: str) -> None:
        import ray

        self._why = self._why or how
        with contextlib.suppress(Exception):
            ray.kill(self._handle, no_restart=True)

    def _note_end(self, done: Future[Any]) -> None:
        """Called by a thread of Ray's that must not wait for Ray."""
        import ray

        error = done.exception()
        if self._ended is None:
            self._ended = self._why or _in_short(error)
            if not isinstance(error, ray.exceptions.ActorDiedError):
                # It may still be at work, and only be out of reach: it is asked nothing more.
                threading.Thread(target=self.end, args=("could not be reached",), daemon=True).start()


def _in_short(error: BaseException | None) -> str:
    """How an actor ended, as a clause."""
    words = _COLOUR.sub("", " ".join(str(error).split()))
    if "node" in words and (
        "its node has died" in words or "node was terminated" in words or "died with its node" in words
    ):
        return "was lost with its node"
    _, _, detail = words.partition("Worker exit detail: ")
    said = detail or words.partition("The actor is dead because ")[2] or words
    return f"was lost ({said.partition('. Some common')[0][:_LONGEST]})"
