"""A line now and then while a run waits and nothing comes: a run that hangs must not look like one that works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ghostbench.running.watch.progress import Progress

SILENT_S = 120.0
"""How long nothing may settle before it is said, and between one saying and the next, seconds."""


async def tell_of_silence(
    progress: Progress, waiting_for: Callable[[], str], say: Callable[[str], None], after_s: float = SILENT_S
) -> None:
    """Say, for as long as this is not cancelled, that nothing has settled for a while, and what is waited for."""
    said = time.monotonic()
    while True:
        await asyncio.sleep(after_s / 8)
        silent_s = time.monotonic() - progress.last_settled
        if min(silent_s, time.monotonic() - said) >= after_s:
            said = time.monotonic()
            say(f"nothing has come for {_in_words(silent_s)}; waiting for {waiting_for()}; Ctrl-C ends the run")


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"
