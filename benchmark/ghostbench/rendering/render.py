"""Renders a grid into a folder that is a dataset: in parallel, gone on with after a kill, the same pixels each time."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Final

import yaml

from ghostbench.errors import BadInput
from ghostbench.rendering.encode import fill_up
from ghostbench.rendering.facts import LABEL_COLUMNS, ClipFacts
from ghostbench.rendering.grid import Grid
from ghostbench.rendering.scene import Scene, scenes_of
from ghostbench.rendering.work import (
    alone,
    check_scene,
    clip_id,
    deaf_to_ctrl_c,
    facts_file,
    read_facts,
    render_scene,
    renderer,
    twins_of,
)
from ghostbench.writing import remove_begun, write_json, write_text

DATASET, LABELS, PARAMETERS, RECORD = "dataset.yaml", "labels.csv", "parameters.json", "rendered.json"
CLIPS: Final = "clips"
_FACTS: Final = "begun"


def render(grid: Grid, out: Path, workers: int, told: Callable[[int, int], None] = lambda done, of: None) -> int:
    """Render a grid into a folder; how many clips it holds.

    A folder in which the same grid was begun is gone on with, scene by scene; where it is done, nothing happens.

    Parameters
    ----------
    out : made if need be. workers : processes, >= 1; with one, this process draws.
    told : hears of the scenes that are done, of all.

    Raises `BadInput` for a grid that cannot be drawn, and for a folder that holds something else.
    """
    scenes = scenes_of(grid)
    drawn_by = renderer()
    record = {"grid": grid.name, "grid_sha256": grid.sha256, "renderer": drawn_by}
    clips, facts = out / CLIPS, out / _FACTS
    if _is_done(out, record):
        told(len(scenes), len(scenes))
        return sum(1 for _ in clips.glob("*.mp4"))
    for folder in (clips, facts):
        folder.mkdir(exist_ok=True)
        remove_begun(folder)
    for stale in clips.glob(".*.tmp"):
        stale.unlink()
    wanted = [scene for scene in scenes if not _stands(grid, drawn_by, scene, clips, facts)]
    told(len(scenes) - len(wanted), len(scenes))
    done = len(scenes) - len(wanted)

    def one_more() -> None:
        nonlocal done
        done += 1
        told(done, len(scenes))

    if workers == 1:
        for scene in wanted:
            check_scene(scene)
        for scene in wanted:
            render_scene(scene, drawn_by, clips, facts)
            one_more()
    else:
        _in_processes(wanted, drawn_by, clips, facts, workers, one_more)
    return _finish(grid, scenes, out)


def _is_done(out: Path, record: Mapping[str, object]) -> bool:
    """Whether the folder holds the whole dataset; begins it where it is empty. Raises `BadInput` for another's."""
    if not (out / RECORD).exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise BadInput(f"--out {out} holds something else; name an empty or a new folder")
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / RECORD, record)
        return False
    try:
        known = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BadInput(f"{out / RECORD} cannot be read; name another --out") from None
    for key, what in (("grid_sha256", "grid"), ("renderer", "version of the renderer or its libraries")):
        if not isinstance(known, dict) or known.get(key) != record[key]:
            raise BadInput(f"--out {out} was begun with another {what}; name another folder, or remove this one")
    return (out / DATASET).exists()


def _stands(grid: Grid, drawn_by: dict[str, str], scene: Scene, clips: Path, facts: Path) -> bool:
    """Whether a scene's facts and all of its clips are there."""
    if not facts_file(facts, scene).exists():
        return False
    return all((clips / f"{clip_id(grid, drawn_by, scene, twin)}.mp4").exists() for twin in twins_of(scene))


def _in_processes(
    scenes: list[Scene], drawn_by: dict[str, str], clips: Path, facts: Path, workers: int, one_more: Callable[[], None]
) -> None:
    alone()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, max(len(scenes), 1)), context, deaf_to_ctrl_c) as pool:
        try:
            for checked in [pool.submit(check_scene, scene) for scene in scenes]:
                checked.result()
            left: set[Future[None]] = {pool.submit(render_scene, scene, drawn_by, clips, facts) for scene in scenes}
            while left:
                done, left = wait(left, timeout=1.0, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                    one_more()
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()  # what is begun is drawn again; what is done is whole
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _finish(grid: Grid, scenes: list[Scene], out: Path) -> int:
    """The label file, the parameters and at last the dataset file, which says that all is there."""
    known: dict[str, ClipFacts] = {}
    for scene in scenes:
        known |= read_facts(facts_file(out / _FACTS, scene))
    known = dict(sorted(known.items()))
    fill_up([out / CLIPS / f"{clip}.mp4" for clip in known])
    write_text(out / LABELS, _label_rows(known))
    parameters = {clip: facts.parameters for clip, facts in known.items()}
    write_text(out / PARAMETERS, json.dumps(parameters, indent=1) + "\n")
    said = {"name": grid.name, "root": CLIPS, "layout": "files", "labels": LABELS, "annotations": PARAMETERS}
    write_text(out / DATASET, yaml.safe_dump(said, sort_keys=False))
    shutil.rmtree(out / _FACTS)
    return len(known)


def _label_rows(known: dict[str, ClipFacts]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("video_id", "ground_truth_label", *LABEL_COLUMNS))
    for clip, facts in known.items():
        writer.writerow((clip, facts.ground_truth_label, *(facts.columns.get(name, "") for name in LABEL_COLUMNS)))
    return text.getvalue()
