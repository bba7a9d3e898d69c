"""A run over twins, from recorded answers to the report: pairs, thresholds, and models that have none."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import ndtr
from warm_process import run_bench

import ghostbench
from ghostbench.cli.main import bench
from ghostbench.errors import BadInput
from ghostbench.evidence.verify import verify

pytestmark = pytest.mark.first

DOSES = (0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2)
THRESHOLD, SPREAD, LAPSE, GUESS = 1.5, 0.4, 0.05, 0.1


def twins(folder: Path, *, one_dose: bool = False) -> Path:
    """Labels and parameters of 96 scenes with a twin each, as `bench render` writes them, without media.

    one_dose : the visible time is all that is known of them.
    """
    labels, known = ["video_id,ground_truth_label"], {}
    for number in range(96):
        dose = DOSES[number % 8]
        for twin in ("as_is", "no_actor"):
            clip = f"g{number:03}{twin[0]}"
            labels.append(f"{clip},{'2s: ghost probing' if twin == 'as_is' else 'none'}")
            known[clip] = {"scene": f"s{number}", "twin": twin}
            if twin == "as_is":
                known[clip] |= {"visible_s": dose}
            if not one_dose:
                known[clip] |= {"light": "night" if number % 3 else "day"}
            if twin == "as_is" and not one_dose:
                known[clip] |= {"visible_m": 10 * dose, "visible_px": 100 * dose**2}
    (folder / "labels.csv").write_text("\n".join(labels) + "\n")
    (folder / "parameters.json").write_text(json.dumps(known))
    (folder / "dataset.yaml").write_text("name: twins\nlabels: labels.csv\nannotations: parameters.json\n")
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return twins(tmp_path_factory.mktemp("twins"))


def recorded(dataset: Path, into: Path, seed: int) -> Path:
    """Answers drawn from the known function, as a file for `replay`."""
    known: dict[str, dict[str, Any]] = json.loads((dataset / "parameters.json").read_text())
    draws = np.random.default_rng(seed)
    lines = []
    for clip, said in known.items():
        dose = said.get("visible_s")
        chance = GUESS if dose is None else GUESS + (1 - GUESS - LAPSE) * float(ndtr((dose - THRESHOLD) / SPREAD))
        grade = "ghost_probing" if draws.random() < chance else "normal"
        answer = {"grade": grade, "event_time_s": None, "actor": None, "occluder": None, "evidence": ""}
        lines.append(json.dumps({"clip": clip, "raw": json.dumps(answer)}))
    into.write_text("\n".join(lines) + "\n")
    return into


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results")
    file = recorded(dataset, dataset / "recorded.jsonl", 11)
    words = ["run", "--models", f"replay:{file}=seer,always,never,random", "--dataset", str(dataset / "dataset.yaml")]
    words += ["--out", str(out), "--run-id", "r", "--quiet"]
    done = run_bench(words, cwd=out, env={**os.environ}, timeout=240)
    assert done.returncode == 0, done.stderr
    return out / "r"


def rows_of(run: Path, table: str) -> list[dict[str, str]]:
    with (run / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_always_and_never_are_right_on_no_pair_and_a_coin_on_a_quarter(run: Path) -> None:
    strict = {row["model"]: row for row in rows_of(run, "twins") if (row["view"], row["twin"]) == ("strict", "all")}
    assert set(strict) >= {"seer", "always", "never", "random"}
    assert strict["always"]["both_right"] == strict["never"]["both_right"] == "0.0"
    assert float(strict["random"]["both_right_low"]) <= 0.25 <= float(strict["random"]["both_right_high"])
    assert float(strict["seer"]["both_right_low"]) > 0.25
    assert {row["pairs"] for row in strict.values()} == {"96"}
    assert float(strict["seer"]["d_prime_low"]) > 0


def test_the_threshold_of_the_known_function_is_within_its_interval_and_the_others_have_none(run: Path) -> None:
    rows = {(row["model"], row["dose"]): row for row in rows_of(run, "dose_response")}
    found = rows["seer", "visible time before contact, s"]
    assert float(found["threshold_low"]) <= THRESHOLD <= float(found["threshold_high"])
    assert found["why"] == ""
    metres = rows["seer", "distance at first sight, m"]
    assert float(metres["threshold"]) == pytest.approx(10 * float(found["threshold"]), rel=0.02)
    for name in ("always", "never"):
        row = rows[name, "visible time before contact, s"]
        assert (row["threshold"], row["slope"], row["why"]) == ("", "", "it gives one answer at every dose")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_interval_holds_the_threshold_in_93_of_100_runs(tmp_path: Path) -> None:
    # Five runs of twenty rows: each row is one simulated run. One dose, since fits take most of the time.
    dataset = twins(tmp_path, one_dose=True)
    inside = 0
    for first in range(0, 100, 20):
        files = [recorded(dataset, tmp_path / f"m{seed}.jsonl", seed) for seed in range(first, first + 20)]
        models = [f"replay:{file}={file.stem}" for file in files]
        ghostbench.run(models, dataset=dataset / "dataset.yaml", out=tmp_path, run_id=f"from-{first}", on="thread")
        for row in rows_of(tmp_path / f"from-{first}", "dose_response"):
            if row["model"].startswith("m") and row["dose"].startswith("visible time") and row["threshold_low"]:
                inside += float(row["threshold_low"]) <= THRESHOLD <= float(row["threshold_high"])
    assert inside >= 93


@pytest.mark.slow
def test_the_report_shows_twins_with_curves_and_verifies(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert 'id="twins"' in page
    assert "against visible time before contact, s" in page
    assert "## Twins" in (run / "report.md").read_text()
    assert "parameters.light" in json.loads((run / "metrics.json").read_text())["models"]["seer"]["slices"]
    done = run_bench(["verify", str(run)], cwd=run, env={**os.environ}, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def test_answers_are_counted_in_each_light(run: Path) -> None:
    by_light = {(row["model"], row["light"]): row for row in rows_of(run, "dose_by_light")}
    assert [light for name, light in by_light if name == "seer"] == ["day", "night"]
    assert [by_light["seer", light]["answers"] for light in ("day", "night")] == ["32", "64"]
    night = by_light["seer", "night"]
    assert float(night["threshold_low"]) <= THRESHOLD <= float(night["threshold_high"])
    assert by_light["always", "day"]["alarms"] == by_light["always", "day"]["guess"] == "1.0"
    assert by_light["never", "day"]["why"] == "it gives one answer at every dose"
    hits = {
        light: float(by_light["seer", light]["alarms"]) * int(by_light["seer", light]["answers"])
        for light in ("day", "night")
    }
    levels = json.loads((run / "metrics.json").read_text())["models"]["seer"]["twins"]["doses"]["visible_s"]["levels"]
    assert sum(hits.values()) == pytest.approx(sum(level[1] for level in levels))
    assert "by light: dots with the event" in (run / "report.html").read_text()


@pytest.mark.slow
def test_without_psignifit_curves_are_not_compared_and_not_called_different(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psignifit", None)
    with pytest.raises(BadInput, match=r"fitted by psignifit, which is not installed here.*ghostbench\[grid\]"):
        verify(run)
    bare = tmp_path / "bare"
    shutil.copytree(run, bare)
    CliRunner().invoke(bench, ["report", str(bare), "--quiet"], catch_exceptions=False)
    assert {row["why"] for row in rows_of(bare, "dose_response") if row["model"] == "seer"} == {
        "not fitted: pip install 'ghostbench[grid]'"
    }
    assert verify(bare).findings == ()
    monkeypatch.delitem(sys.modules, "psignifit")
    assert verify(bare).findings == ()


def test_a_run_without_twins_says_nothing_of_them(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\na,none\nb,ghost probing\n")
    (tmp_path / "d.yaml").write_text("name: d\nlabels: labels.csv\n")
    words = [
        "run",
        "--models",
        "always",
        "--dataset",
        str(tmp_path / "d.yaml"),
        "--out",
        str(tmp_path),
        "--run-id",
        "r",
    ]
    run_bench([*words, "--quiet"], cwd=tmp_path, env={**os.environ}, timeout=240)
    assert "twins" not in json.loads((tmp_path / "r" / "metrics.json").read_text())["models"]["always"]
    assert not (tmp_path / "r" / "tables" / "twins.csv").exists()
