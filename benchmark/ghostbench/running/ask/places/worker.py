"""What runs in a worker process: one local model, asked by the run at the other end of a channel.

The run's end is all that keeps it alive: when that is gone, so is the worker, whatever the model is at.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import signal
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from ghostbench.running.ask.places.started import SHORT_TURN_S, First, read_first, take_over_streams

_MORE_LIKELY_KILLED = "500"
"""Where memory runs out, the kernel is to end the worker that wants it, and not the run. From -1000 to 1000."""


def main(number: int) -> None:
    """Serve the run at the other end of this socket until it goes."""
    sys.setswitchinterval(SHORT_TURN_S)
    end = socket.socket(fileno=number)
    first = read_first(end)
    if first is not None:
        _die_with(first.parent)
        _serve(end, first, _begin(first))
    # What the model's libraries still have to do concerns nobody: threads of theirs may never end.
    os._exit(0)


def _begin(first: First) -> threading.Thread | None:
    """Begin what can be begun before there is anything to do."""
    if first.ahead is None:
        return None

    def begin(target: str) -> None:
        # Whoever loads the model meets it again, and tells it then.
        with contextlib.suppress(BaseException):
            module, _, name = target.partition(":")
            begun = getattr(importlib.import_module(module), name)
            begun(pickle.loads(first.settings))  # noqa: S301 - the run wrote it

    ahead = threading.Thread(target=begin, args=(first.ahead,), name="ahead", daemon=True)
    ahead.start()
    return ahead


def _serve(end: socket.socket, first: First, ahead: threading.Thread | None) -> None:
    # Imported while what was begun ahead goes on.
    import logging

    from ghostbench.running.ask.places.channel import Channel, Closed
    from ghostbench.running.ask.places.said import SayingSo
    from ghostbench.running.ask.places.worker_model import WorkerModel

    if first.waits and not take_over_streams(end):
        return
    channel = Channel(end)
    with contextlib.suppress(Closed):
        model = WorkerModel(channel.receive(), ahead)
        logging.getLogger().addHandler(SayingSo(lambda said: channel.send((0, said, 0))))

        def reply(call: int, result: Any) -> None:
            with contextlib.suppress(Closed):
                channel.send((call, result, model.batch_size))

        while True:
            kind, call, given = channel.receive()
            model.take(kind, call, given, partial(reply, call))


def _die_with(parent: int) -> None:
    """Have this process killed when the run is gone, though the model holds on to the interpreter."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_MORE_LIKELY_KILLED, encoding="ascii")
    if sys.platform.startswith("linux"):
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
    threading.current_thread().name = "channel"
