"""Planning a run needs a prompt's number of tokens, on a machine that will never hold the network."""

from __future__ import annotations

import subprocess
import sys

COUNTING = """
import sys
from ghostbench_drivemm.input.prepared import Preparer
from ghostbench_drivemm.input.lengths import video_length
print(*(name for name in ("torch", "transformers", "ghostbench_drivemm.network") if name in sys.modules))
"""


def test_counting_tokens_imports_neither_torch_nor_the_network() -> None:
    found = subprocess.run([sys.executable, "-c", COUNTING], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
