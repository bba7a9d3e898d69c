"""Whether what a file names lies inside the folders that the user gave: names in others' files lead nowhere else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PureWindowsPath

from ghostbench.datasets.location import URL


def lies_inside(path: str, folders: Sequence[str]) -> bool:
    """Whether a local path, its links followed, is one of these local folders or below one."""
    real = os.path.realpath(path)
    for folder in folders:
        top = os.path.realpath(folder)
        if real == top or real.startswith(top.rstrip(os.sep) + os.sep):
            return True
    return False


def named_inside(text: str, beside: str, folders: Sequence[str]) -> str | None:
    """The local path that a file's words name, None where it is none that lies inside.

    text : a path, relative to the folder that the file lies in. beside : that folder, which counts as given. folders :
        the other local folders that the user gave.
    """
    if URL.match(text) or text.startswith("~") or "\0" in text:
        return None
    other = PureWindowsPath(text)
    if other.drive or (other.root and not os.path.isabs(text)):
        return None
    path = os.path.abspath(os.path.join(beside, text))
    return path if lies_inside(path, [beside, *folders]) else None
