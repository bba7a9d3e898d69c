"""What is begun before a run is planned: imports, so that loading waits for none of the large ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("llguidance")

SCRIPT = """
import contextlib, gc, json, sys, threading
from ghostbench_drivemm.ahead import begin
from ghostbench_drivemm.settings import DriveMMSettings
light = "torch" not in sys.modules
# Where there is no GPU there may be no Triton either, which is for whoever loads the model to tell.
with contextlib.suppress(ImportError):
    begin(DriveMMSettings(device=sys.argv[1]))
found = {
    "light": light,
    "torch": "torch" in sys.modules,
    "collects": gc.isenabled(),
    "kept": gc.get_freeze_count(),
    "woken": any(thread.name.startswith("wake") for thread in threading.enumerate()),
    "triton": "triton" in sys.modules,
}
if sys.argv[1] == "cpu":
    before = set(sys.modules)
    from ghostbench_drivemm.adapter import DriveMMModel
    model = DriveMMModel(DriveMMSettings(checkpoint=sys.argv[2], device="cpu", dtype="float32"))
    model.load()
    model.warm_up()
    found["later"] = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
print(json.dumps(found))
"""


def begun(device: str, checkpoint: Path) -> dict[str, object]:
    words = [sys.executable, "-c", SCRIPT, device, str(checkpoint)]
    found: dict[str, object] = json.loads(
        subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    )
    return found


def test_on_a_cpu_all_that_loading_takes_is_imported_and_no_device_is_woken(checkpoint: Path) -> None:
    found = begun("cpu", checkpoint)
    assert found["light"], "nothing heavy comes with the function itself"
    assert found["torch"]
    assert found["collects"]
    assert isinstance(found["kept"], int)
    assert found["kept"] > 10_000, "what is imported is no garbage and is not looked through"
    assert not found["woken"]
    assert not found["triton"]
    assert isinstance(found["later"], list)
    large = {"transformers", "sympy", "tokenizers", "llguidance", "numpy", "PIL", "pynvml", "huggingface_hub"}
    assert not large & set(found["later"])


def test_where_a_gpu_is_asked_for_and_none_is_there_nothing_is_left_undone(checkpoint: Path) -> None:
    found = begun("cuda", checkpoint)
    assert found["torch"]
    assert found["collects"], "garbage is collected again, whatever could not be imported"
