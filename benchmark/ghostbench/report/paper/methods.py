"""The methods of a run in sentences, for LaTeX: every setting and version that its manifest holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ghostbench.folder.manifest import ModelEntry
from ghostbench.models import SEES_VIDEO
from ghostbench.report.data import RunData
from ghostbench.report.escape import latex, without_places
from ghostbench.report.paper.references import References
from ghostbench.report.table import NOT_AVAILABLE, shown
from ghostbench.report.warning_tables import at_moments
from ghostbench.scoring.alarm_thresholds import FALSE_ALARM_RATE
from ghostbench.scoring.early_warning import LEAD_DRAWS
from ghostbench.scoring.intervals import Z
from ghostbench.tasks.sustain import AT_ONCE

_LONG, _PIECE = 24, 8


def methods(run: RunData, cited: References) -> str:
    """One paragraph on the task, the data, the rules and the numbers, and one on each model."""
    paragraphs = [" ".join(_setting(run, cited)), *(" ".join(_model(run, name, cited)) for name in run.manifest.models)]
    return "\n\n".join(paragraphs) + "\n"


def _setting(run: RunData, cited: References) -> Iterator[str]:
    manifest, data = run.manifest, run.manifest.dataset
    source = f"~\\cite{{{cited.dataset}}}" if cited.dataset else ""
    yield _said(f"{manifest.task.name} (version {manifest.task.version}) was asked with ghostbench", end="")
    yield (
        _said(f"{manifest.versions.get('ghostbench') or 'of an unknown version'}", end="") + f"~\\cite{{{cited.tool}}}."
    )
    yield _said(run.claim, end="")
    digest = manifest.task.template_sha256
    yield _said(f"The SHA-256 of the prompt's template is {digest}") if digest else ""
    yield _said(f"The clips are the {len(run.clips)} of {data.name}", end="") + source + _said(f", split {data.split}")
    truths = run.clips["truth"].value_counts()
    yield _said("Labels: " + _listed(f"{count} {str(name).replace('_', ' ')}" for name, count in truths.items()))
    yield _said(f"The SHA-256 of the label file is {data.labels_sha256}, that of the split {data.split_sha256}")
    if data.filters:
        yield _said(f"Clips were chosen by: {'; '.join(data.filters)}")
    if data.skipped_labels:
        yield _said(f"Label rows left out: {'; '.join(data.skipped_labels)}")
    for place, file in zip(data.annotations, data.annotated, strict=False):
        yield _said(f"Annotations: {place} ({file.form}, SHA-256 {file.sha256}), rows for {file.matched} clips")
    decoders = sorted({each for each in run.clips["decoder"] if isinstance(each, str)})
    decoded = f", decoded by {_listed(decoders)}" if decoders else ""
    yield _said(f"Frames were sampled by {manifest.sampling or 'no rule'}{decoded}, once for all models")
    coverage = run.metrics["event_coverage"]
    yield _said(
        f"A sampled frame lies within a second of the event in {coverage['covered']} of {coverage['with_frames']} "
        "positives with a stated time and frames"
    )
    if manifest.task.moments_per_s is not None:
        yield _said(f"Moments were asked {manifest.task.moments_per_s:g} times a second")
    times = "once" if manifest.repeats == 1 else f"{manifest.repeats} times"
    most = f" and at most {manifest.max_attempts} attempts" if manifest.max_attempts is not None else ""
    yield _said(f"Each clip was asked {times}, with seed {manifest.seed}{most}")
    if manifest.max_cost is not None:
        yield _said(f"At most {shown(manifest.max_cost, 'usd')} could be spent")
    if manifest.task.variants:
        yield _said(f"Wordings: main, {', '.join(manifest.task.variants)}")
    if manifest.dataset.left_out:
        yield _said(f"Not scored: {', '.join(f'{clip} ({why})' for clip, why in manifest.dataset.left_out.items())}")
    if manifest.probes:
        yield _said(f"Probes: {', '.join(manifest.probes)}")
    yield from _rules(run, cited)
    given = {name: value for name, value in (manifest.options or {}).items() if value not in (None, [], "")}
    if given:
        yield _said(f"All options: {_pairs(given)}")
    for resumed in manifest.resumed:
        yield _said(f"On {resumed.at} the run was gone on with under other options: {_pairs(resumed.changed)}")
    began, ended = manifest.started_at or "at an unknown time", manifest.finished_at or "at an unknown time"
    yield _said(f"The run began {began} and ended {ended}")
    yield _said(f"Hardware: {_pairs(manifest.hardware.model_dump(exclude_none=True))}")
    versions = (f"{name} {version}" for name, version in manifest.versions.items() if version)
    git = manifest.git
    tree = f"; revision {git.revision}{', with uncommitted changes' if git.dirty else ''}" if git else ""
    yield _said(f"Versions: {_listed(versions)}{tree}")


def _rules(run: RunData, cited: References) -> Iterator[str]:
    """What is counted, over which clips, and what the intervals are: of warnings, or of answers on whole clips."""
    interval = _said(f"Intervals are of 95% (z = {Z:.6f}): Wilson’s", end="") + f"~\\cite{{{cited.wilson}}}"
    if at_moments(run.rows):
        rule = run.manifest.task.sustained
        holds = "at once" if rule == AT_ONCE else f"where {rule.k} of the last {rule.n} moments alarm"
        yield _said(f"An alarm holds {holds} (sustain {rule}), a rule that was set before any answer was seen")
        yield _said(
            "A first alarm in a clip’s window, from first sight or else the beginning of the danger to the contact or "
            "else the labelled event, is a warning; an earlier one is a false alarm"
        )
        yield _said(
            "Warned and leads are over all clips whose window is known and not open when an alarm can first hold, "
            "false alarms over all safe clips, and average precision (AP) over all that are long enough, "
            "answered or not: a clip with failed media or a moment without an answer is a miss with "
            "a lead of 0, a false alarm, and in AP the lowest score of a clip with an event or the highest "
            "of a safe one"
        )
        yield _said(
            f"By score, a model alarms from the lowest score on with which at most {FALSE_ALARM_RATE:.0%} of safe "
            "clips have an alarm; by grade, at its own rate"
        )
        yield interval + _said(
            " on the effective number of clips for warned and false alarms, and of positives for AP (the mean AP has "
            f"the mean of its parts’ limits); percentiles of {LEAD_DRAWS} redrawn sets of clips for leads; "
            "false alarms have no interval where the threshold was chosen on the very clips"
        )
    else:
        yield _said("In the worst case a clip without an answer is wrong; other rates are over answered clips")
        yield interval + _said(" for shares, made of Wilson’s for F1 and balanced accuracy, drawn for MCC")
    if any(row.get("twins") for row in run.rows.values()):
        yield _said(
            "Of twins, a pair is a clip and its counterpart of another truth; right on both and flips are over pairs "
            "of which both clips are answered, and in the worst case a pair without an answer is wrong; intervals are "
            "Wilson’s, clustered by scene"
        )
        yield r"$d'$ " + _said(
            "and criterion are over answered clips of pairs, with half an alarm and one answer added to each side "
            "(Hautus, 1995), and intervals by the variance of Gourevitch and Galanter (1967), clustered by scene; "
            "alarms on either side are held against each other by McNemar’s exact test"
        )


def _kind(entry: ModelEntry) -> str:
    if entry.baseline:
        return "a baseline"
    if entry.probe:
        return f"a probe ({entry.probe}) of {entry.of}"
    if entry.variant:
        return f"{entry.of} in the wording {entry.variant}"
    kind = f"a substitute for {entry.of}" if entry.of else f"a {entry.kind} model"
    return f"{kind} that {SEES_VIDEO}: its rates are not compared with the others’" if entry.sees_video else kind


def _model(run: RunData, name: str, cited: References) -> Iterator[str]:
    entry, row = run.manifest.models[name], run.rows[name]
    key = cited.models.get(name)
    kind = _kind(entry)
    argument = f":{entry.argument}" if entry.argument and entry.argument != entry.spec else ""
    registered = f", registered as {entry.spec}{argument}" if entry.spec else ""
    yield _said(name, end="") + (f"~\\cite{{{key}}}" if key else "") + _said(f" is {kind}{registered}")
    yield _said(_about(entry))
    fallbacks = None if row["fallbacks"] is None else sum(row["fallbacks"].values())
    if row["served_models"]:
        yield _said(f"The server named {_listed(row['served_models'])}")
    yield _said(
        f"It answered {row['answered']} of {row['rows']} times in {_count(row['attempts'])} attempts, "
        f"{_count(row['retries'])} of them retries, {_count(fallbacks)} at fallback levels"
    )
    if (warned := row["early_warning"]) is not None:
        from_on = f", from {shown(warned['threshold'], 'number')} on" if warned["threshold"] is not None else ""
        never = ", which no score allows" if warned["by"] == "score" and warned["threshold"] is None else ""
        yield _said(f"It alarms by {warned['by']}{from_on}{never}")
    if entry.stopped is not None:
        yield _said(f"It was stopped: {entry.stopped.outcome}, {entry.stopped.message}")


def _about(entry: ModelEntry) -> str:
    parts = [f"Settings: {_pairs(entry.settings) if entry.settings else 'none'}"]
    parts += [f"asked for as {entry.asked_model}"] if entry.asked_model else []
    parts += [f"identity: {_pairs(entry.identity)}"] if entry.identity else []
    parts += [f"ladder: {', '.join(entry.ladder)}"] if entry.ladder else []
    parts += [f"facts: {_pairs(entry.facts)}"] if entry.facts else []
    return "; ".join(parts)


def _count(value: int | None) -> str:
    return NOT_AVAILABLE if value is None else str(value)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def _pairs(values: Any) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _said(text: str, *, end: str = ".") -> str:
    """A sentence for LaTeX, without places of the machine where the run was made."""
    return " ".join(_breakable(word) for word in without_places(text).split()) + end


def _breakable(word: str) -> str:
    """A word for LaTeX, with places where a long one, a digest say, may be broken."""
    if len(word) <= _LONG:
        return latex(word)
    return r"\allowbreak{}".join(latex(word[at : at + _PIECE]) for at in range(0, len(word), _PIECE))
