"""Whether this process is for one command and nothing else.

A run's process is watched over by its parent, and forked for that. In a process that does more, a test's or that of a
program that calls the commands from Python, a fork would go on with that other work twice.
"""

from __future__ import annotations


class _Process:
    is_ours = False


def claim() -> None:
    """Say that this process is for one command: `main` does."""
    _Process.is_ours = True


def is_ours() -> bool:
    """Whether that was said."""
    return _Process.is_ours
