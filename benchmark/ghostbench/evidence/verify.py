"""Recompute a run from its ledger and labels, and name everything that is not what they give."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ghostbench.datasets.granted import NOTHING, Granted
from ghostbench.errors import BadInput
from ghostbench.evidence import ledger_checks as ledger
from ghostbench.evidence.differences import Finding
from ghostbench.evidence.example_checks import check_examples, shows_examples
from ghostbench.evidence.prompt_checks import check_words
from ghostbench.evidence.report_checks import check_metrics, check_reports, check_sums, scored_before, unchecked
from ghostbench.evidence.sent_checks import check_sent
from ghostbench.evidence.video_checks import check_videos, speaks_of_videos
from ghostbench.folder.manifest import Manifest, OtherFormat, read_manifest, require_complete
from ghostbench.folder.names import MANIFEST, METRICS, PAGE, REPORT, SENT
from ghostbench.folder.run_records import read_run_records
from ghostbench.folder.seal import check_seal
from ghostbench.scoring.compared import stated
from ghostbench.scoring.score import compute_metrics
from ghostbench.writing import check_plain


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `bench verify` found. checked : what was compared, in words. notes : what could not be compared, and why."""

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    notes: tuple[str, ...]


def verify(folder: Path, granted: Granted = NOTHING) -> Verdict:
    """Check a finished run folder: seal, digests, labels, predictions, costs' account, metrics, tables, charts, pages.

    granted : the labels and media that it may be held against; nothing that the folder names is opened.

    Raises `BadInput` for a folder that is no finished run. An edited manifest or ledger that no longer reads is a
    finding.
    """
    check_plain(folder)
    manifest, findings = _manifest(folder)
    if manifest is None:
        return Verdict(tuple(findings), ("the manifest's seal",), ())
    findings += ledger.check_digests(folder, manifest)
    checked, notes = ["the manifest's seal", f"digests of {', '.join(ledger.digested(folder, manifest))}"], []
    try:
        records = read_run_records(folder)
    except BadInput as error:
        if not findings:
            raise
        findings.append(Finding("run folder", f"nothing else can be checked: {error}"))
        return Verdict(tuple(findings), tuple(checked), ())
    for check, words, at_least in (
        (partial(ledger.check_labels, granted=granted), "labels and split", "split"),
        (ledger.check_strays, "that every attempt belongs to the run", ""),
        (ledger.check_attempts, "that the attempts can have been made one after the other", ""),
        (ledger.check_frames, "frame digests", ""),
        (ledger.check_predictions, "predictions from the attempts", ""),
    ):
        found, note = check(records)
        findings += found
        notes += [note] if note else []
        # What could not be compared was not checked.
        checked += [done] if (done := at_least if note else words) else []
    if any(stated(entry.facts) is not None for entry in manifest.models.values()):
        findings += ledger.check_comparisons(records)
        checked.append("how far approximations are from their models")
    if speaks_of_videos(records):
        found, note = check_videos(records, granted)
        findings += found
        notes += [note] if note else []
        checked.append("what rows that see the video were shown")
    if shows_examples(records):
        found, note = check_examples(records, granted)
        findings += found
        notes += [note] if note else []
        checked.append("examples in the prompts" if note else "what was shown of examples")
    if (folder / SENT).is_file():
        found, unsure = check_sent(records)
        findings += found
        notes += unsure
        checked.append(f"{SENT} with the attempts")
    found, note = check_words(records)
    findings += found
    if note:
        notes.append(note)
    else:
        checked.append("the prompt's words")
    older = scored_before(folder)
    if older is not None:
        findings += [older, *check_sums(folder, {finding.file for finding in findings})]
        return Verdict(tuple(findings), (*checked, "every file's SHA-256"), (*notes, *unchecked(folder)))
    again = compute_metrics(records)
    findings += check_metrics(records, again)
    found, said = check_reports(records, again, granted)
    findings += found
    findings += list(check_sums(folder, {finding.file for finding in findings}))
    pages = f"{REPORT}, {PAGE}, every table" + ("" if said else ", chart and embedded frame")
    checked += [f"every number of {METRICS}", pages, "every file's SHA-256"]
    return Verdict(tuple(findings), tuple(checked), (*notes, *said, *unchecked(folder)))


def _manifest(folder: Path) -> tuple[Manifest | None, list[Finding]]:
    """The manifest, or None for one that was edited and no longer reads; and what is wrong with its seal."""
    path = folder / MANIFEST
    seal = check_seal(path) if path.is_file() else "none"
    edited = [Finding(MANIFEST, "was edited after the run: its seal is not that of its contents")]
    manifest = None
    try:
        manifest = read_manifest(folder)
        require_complete(folder, manifest)
    except OtherFormat:
        raise  # Another format may be sealed otherwise.
    except BadInput as error:
        # A run that was resumed and stopped has no seal, and a SHA256SUMS of before.
        unlike = manifest is None and MANIFEST in {finding.file for finding in check_sums(folder, ())}
        if seal != "broken" and not unlike:
            raise
        return None, [*edited, Finding("run folder", f"nothing else can be checked: {error}")]
    if seal == "none":
        return manifest, [Finding(MANIFEST, "has no seal: edits to it cannot be noticed")]
    return manifest, edited if seal == "broken" else []
