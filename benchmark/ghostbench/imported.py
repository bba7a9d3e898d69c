"""When this package was first imported: a run's start-up is counted from there, and code's age is told by it."""

from __future__ import annotations

import sys
import time

AT_S, CPU_S = time.perf_counter(), time.process_time()
"""The clock (`time.perf_counter`), and the CPU time that the process had taken by then, seconds."""
AT_NS = time.time_ns()
"""The time by the calendar, nanoseconds since 1970."""
BEFORE = frozenset(name.partition(".")[0] for name in sys.modules)
"""Top-level modules that were imported before, or whose import was under way."""
