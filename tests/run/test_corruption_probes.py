"""Probes that make frames worse, in runs: rows of their own, hashes of what was shown, paired falls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence_data import RunBuilder, dash_clips
from warm_process import run_bench

from ghostbench.frames import Frames
from ghostbench.media.corruptions import changed
from ghostbench.media.decode import decode
from ghostbench.media.sampling import parse_sampling
from ghostbench.report.data import read_run
from ghostbench.report.html import report_html
from ghostbench.report.tables import run_tables
from ghostbench.running.plan.probes import probed
from ghostbench.scoring.paired import paired_differences
from ghostbench.scoring.score import score_run

CLIPS = [f"images_{c}_{i:03}" for c in (1, 2, 3) for i in (1, 2)]
PROBES = ["dark:5", "rain", "blur", "noise:1", "jpeg", "frame-drop", "flip"]


@pytest.mark.slow
def test_each_probe_is_a_row_and_the_ledger_has_the_hash_of_what_was_shown(bench: Any) -> None:
    given = ["--models", "local-spy,always", "--probe", ",".join(PROBES), "--repeats", "2", "--run-id", "r", "--quiet"]
    done = bench.run(*given)
    assert done.returncode == 0, done.stderr
    metrics = bench.metrics("r")
    assert list(metrics["models"]) == ["local-spy", *(f"local-spy+{probe}" for probe in PROBES), "always"]
    shown: dict[tuple[str, str], set[str]] = {}
    for line in bench.lines("r", "attempts.jsonl"):
        assert line["outcome"] == "answered"
        shown.setdefault((line["model"], line["clip"]), set()).add(line["frames_sha256"])
    for clip in CLIPS:
        frames = decode(str(bench.dataset.parent / "clips" / f"{clip}.avi"), parse_sampling("uniform:10"))
        assert shown["local-spy", clip] == {frames.sha256}
        for probe in PROBES:
            assert shown[f"local-spy+{probe}", clip] == {changed(probe)(frames).sha256}
    dark = metrics["models"]["local-spy+dark:5"]
    assert (dark["probe"], dark["of"]) == ("dark:5", "local-spy")
    assert dark["change"]["strict"]["answered"]["n"] == 6
    assert "change" not in metrics["models"]["local-spy"]
    table = (bench.folder / "results" / "r" / "tables" / "probes.csv").read_text()
    assert "5 stops darker" in table
    checked = run_bench(["verify", str(bench.folder / "results" / "r")], cwd=bench.folder, env=bench.env)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    compared = run_bench(["compare", "results/r", "--json"], cwd=bench.folder, env=bench.env)
    assert json.loads(compared.stdout)["models"] == ["local-spy"], "a probe contends with no model"


@pytest.mark.slow
def test_at_moments_each_question_shows_its_own_frames_made_worse(bench: Any) -> None:
    given = [
        "--task",
        "three-moments",
        "--models",
        "local-spy",
        "--probe",
        "noise,frame-drop",
        "--run-id",
        "r",
        "--quiet",
    ]
    done = bench.run(*given)
    assert done.returncode == 0, done.stderr
    for line in bench.lines("r", "attempts.jsonl"):
        clip = str(bench.dataset.parent / "clips" / f"{line['clip']}.avi")
        seen = decode(clip, parse_sampling("fps:10")).until(line["moment_s"])
        probe = line["model"].partition("+")[2]
        assert line["frames_sha256"] == (changed(probe)(seen) if probe else seen).sha256


@pytest.mark.parametrize("probe", [None, "blank", "shuffled", *PROBES])
def test_the_first_frames_of_a_clip_made_worse_are_the_worse_clips_first(probe: str | None) -> None:
    clip = film(8)
    for count in (1, 3, 8):
        seen = clip.until((count - 1) / 10 + 0.01)
        assert len(seen) == count
        at_once, by_itself = probed(seen, probe, clip), probed(seen, probe)
        assert at_once is not None
        assert by_itself is not None
        assert at_once.sha256 == by_itself.sha256
        assert (at_once.times_s, at_once.duration_s) == (by_itself.times_s, by_itself.duration_s)
        if probe == "noise:1" and count == 3:
            whole = probed(clip, probe)
            assert whole is not None
            assert np.shares_memory(at_once.pixels, whole.pixels), "made once, and kept once"


def film(count: int) -> Frames:
    pixels = (np.arange(count * 24 * 32 * 3) * 7919 % 251).astype(np.uint8).reshape(count, 24, 32, 3)
    times = tuple(n / 10 for n in range(count))
    return Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=count / 10, decoder="drawn")


@pytest.mark.parametrize(
    ("probe", "named"),
    [
        ("fog", "choose from blank, shuffled, text-only, dark, rain, blur, noise, jpeg, frame-drop, flip"),
        ("blank:3", "is not known"),
        ("flip:2", "flip has no severities"),
        ("noise:9", "noise has the severities 1 to 5"),
        ("noise,noise:3", "twice"),
        ("dark,dark", "twice"),
    ],
)
def test_what_is_no_probe_is_one_line(probe: str, named: str, bench: Any) -> None:
    refused = bench.run("--models", "local-spy", "--probe", probe)
    assert refused.returncode == 2
    assert named in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_falls_are_paired_by_clip_and_a_probe_that_keeps_a_models_rates_is_no_alarm(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(10, 0, 10))
    g, n = "ghost_probing", "normal"
    run.model("m")
    run.rows("m", [g] * 10 + [n] * 10)
    for probe, grades in {
        "dark": [g] * 6 + [n] * 14,
        "flip": [g] * 10 + [n] * 10,
        "blank": [g] * 10 + [n] * 10,
        "noise:5": [g] * 5 + [None] * 5 + [n] * 10,
    }.items():
        run.model(f"m+{probe}", probe=probe, of="m")
        run.rows(f"m+{probe}", grades)
    run.write(tmp_path / "r")
    score_run(tmp_path / "r")
    found = read_run(tmp_path / "r")
    change = found.rows["m+dark"]["change"]["strict"]
    main, dark = np.zeros((20, 4), dtype=int), np.zeros((20, 4), dtype=int)
    main[:10, 0] = main[10:, 3] = dark[:6, 0] = dark[6:10, 2] = dark[10:, 3] = 1
    assert change["answered"]["differences"] == paired_differences(dark, main)
    assert (change["answered"]["first_only"], change["answered"]["second_only"]) == (0, 4)
    assert change["answered"]["p"] == 0.125
    assert change["answered"]["p_holm"] == 0.5
    assert change["verdict_changed"]["value"] == 0.2
    noisy = found.rows["m+noise:5"]["change"]["strict"]
    assert (noisy["answered"]["n"], noisy["worst_case"]["n"]) == (15, 20)
    assert noisy["answered"]["differences"]["f1"]["value"] == 0
    assert noisy["worst_case"]["differences"]["recall"]["value"] == -0.5
    (table,) = (table for table in run_tables(found) if table.name == "probes")
    assert [row[1] for row in table.rows[::2]] == ["dark", "flip", "blank", "noise:5"]
    page = report_html(found)
    assert "<b>m+blank</b> F1 over all clips no lower" in page
    assert "<b>m+flip</b>" not in page
