"""What a task asks is what every model gets, what the ledger says, and where a run that was killed goes on."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ghostbench.media.decode import decode
from ghostbench.media.sampling import parse_sampling

MOMENTS = [0.25, 0.5, 0.875]
CLIPS = [f"images_{c}_{i:03}" for c in (1, 2, 3) for i in (1, 2)]


def sampled(bench: Any, clip: str, sampling: str = "uniform:10") -> Any:
    return decode(str(bench.dataset.parent / "clips" / f"{clip}.avi"), parse_sampling(sampling))


@pytest.mark.slow
def test_a_task_that_names_five_of_ten_frames_shows_five_to_every_model(bench: Any) -> None:
    given = ["--task", "five-of-ten", "--probe", "shuffled", "--run-id", "r", "--quiet"]
    assert bench.run("--models", "local-spy,motion,remote-spy,always", *given).returncode == 0
    shown = {line["clip"]: line["questions"] for line in bench.lines("r", "clips.jsonl")}
    digests: dict[str, set[Any]] = {}
    for line in bench.lines("r", "attempts.jsonl"):
        assert line["outcome"] == "answered"
        assert line["moment_s"] is None
        if line["model"] in ("local-spy", "motion", "remote-spy"):
            digests.setdefault(line["clip"], set()).add((line["frames_sha256"], line["prompt_sha256"]))
    for clip in CLIPS:
        half = sampled(bench, clip).take((0, 2, 4, 6, 8))
        assert shown[clip] == [{"moment_s": None, "frames_sha256": half.sha256}]
        ((digest, _),) = digests[clip]
        assert digest == half.sha256
    spied = {
        line["clip"]: line["score"] for line in bench.lines("r", "predictions.jsonl") if line["model"] == "local-spy"
    }
    for clip, score in spied.items():
        assert score == float(sampled(bench, clip).take((0, 2, 4, 6, 8)).pixels[:, ::16, ::16].mean()) / 255
    verify(bench, "r")


def verify(bench: Any, run_id: str) -> None:
    from warm_process import run_bench

    done = run_bench(["verify", str(bench.folder / "results" / run_id)], cwd=bench.folder, env=bench.env)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_task_of_three_moments_is_killed_between_two_goes_on_and_is_reported_as_its_own(
    bench: Any, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    given = ["--task", "three-moments", "--models", "remote-spy,local-spy,always", "--run-id", "r", "--quiet"]
    given += ["--set", f"remote-spy.log={log}", "--set", "remote-spy.sleep_s=0.25", "--probe", "blank"]
    process = bench.start(*given)
    attempts = bench.folder / "results" / "r" / "attempts.jsonl"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        lines = [line for line in done_lines(attempts) if '"model":"remote-spy"' in line]
        if len(lines) >= 1:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = Counter(key(line) for line in bench.lines("r", "attempts.jsonl"))
    asked = Counter(clip for model, clip, _, _ in before if model == "remote-spy")
    assert any(count < len(MOMENTS) for count in asked.values()), "it was killed between two moments"
    assert bench.run(*given, "--resume").returncode == 0
    lines = bench.lines("r", "attempts.jsonl")
    rows = ("remote-spy", "remote-spy+blank", "local-spy", "local-spy+blank", "always")
    assert Counter(map(key, lines)) == {(r, clip, 0, m): 1 for r in rows for clip in CLIPS for m in MOMENTS}
    for row in ("remote-spy", "remote-spy+blank", "always"):
        for clip in CLIPS:
            own = [line["moment_s"] for line in lines if (line["model"], line["clip"]) == (row, clip)]
            assert own == sorted(own), "moments are asked in order"
    for line in lines:
        frames = sampled(bench, line["clip"], "fps:10").until(line["moment_s"])
        if line["model"] in ("remote-spy", "local-spy"):
            assert line["frames_sha256"] == frames.sha256
        if line["model"] == "always":
            assert line["frames_sha256"] is None
    for line in bench.lines("r", "clips.jsonl"):
        assert [question["moment_s"] for question in line["questions"]] == MOMENTS
    for prediction in bench.lines("r", "predictions.jsonl"):
        assert [moment["moment_s"] for moment in prediction["moments"]] == MOMENTS
        assert prediction["attempts"] == 3
        if prediction["model"] == "always":
            assert prediction["alarm_time_s"] == 0.25
    report = (bench.folder / "results" / "r" / "report.md").read_text(encoding="utf-8")
    assert "this is half a warning" in report
    assert "recognition in retrospect" not in report
    verify(bench, "r")


def key(line: Any) -> tuple[str, str, int, float | None]:
    return line["model"], line["clip"], line["repeat"], line["moment_s"]


def done_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.mark.slow
def test_a_clip_without_media_has_no_moments_and_one_line_for_each_model(bench: Any) -> None:
    import shutil

    copy = bench.folder / "copy"
    shutil.copytree(bench.dataset.parent, copy)
    (copy / "clips" / "images_2_001.avi").write_bytes(b"no video")
    (copy / "clips" / "images_3_002.avi").unlink()
    bench.dataset = copy / "dataset.yaml"
    given = ["--task", "three-moments", "--models", "remote-spy,always", "--run-id", "r", "--quiet"]
    assert bench.run(*given).returncode == 0
    failed = {key(line): line["outcome"] for line in bench.lines("r", "attempts.jsonl") if line["moment_s"] is None}
    assert failed == {
        (row, clip, 0, None): outcome
        for row in ("remote-spy", "always")
        for clip, outcome in (("images_2_001", "decode_failed"), ("images_3_002", "missing_media"))
    }
    for prediction in bench.lines("r", "predictions.jsonl"):
        lost = prediction["clip"] in ("images_2_001", "images_3_002")
        assert (prediction["outcome"] == "answered") is not lost
        assert (prediction["moments"] is None) is lost
    verify(bench, "r")
