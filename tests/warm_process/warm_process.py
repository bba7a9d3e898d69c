"""`bench` as a process of its own that need not import anything: forked from one that has.

A `bench` process spends most of its time on imports, the run itself a few hundredths of a second. What is started here
has everything that a process has (environment, folder, streams, exit status, signals, a fork that watches over it), and
is started as `python -m ghostbench` in all but the imports. Tests of starting itself start Python.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


class _Server:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def connection(self) -> socket.socket:
        if self._process is None or self._process.poll() is not None:
            ours, theirs = socket.socketpair()
            script = Path(__file__).with_name("server.py")
            env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            self._process = subprocess.Popen([sys.executable, str(script)], stdin=theirs, env=env)
            theirs.close()
            self._socket = ours
        assert self._socket is not None
        return self._socket

    def close(self) -> None:
        if self._process is not None and self._socket is not None:
            self._socket.close()
            self._process.wait()
            self._process = None


_SERVER = _Server()
atexit.register(_SERVER.close)


def run_bench(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float = 400, out: int | None = None
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run(["python", "-m", "ghostbench", *words], capture_output=True, text=True, …)` returns.

    out : a descriptor that is its standard output instead, of which nothing is returned then.
    """
    asked = json.dumps({"argv": list(words), "cwd": str(cwd), "env": dict(env)}).encode()
    with _SERVER.lock, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as err:
        connection = _SERVER.connection()
        socket.send_fds(connection, [asked], [said.fileno() if out is None else out, err.fileno()])
        with connection.makefile("rb") as told:
            child = int(json.loads(told.readline())["pid"])
            expired = threading.Timer(timeout, _kill, [child])
            expired.start()
            try:
                status = int(json.loads(told.readline())["returncode"])
            finally:
                over = expired.finished.is_set()
                expired.cancel()
        texts = []
        for file in (said, err):
            file.seek(0)
            texts.append(file.read().decode())
    if over:
        raise subprocess.TimeoutExpired(list(words), timeout, *texts)
    return subprocess.CompletedProcess(["bench", *words], status, *texts)


def _kill(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
