"""Tables of tasks that ask at moments: warnings, false alarms and leads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from ghostbench.report.columns import MODEL, Rows, line
from ghostbench.report.marks import marks
from ghostbench.report.table import Column, Table
from ghostbench.scoring.metrics import TableRow
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.timed_alarms import CONSTANT_TIME
from ghostbench.scoring.warning_metrics import ByChance, EarlyWarning, Warnings
from ghostbench.tasks.sustain import AT_ONCE

_RATES = (
    Column("warned", "Warned", "rate"),
    Column("early", "Too early", "rate"),
    Column("false_alarms_per_clip", "False alarms per safe clip", "rate"),
    Column("false_alarms_per_hour", "False alarms per hour", "number"),
    Column("lead_median_s", "Lead, median", "seconds"),
    Column("lead_mean_s", "Lead, mean", "seconds"),
)


BRIEF: tuple[tuple[str, Literal["warned", "false_alarms_per_clip", "ap_mean"]], ...] = (
    ("Warned", "warned"),
    ("False al. a clip", "false_alarms_per_clip"),
    ("AP, mean", "ap_mean"),
)
"""What a terminal has room for: a title, and the field of `early_warning`."""
BRIEF_NOTE = (
    "With 95% intervals, but for false alarms at a threshold chosen by them. Warned: of the clips with a window, those "
    "whose first alarm lies within it; an earlier one is a false alarm. AP: Nexar's, from 0.5 to 1.5 s before the "
    "event. Leads and thresholds: --table early_warning"
)


_NO_WINDOW = (
    "No clip has a window that counts, so that nobody can warn: the labels state none, or no moment lies in it, or "
    "none before it"
)


CHANCE = "random, as often as {}"
"""The row of alarms by chance at the rate of a model."""
_TITLES = {"beats": "more than chance", "undecided": "not shown", "does_not_beat": "no more than chance"}


def at_moments(rows: Rows) -> bool:
    """Whether the run's task asks at moments: a yes at any time of a clip is then no warning, and no rate of it is
    shown as if it were."""
    return any(row["early_warning"] is not None for row in rows.values())


def brief_note(rows: Rows) -> str:
    """What stands below the short table; why there is nothing to warn of, where that is so."""
    none = not any(found["clips_with_window"] for _, row in shown(rows) if (found := row["early_warning"]) is not None)
    return f"{BRIEF_NOTE}. {_NO_WINDOW}" if none else BRIEF_NOTE


def number_columns() -> tuple[Column, ...]:
    """The columns of `numbers_line`."""
    return (
        Column("by", "Alarm by"),
        Column("threshold", "Threshold", "number"),
        Column("clips_with_window", "Clips with a window", "count"),
        Column("safe_clips", "Safe clips", "count"),
        *_RATES,
        Column("ap_mean", "AP, mean", "rate"),
    )


def numbers_line(found: EarlyWarning) -> dict[str, Any]:
    """What `early_warning` holds, as the values of a line."""
    return {**found, **_flat(found)}


def shown(rows: Rows) -> Iterator[tuple[str, TableRow]]:
    """The rows of tables of warnings. A yardstick that draws once a clip is left out unless the run named it: it alarms
    from the first moment or never, and stands for no alarms by chance at moments."""
    for name, row in rows.items():
        if row["early_warning"] is not None and not (name == "random" and row["attempts"] is None):
            yield name, row


def summary(rows: Rows, claim: str) -> Table:
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
        line(columns, {"model": name, **row, **found, **_flat(found), "marks": "; ".join(map(str, marks(row)))})
        for name, row in shown(rows)
        if (found := row["early_warning"]) is not None
    ]
    return Table("summary", "Summary", columns, tuple(lines), f"{claim} {BRIEF_NOTE}.")


def early_warning(rows: Rows) -> Table:
    """One line a model, and beneath it one of alarms by chance as often; none for a task that looks at whole clips."""
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
        Column("named", "Names who or what", "rate"),
        Column("named_actor", "Names the road user", "rate"),
        Column("named_occluder", "Names the occluder", "rate"),
        Column("mtta_s", "mTTA (legacy)", "seconds"),
        Column("tta_r80_s", "TTA@R80 (legacy)", "seconds"),
    )
    lines = []
    for name, row in shown(rows):
        found = row["early_warning"]
        assert found is not None
        values: dict[str, Any] = {f"ap_{before}": value for before, value in found["ap_at"].items()}
        values |= {"mtta_s": _value(found["legacy"]["mtta_s"]), "tta_r80_s": _value(found["legacy"]["tta_r80_s"])}
        lines.append(line(columns, {"model": name, **found, **values, **_flat(found)}))
        if (chance := found["random"]) is not None and not row["baseline"]:
            nothing = dict.fromkeys((column.key for column in columns), None)
            said = {"by": "chance", "clips_with_window": found["clips_with_window"], "safe_clips": found["safe_clips"]}
            lines.append(line(columns, {**nothing, **chance, **_flat(chance), "model": CHANCE.format(name), **said}))
    rules = {row["early_warning"]["rule"] for _, row in shown(rows) if row["early_warning"] is not None}
    note = (
        f"{_rule(rules)}"
        "A first alarm between the moment from which the road user can be seen (else from which there is danger) and "
        "the event is a warning; an earlier one is a false alarm. Lead: seconds from it to the event, 0 without a "
        "warning, no more than a person who saw the danger begin has. By score: the threshold is chosen so that at "
        "most 10% of safe clips have an alarm, and that share of those very clips has no interval; by grade: at the "
        "model’s own rate. A clip with a missing answer, or whose media failed, counts as wrong. Clips whose window is "
        "open when an alarm can first hold, or has no moment in it, are left out. Names: of first warnings by grade, "
        "those that name what is labelled. constant-time alarms from the moment on that lies in most windows of the "
        "other clips; category-time only where most other clips of the category have the event. Legacy, for comparison "
        "with papers: a constant alarm gets the most; clips with a missing answer are left out of it, as those papers "
        "have none."
    )
    return Table("early_warning", "Early warning", columns, tuple(lines), note)


def beyond_chance(rows: Rows) -> Table:
    """One line a model: what its warnings come to beyond those of alarms by chance at its own rate of false alarms."""
    columns = (
        MODEL,
        Column("alarms_per_moment", "Chance of an alarm a moment", "share"),
        Column("warned", "Warned", "rate"),
        Column("chance_warned", "Warned by chance", "rate"),
        Column("more_warned", "Warned beyond chance", "rate"),
        Column("lead", "Lead, mean", "seconds"),
        Column("chance_lead", "Lead by chance", "seconds"),
        Column("more_lead", "Lead beyond chance", "seconds"),
        Column("verdict", "Shown to warn"),
    )
    lines = []
    for name, row in shown(rows):
        found = row["early_warning"]
        if found is None or row["baseline"] or found["random"] is None:
            continue
        chance = found["random"]
        values = {
            "alarms_per_moment": chance["alarms_per_moment"],
            "warned": found["warned"],
            "chance_warned": chance["warned"],
            "more_warned": chance["more_warned"],
            "lead": _value(found["lead_s"]["mean"]),
            "chance_lead": _value(chance["lead_s"]["mean"]),
            "more_lead": _value(chance["more_lead_s"]),
            "verdict": _TITLES[chance["verdict"]],
        }
        lines.append(line(columns, {"model": name, **values}))
    note = (
        "Alarms by chance come at every moment with the same probability, chosen so that as large a share of safe "
        "clips has one as with the model; what they come to is computed, not drawn. The interval holds for every rate "
        "of false alarms in the interval of the model’s own, which by score is one of the chosen threshold: it does "
        "not know that the threshold was chosen on the same safe clips."
    )
    return Table("beyond_chance", "Warnings beyond chance", columns, tuple(lines), note)


def by_visible_time(rows: Rows) -> Table:
    """What each model makes of the time for which the road user can be seen; none where no labels say it."""
    columns = (
        MODEL,
        Column("visible", "Visible before contact"),
        Column("clips", "Clips", "count"),
        Column("warned", "Warned", "rate"),
        Column("lead", "Lead, mean", "seconds"),
    )
    lines = []
    for name, row in shown(rows):
        found = row["early_warning"]
        if found is None or (row["baseline"] and name != CONSTANT_TIME):
            continue
        for level in found["by_visible_s"]:
            low, high = f"{level['from_s']:.2f}", f"{level['to_s']:.2f}"
            values = {"visible": f"{low} s" if low == high else f"{low}–{high} s", "lead": _value(level["lead_s"])}
            lines.append(line(columns, {"model": name, **level, **values}))
    note = (
        "By the time from first sight (first_visible_s) to contact (contact_s), where labels say both. Here a lead is "
        "all the time from the warning to the contact, whatever a person has, and 0 without a warning: at most the "
        "visible time, less what lies between two moments."
    )
    return Table("lead_by_visible_time", "Lead by visible time", columns, tuple(lines), note)


def sustained(rows: Rows) -> Table:
    """What it changes to ask for an alarm at several moments."""
    columns = (MODEL, Column("rule", "Moments that must alarm"), Column("threshold", "Threshold", "number"), *_RATES)
    lines = [
        line(columns, {"model": name, "rule": rule, **held, **_flat(held)})
        for name, row in shown(rows)
        if row["early_warning"] is not None
        for rule, held in row["early_warning"]["sustain"].items()
    ]
    note = (
        "An alarm holds at the first moment at which so many of the last moments alarm. By score, each rule has the "
        "threshold that its own false alarms leave. The run’s rule, the first, was set before it was asked: --sustain."
    )
    return Table("sustained_alarms", "Alarms that last", columns, tuple(lines), note)


def _rule(rules: set[str]) -> str:
    """A sentence on the rule where an alarm must last."""
    asked = ", ".join(sorted(rules - {str(AT_ONCE)}))
    return f"An alarm holds where {asked.replace('/', ' of the last ')} moments alarm. " if asked else ""


def _flat(found: Warnings | ByChance) -> dict[str, float | None]:
    return {
        "false_alarms_per_hour": _value(found["false_alarms_per_hour"]),
        "lead_median_s": _value(found["lead_s"]["median"]),
        "lead_mean_s": _value(found["lead_s"]["mean"]),
    }


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else float(estimate["value"])
