"""The ledger against itself and its labels: digests, labels, strays, frames, and predictions read again."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ghostbench.datasets.granted import Granted, labels_place
from ghostbench.digests import digest
from ghostbench.errors import BadInput
from ghostbench.evidence.differences import Finding, differences
from ghostbench.folder.first_format import LACKED
from ghostbench.folder.ledger import encode
from ghostbench.folder.lines import PredictionLine, QuestionLine, names_of
from ghostbench.folder.manifest import Manifest
from ghostbench.folder.names import ATTEMPTS, CLIPS, LEDGER, MANIFEST, PREDICTIONS, SENT
from ghostbench.folder.prompts import read_words
from ghostbench.folder.reader import Folder
from ghostbench.folder.run_records import Attempts, RunRecords
from ghostbench.records import Truth
from ghostbench.scoring.compared import FACT, with_comparison


def digested(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """The files that must be as their digests in the manifest say."""
    return (*LEDGER, SENT) if SENT in manifest.digests or (folder / SENT).is_file() else LEDGER


def check_digests(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """The ledger's files against the digests in the manifest."""
    for name in digested(folder, manifest):
        path = folder / name
        if name not in manifest.digests:
            yield Finding(MANIFEST, f"has no digest of {name}")
        elif not path.is_file():
            yield Finding(name, "is missing")
        elif digest(path) != manifest.digests[name]:
            yield Finding(name, "was edited after the run: its SHA-256 is not the manifest's")


def check_labels(run: RunRecords, granted: Granted) -> tuple[list[Finding], str]:
    """The clips' truths against the label file, where that may be opened and can be read, and the split's digest."""
    from ghostbench.datasets.labels import read_labels
    from ghostbench.datasets.storage import read_whole

    data = run.manifest.dataset
    found = []
    ids = "\n".join(run.clips["clip"]).encode()
    if hashlib.sha256(ids).hexdigest() != data.split_sha256:
        found.append(Finding(CLIPS, "does not hold the clips of the split that the manifest names by digest"))
    try:
        location = labels_place(granted, data.name, data.labels)
        content = read_whole(location, "--labels")
        labels = read_labels(content, str(location), skip_bad=True)
    except BadInput as error:
        return found, f"labels were not compared with their file: {error}"
    if labels.sha256 != data.labels_sha256:
        found.append(
            Finding(Path(location.shown).name, "the label file is not the one of the run: its SHA-256 differs")
        )
    truths = {clip.id: clip for clip in labels.clips}
    for row in run.clips.to_dict("records"):
        label = truths.get(row["clip"])
        time = None if pd.isna(row["truth_time_s"]) else float(row["truth_time_s"])
        if label is None or (label.truth, label.truth_time_s) != (row["truth"], time):
            said = "nothing" if label is None else f"{label.truth} at {label.truth_time_s} s"
            found.append(Finding(CLIPS, f"{row['clip']} is {row['truth']} at {time} s, the label file says {said}"))
            continue
        for name, value in label.labels.stated().items():
            if getattr(row["labels"], name) != value:
                what = f"{row['clip']}: {name} is {getattr(row['labels'], name)!r}, the label file says {value!r}"
                found.append(Finding(CLIPS, what))
    return found, ""


def _folder(run: RunRecords) -> Folder:
    return Folder(run.folder, run.manifest)


def check_strays(run: RunRecords) -> tuple[list[Finding], str]:
    """Attempts of models or clips that the run does not have."""
    lines = run.attempts
    known = lines["model"].isin(run.names) & lines["clip"].isin(run.clips["clip"])
    return [
        Finding(ATTEMPTS, f"line {number + 1} is of {model}, {clip}: the run has no such model or clip")
        for number, model, clip in zip(lines.index[~known], lines["model"][~known], lines["clip"][~known], strict=True)
    ], ""


def check_attempts(run: RunRecords) -> tuple[list[Finding], str]:
    """Whether the ledger's lines can have been written one after the other by a run."""
    from ghostbench.running.rules.ledger_rules import LedgerRules

    ladders = {name: len(entry.ladder) for name, entry in run.manifest.models.items()}
    rules = LedgerRules(ladders, run.manifest.repeats)
    lines = _folder(run).attempts()
    found = [Finding(ATTEMPTS, f"line {breach.number} {breach.what}") for breach in rules.breaches(lines)]
    taken = run.attempts["from_cache"].notna()
    if taken.any() and not (run.manifest.options or {}).get("cache"):
        found.append(Finding(ATTEMPTS, f"line {int(taken.to_numpy().argmax()) + 1} is from a cache: the run had none"))
    return found, ""


def check_comparisons(run: RunRecords) -> list[Finding]:
    """What the manifest says of approximations, against what the ledger's lines come to."""
    found = []
    for name, entry in run.manifest.models.items():
        if with_comparison(name, entry.facts, run.attempts) != entry.facts:
            what = f"{name}: how far it is from {entry.facts.get(FACT)} is not what {ATTEMPTS} comes to"
            found.append(Finding(MANIFEST, what))
    return found


