"""What others left in the environment for programs of another kind, and libraries here would stumble over."""

from __future__ import annotations

import os
from typing import Final

_SIZES: Final = ("COLUMNS", "LINES")


def settle() -> None:
    """Put right what would end every command.

    Notebooks tell all that they start which of their own modules shows matplotlib's charts (`MPLBACKEND`); where that
    is not installed, matplotlib cannot be imported. Here charts are files and shown by nothing. A terminal without a
    size, as containers and editors have it, is one whose size is not known.
    """
    os.environ["MPLBACKEND"] = "agg"
    for name in _SIZES:
        if os.environ.get(name, "").strip().strip("0") == "":
            os.environ.pop(name, None)
