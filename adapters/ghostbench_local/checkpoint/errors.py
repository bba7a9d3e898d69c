"""The error of everything that is about a checkpoint's files."""

from __future__ import annotations


class CheckpointError(Exception):
    """A checkpoint that cannot be used. The message is one line that names the file, key or tensor."""
