"""Planning a run needs a prompt's number of tokens, on a machine that will never hold the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COUNTING = """
import sys
from pathlib import Path
from ghostbench_drivemm.input.lengths import video_length
from ghostbench_drivemm.input.prepared import Preparer
from ghostbench_drivemm.input.prompt import load_renderer, load_tokenizer
folder = Path(sys.argv[1])
print(len(load_renderer(folder, load_tokenizer(folder)).ids("<image> Is it red?")))
print(*(name for name in ("torch", "transformers", "ghostbench_drivemm.network") if name in sys.modules))
"""


def test_counting_tokens_imports_neither_torch_nor_the_network(drivemm_data: Path) -> None:
    command = [sys.executable, "-c", COUNTING, str(drivemm_data / "ckpt_a")]
    counted, *imported = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(counted) > 0
    assert imported == []
