"""When this package was first imported: a run's start-up is counted from there."""

from __future__ import annotations

import time

AT_S, CPU_S = time.perf_counter(), time.process_time()
"""The clock (`time.perf_counter`), and the CPU time that the process had taken by then, seconds."""
