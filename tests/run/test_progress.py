"""What a terminal shows while a run goes on."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import time
from typing import Any


def test_a_long_pause_is_shown_with_the_time_of_its_end(bench: Any) -> None:
    terminal, process_side = pty.openpty()
    given = ["--set", "remote-spy.outcome=RateLimited", "--set", "remote-spy.times=2", "--run-id", "r"]
    process = subprocess.Popen(
        bench.words("--models", "remote-spy", "--set", "remote-spy.retry_after_s=90", *given),
        cwd=bench.folder,
        env={**bench.env, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=process_side,
    )
    os.close(process_side)
    shown, until = "", time.monotonic() + 60
    said = ""
    # Two of the first requests are refused; others may have been answered before the model pauses.
    while not re.search(r"[1-6] waiting until \d\d:\d\d:\d\d", shown):
        assert time.monotonic() < until, shown
        more = os.read(terminal, 65536).decode(errors="replace")
        said, shown = said + more, shown[-4000:] + more
    assert re.search(r"remote-spy: paused until \d\d:\d\d:\d\d, .*planted RateLimited", said)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass
    os.close(terminal)
    assert process.communicate(timeout=120)[0] == b""
    assert process.returncode == 130
