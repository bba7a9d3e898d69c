"""What runs in a worker process: one local model, asked by the run at the other end of a channel.

The run's end is all that keeps it alive: when that is gone, so is the worker, whatever the model is at.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from ghostbench.running.ask.places.channel import Channel, Closed
from ghostbench.running.ask.places.desk import Assignment, Desk
from ghostbench.running.ask.places.said import SayingSo

_MORE_LIKELY_KILLED = "500"
"""Where memory runs out, the kernel is to end the worker that wants it, and not the run. From -1000 to 1000."""


def main(number: int) -> None:
    """Serve the run at the other end of this socket until it goes."""
    channel = Channel(socket.socket(fileno=number))
    try:
        assignment, parent = channel.receive()
        _die_with(parent)
        _serve(channel, assignment)
    except Closed:
        pass
    # What the model's libraries still have to do concerns nobody: threads of theirs may never end.
    os._exit(0)


def _serve(channel: Channel, assignment: Assignment) -> None:
    logging.getLogger().addHandler(SayingSo(lambda said: channel.send((0, said, 0))))
    desk = Desk(assignment)

    def reply(call: int, result: Any) -> None:
        with contextlib.suppress(Closed):
            channel.send((call, result, desk.batch_size))

    while True:
        kind, call, given = channel.receive()
        desk.take(kind, call, given, partial(reply, call))


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
