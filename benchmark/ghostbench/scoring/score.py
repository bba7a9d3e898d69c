"""Score a finished run: everything in metrics.json, from the ledger alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ghostbench.folder.manifest import ModelEntry
from ghostbench.folder.metrics_file import write_metrics
from ghostbench.folder.run_records import RunRecords, read_run_records
from ghostbench.scoring import account, counts
from ghostbench.scoring import compared as comparison
from ghostbench.scoring.actors import alarms_by_actor
from ghostbench.scoring.agreement import agreement
from ghostbench.scoring.changes import Said, add_changes
from ghostbench.scoring.draws import DRAWS, LEVEL, PRIORS, SEED
from ghostbench.scoring.early_warning import early_warning
from ghostbench.scoring.event_time import constant_times, event_coverage, event_time, sampled
from ghostbench.scoring.intervals import Z
from ghostbench.scoring.label_doubt import score_doubt
from ghostbench.scoring.metrics import Metrics, StoppedRow, TableRow
from ghostbench.scoring.prevalence import precision_at
from ghostbench.scoring.probabilities import score_probabilities
from ghostbench.scoring.references import trivial_rows
from ghostbench.scoring.slices import doubted_clips, score_slices, slice_ways
from ghostbench.scoring.task_numbers import task_numbers
from ghostbench.scoring.timed_alarms import CATEGORY_TIME, timed_rows
from ghostbench.scoring.trivial import against_trivial
from ghostbench.scoring.twins import Twins
from ghostbench.scoring.views import Bools, alarms, score_views
from ghostbench.scoring.warm_up import stated_warm_up, warm_up_attempts
from ghostbench.scoring.watched import asks_at_moments
from ghostbench.scoring.wordings import score_wordings

SCHEMA_VERSION = 8
"""Raised whenever the same ledger gives other numbers or names than before: scores of two versions are not compared."""


def score_run(folder: Path) -> Metrics:
    """Write metrics.json of a finished run and return it.

    Raises `BadInput` for a folder that is no run, is unfinished, or holds a line that does not fit.
    """
    metrics: Metrics = write_metrics(folder, compute_metrics(read_run_records(folder)))
    return metrics


def compute_metrics(run: RunRecords) -> Metrics:
    """The content of metrics.json: counts, unrounded rates with 95% intervals, null where a denominator is zero."""
    scorer = _Scorer(run)
    entries = run.manifest.models
    own = _by_model(run.predictions)
    scorer.trivial = trivial_rows(run)
    extra = {
        name: rows
        for name, rows in scorer.trivial.items()
        if name not in own or name not in entries or entries[name].spec != name
    }
    extra |= timed_rows(run, scorer.trivial["category-prior"])
    places = run.attempts.groupby("model", sort=False).indices
    models = {
        name: scorer.row(own[name], run.attempts.iloc[places.get(name, [])], entries.get(name, ModelEntry()))
        for name in run.names
    }
    reference = {
        name: scorer.row(rows, None, ModelEntry(kind="reference", reference=True, mark=_mark(name)))
        for name, rows in extra.items()
    }
    metrics: Metrics = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.manifest.run_id,
        "dataset": run.manifest.dataset.name,
        "split": run.manifest.dataset.split,
        "task": run.manifest.task.name,
        "n": len(run.clips),
        "repeats": scorer.repeats,
        "intervals": {"level": LEVEL, "z": Z, "draws": DRAWS, "seed": SEED, "priors": list(PRIORS)},
        "event_coverage": event_coverage(run.clips),
        "slices_left_out": list(scorer.ways.left_out),
        "models": models,
        "reference": reference,
    }
    if not asks_at_moments(run.clips, scorer.moments_per_s):  # else yes and no of whole clips is no measure
        said = {name: scorer.said(own[name], entries.get(name, ModelEntry())) for name in run.names}
        add_changes(models, said, scorer.positive)
        wordings = score_wordings(models, said, scorer.positive, list(run.manifest.task.variants))
        if wordings is not None:
            metrics["wordings"] = wordings
    return metrics


class _Scorer:
    """What all rows of a run share."""

    def __init__(self, run: RunRecords) -> None:
        self.clips = run.clips
        self.task = run.manifest.task.name
        self.rule = run.manifest.task.sustained
        self.moments_per_s = run.manifest.task.moments_per_s
        self.positive: Bools = np.asarray(run.clips["truth"] == "ghost_probing")
        self.duration = run.clips["duration_s"].astype("float64")
        self.sampled = sampled(run.clips)
        self.constant = constant_times(run.clips)
        self.ways = slice_ways(run.clips)
        self.doubted = doubted_clips(run.clips)
        self.repeats = int(run.predictions["repeat"].max()) + 1
        self.trivial: dict[str, pd.DataFrame] = {}
        self.twins = Twins.among(run.clips)

    def said(self, rows: pd.DataFrame, entry: ModelEntry) -> Said:
        """What a row says, and which of it is its own."""
        return Said(rows, counts.own_answers(rows, substitute=entry.substitute))

    def row(self, rows: pd.DataFrame, attempts: pd.DataFrame | None, entry: ModelEntry) -> TableRow:
        """One row of the tables; `attempts` is None for a baseline that the run did not name."""
        answered = counts.own_answers(rows, substitute=entry.substitute)
        table = counts.confusion(rows, answered)
        at = rows["at"].to_numpy()
        seconds = self.duration.iloc[at]
        found: TableRow = {
            "kind": entry.kind,
            "reference": entry.reference,
            "baseline": entry.baseline,
            "mark": entry.remark,
            "of": entry.of,
            "probe": entry.probe,
            "variant": entry.variant,
            "n": len(self.positive),
            "rows": len(rows),
            "answered": int(answered.sum()),
            "coverage": float(answered.mean()),
            "outcomes": counts.outcomes(rows),
            "attempts": None,
            "retries": None,
            "fallbacks": None,
            "served_models": [],
            "asked_model": entry.asked_model,
            "stopped": _stopped(entry),
            "confusion": table,
            "detection_rates": counts.detection_rates(table),
            "false_alarms_per_hour": counts.false_alarms_per_hour(
                rows, answered, alarms(rows["grade"], "strict"), seconds
            ),
            "false_alarms_per_hour_lenient": counts.false_alarms_per_hour(
                rows, answered, alarms(rows["grade"], "lenient"), seconds
            ),
            "prevalence": float(self.positive.mean()),
            "views": score_views(rows, answered, self.positive),
            "beats_trivial": None if entry.baseline else against_trivial(rows, answered, self.trivial, self.positive),
            "precision_at": precision_at(rows, answered, self.positive),
            "agreement": agreement(rows, answered, self.repeats),
            "scores": score_probabilities(rows, answered),
            "event_time": event_time(rows, answered, self.sampled, self.constant),
            "label_doubt": score_doubt(rows, answered, self.positive, self.doubted),
            "early_warning": early_warning(rows, self.clips, self.rule, self.moments_per_s),
            "task": task_numbers(self.task, rows, self.clips),
            "slices": score_slices(rows, answered, self.positive, self.ways.parts),
        }
        if entry.sees_video:
            found["sees_video"] = True
        if self.twins is not None:
            found["twins"] = self.twins.score(rows, answered)
        if attempts is not None:
            _add_account(found, rows, answered, attempts, entry)
        return found


def _add_account(
    found: TableRow, rows: pd.DataFrame, answered: Bools, attempts: pd.DataFrame, entry: ModelEntry
) -> None:
    """What only a ledger tells: how often was tried, what it took and who answered."""
    tried = counts.attempt_counts(attempts)
    found["attempts"], found["retries"], found["fallbacks"] = (
        tried["attempts"],
        tried["retries"],
        tried["fallbacks"],
    )
    found["attempt_outcomes"] = tried["attempt_outcomes"]
    found["served_models"] = sorted({name for name in attempts["served_model"] if isinstance(name, str)})
    found["latency"] = account.latency(attempts)
    found["batch_size"] = account.batch_size(attempts)
    cached = account.from_cache(attempts)
    clips_cached = len(attempts.loc[cached, ["clip", "repeat"]].drop_duplicates())
    if clips_cached:
        found["from_cache"] = int(cached.sum())
    found["throughput_clips_per_s"] = account.throughput(attempts, found["answered"] - clips_cached)
    if (several := account.workers(attempts)) is not None:
        found["workers"] = several
    found["memory"] = account.memory(attempts)
    found["usage"] = account.usage(attempts)
    found["load_s"] = entry.load_s
    found["warm_up_s"] = stated_warm_up(entry.facts)
    found["warm_up_attempts"] = warm_up_attempts(attempts)
    if (against := comparison.stated(entry.facts)) is not None:
        found["compared"] = comparison.compared(attempts, against)
    found["actors"] = alarms_by_actor(rows, answered)


def _by_model(lines: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(name): part for name, part in lines.groupby("model", sort=False)}


def _stopped(entry: ModelEntry) -> StoppedRow | None:
    stopped = entry.stopped
    return None if stopped is None else {"outcome": str(stopped.outcome), "message": stopped.message}


def _mark(name: str) -> str | None:
    from ghostbench.plugins.registry import registry

    spec = registry().models.get("category-prior" if name == CATEGORY_TIME else name)
    return spec.remark if spec is not None else None
