"""How much of a run's scores hangs on its labels: the same answers under a second label file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ghostbench.errors import BadInput
from ghostbench.folder.manifest import ModelEntry
from ghostbench.folder.names import SENSITIVITY, TABLES
from ghostbench.folder.run_records import RunRecords, read_run_records
from ghostbench.records import Clip
from ghostbench.report.columns import COUNTS, MODEL, line, rate_columns
from ghostbench.report.files import csv_table, latex_table, markdown_table
from ghostbench.report.sums import write_sums
from ghostbench.report.table import Column, Table, Value
from ghostbench.report.titles import TRUTH_TITLES, VIEW_NOTES
from ghostbench.scoring.counts import own_answers
from ghostbench.scoring.views import VIEWS, View, score_views
from ghostbench.writing import make_folder, write_text

RATES = ("precision", "recall", "specificity", "f1", "balanced_accuracy", "mcc")


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What the second labels change.

    compared : clips that both label files name; scores under either are over these alone.
    skipped : label rows left out by request, as "line N: why".
    """

    compared: int
    skipped: tuple[str, ...]
    tables: tuple[Table, ...]


def sensitivity(folder: Path, labels: str, *, skip_bad: bool) -> Sensitivity:
    """Score a finished run under the labels of another file, on the clips that both name.

    labels : path or fsspec URL. skip_bad : leave bad rows out and list them.

    Raises `BadInput` for a folder that is no finished run, a label file that cannot be used, or no clip in common.
    """
    from ghostbench.datasets.labels import read_labels
    from ghostbench.datasets.storage import accept, read_whole

    run = read_run_records(folder)
    location = accept(labels, "--labels")
    second = read_labels(read_whole(location, "--labels"), labels, skip_bad=skip_bad)
    truths = {clip.id: clip for clip in second.clips}
    common = run.clips["clip"].isin(truths).to_numpy()
    if not common.any():
        raise BadInput(f"{labels} names no clip of this run: give labels of the same dataset")
    changed, restated = _restated(run, truths, common)
    tables = (_clips_table(changed, int(common.sum()), len(common)), *(_scores(run, restated, view) for view in VIEWS))
    return Sensitivity(int(common.sum()), second.skipped, tables)


def write_sensitivity(folder: Path, found: Sensitivity) -> None:
    """Write sensitivity.md and tables/sensitivity_*.{csv,tex} into the run folder, and SHA256SUMS anew."""
    make_folder(folder / TABLES)
    skipped = [f"- skipped {line}" for line in found.skipped]
    text = "\n".join(["# Sensitivity to the labels", "", *skipped, *([""] if skipped else [])])
    write_text(folder / f"{SENSITIVITY}.md", text + "\n".join(markdown_table(table) for table in found.tables))
    for table in found.tables:
        write_text(folder / TABLES / f"{table.name}.csv", csv_table(table))
        write_text(folder / TABLES / f"{table.name}.tex", latex_table(table))
    write_sums(folder)


def _restated(
    run: RunRecords, truths: Mapping[str, Clip], common: np.ndarray
) -> tuple[list[tuple[Value, ...]], tuple[RunRecords, RunRecords]]:
    """The clips whose label differs, and the run on the common clips under the first and the second labels."""
    first = run.clips[common].reset_index(drop=True)
    second = first.copy()
    second["truth"] = [truths[clip].truth for clip in first["clip"]]
    second["truth_time_s"] = [truths[clip].truth_time_s for clip in first["clip"]]
    changed: list[tuple[Value, ...]] = []
    for before, after in zip(first.to_dict("records"), second.to_dict("records"), strict=True):
        old, new = _label(before), _label(after)
        if old != new:
            changed.append((before["clip"], old, new, before["truth"] != after["truth"]))
    place = pd.Series(range(len(first)), index=first["clip"].to_numpy())
    predictions = run.predictions[run.predictions["clip"].isin(first["clip"])].copy()
    predictions["at"] = predictions["clip"].map(place).astype("int64")
    restated = predictions.copy()
    restated["truth"] = pd.Categorical(
        second["truth"].to_numpy()[restated["at"]], categories=predictions["truth"].cat.categories
    )
    return changed, (
        replace(run, clips=first, predictions=predictions),
        replace(run, clips=second, predictions=restated),
    )


def _label(row: Mapping[Any, Any]) -> str:
    title = TRUTH_TITLES[row["truth"]]
    time = row["truth_time_s"]
    return title if time is None or pd.isna(time) else f"{title} at {time:g} s"


def _clips_table(changed: list[tuple[Value, ...]], compared: int, total: int) -> Table:
    columns = (
        Column("clip", "Clip"),
        Column("first", "Label of the run"),
        Column("second", "Label of the second file"),
        Column("truth_changes", "Changes the truth"),
    )
    lines = tuple((clip, old, new, "yes" if other else "no, the time only") for clip, old, new, other in changed)
    note = f"The second file names {compared} of the run's {total} clips; {len(changed)} have another label there."
    return Table("sensitivity_clips", "Clips with another label", columns, lines, note)


def _scores(run: RunRecords, both: tuple[RunRecords, RunRecords], view: View) -> Table:
    columns = (
        MODEL,
        Column("labels", "Labels"),
        Column("answered", "Answered", "count"),
        *COUNTS,
        *rate_columns(*RATES),
    )
    lines: list[tuple[Value, ...]] = []
    for name in run.names:
        for title, records in zip(("of the run", "second file"), both, strict=True):
            rows = records.predictions[records.predictions["model"] == name]
            entry = run.manifest.models.get(name, ModelEntry())
            answered = own_answers(rows, substitute=entry.substitute)
            positive = np.asarray(records.clips["truth"] == "ghost_probing")
            found = score_views(rows, answered, positive)[view]["answered"]
            values = {"model": name, "labels": title, "answered": int(answered.sum()), **found}
            lines.append(line(columns, values))
    note = f"{VIEW_NOTES[view]} On the clips that both label files name, over those that the model answered."
    return Table(f"sensitivity_{view}", f"Scores under either label file, {view} view", columns, tuple(lines), note)