def check_frames(run: RunRecords) -> tuple[list[Finding], str]:
    """Every attempt at level 0 saw the frames that clips.jsonl names for its question; probes see others on purpose."""
    probes = {name: entry.probe for name, entry in run.manifest.models.items() if entry.probe is not None}
    lines = run.attempts
    shown_at_first = lines[lines["frames_sha256"].notna() & (lines["fallback_level"] == 0)]
    probed = shown_at_first["model"].isin(list(probes))
    used = shown_at_first[~probed]
    shown = _shown(run.clips)
    moments = used["moment_s"].astype(object).where(used["moment_s"].notna(), None)
    wanted = [shown.get(key) for key in zip(used["clip"], moments, strict=True)]
    wrong = used[used["frames_sha256"].to_numpy() != np.array(wanted, dtype=object)]
    return [
        Finding(ATTEMPTS, f"{model} saw other frames of {clip} than {CLIPS} names")
        for model, clip in zip(wrong["model"], wrong["clip"], strict=True)
    ] + list(_unlike(shown_at_first[probed], probes)), ""


def _unlike(lines: pd.DataFrame, probes: Mapping[str, str]) -> Iterator[Finding]:
    """What a probe showed of a clip and moment where it is not the same for all rows and repeats."""
    keyed = lines.assign(probe=lines["model"].map(probes), moment=lines["moment_s"].fillna(-1.0))
    groups = keyed.groupby(["probe", "clip", "moment"], sort=False)
    for (probe, clip, _), group in groups:
        if group["frames_sha256"].nunique() > 1:
            yield Finding(ATTEMPTS, f"the probe {probe} did not show the same frames of {clip} each time")


def _shown(clips: pd.DataFrame) -> dict[tuple[str, float | None], str | None]:
    """The digest of the frames that each question shows, by clip and moment."""
    shown: dict[tuple[str, float | None], str | None] = {}
    for clip, whole, questions in zip(clips["clip"], clips["frames_sha256"], clips["questions"], strict=True):
        if isinstance(questions, tuple):
            shown |= {(clip, each.moment_s): each.frames_sha256 for each in questions}
        else:
            shown[clip, None] = whole
    return shown


def _words(run: RunRecords) -> Mapping[str, Any] | None:
    """The words that the folder holds; what is wrong with them, `prompt_checks` says."""
    try:
        return read_words(run.folder, run.manifest.task.template_sha256)
    except ValueError:
        return None


def check_predictions(run: RunRecords) -> tuple[list[Finding], str]:
    """predictions.jsonl against what the task reads from attempts.jsonl."""
    from ghostbench.folder.last_words import LastWords
    from ghostbench.running.rules.predictions import RowFacts, predict
    from ghostbench.tasks.load import task_of_run

    entry = run.manifest.task
    try:
        task = task_of_run(entry.name, _words(run))
    except BadInput as error:
        return [], f"predictions were not read from the answers again: {error}"
    if entry.template_sha256 is not None and task.template_sha256() != entry.template_sha256:
        return [], f"predictions were not read from the answers again: the task {entry.name} has changed since the run"
    rows = [RowFacts.of_entry(name, run.manifest.models[name]) for name in run.names if name in run.manifest.models]
    clips = _asked(run.clips)
    repeats = int(run.predictions["repeat"].max()) + 1
    words = LastWords(Attempts(run.attempts, run.texts), [clip.clip for clip in clips], repeats)
    again = _InAnyOrder(predict(rows, clips, repeats, words, task))
    found: list[Finding] = []
    try:
        for line in _folder(run).predictions():
            want = again.take(_key(line))
            if want is not None:
                found += _differing(line, want, run.manifest)
        missing = again.rest()
    except BadInput as error:
        return [Finding("run folder", f"gives no predictions: {error}")], ""
    return [*found, *(Finding(PREDICTIONS, f"{_name(line)} is missing") for line in missing)], ""


class _Asked(NamedTuple):
    """What a prediction takes of a clip."""

    clip: str
    truth: Truth
    truth_time_s: float | None
    questions: tuple[QuestionLine, ...] | None


def _asked(clips: pd.DataFrame) -> list[_Asked]:
    times = (None if pd.isna(time) else time for time in clips["truth_time_s"])
    return list(itertools.starmap(_Asked, zip(clips["clip"], clips["truth"], times, clips["questions"], strict=True)))


class _InAnyOrder:
    """Predictions as they are wanted, of which those are held that come earlier than they are."""

    def __init__(self, lines: Iterator[PredictionLine]) -> None:
        self._lines = lines
        self._early: dict[tuple[str, str, int], PredictionLine] = {}

    def take(self, key: tuple[str, str, int]) -> PredictionLine | None:
        """The one of this key; None where there is none."""
        if key in self._early:
            return self._early.pop(key)
        for line in self._lines:
            if _key(line) == key:
                return line
            self._early[_key(line)] = line
        return None

    def rest(self) -> list[PredictionLine]:
        """Those that nobody took."""
        return [*self._early.values(), *self._lines]


def _differing(line: PredictionLine, want: PredictionLine, manifest: Manifest) -> Iterator[Finding]:
    if line == want:
        return
    stated, again = (json.loads(encode(each)) for each in (line, want))
    for field in names_of(PredictionLine):
        if manifest.format == 1 and field in LACKED:
            continue
        if any(differences(stated[field], again[field])):
            what = f"{_name(line)}: {field} is {stated[field]!r}, the ledger gives {again[field]!r}"
            yield Finding(PREDICTIONS, what)


def _key(line: PredictionLine) -> tuple[str, str, int]:
    return line.model, line.clip, line.repeat


def _name(line: PredictionLine) -> str:
    return f"{line.model}, {line.clip}, repeat {line.repeat}"
