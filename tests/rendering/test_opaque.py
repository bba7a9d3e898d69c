"""Nothing but the pixels tells the twin that emerges from the one that does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GroupKFold, cross_val_predict

from ghostbench.rendering.encode import fill_up
from ghostbench.rendering.grid import Grid
from ghostbench.rendering.render import render


@pytest.fixture(scope="module")
def folder(small: Callable[..., Grid], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("opaque") / "out"
    several = {"occluder": ["van", "wall"], "light": ["day", "night"], "replicates": 2}
    grid = small(seconds=2, actor_kmh=9.0, traffic=0, pedestrians=1, twins=["no_actor"], **several)
    render(grid, out, workers=1)
    return out


def known_of(folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((folder / "parameters.json").read_text())
    return found


def packets(path: Path) -> list[tuple[int, bool, int | None, int | None]]:
    with av.open(str(path)) as file:
        return [(p.size, p.is_keyframe, p.pts, p.dts) for p in file.demux(video=0)]


@pytest.mark.slow
def test_files_are_equal_in_size_date_duration_and_words(folder: Path) -> None:
    told = set()
    for path in (folder / "clips").iterdir():
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            words = json.dumps([file.metadata, stream.metadata])
            told.add((path.stat().st_size, path.stat().st_mtime_ns, file.duration, stream.frames, words))
    assert len(told) == 1


def test_twins_are_equal_in_the_size_of_every_frame(folder: Path) -> None:
    by_scene: dict[str, set[tuple[Any, ...]]] = {}
    for clip, said in known_of(folder).items():
        by_scene.setdefault(said["scene"], set()).add(tuple(packets(folder / "clips" / f"{clip}.mp4")))
    assert len(by_scene) == 8
    assert all(len(each) == 1 for each in by_scene.values())


def test_a_spy_that_sees_ids_sizes_and_durations_does_no_better_than_chance(folder: Path) -> None:
    known = known_of(folder)
    rows, truths, groups = [], [], []
    for place, path in enumerate(sorted((folder / "clips").iterdir())):
        said = known[path.stem]
        head = path.read_bytes()[:4096]
        sizes = [float(size) for size, *_ in packets(path)]
        name = [int(letter, 16) for letter in path.stem[1:]]
        rows.append([place, path.stat().st_size, path.stat().st_mtime, *name, *sizes, *head[:200]])
        truths.append(said["twin"] == "as_is")
        groups.append(said["scene"])
    scenes = sorted(set(groups))
    spy = RandomForestClassifier(n_estimators=100, random_state=0)
    folds = GroupKFold(n_splits=4)
    guesses = cross_val_predict(spy, np.array(rows), truths, groups=[scenes.index(each) for each in groups], cv=folds)
    right = int((guesses == np.array(truths)).sum())
    assert right <= 12  # of 16; by chance alone 13 and more come in 1.1% of cases


def test_filling_up_twice_changes_nothing(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, size in zip(paths, (100, 107, 100), strict=True):
        path.write_bytes(bytes(size))
    assert fill_up(paths) == 115
    first = [path.read_bytes() for path in paths]
    assert {len(each) for each in first} == {115}
    assert fill_up(paths) == 115
    assert [path.read_bytes() for path in paths] == first
