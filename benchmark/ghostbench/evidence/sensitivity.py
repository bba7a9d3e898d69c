"""How much of a run's scores hangs on its labels: the same answers under the labels of others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ghostbench.datasets.labels import read_labels
from ghostbench.datasets.storage import accept, read_whole
from ghostbench.errors import BadInput
from ghostbench.folder.manifest import ModelEntry
from ghostbench.folder.names import SENSITIVITY, TABLES
from ghostbench.folder.run_records import RunRecords, read_run_records
from ghostbench.folder.sums import write_sums
from ghostbench.records import Clip
from ghostbench.report.columns import COUNTS, MODEL, line, rate_columns
from ghostbench.report.files import markdown_table, table_files
from ghostbench.report.table import Column, Table, Value
from ghostbench.report.titles import TRUTH_TITLES, VIEW_NOTES
from ghostbench.scoring.counts import own_answers
from ghostbench.scoring.intervals import estimate_rates
from ghostbench.scoring.views import VIEWS, Bools, View, alarms, by_clip, cells
from ghostbench.writing import make_folder, write_texts

RATES = ("precision", "recall", "specificity", "f1", "balanced_accuracy", "mcc")
_NOTE = "On the clips that both label files name, over those that the model answered."
_NOTE_OF_SEVERAL = (
    "On the clips that all label files name, over those that the model answered. Most annotators: clips on which they "
    "are evenly split are left out. All annotators: every annotator's label of a clip counts as a row, and the "
    "interval knows that they are of one clip."
)


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What other labels change.

    compared : clips that all label files name; scores under each are over these alone.
    skipped : label rows left out by request, as "line N: why", with the file where there are several.
    """

    compared: int
    skipped: tuple[str, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class _Labelling:
    """The labels of one file, or what several come to, on the common clips.

    positive : per annotator, whether each clip is a ghost probing, bool [annotators, clips]. counts : the clips that it
    speaks of, bool [clips].
    """

    title: str
    positive: Bools
    counts: Bools


def sensitivity(folder: Path, labels: str | Sequence[str], *, skip_bad: bool) -> Sensitivity:
    """Score a finished run under the labels of other files, on the clips that all of them name.

    Of several files, each is an annotator: the run is scored under each, under what most of them say, on the clips on
    which all agree, and under all together, where every annotator's label of a clip is a row and a clip's rows are one
    cluster.

    labels : paths or fsspec URLs. skip_bad : leave bad rows out and list them.

    Raises `BadInput` for a folder that is no finished run, a label file that cannot be used, or no clip in common.
    """
    places = [labels] if isinstance(labels, str) else list(labels)
    run = read_run_records(folder)
    skipped: list[str] = []
    files: dict[str, Mapping[str, Clip]] = {}
    for place in places:
        found = read_labels(read_whole(accept(place, "--labels"), "--labels"), place, skip_bad=skip_bad)
        skipped += [line if len(places) == 1 else f"{place}, {line}" for line in found.skipped]
        files[_title(place, len(places), files)] = {clip.id: clip for clip in found.clips}
    common = np.all([run.clips["clip"].isin(clips).to_numpy() for clips in files.values()], axis=0)
    if not common.any():
        named = "names no clip" if len(places) == 1 else "name no clip together"
        raise BadInput(f"{', '.join(places)} {named} of this run: give labels of the same dataset")
    clips = run.clips[common].reset_index(drop=True)
    labellings = _labellings(clips, files)
    tables = (
        _clips_table(clips, files, len(common)),
        *(_scores(run, clips, labellings, view) for view in VIEWS),
    )
    return Sensitivity(len(clips), tuple(skipped), tables)


def _title(place: str, of: int, taken: Collection[str]) -> str:
    """How tables call a file: by its name, or by its whole place where another has that name."""
    if of == 1:
        return "second file"
    name = place.rstrip("/").rpartition("/")[2]
    return place if name in taken else name


def write_sensitivity(folder: Path, found: Sensitivity) -> None:
    """Write sensitivity.md and tables/sensitivity_*.{csv,tex} into the run folder, and SHA256SUMS anew."""
    make_folder(folder / TABLES)
    skipped = [f"- skipped {line}" for line in found.skipped]
    text = "\n".join(["# Sensitivity to the labels", "", *skipped, *([""] if skipped else [])])
    text += "\n".join(markdown_table(table) for table in found.tables)
    files = {f"{SENSITIVITY}.md": text} | table_files(found.tables)
    write_texts({folder / name: text for name, text in files.items()})
    write_sums(folder)


def _labellings(clips: pd.DataFrame, files: Mapping[str, Mapping[str, Clip]]) -> list[_Labelling]:
    everywhere = np.ones(len(clips), dtype=np.bool_)
    own = np.asarray(clips["truth"] == "ghost_probing", dtype=np.bool_)[None]
    each = np.array([[labels[clip].truth == "ghost_probing" for clip in clips["clip"]] for labels in files.values()])
    found = [_Labelling("of the run", own, everywhere)]
    found += [_Labelling(title, rows[None], everywhere) for title, rows in zip(files, each, strict=True)]
    if len(files) > 1:
        share = each.mean(axis=0)
        found += [
            _Labelling("most annotators", (share > 0.5)[None], share != 0.5),
            _Labelling("unanimous clips", (share > 0.5)[None], (share == 0) | (share == 1)),
            _Labelling("all annotators", each, everywhere),
        ]
    return found


def _label(truth: str, time_s: float | None) -> str:
    title = TRUTH_TITLES[truth]
    return title if time_s is None or pd.isna(time_s) else f"{title} at {time_s:g} s"


def _clips_table(clips: pd.DataFrame, files: Mapping[str, Mapping[str, Clip]], total: int) -> Table:
    """The clips that a file labels otherwise than the run."""
    single = len(files) == 1
    columns = (
        Column("clip", "Clip"),
        Column("first", "Label of the run"),
        *(
            Column("second" if single else f"file_{n}", "Label of the second file" if single else title)
            for n, title in enumerate(files, 1)
        ),
        Column("truth_changes", "Changes the truth"),
    )
    lines: list[tuple[Value, ...]] = []
    for name, truth, time_s in zip(clips["clip"], clips["truth"], clips["truth_time_s"], strict=True):
        others = [labels[name] for labels in files.values()]
        words = [_label(other.truth, other.truth_time_s) for other in others]
        was = _label(truth, time_s)
        if any(word != was for word in words):
            changes = any(other.truth != truth for other in others)
            lines.append((name, was, *words, "yes" if changes else "no, the time only"))
    said = "The second file names" if single else f"The {len(files)} files together name"
    there = "another label there" if single else "another label in one of them"
    note = f"{said} {len(clips)} of the run's {total} clips; {len(lines)} have {there}."
    return Table("sensitivity_clips", "Clips with another label", columns, tuple(lines), note)


def _scores(run: RunRecords, clips: pd.DataFrame, labellings: Sequence[_Labelling], view: View) -> Table:
    columns = (
        MODEL,
        Column("labels", "Labels"),
        Column("answered", "Answered", "count"),
        *COUNTS,
        *rate_columns(*RATES),
    )
    place = pd.Series(range(len(clips)), index=clips["clip"].to_numpy())
    lines: list[tuple[Value, ...]] = []
    for name in run.names:
        rows = run.predictions[(run.predictions["model"] == name) & run.predictions["clip"].isin(clips["clip"])]
        at = rows["clip"].map(place).to_numpy().astype(np.int64)
        answered = own_answers(rows, substitute=run.manifest.models.get(name, ModelEntry()).substitute)
        alarm = alarms(rows["grade"], view)
        for one in labellings:
            tables = [
                by_clip(cells(truth[at], alarm, answered, "answered"), at, len(clips))[one.counts]
                for truth in one.positive
            ]
            table = np.sum(tables, axis=0)
            counts = dict(zip(("tp", "fp", "fn", "tn"), map(int, table.sum(axis=0)), strict=True))
            values = {"model": name, "labels": one.title, "answered": int(table.sum()), **counts}
            lines.append(line(columns, {**values, **estimate_rates(table)}))
    return Table(
        f"sensitivity_{view}",
        f"Scores under {'either label file' if len(labellings) == 2 else 'each label file'}, {view} view",
        columns,
        tuple(lines),
        f"{VIEW_NOTES[view]} {_NOTE if len(labellings) == 2 else _NOTE_OF_SEVERAL}",
    )
