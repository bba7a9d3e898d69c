"""How a process ended, in words."""

from __future__ import annotations

import signal


def how_it_ended(status: int) -> str:
    """The words for an exit status as `subprocess` and `os.waitstatus_to_exitcode` give it."""
    if status >= 0:
        return f"left with exit status {status}"
    try:
        name = f" ({signal.Signals(-status).name})"
    except ValueError:
        name = ""
    return f"was ended by signal {-status}{name}"
