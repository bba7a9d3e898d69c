"""Tables of tasks that ask at moments: warnings, false alarms and leads."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench.report.columns import MODEL, Rows, line
from ghostbench.report.table import Column, Table
from ghostbench.scoring.metrics import Row

_RATES = (
    Column("warned", "Warned", "rate"),
    Column("false_alarms_per_clip", "False alarms per safe clip", "rate"),
    Column("false_alarms_per_hour", "False alarms per hour", "number"),
    Column("lead_median_s", "Lead, median", "seconds"),
    Column("lead_mean_s", "Lead, mean", "seconds"),
)


BRIEF = (
    ("Warned", "warned"),
    ("False al. a clip", "false_alarms_per_clip"),
    ("AP, mean", "ap_mean"),
)
"""What a terminal has room for: a title, and the field of `early_warning`."""
BRIEF_NOTE = (
    "With 95% intervals. Warned: of the clips with a window, those whose first alarm lies within it; an earlier one is "
    "a false alarm. AP: Nexar's, from 0.5 to 1.5 s before the event. Leads and thresholds: --table early_warning"
)


def at_moments(rows: Rows) -> bool:
    """Whether the run's task asks at moments: a yes at any time of a clip is then no warning, and no rate of it is
    shown as if it were."""
    return any(row["early_warning"] is not None for row in rows.values())


def summary(rows: Rows, claim: str, marks: Callable[[Row], list[str]]) -> Table:
    """One line a model: coverage, warnings, false alarms and leads, and what to beware of."""
    columns = (
        MODEL,
        Column("n", "n", "count"),
        Column("answered", "Answered", "count"),
        Column("coverage", "Coverage", "share"),
        *_RATES,
        Column("ap_mean", "AP, mean", "rate"),
        Column("marks", "Marks"),
    )
    lines = [
        line(columns, {"model": name, **row, **found, **_flat(found), "marks": "; ".join(marks(row))})
        for name, row in rows.items()
        if (found := row["early_warning"]) is not None
    ]
    return Table("summary", "Summary", columns, tuple(lines), f"{claim} {BRIEF_NOTE}.")


def early_warning(rows: Rows) -> Table:
    """One line a model; none for a task that looks at whole clips."""
    columns = (
        MODEL,
        Column("by", "Alarm by"),
        Column("threshold", "Threshold", "number"),
        Column("clips_with_window", "Clips with a window", "count"),
        Column("safe_clips", "Safe clips", "count"),
        *_RATES,
        Column("ap_500", "AP 500 ms before", "rate"),
        Column("ap_1000", "AP 1000 ms before", "rate"),
        Column("ap_1500", "AP 1500 ms before", "rate"),
        Column("ap_mean", "AP, mean", "rate"),
        Column("named", "Names the road user", "rate"),
        Column("mtta_s", "mTTA (legacy)", "seconds"),
        Column("tta_r80_s", "TTA@R80 (legacy)", "seconds"),
    )
    lines = []
    for name, row in rows.items():
        if (found := row["early_warning"]) is not None:
            values = {f"ap_{before}": value for before, value in found["ap_at"].items()}
            values |= {key: _value(value) for key, value in found["legacy"].items()}
            lines.append(line(columns, {"model": name, **found, **values, **_flat(found)}))
    note = (
        "A first alarm between the moment from which the road user can be seen (else from which there is danger) and "
        "the event is a warning; an earlier one is a false alarm. Lead: seconds from it to the event, 0 without a "
        "warning, no more than a person who saw the danger begin has. By score: the threshold is chosen so that at "
        "most 10% of safe clips have an alarm; by grade: at the model’s own rate. Clips whose window is open at their "
        "first moment are left out. Legacy, for comparison with papers: a constant alarm gets the most."
    )
    return Table("early_warning", "Early warning", columns, tuple(lines), note)


def sustained(rows: Rows) -> Table:
    """What it changes to ask for an alarm at several moments."""
    columns = (MODEL, Column("rule", "Moments that must alarm"), *_RATES)
    lines = [
        line(columns, {"model": name, "rule": rule, **held, **_flat(held)})
        for name, row in rows.items()
        if row["early_warning"] is not None
        for rule, held in row["early_warning"]["sustain"].items()
    ]
    note = "An alarm holds at the first moment at which so many of the last moments alarm."
    return Table("sustained_alarms", "Alarms that last", columns, tuple(lines), note)


def _flat(found: object) -> dict[str, float | None]:
    assert isinstance(found, dict)
    return {
        "false_alarms_per_hour": _value(found["false_alarms_per_hour"]),
        "lead_median_s": _value(found["lead_s"]["median"]),
        "lead_mean_s": _value(found["lead_s"]["mean"]),
    }


def _value(estimate: object) -> float | None:
    return float(estimate["value"]) if isinstance(estimate, dict) else None
