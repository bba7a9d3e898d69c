"""A worker process as it is started: nothing of what it will do is imported for that on either side.

The first message to it says whose it is and what it can begin before it has anything to do. A process that is started
while the run is still planned keeps what it prints to itself until it is taken on.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HEAD = struct.Struct("!QI")
"""What a message on the channel begins with: its length in bytes, and how many descriptors travel with it."""
SHORT_TURN_S = 0.0005
"""How long a thread that computes in Python keeps the interpreter while others wait for it, seconds. At the usual 5 ms,
threads that need it often and for next to nothing, such as those that read files or talk to a device, come to a halt
beside one that imports."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from ghostbench.plugins.installed import forgive_broken_distributions; forgive_broken_distributions(); "
    "from ghostbench.running.ask.places.worker import main; main(int(sys.argv[1]))"
)
_STREAMS = (1, 2)


@dataclass(frozen=True, slots=True)
class First:
    """The first message. parent : the run's process. ahead : "package.module:function" to be called with the settings
    (pickled) at once, or None. waits : whether what it prints is kept until the run's streams come."""

    parent: int
    ahead: str | None
    settings: bytes
    waits: bool


@dataclass(frozen=True, slots=True)
class Started:
    """A process, and the run's end of the channel to it. It ends with the thread that has started it."""

    process: subprocess.Popen[bytes]
    end: socket.socket

    def kill(self) -> None:
        """End it, and all that it has started, at once; return when it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.end.close()


def start(
    path: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    ahead: str | None = None,
    settings: Any = None,
    waits: bool = False,
) -> Started:
    """Start one. Raises `OSError`, and whatever settings raise that cannot be pickled.

    path : where Python looks for modules. environment : what is set in it besides what is set here.
    """
    first = First(os.getpid(), ahead, b"" if ahead is None else pickle.dumps(settings), waits)
    here, there = socket.socketpair()
    # Whatever limit the program that this one is part of has set for its own sockets.
    here.settimeout(None)
    there.settimeout(None)
    try:
        with there, _printing(waits) as streams:
            words = [sys.executable, "-c", _PROGRAM, str(there.fileno()), json.dumps(tuple(path))]
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                start_new_session=True,
                env={**os.environ, **(environment or {})},
                **streams,
            )
    except BaseException:
        here.close()
        raise
    data = pickle.dumps(first)
    # Where it is gone already, whoever watches it tells how it ended.
    with contextlib.suppress(OSError):
        here.sendall(HEAD.pack(len(data), 0) + data)
    return Started(process, here)


@contextlib.contextmanager
def _printing(waits: bool) -> Any:
    """What standard output and error are to be; a file that has no name where it waits."""
    if not waits:
        yield {}
        return
    number = os.memfd_create("printed")
    try:
        os.set_inheritable(number, False)
        yield {"stdout": number, "stderr": number}
    finally:
        os.close(number)


def read_first(end: socket.socket) -> First | None:
    """In the process: its first message; None where the run is gone."""
    length, _ = HEAD.unpack(_read(end, HEAD.size) or bytes(HEAD.size))
    data = _read(end, length)
    first: First | None = pickle.loads(data) if data else None  # noqa: S301 - the run wrote it
    return first


def hand_over_streams(started: Started) -> None:
    """Have a process that waits print where this one does. Raises `OSError` where it is gone, or nothing is there."""
    socket.send_fds(started.end, [b"\0"], list(_STREAMS))


def take_over_streams(end: socket.socket) -> bool:
    """In the process: wait for the run's streams, and print there what was kept; whether they came."""
    try:
        came, numbers, _, _ = socket.recv_fds(end, 1, len(_STREAMS))
    except OSError:
        return False
    if not came or len(numbers) != len(_STREAMS):
        return False
    kept = os.dup(_STREAMS[0])
    for number, stream in zip(numbers, _STREAMS, strict=True):
        os.dup2(number, stream)
        os.close(number)
    with contextlib.suppress(OSError):
        os.write(_STREAMS[1], os.pread(kept, os.fstat(kept).st_size, 0))
    os.close(kept)
    return True


def _read(end: socket.socket, length: int) -> bytes:
    """So many bytes; none where the other side is gone."""
    data = b""
    while len(data) < length:
        try:
            more = end.recv(length - len(data))
        except OSError:
            return b""
        if not more:
            return b""
        data += more
    return data
