"""What a model's code may change of the process that is everyone's, and what is put back when it has been asked."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def surroundings_put_back() -> Iterator[None]:
    """For the length of a `with`, models may change the working folder, the root logger, the warnings filters and the
    recursion limit; then these are as they were, and so scores and reports come out as without them."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        # It was removed before: all paths may be whole ones.
        folder = None
    root = logging.getLogger()
    level, handlers, disabled = root.level, list(root.handlers), logging.root.manager.disable
    depth = sys.getrecursionlimit()
    with warnings.catch_warnings():
        try:
            yield
        finally:
            sys.setrecursionlimit(depth)
            root.setLevel(level)
            root.handlers[:] = handlers
            logging.disable(disabled)
            # A folder that is gone meanwhile is none to be in.
            with contextlib.suppress(OSError):
                if folder is not None:
                    os.chdir(folder)
