"""The models of several runs on the clips that the runs have in common, and what the runs must have alike."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ghostbench.errors import BadInput
from ghostbench.scoring.counts import own_answers
from ghostbench.scoring.intervals import Ints
from ghostbench.scoring.manifest import ModelEntry
from ghostbench.scoring.run_records import RunRecords, read_run_records
from ghostbench.scoring.views import Basis, Bools, View, alarms, by_clip, cells

KEYS = ("dataset", "labels", "split", "task", "sampling", "repeats")
"""What runs must have alike to be compared, by the word that `--allow` takes."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One model on the common clips.

    name : unique among all, with the run's id where two runs have a model of that name.
    rows : its predictions for the common clips; `at` is the clip's place among them.
    answered : whether each row has an answer of the model's own.
    asked : per common clip, whether the model was asked at all (a recording may hold no answer for it).
    """

    name: str
    rows: pd.DataFrame
    answered: Bools
    asked: Bools

    def table(self, positive: Bools, view: View, basis: Basis) -> Ints:
        """tp, fp, fn, tn per common clip, int [clips, 4]; all zero where the basis leaves the clip out."""
        at = self.rows["at"].to_numpy()
        found = by_clip(cells(positive[at], alarms(self.rows["grade"], view), self.answered, basis), at, len(positive))
        if basis != "answered":
            found[~self.asked] = 0
        return found


@dataclass(frozen=True, slots=True)
class Field:
    """Several runs made comparable.

    clips : ids of the clips that all runs have. positive : whether each is a ghost probing, by the first run's labels.
    differences : what the runs do not have alike, in words; each was allowed.
    relabelled : common clips whose truth is not the same in all runs.
    """

    runs: tuple[RunRecords, ...]
    clips: tuple[str, ...]
    positive: Bools
    contenders: tuple[Contender, ...]
    differences: tuple[str, ...]
    relabelled: tuple[str, ...]


def read_field(folders: Sequence[Path], allow: Collection[str] = ()) -> Field:
    """Read runs and put their models side by side.

    allow : keys of `KEYS` in which the runs may differ.

    Raises `BadInput` for a folder that is no finished run, runs that differ in a key that is not allowed, no common
    clips, or fewer than two models.
    """
    runs = tuple(read_run_records(folder) for folder in folders)
    differences = _differences(runs)
    refused = [key for key in differences if key not in allow]
    if refused:
        said = "; ".join(differences[key] for key in refused)
        ways = " ".join(f"--allow {key}" for key in refused)
        raise BadInput(f"the runs differ in {said}: compare runs made alike, or mix them knowingly with {ways}")
    everywhere = set.intersection(*(set(run.clips["clip"]) for run in runs))
    common = [str(clip) for clip in runs[0].clips["clip"] if clip in everywhere]
    if not common:
        raise BadInput("the runs have no clip in common: compare runs on the same dataset")
    truths = [run.clips.set_index("clip")["truth"].loc[common] for run in runs]
    relabelled = tuple(
        clip for place, clip in enumerate(common) if any(t.iloc[place] != truths[0].iloc[place] for t in truths)
    )
    contenders = _contenders(runs, common)
    if len(contenders) < 2:
        raise BadInput("there is one model to compare: give runs with two models or more")
    return Field(
        runs,
        tuple(common),
        np.asarray(truths[0] == "ghost_probing", dtype=np.bool_),
        contenders,
        tuple(differences.values()),
        relabelled,
    )


def _differences(runs: Sequence[RunRecords]) -> dict[str, str]:
    found = {}
    for key in KEYS:
        values = [_value(run, key) for run in runs]
        if len(set(values)) > 1:
            each = ", ".join(f"{run.manifest.run_id} has {value}" for run, value in zip(runs, values, strict=True))
            found[key] = f"{key} ({each})"
    return found


def _value(run: RunRecords, key: str) -> str:
    manifest = run.manifest
    task = manifest.task
    return {
        "dataset": manifest.dataset.name,
        "labels": manifest.dataset.labels_sha256[:12],
        "split": f"{manifest.dataset.split} {manifest.dataset.split_sha256[:12]}",
        "task": f"{task.name} {task.version} {(task.template_sha256 or '')[:12]}".rstrip(),
        "sampling": manifest.sampling or "none",
        "repeats": str(manifest.repeats),
    }[key]


def _contenders(runs: Sequence[RunRecords], common: Sequence[str]) -> tuple[Contender, ...]:
    place = {clip: index for index, clip in enumerate(common)}
    entries = [(run, name, run.manifest.models.get(name, ModelEntry())) for run in runs for name in run.names]
    chosen = [(run, name, entry) for run, name, entry in entries if not entry.baseline]
    if len(chosen) < 2:
        chosen = entries
    names = [name for _, name, _ in chosen]
    found = []
    for run, name, entry in chosen:
        rows = run.predictions[run.predictions["model"] == name]
        rows = rows[rows["clip"].isin(place)].copy()
        rows["at"] = rows["clip"].map(place).astype("int64")
        recorded = np.zeros(len(common), dtype=np.bool_)
        recorded[rows["at"][(rows["outcome"] != "not_recorded").to_numpy()]] = True
        label = name if names.count(name) == 1 else f"{name} ({run.manifest.run_id})"
        found.append(Contender(label, rows, own_answers(rows, substitute=entry.substitute), recorded))
    return tuple(found)
