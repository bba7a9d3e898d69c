"""What a process that answers never imports: seconds before the first answer, for nothing that is computed here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ANSWERING = """
import sys
from dataclasses import replace
import numpy as np
from ghostbench import Frames, Reply, Request
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench_drivemm.adapter import DriveMMModel
from ghostbench_drivemm.adapter_float8 import DriveMMFloat8
from ghostbench_drivemm.settings import DriveMMFloat8Settings, DriveMMSettings

given = {"checkpoint": sys.argv[1], "device": sys.argv[2]}
task = GhostProbing()
plain = DriveMMModel(DriveMMSettings(dtype="float32", **given))
rounded = DriveMMFloat8(DriveMMFloat8Settings(mode="score", **given))
for model in [plain] if sys.argv[2] == "cuda" else [plain, rounded]:
    model.check()
    model.check_here()
    libraries = model.load()["libraries"]
    assert "torch" in libraries and "transformers" not in libraries
    model.warm_up()
    # The second goes on from the keys and values of the first one's beginning.
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (2, 60, 90, 3), dtype=np.uint8)
        frames = Frames(pixels, indices=(0, 1), times_s=(0.5, 1.5), duration_s=3.0, decoder="drawn")
        asked = Request(
            id=str(number), prompt=task.build(frames), frames=frames, seed=7, level=0, level_settings={},
            write_answer=task.write,
        )
        answered = model.answer([replace(asked, prepared=model.prepare(asked))])[0]
        assert isinstance(answered, Reply), answered
print(*sorted(sys.modules))
"""
UNWANTED = {
    "accelerate", "huggingface_hub", "matplotlib", "pandas", "scipy", "sklearn", "sympy", "torch._dynamo",
    "torch._inductor", "torchvision", "transformers",
}  # fmt: skip


def imported_to_answer(checkpoint: Path, device: str) -> set[str]:
    """What a process imports to load DriveMM, and on a CPU its form in FP8, and to answer clips."""
    # Products this small only lose by being shared among threads.
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", ANSWERING, str(checkpoint), device]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr
    found = set(done.stdout.split())
    assert {"torch", "ghostbench_drivemm.network.llama", "ghostbench_drivemm.engine.lower_right"} <= found
    return found


def test_a_process_that_loaded_and_answered_has_imported_no_library_of_models(checkpoint: Path) -> None:
    assert imported_to_answer(checkpoint, "cpu") & UNWANTED == set()


@pytest.mark.gpu
def test_nor_has_one_that_did_so_on_a_gpu(checkpoint: Path) -> None:
    if not pytest.importorskip("torch").cuda.is_available():
        pytest.skip("no CUDA device")
    assert imported_to_answer(checkpoint, "cuda") & UNWANTED == set()
