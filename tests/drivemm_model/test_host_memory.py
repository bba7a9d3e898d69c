"""Loading holds the weights once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch

WIDE = 200_000
LOAD = """
    import json, sys
    from ghostbench_drivemm import DriveMM
    from transformers import LlamaForCausalLM, SiglipVisionModel
    import ghostbench_drivemm.network.assembly

    def peak():
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    DriveMM.from_checkpoint(sys.argv[1], dtype="bfloat16", device="cpu")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = peak()
    model = DriveMM.from_checkpoint(sys.argv[2], dtype="bfloat16", device="cpu")
    print(json.dumps({"grown": peak() - before, "bytes": model.facts["bytes"]}))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
def test_the_weights_are_in_host_memory_once_while_they_load(family: Any) -> None:
    def widened(tensors: dict[str, Any]) -> dict[str, Any]:
        shapes = {"gate_proj": (WIDE, 64), "up_proj": (WIDE, 64), "down_proj": (64, WIDE)}
        for name in [name for name in tensors if ".mlp." in name and name.startswith("model.layers.")]:
            tensors[name] = torch.randn(shapes[name.split(".")[-2]], dtype=torch.bfloat16) / 8
        return tensors

    small = family.copy()
    large = family.rewrite(family.copy(intermediate_size=WIDE), widened)
    done = subprocess.run(
        [sys.executable, "-c", dedent(LOAD), str(small), str(large)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["bytes"] > 150e6
    assert found["grown"] < 1.15 * found["bytes"]
