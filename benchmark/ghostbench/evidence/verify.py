"""Recompute a run from its ledger and labels, and name everything that is not what they give."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from ghostbench.errors import BadInput
from ghostbench.report.data import METRICS, RunData
from ghostbench.report.html import report_html
from ghostbench.report.write import report_files
from ghostbench.scoring.manifest import Manifest, read_manifest, require_complete
from ghostbench.scoring.run_records import RunRecords, read_run_records
from ghostbench.scoring.score import compute_metrics

LEDGER = ("clips.jsonl", "attempts.jsonl", "predictions.jsonl")
TOLERANCE = 1e-9
"""Relative difference up to which two floats are the same number on another machine."""
MOST_LINES = 5
"""The most differing lines named in one file."""
_CHART = re.compile(r'<div class="charts[^"]*">.*?</div>', re.DOTALL)
_BANNER = re.compile(r'<p class="banner">[^<]*</p>')
_FRAMES = re.compile(r'"frames":\["data:image/jpeg;base64,[^\]]*\]')


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold: the file, and what is wrong with it in one line."""

    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `bench verify` found. checked : what was compared, in words. notes : what could not be compared, and why."""

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    notes: tuple[str, ...]


def verify(folder: Path) -> Verdict:
    """Check a finished run folder: digests, labels, predictions, metrics, tables and pages.

    Raises `BadInput` for a folder that is no finished run. An edited ledger that no longer reads is a finding.
    """
    manifest = read_manifest(folder)
    require_complete(folder, manifest)
    findings = list(_digests(folder, manifest))
    checked, notes = [f"digests of {', '.join(LEDGER)}"], []
    try:
        records = read_run_records(folder)
    except BadInput as error:
        if not findings:
            raise
        findings.append(Finding("run folder", f"nothing else can be checked: {error}"))
        return Verdict(tuple(findings), tuple(checked), ())
    again = compute_metrics(records)
    for check, words in (
        (_labels, "labels and split"),
        (_strays, "that every attempt belongs to the run"),
        (_frames, "frame digests"),
        (_predictions, "predictions from the attempts"),
        (lambda run: _metrics(run, again), "every number of metrics.json"),
        (lambda run: _reports(run, again), "report.md, report.html and every table"),
    ):
        found, note = check(records)
        findings += found
        if note:
            notes.append(note)
        checked.append(words)
    return Verdict(tuple(findings), tuple(checked), tuple(notes))


def _digests(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    for name in LEDGER:
        path = folder / name
        if name not in manifest.digests:
            yield Finding("manifest.json", f"has no digest of {name}")
        elif not path.is_file():
            yield Finding(name, "is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != manifest.digests[name]:
            yield Finding(name, "was edited after the run: its SHA-256 is not the manifest's")


def _labels(run: RunRecords) -> tuple[list[Finding], str]:
    """The clips' truths against the label file, where that can still be read, and the split's digest."""
    from ghostbench.datasets.definition import find_definition
    from ghostbench.datasets.labels import read_labels
    from ghostbench.datasets.storage import read_whole

    data = run.manifest.dataset
    found = []
    ids = "\n".join(run.clips["clip"]).encode()
    if hashlib.sha256(ids).hexdigest() != data.split_sha256:
        found.append(Finding("clips.jsonl", "does not hold the clips of the split that the manifest names by digest"))
    try:
        location = data.labels or find_definition(data.name).labels
        if location is None:
            raise BadInput("the manifest names no label file")
        content = read_whole(location, "--labels")
        labels = read_labels(content, location, skip_bad=True)
    except BadInput as error:
        return found, f"labels were not compared with their file: {error}"
    if labels.sha256 != data.labels_sha256:
        found.append(Finding(Path(location).name, "the label file is not the one of the run: its SHA-256 differs"))
    truths = {clip.id: clip for clip in labels.clips}
    for row in run.clips.to_dict("records"):
        label = truths.get(row["clip"])
        time = None if pd.isna(row["truth_time_s"]) else float(row["truth_time_s"])
        if label is None or (label.truth, label.truth_time_s) != (row["truth"], time):
            said = "nothing" if label is None else f"{label.truth} at {label.truth_time_s} s"
            found.append(
                Finding("clips.jsonl", f"{row['clip']} is {row['truth']} at {time} s, the label file says {said}")
            )
    return found, ""


def _strays(run: RunRecords) -> tuple[list[Finding], str]:
    """Attempts of models or clips that the run does not have."""
    lines = run.attempts
    known = lines["model"].isin(run.names) & lines["clip"].isin(run.clips["clip"])
    return [
        Finding("attempts.jsonl", f"line {number + 1} is of {model}, {clip}: the run has no such model or clip")
        for number, model, clip in zip(lines.index[~known], lines["model"][~known], lines["clip"][~known], strict=True)
    ], ""


def _frames(run: RunRecords) -> tuple[list[Finding], str]:
    """Every attempt at level 0 saw the frames that clips.jsonl names; probes see others on purpose."""
    probes = [name for name, entry in run.manifest.models.items() if entry.probe is not None]
    lines = run.attempts
    used = lines[lines["frames_sha256"].notna() & (lines["fallback_level"] == 0) & ~lines["model"].isin(probes)]
    digest = run.clips.set_index("clip")["frames_sha256"]
    wrong = used[used["frames_sha256"].to_numpy() != digest.reindex(used["clip"]).to_numpy()]
    return [
        Finding("attempts.jsonl", f"{model} saw other frames of {clip} than clips.jsonl names")
        for model, clip in zip(wrong["model"], wrong["clip"], strict=True)
    ], ""


def _predictions(run: RunRecords) -> tuple[list[Finding], str]:
    """predictions.jsonl against what the task reads from attempts.jsonl."""
    from ghostbench.plugins.registry import find, load_target, registry
    from ghostbench.records import ClipLine
    from ghostbench.run.ledger import read_lines
    from ghostbench.run.predictions import RowFacts, last_lines, predict

    entry = run.manifest.task
    try:
        task = load_target(find("task", registry().tasks, entry.name).load)()
    except (BadInput, ImportError, AttributeError) as error:
        return [], f"predictions were not read from the answers again: {error}"
    if entry.template_sha256 is not None and task.template_sha256() != entry.template_sha256:
        return [], f"predictions were not read from the answers again: the task {entry.name} has changed since the run"
    rows = [
        RowFacts(
            name,
            of=run.manifest.models[name].of if run.manifest.models[name].substitute else None,
            stopped=stopped.outcome if (stopped := run.manifest.models[name].stopped) else None,
        )
        for name in run.names
        if name in run.manifest.models
    ]
    clips = [ClipLine(**line) for line in read_lines(run.folder / "clips.jsonl")]
    repeats = int(run.predictions["repeat"].max()) + 1
    try:
        again = predict(rows, clips, repeats, last_lines(read_lines(run.folder / "attempts.jsonl")), task)
    except BadInput as error:
        return [Finding("attempts.jsonl", str(error))], ""
    want = {(line.model, line.clip, line.repeat): json.loads(json.dumps(asdict(line))) for line in again}
    found = []
    for line in read_lines(run.folder / "predictions.jsonl"):
        key = (line["model"], line["clip"], line["repeat"])
        for field, value in want.pop(key, {}).items():
            if not _same(line.get(field), value):
                what = (
                    f"{key[0]}, {key[1]}, repeat {key[2]}: {field} is {line.get(field)!r}, the ledger gives {value!r}"
                )
                found.append(Finding("predictions.jsonl", what))
    found += [Finding("predictions.jsonl", f"{key[0]}, {key[1]}, repeat {key[2]} is missing") for key in want]
    return found, ""


def _metrics(run: RunRecords, computed: Mapping[str, Any]) -> tuple[list[Finding], str]:
    path = run.folder / METRICS
    if not path.is_file():
        return [Finding(METRICS, "is missing: `bench report` writes it")], ""
    try:
        stated = json.loads(path.read_bytes())
    except ValueError:
        return [Finding(METRICS, "is not JSON")], ""
    again = json.loads(json.dumps(computed))
    return [Finding(METRICS, words) for words in differences(stated, again)], ""


def _reports(run: RunRecords, computed: Mapping[str, Any]) -> tuple[list[Finding], str]:
    """report.md, the tables, and report.html without its charts and frames, against what the ledger gives.

    Another version of ghostbench words its pages otherwise: then the CSV tables alone are compared.
    """
    data = RunData(run.folder, run, computed)
    want = {**report_files(data), "report.html": report_html(data)}
    note = "the charts of report.html and embedded frames were not compared"
    wrote, here = run.manifest.versions.get("ghostbench"), version("ghostbench")
    if wrote is not None and wrote != here:
        want = {name: text for name, text in want.items() if name.endswith(".csv")}
        note = f"of the reports only the CSV tables were compared: ghostbench {wrote} wrote them, this is {here}"
    found = []
    for name, text in want.items():
        path = run.folder / name
        if not path.is_file():
            found.append(Finding(name, "is missing: `bench report` writes it"))
            continue
        stated = path.read_text(encoding="utf-8", errors="replace")
        clean = _without_pictures if name == "report.html" else str
        found += [Finding(name, words) for words in _different_lines(clean(stated), clean(text))]
    known = {Path(name).name for name in report_files(data)}
    for path in sorted((run.folder / "tables").glob("*")):
        if path.name not in known and not path.name.startswith("sensitivity_"):
            found.append(Finding(f"tables/{path.name}", "is no table of this run"))
    return found, note


def _without_pictures(page: str) -> str:
    return _BANNER.sub("", _FRAMES.sub('"frames":null', _CHART.sub("", page)))


def _different_lines(stated: str, want: str) -> Iterator[str]:
    left, right = stated.split("\n"), want.split("\n")
    wrong = [n for n, (a, b) in enumerate(zip(left, right, strict=False), 1) if a != b]
    for number in wrong[:MOST_LINES]:
        yield f"line {number} is not what the ledger gives"
    if len(wrong) > MOST_LINES:
        yield f"{len(wrong) - MOST_LINES} more lines are not what the ledger gives"
    if not wrong and len(left) != len(right):
        yield f"has {len(left)} lines, the ledger gives {len(right)}"


def differences(stated: Any, again: Any, where: str = "") -> Iterator[str]:
    """Each place where two JSON values differ, as its path and both values."""
    if isinstance(stated, Mapping) and isinstance(again, Mapping):
        for key in [*again, *(key for key in stated if key not in again)]:
            path = f"{where}.{key}" if where else str(key)
            if key not in stated:
                yield f"{path} is missing"
            elif key not in again:
                yield f"{path} does not come from the ledger"
            else:
                yield from differences(stated[key], again[key], path)
    elif isinstance(stated, list) and isinstance(again, list) and len(stated) == len(again):
        for place, (one, other) in enumerate(zip(stated, again, strict=True)):
            yield from differences(one, other, f"{where}[{place}]")
    elif not _same(stated, again):
        yield f"{where} is {_brief(stated)}, the ledger gives {_brief(again)}"


def _same(one: Any, other: Any) -> bool:
    numbers = (int, float)
    if (
        isinstance(one, bool)
        or isinstance(other, bool)
        or not (isinstance(one, numbers) and isinstance(other, numbers))
    ):
        return type(one) is type(other) and bool(one == other)
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else text[:59] + "…"
