"""What a run needs where it only plans: no torch, and the driver's word on how many GPUs there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from ghostbench import BadInput, Unavailable  # noqa: E402
from ghostbench_drivemm.adapter import DriveMMModel  # noqa: E402
from ghostbench_drivemm.settings import DriveMMSettings  # noqa: E402
from ghostbench_local import devices  # noqa: E402

SCRIPT = """
import sys
from ghostbench_drivemm.adapter import DriveMMModel
from ghostbench_drivemm.adapter_float8 import DriveMMFloat8
from ghostbench_drivemm.settings import DriveMMFloat8Settings, DriveMMSettings
given = {"checkpoint": sys.argv[1], "device": "cpu"}
for model in (DriveMMModel(DriveMMSettings(**given)), DriveMMFloat8(DriveMMFloat8Settings(**given))):
    model.check()
    model.check_here()
    assert model.replicas() and model.resources() and model.ladder
print(*(name for name in ("torch", "transformers", "llguidance") if name in sys.modules))
"""


def test_the_model_is_planned_without_torch(checkpoint: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(checkpoint)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A driver that tells of two GPUs, and a process that has not imported torch."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    return monkeypatch


def test_gpus_are_looked_for_by_the_drivers_word(two_gpus: pytest.MonkeyPatch) -> None:
    devices.look_for("m", ["cuda", "cuda:1"])
    with pytest.raises(BadInput, match=r"m: there is no device cuda:2; this machine has 2 \(from cuda:0 on\)"):
        devices.look_for("m", ["cuda:1", "cuda:2"])


def test_gpus_that_are_all_good_enough_by_the_drivers_word_are_asked_no_more(two_gpus: pytest.MonkeyPatch) -> None:
    two_gpus.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    two_gpus.setattr(pynvml, "nvmlDeviceGetCudaComputeCapability", lambda handle: [8, 9 + handle])
    devices.require_capability("m", ["cuda:0"], (8, 9), "its products")
    assert "torch" not in sys.modules


def test_what_is_too_old_by_the_drivers_word_is_for_torch_to_say(two_gpus: pytest.MonkeyPatch) -> None:
    kinds = {"cuda:0": (8, 9), "cuda:1": (8, 6)}
    cuda = SimpleNamespace(get_device_capability=kinds.__getitem__, get_device_name=lambda device: "a GPU")
    two_gpus.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    devices.require_capability("m", ["cuda:0"], (8, 9), "its products")
    with pytest.raises(BadInput, match=r"m: cuda:1 \(a GPU\) is of compute capability 8\.6, and its .* need 8\.9"):
        devices.require_capability("m", ["cuda:0", "cuda:1"], (8, 9), "its products")


@pytest.mark.parametrize(("chosen", "count"), [("1", 1), ("1,0", 2), ("0, 1", 2)])
def test_only_those_count_that_the_environment_leaves(two_gpus: pytest.MonkeyPatch, chosen: str, count: int) -> None:
    two_gpus.setenv("CUDA_VISIBLE_DEVICES", chosen)
    devices.look_for("m", [f"cuda:{count - 1}"])
    with pytest.raises(BadInput, match=f"this machine has {count}"):
        devices.look_for("m", [f"cuda:{count}"])


@pytest.mark.parametrize("chosen", ["", "-1", "2", "0,7", "GPU-8f6d", "MIG-1", "all"])
def test_torch_is_asked_where_the_environment_is_less_plain(two_gpus: pytest.MonkeyPatch, chosen: str) -> None:
    two_gpus.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert devices._gpus_by_the_driver() is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a torch that finds no GPU")
def test_who_computes_asks_torch_where_the_driver_alone_tells_of_gpus(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    model = DriveMMModel(DriveMMSettings(checkpoint=str(checkpoint)))
    with pytest.raises(Unavailable, match="drivemm needs a CUDA device and finds none"):
        model.load()


def test_torch_is_asked_where_there_is_no_driver(two_gpus: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    two_gpus.setattr(pynvml, "nvmlInit", fails)
    assert devices._gpus_by_the_driver() is None
