"""The same grid gives the same pixels: twice, in any order, by any number of workers, and after a kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.errors import BadInput
from ghostbench.media.decode import decode
from ghostbench.media.sampling import parse_sampling
from ghostbench.rendering import work
from ghostbench.rendering.grid import Grid
from ghostbench.rendering.render import render
from ghostbench.rendering.scene import scenes_of

TWINS = ["no_actor", "in_view", "mirror"]


def digests(folder: Path) -> dict[str, str]:
    known: dict[str, dict[str, Any]] = json.loads((folder / "parameters.json").read_text())
    return {clip: str(each["drawn_sha256"]) for clip, each in known.items()}


@pytest.fixture(scope="module")
def grid(small: Callable[..., Grid]) -> Grid:
    return small(twins=TWINS, seconds=2, occluder=["van", "wall"], light=["day", "night"], actor_kmh=9.0, traffic=0)


@pytest.fixture(scope="module")
def rendered(grid: Grid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid") / "out"
    assert render(grid, folder, workers=1) == 16
    return folder


@pytest.mark.slow
def test_two_processes_in_another_order_draw_the_same_pixels(
    grid: Grid, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ghostbench.rendering.render.scenes_of", lambda grid: scenes_of(grid)[::-1])
    told: list[tuple[int, int]] = []
    assert render(grid, tmp_path / "again", workers=2, told=lambda done, of: told.append((done, of))) == 16
    assert digests(tmp_path / "again") == digests(rendered)
    assert (told[0], told[-1]) == ((0, 4), (4, 4))
    for name in ("labels.csv", "parameters.json", "dataset.yaml"):
        assert (tmp_path / "again" / name).read_text() == (rendered / name).read_text()


@pytest.mark.slow
def test_a_killed_run_is_gone_on_with_and_ends_the_same(grid: Grid, rendered: Path, tmp_path: Path) -> None:
    written = tmp_path / "grid.yaml"
    said = grid.model_dump(mode="json")
    written.write_text(yaml.safe_dump(said), encoding="utf-8")
    out = tmp_path / "out"
    words = [sys.executable, "-m", "ghostbench", "render", str(written), "--out", str(out), "--workers", "1"]
    killed = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not list(out.glob("begun/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (out / "dataset.yaml").exists()
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("begun/*.json")}
    assert 1 <= len(kept) < 4
    (out / "clips" / ".g0.mp4.1.tmp").write_bytes(b"begun")
    assert render(grid, out, workers=1) == 16
    assert digests(out) == digests(rendered)
    assert sorted(path.name for path in out.glob("clips/*")) == sorted(path.name for path in rendered.glob("clips/*"))
    assert sorted(p.name for p in out.glob("clips/.*")) == []


def test_what_is_done_stays_and_another_grid_or_renderer_is_refused(
    grid: Grid, rendered: Path, small: Callable[..., Grid], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_ino for path in rendered.rglob("*")}
    assert render(grid, rendered, workers=1) == 16
    assert {path: path.stat().st_ino for path in rendered.rglob("*")} == before
    with pytest.raises(BadInput, match="another grid"):
        render(small(), rendered, workers=1)
    monkeypatch.setattr("ghostbench.rendering.render.renderer", lambda: {"code": "other"})
    with pytest.raises(BadInput, match="another version of the renderer"):
        render(grid, rendered, workers=1)


def test_a_clips_name_changes_with_grid_renderer_scene_and_twin(grid: Grid, small: Callable[..., Grid]) -> None:
    first, second = scenes_of(grid)[:2]
    drawn_by = work.renderer()
    other = small(twins=TWINS, seed=7)
    names = [
        work.clip_id(grid, drawn_by, first, "as_is"),
        work.clip_id(grid, drawn_by, first, "mirror"),
        work.clip_id(grid, drawn_by, second, "as_is"),
        work.clip_id(grid, drawn_by | {"numpy": "0"}, first, "as_is"),
        work.clip_id(other, drawn_by, scenes_of(other)[0], "as_is"),
    ]
    assert len(set(names)) == 5
    assert names[0] == work.clip_id(grid, work.renderer(), scenes_of(grid)[0], "as_is")


def test_the_folder_is_a_dataset_whose_labels_are_its_scenes(grid: Grid, rendered: Path) -> None:
    split = select(SplitQuery(dataset=str(rendered / "dataset.yaml")))
    known = json.loads((rendered / "parameters.json").read_text())
    assert len(split.clips) == 16
    for clip in split.clips:
        said = known[clip.id]
        emerges = said["twin"] in ("as_is", "mirror")
        assert clip.labels.first_visible_s == said.get("first_visible_s")
        assert (clip.parameters["scene"], clip.parameters["twin"]) == (said["scene"], said["twin"])
        assert clip.truth == ("ghost_probing" if emerges else "normal")
        assert (said["visible_px"] > 0) == (said["twin"] != "no_actor")
        assert clip.media is not None
        frames = decode(clip.media, parse_sampling("uniform:4"))
        assert frames.pixels.shape == (4, 90, 160, 3)
        assert frames.duration_s == pytest.approx(2.0, abs=0.01)
        if emerges:
            assert clip.truth_time_s == pytest.approx(said["first_visible_s"], abs=0.001)
            assert said["first_visible_s"] <= said["first_drawn_s"]
            assert said["visible_s"] == pytest.approx(said["contact_s"] - said["first_visible_s"], abs=0.001)
    with (rendered / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            emerges = row["ground_truth_label"] != "none"
            assert bool(row["first_visible_s"]) == bool(row["danger_s"]) == bool(row["contact_s"]) == emerges
            if emerges:
                assert float(row["first_visible_s"]) <= float(row["danger_s"]) <= float(row["contact_s"])


def test_lossless_twins_are_equal_out_of_reach_when_decoded(small: Callable[..., Grid], tmp_path: Path) -> None:
    grid = small(seconds=0.6, twins=["no_actor"], encoding="lossless", behaviour="walks_in_view", contact_s=3.0)
    render(grid, tmp_path / "out", workers=1)
    known = json.loads((tmp_path / "out" / "parameters.json").read_text())
    split = select(SplitQuery(dataset=str(tmp_path / "out" / "dataset.yaml")))
    first, second = (decode(clip.media or "", parse_sampling("uniform:3")).pixels for clip in split.clips)
    differs = (first != second).any(axis=(0, 3))
    assert 0 < differs.mean() < 0.06
    rows, columns = np.nonzero(differs)
    assert rows.max() - rows.min() < 40
    assert columns.max() - columns.min() < 40
    assert {each["twin"] for each in known.values()} == {"as_is", "no_actor"}


def test_ctrl_c_is_one_line_and_leaves_no_process(grid: Grid, tmp_path: Path) -> None:
    written, out = tmp_path / "grid.yaml", tmp_path / "out"
    many = grid.model_dump(mode="json") | {"replicates": 10}  # more than can be drawn before Ctrl-C comes
    written.write_text(yaml.safe_dump(many), encoding="utf-8")
    words = [sys.executable, "-m", "ghostbench", "render", str(written), "--out", str(out), "--workers", "2"]
    asked = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 240
        while not list(out.glob("begun/*.json")) and time.monotonic() < deadline:
            assert asked.poll() is None
            time.sleep(0.02)
        assert list(out.glob("begun/*.json")), "no scene was drawn in time"
    except BaseException:
        os.killpg(asked.pid, signal.SIGKILL)
        raise
    os.killpg(asked.pid, signal.SIGINT)
    _, said = asked.communicate(timeout=240)
    # A slow machine may say before how far it is.
    *far, last = said.splitlines()
    assert (asked.returncode, last) == (130, "interrupted; the same command goes on from here")
    assert all(" of 40 scenes, " in line for line in far)
    for _ in range(200):
        try:
            os.killpg(asked.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process is left")
