"""Frames as the model's own video input, where torchvision can be had, in a process and a folder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from ghostbench.tasks.ghost_probing import GhostProbing

FAMILIES = ("llava_onevision", "qwen2_5_vl", "qwen3_vl", "internvl")
TORCHVISION = Path(__file__).parents[2] / ".torchvision"
ASK = Path(__file__).parent / "video" / "ask_with_video.py"


UNFIT = """
import sys
sys.path.insert(0, sys.argv[1])
from ghostbench import Unavailable
from ghostbench_hf.adapter import HFModel
from ghostbench_hf.settings import HFSettings
try:
    HFModel(HFSettings(device="cpu"), sys.argv[2]).load()
except Unavailable as error:
    print(error)
"""


@pytest.mark.slow
def test_a_torchvision_that_does_not_fit_this_torch_is_told_with_the_way_out(checkpoint: Callable[[str], Path]) -> None:
    if not (TORCHVISION / "torchvision").is_dir():
        pytest.skip("no torchvision in .torchvision")
    words = [sys.executable, "-c", UNFIT, str(TORCHVISION), str(checkpoint("qwen2_5_vl"))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=True)
    (line,) = done.stdout.splitlines()
    assert "torchvision is installed and cannot be imported" in line
    assert line.endswith("install the version that belongs to this torch, or remove it")


@pytest.mark.slow
def test_frames_as_video_are_answered_as_the_library_answers(checkpoint: Callable[[str], Path]) -> None:
    if not (TORCHVISION / "torchvision").is_dir():
        pytest.skip("no torchvision in .torchvision")
    words = [sys.executable, str(ASK), str(TORCHVISION), *(str(checkpoint(family)) for family in FAMILIES)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(line["folder"]).name for line in lines] == list(FAMILIES)
    for line in lines:
        assert line["answers"] == line["library"]
        assert line["chances"][0] != line["chances"][1], "what is shown decides what is said"
        assert line["chances"][1] != line["chances"][2], "and so do the examples"
        assert line["together"] == line["alone"]
        for text in line["together"]:
            GhostProbing().parse(text)
        assert any(name.startswith("pixel_values") for name in line["inputs"])
        assert "frame 4 of the video" in line["prompt"]
    # Qwen3-VL writes the time of every second frame into its prompt: the clip's own.
    assert "<1.0 seconds>" in lines[2]["prompt"]
    assert "<3.0 seconds>" in lines[2]["prompt"]
