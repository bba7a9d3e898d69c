"""The account of a run: outcomes, attempts, and the models as they were run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ghostbench.outcomes import Outcome
from ghostbench.report.columns import MODEL, Rows
from ghostbench.report.data import RunData
from ghostbench.report.table import Column, Table, Value

_LONGEST = 60


def outcomes(rows: Rows) -> Table:
    """How each clip ended for each model."""
    counts = {name: row["outcomes"] for name, row in rows.items()}
    return _by_outcome(counts, "outcomes", "Outcomes", "How each clip ended for each model.")


def attempt_outcomes(rows: Rows) -> Table:
    """How each single attempt ended."""
    named = {name: row["attempt_outcomes"] for name, row in rows.items() if "attempt_outcomes" in row}
    note = "How each single attempt ended, those that were followed by a retry or a fallback included."
    return _by_outcome(named, "attempt_outcomes", "Outcomes of attempts", note)


def _by_outcome(counts: Mapping[str, Mapping[str, int]], key: str, title: str, note: str) -> Table:
    seen = {outcome for row in counts.values() for outcome in row}
    ordered = [str(outcome) for outcome in Outcome if str(outcome) in seen]
    columns = (MODEL, *(Column(outcome, outcome.replace("_", " "), "count") for outcome in ordered))
    lines: tuple[tuple[Value, ...], ...] = tuple(
        (model, *(row.get(outcome, 0) for outcome in ordered)) for model, row in counts.items()
    )
    return Table(key, title, columns, lines, note)


def ledger(run: RunData) -> Table:
    """Attempts, retries and the steps to each fallback level, and who served them."""
    named = {name: row for name, row in run.rows.items() if row["attempts"] is not None}
    entries = run.manifest.models
    cached = any(row.get("from_cache") for row in named.values())
    levels = sorted({int(level) for row in named.values() for level in row["fallbacks"] or ()})
    columns = (
        MODEL,
        Column("rows", "Clips × repeats", "count"),
        Column("attempts", "Attempts", "count"),
        Column("retries", "Retries", "count"),
        *((Column("from_cache", "From the cache", "count"),) if cached else ()),
        *(Column(f"fallback_{level}", f"To level {level}", "count") for level in levels),
        Column("ladder", "Ladder"),
        Column("asked_model", "Asked for"),
        Column("served_models", "Served by"),
    )
    lines = tuple(
        (
            name,
            row["rows"],
            row["attempts"],
            row["retries"],
            *((row.get("from_cache", 0),) if cached else ()),
            *((row["fallbacks"] or {}).get(str(level), 0) for level in levels),
            ", ".join(f"{n} {level}" for n, level in enumerate(entries[name].ladder, 1)) if name in entries else "",
            row["asked_model"] or "",
            ", ".join(row["served_models"]),
        )
        for name, row in named.items()
    )
    note = (
        "Every attempt is a clip's first, a retry (same settings) or a step to a fallback level of the same model. A "
        "clip that begins at a level, since a server refused all before it for several clips, counts as a step to it. "
        "Ladder: the fallback levels that the model declares. Served by: the names that the server returned. Baselines "
        "that the run did not name have no attempts."
    )
    if cached:
        note += (
            " From the cache: answers of earlier runs to the same requests. They are among the attempts, cost nothing "
            "and are in no time, batch or throughput."
        )
    return Table("attempts", "Attempts, retries and fallbacks", columns, lines, note)


def compared(rows: Rows) -> Table:
    """How far each approximation is from the model that it is one of."""
    columns = (
        MODEL,
        Column("against", "Against"),
        Column("answers", "Answers of both", "count"),
        Column("changed_grades", "Another grade", "count"),
        Column("changed_share", "Share", "rate"),
        Column("largest_change", "Largest change of a score", "number"),
    )
    lines = tuple(
        (
            name,
            found["against"],
            found["answers"],
            found["changed_grades"] if found["answers"] else None,
            found["changed_share"],
            found["largest_change"],
        )
        for name, row in rows.items()
        if (found := row.get("compared")) is not None
    )
    note = (
        "Measured on those answers of this run that both models gave, to the very same requests. Another grade: the "
        "one that either holds the most likely is not the same. Largest change: of the probability of any grade in any "
        "of these answers. n/a: not measured. The time of these attempts is in no latency: in it both were asked; it "
        "is in Clips/s, which says less of this model's own speed then."
    )
    return Table("compared", "Approximations beside the models that they are of", columns, lines, note)


def models(run: RunData) -> Table:
    """Each model of the run under its settings, with what it said of itself when it was loaded."""
    columns = (
        MODEL,
        Column("spec", "Registered as"),
        Column("kind", "Kind"),
        Column("settings", "Settings"),
        Column("facts", "Facts"),
    )
    lines = tuple(
        (name, entry.spec, entry.kind, _pairs(entry.settings), _pairs(entry.facts))
        for name, entry in run.manifest.models.items()
    )
    return Table(
        "models", "Models as they were run", columns, lines, "Facts: what the model reported when it was loaded."
    )


def _pairs(values: Mapping[str, Any]) -> str:
    """Short values as text; the manifest has all of them."""
    shown = (f"{key} {value}" for key, value in values.items() if isinstance(value, (str, int, float, bool)))
    text = ", ".join(words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…" for words in shown)
    return text if len(text) <= 6 * _LONGEST else f"{text[: 6 * _LONGEST]}…"
