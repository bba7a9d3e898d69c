"""How long a run took to start, counted from the interpreter and from nothing that ran before it."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from typing import Final

from ghostbench import imported

MOST_OF_AN_INTERPRETER_S: Final = 0.5
"""More CPU time than this before the first import of ghostbench is somebody else's work."""


def start_up_s() -> float:
    """Seconds from the start of the interpreter until now.

    The age of the process does not tell: a shell that installs packages for a minute and then becomes this interpreter
    (`exec`) hands its age on. So what came before ghostbench's first import counts by its CPU time, of which a waiting
    shell has none; and where that is more than an interpreter takes, by the time that a bare one takes here.
    """
    since_s = time.perf_counter() - imported.AT_S
    before_s = imported.CPU_S if imported.CPU_S <= MOST_OF_AN_INTERPRETER_S else bare_interpreter_s()
    return since_s + before_s


@functools.cache
def bare_interpreter_s() -> float:
    """How long this interpreter takes to start and do nothing, seconds; 0.0 where it cannot be started again."""
    started = time.perf_counter()
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, capture_output=True, timeout=60)
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0.0
    return time.perf_counter() - started
