"""Whatever comes after a moment changes no request and no answer at it: in every place, repeat, and after a resume."""

from __future__ import annotations

import math
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ghostbench.errors import BadInput
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import make_plan

pytestmark = pytest.mark.first

CUT_S = 1.5
FPS = 8


def film(root: Path, *, after: str) -> Path:
    """Two clips of 3 s as folders of frames; from `CUT_S` on as drawn, in another order, or dark and shorter."""
    rng = np.random.default_rng(3)
    for clip in ("001", "002"):
        frames = rng.integers(0, 256, (3 * FPS, 32, 48, 3), dtype=np.uint8)
        cut = int(CUT_S * FPS) + 1
        later = list(range(cut, len(frames)))
        if after == "shuffled":
            later = later[::-1]
        elif after == "gone":
            frames[cut:] = 0
            later = later[:4]
        folder = root / "clips" / "1" / clip / "images"
        folder.mkdir(parents=True)
        for number, place in enumerate([*range(cut), *later], 1):
            Image.fromarray(frames[place]).save(folder / f"{number:04}.png")
    (root / "labels.csv").write_text("video_id,ground_truth_label\nimages_1_001,2s: ghost probing\nimages_1_002,none\n")
    (root / "dataset.yaml").write_text(
        f"name: cut\nroot: clips\nlayout: frames\nfps: {FPS}\nlabels: labels.csv\nsplits: {{}}\n"
    )
    return root / "dataset.yaml"


def told(bench: Any, run_id: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What each model got and said, by model, clip, repeat and moment."""
    found = {}
    for line in bench.lines(run_id, "attempts.jsonl"):
        assert line["outcome"] == "answered"
        key = (line["model"], line["clip"], line["repeat"], line["moment_s"])
        found[key] = (line["frames_sha256"], line["prompt_sha256"], line["raw"], line["grade_probabilities"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["fps:4", "fps:3"])
def test_what_comes_after_a_moment_changes_no_answer_at_it(bench: Any, tmp_path: Path, sampling: str) -> None:
    given = ["--task", "ghost-warning", "--sampling", sampling, "--moments", "2", "--repeats", "2", "--quiet"]
    given += ["--models", "local-spy,remote-spy,motion", "--probe", "shuffled"]
    bench.dataset = film(tmp_path / "drawn", after="drawn")
    assert bench.run(*given, "--run-id", "drawn", "--on", "process").returncode == 0
    bench.dataset = film(tmp_path / "shuffled", after="shuffled")
    assert bench.run(*given, "--run-id", "shuffled", "--on", "thread").returncode == 0
    bench.dataset = film(tmp_path / "gone", after="gone")
    slow = [*given, "--run-id", "gone", "--set", "remote-spy.sleep_s=0.3"]
    process = bench.start(*slow)
    ledger = bench.folder / "results" / "gone" / "attempts.jsonl"
    until = time.monotonic() + 90
    while time.monotonic() < until and (not ledger.exists() or ledger.read_bytes().count(b"\n") < 10):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    lines = ledger.read_bytes().count(b"\n")
    assert bench.run(*slow, "--resume").returncode == 0
    assert lines < ledger.read_bytes().count(b"\n"), "it was killed on the way"
    drawn, shuffled, gone = (told(bench, name) for name in ("drawn", "shuffled", "gone"))
    before = {key: value for key, value in drawn.items() if key[3] <= CUT_S}
    assert len(before) == 6 * 2 * 2 * 3
    for other in (shuffled, gone):
        assert {key: value for key, value in other.items() if key[3] <= CUT_S} == before
    later = [key for key in drawn if key[3] > CUT_S]
    assert any(shuffled[key][0] != drawn[key][0] for key in later), "the later frames are others, and are seen later"


def test_frames_laid_out_by_the_length_of_a_clip_are_refused() -> None:
    with pytest.raises(BadInput, match=r"lays frames out by the length of a clip.*give fps:R"):
        make_plan(Options(task="ghost-warning", sampling="uniform:10", models="always"))


def test_no_time_of_later_can_be_reached_from_a_request(bench: Any, tmp_path: Path) -> None:
    """Moments are whole seconds here and frames lie an eighth beside them: the last frame shown says which it is."""
    bench.dataset = film(tmp_path / "drawn", after="drawn")
    dump = tmp_path / "dump"
    given = ["--task", "ghost-warning", "--sampling", "fps:4", "--moments", "1", "--models", "dumper", "--quiet"]
    assert bench.run(*given, "--run-id", "d", "--on", "thread", SPY_DUMP=str(dump)).returncode == 0
    requests = dump.read_text(encoding="utf-8", errors="replace").split("Request(")[1:]
    moments = []
    for request in requests:
        moments.append(math.ceil(max(map(float, re.findall(r"Frame at (\d\.\d\d) s", request)))))
        numbers = [float(number) for number in re.findall(r"(?<![\w.])\d\.\d{1,3}(?![\w.])", request)]
        assert max(numbers) == moments[-1]
        assert "images_1_00" not in request
    assert sorted(moments) == [1, 1, 2, 2, 3, 3]
