"""Whether ranks on twins carry over to real clips: said where both were run, and never for too few models."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from warm_process import run_bench

from ghostbench.cli.main import bench
from ghostbench.errors import BadInput
from ghostbench.evidence.carry_over import carry_over
from ghostbench.report.data import RunData, read_run

ERRORS = {"best": 0.02, "good": 0.15, "fair": 0.3, "poor": 0.45}
"""How often each recorded model says the opposite of the truth."""


def recorded_run(folder: Path, name: str, errors: dict[str, float], *, twins: bool) -> Path:
    """A finished run of recorded answers over 80 clips, 40 of them with the event, with or without twins."""
    folder.mkdir()
    clips = [f"c{number:02}{side}" for number in range(40) for side in "ab"]
    truth = {clip: clip.endswith("a") for clip in clips}
    rows = [f"{clip},{'ghost probing' if truth[clip] else 'none'}" for clip in clips]
    (folder / "labels.csv").write_text("\n".join(["video_id,ground_truth_label", *rows]) + "\n")
    said = {"annotations": "known.json"} if twins else {}
    known = {clip: {"scene": clip[:-1], "twin": "as_is" if truth[clip] else "no_actor"} for clip in clips}
    (folder / "known.json").write_text(json.dumps(known))
    (folder / "d.yaml").write_text(json.dumps({"name": name, "labels": "labels.csv", **said}))
    models = []
    for number, (model, share) in enumerate(errors.items()):
        draws = np.random.default_rng(number)
        lines = []
        for clip in clips:
            grade = "ghost_probing" if truth[clip] != (draws.random() < share) else "normal"
            answer = {"grade": grade, "event_time_s": None, "actor": None, "occluder": None, "evidence": ""}
            lines.append(json.dumps({"clip": clip, "raw": json.dumps(answer)}))
        (folder / f"{model}.jsonl").write_text("\n".join(lines) + "\n")
        models.append(f"replay:{folder / model}.jsonl={model}")
    words = ["run", "--models", ",".join([*models, "always"]), "--dataset", str(folder / "d.yaml")]
    words += ["--out", str(folder), "--run-id", name, "--quiet"]
    done = run_bench(words, cwd=folder, env={**os.environ}, timeout=240)
    assert done.returncode == 0, done.stderr
    return folder / name


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("carry")
    grid = recorded_run(folder / "g", "grid", ERRORS, twins=True)
    return grid, recorded_run(folder / "r", "real", ERRORS | {"alone": 0.1}, twins=False)


@pytest.mark.slow
def test_equal_ranks_are_found_and_said_with_their_doubt(runs: tuple[Path, Path]) -> None:
    found = carry_over(*map(read_run, runs))
    ranks = {row[0]: row[1:3] for row in found.table.rows}
    assert ranks == {"best": (1, 1), "good": (2, 2), "fair": (3, 3), "poor": (4, 4)}
    assert found.tau == pytest.approx(1)
    assert found.p == pytest.approx(2 / 24)
    assert "cannot tell from chance" in found.words()


def test_probes_wordings_and_substitutes_of_a_model_have_no_rank_of_their_own(runs: tuple[Path, Path]) -> None:
    grid, real = map(read_run, runs)
    models = grid.metrics["models"]
    beside = {**models, "poor": {**models["poor"], "of": "best", "probe": "blank"}}
    found = carry_over(replace(grid, metrics={**grid.metrics, "models": beside}), real)
    assert [row[0] for row in found.table.rows] == ["best", "good", "fair"]


def test_what_saw_the_video_has_no_rank_among_those_that_saw_the_frames(runs: tuple[Path, Path]) -> None:
    grid, real = map(read_run, runs)
    models = grid.metrics["models"]
    marked = {**models, "poor": {**models["poor"], "sees_video": True}}
    found = carry_over(replace(grid, metrics={**grid.metrics, "models": marked}), real)
    assert [row[0] for row in found.table.rows] == ["best", "good", "fair"]
    assert found.table.note.endswith("Left out: poor, which sees the video, not the frames.")


def test_a_model_that_saw_the_video_in_one_run_alone_has_no_rank(runs: tuple[Path, Path]) -> None:
    grid, real = map(read_run, runs)

    def marked(run: RunData, *names: str) -> RunData:
        rows = run.metrics["models"]
        filmed = {name: {**row, "sees_video": True} if name in names else row for name, row in rows.items()}
        return replace(run, metrics={**run.metrics, "models": filmed})

    with pytest.raises(BadInput, match="best saw the video in one and the frames in the other"):
        carry_over(marked(grid, *ERRORS), real)
    found = carry_over(marked(grid, *ERRORS), marked(real, "best", "good", "fair"))
    assert [row[0] for row in found.table.rows] == ["best", "good", "fair"]
    assert found.table.note.endswith(
        "Each of these models sees the video, not the frames. Left out: poor, which saw the frames in one of the runs."
    )


def test_it_is_printed_and_is_json(runs: tuple[Path, Path]) -> None:
    words = ["compare", *map(str, runs), "--carry-over"]
    said = CliRunner().invoke(bench, words, catch_exceptions=False, terminal_width=100).output
    assert "Kendall's tau 1.00" in said
    assert "no rate on a road" in said
    stated = json.loads(CliRunner().invoke(bench, [*words, "--json"], catch_exceptions=False).stdout)
    assert stated["models"] == 4
    assert {row["model"] for row in stated["table"]["rows"]} == set(ERRORS)


def test_it_is_a_page_with_what_a_rendered_street_cannot_show(runs: tuple[Path, Path], tmp_path: Path) -> None:
    words = ["compare", *map(str, runs), "--carry-over", "--quiet", "--out", str(tmp_path / "carried")]
    CliRunner().invoke(bench, words, catch_exceptions=False)
    page = (tmp_path / "carried" / "carry_over.html").read_text()
    assert "What a rendered street cannot show" in page
    assert "<script" not in page
    stated = json.loads((tmp_path / "carried" / "carry_over.json").read_text())
    assert (stated["runs"], stated["models"]) == (["grid", "real"], 4)
    assert {path.name for path in (tmp_path / "carried" / "tables").iterdir()} == {"carry_over.csv", "carry_over.tex"}
    refused = CliRunner().invoke(bench, [*words[:-1], str(runs[0])])
    assert isinstance(refused.exception, BadInput)


def test_runs_the_wrong_way_round_or_without_a_shared_model_are_bad_input(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    grid, real = map(read_run, runs)
    with pytest.raises(BadInput, match="has no twins"):
        carry_over(real, grid)
    with pytest.raises(BadInput, match="is over twins, too"):
        carry_over(grid, grid)
    other = read_run(recorded_run(tmp_path / "o", "other", {"stranger": 0.1}, twins=False))
    with pytest.raises(BadInput, match="no model is in both"):
        carry_over(grid, other)


def test_two_models_show_nothing_of_ranks(runs: tuple[Path, Path], tmp_path: Path) -> None:
    few = {name: ERRORS[name] for name in ("best", "poor")}
    found = carry_over(read_run(runs[0]), read_run(recorded_run(tmp_path / "f", "few", few, twins=False)))
    assert (found.models, found.tau, found.p) == (2, None, None)
    assert "too few" in found.words()
