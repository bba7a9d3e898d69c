"""A program that forks after it decoded clips: each process gives back its own frames' memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORKS = """
import os, sys
from ghostbench.media.shared import shared
kept = shared((1, 8, 8, 3))
child = os.fork()
if child == 0:
    # The parent's thread is not here.
    del kept
    another = shared((1, 8, 8, 3))
    del another
    os._exit(0)
_, state = os.waitpid(child, 0)
kept[:] = 1
print(os.waitstatus_to_exitcode(state), int(kept.sum()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files without a name are Linux's")
def test_a_forked_process_closes_its_own_and_leaves_the_first_its() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["0", str(8 * 8 * 3)], done.stderr
