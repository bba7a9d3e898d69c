"""The tables of a run, from its metrics: one list for terminal, Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

from ghostbench.folder.lines import COLUMNS
from ghostbench.records import TRUTHS
from ghostbench.report import account_tables as account
from ghostbench.report import evidence_tables as evidence
from ghostbench.report import time_tables as times
from ghostbench.report import twin_tables as twins
from ghostbench.report import warning_tables as warning
from ghostbench.report import wording_tables as wordings
from ghostbench.report.columns import COUNTS, MODEL, Rows, line, rate_columns
from ghostbench.report.data import RunData, from_stated
from ghostbench.report.marks import marks
from ghostbench.report.reasons import no_answer
from ghostbench.report.table import Column, Table, Value, shown
from ghostbench.report.titles import BASIS_NOTES, BASIS_TITLES, GRADE_TITLES, TRUTH_TITLES, VIEW_NOTES
from ghostbench.scoring.metrics import TableRow
from ghostbench.scoring.rates import RATES
from ghostbench.scoring.views import BASES, VIEWS, Basis, View

_MARKS = Column("marks", "Marks")


def stated_tables(run: RunData) -> list[Table]:
    """`run_tables` of a run whose metrics.json was read. Raises `BadInput` where that holds what no run writes."""
    return from_stated(run, _readable)


def _readable(run: RunData) -> list[Table]:
    """The tables, every value of which can be shown."""
    tables = run_tables(run)
    for table in tables:
        for row in table.rows:
            for value, column in zip(row, table.columns, strict=True):
                shown(value, column.kind)
    return tables


def run_tables(run: RunData) -> list[Table]:
    """Every table of the report, in reading order; the headline comes first."""
    rows = run.rows
    tables = [warning.summary(rows, run.claim) if warning.at_moments(rows) else headline(rows, run.claim)]
    tables += [_rates(rows, view, basis) for view in VIEWS for basis in BASES]
    tables += [
        evidence.trivial({name: row["beats_trivial"] for name, row in rows.items()}),
        _confusion(rows),
        _detection(rows),
    ]
    tables += [account.outcomes(rows), account.attempt_outcomes(rows), account.ledger(run)]
    tables += [table for table in (no_answer(run),) if table.rows]
    tables += [times.attempt_time(rows), times.start_up(rows), times.cost(rows), times.latency(rows)]
    tables += [
        table
        for table in (
            times.workers(rows),
            account.compared(rows),
            wordings.wordings(run),
            wordings.wording_order(run),
            wordings.wording_variance(run),
            wordings.wording_changes(rows),
            wordings.probes(rows),
            evidence.precision_at(rows),
            evidence.repeats(rows),
            evidence.scores(rows),
            evidence.operating_points(rows),
            warning.early_warning(rows),
            warning.beyond_chance(rows),
            warning.sustained(rows),
            warning.by_visible_time(rows),
            evidence.event_time(run),
            evidence.actors(rows),
            twins.pairs(rows),
            twins.models(run),
            twins.doses(run),
            twins.lights(run),
            evidence.slices(run),
            evidence.label_doubt(rows),
        )
        if table.rows
    ]
    left_out = run.manifest.task.left_out
    return [*(table for table in tables if table.name not in left_out), account.models(run)]


def headline(rows: Rows, claim: str) -> Table:
    """One line a model: coverage, the lenient and strict rates over answered clips, and what to beware of.

    claim : what the numbers may be taken for, in the sentence of the run's task.
    """
    columns = (
        MODEL,
        Column("n", "n", "count"),
        Column("answered", "Answered", "count"),
        Column("coverage", "Coverage", "share"),
        Column("strict_f1", "F1 strict", "rate"),
        Column("lenient_f1", "F1 lenient", "rate"),
        Column("lenient_recall", "Recall lenient", "rate"),
        Column("lenient_specificity", "Specificity lenient", "rate"),
        Column("lenient_balanced_accuracy", "Bal. accuracy lenient", "rate"),
        Column("lenient_worst_case_f1", "F1 lenient, worst case", "rate"),
        _MARKS,
    )
    lines: list[tuple[Value, ...]] = []
    for name, row in rows.items():
        strict, lenient = row["views"]["strict"], row["views"]["lenient"]
        lines.append(
            (
                name,
                row["n"],
                row["answered"],
                row["coverage"],
                strict["answered"]["f1"],
                lenient["answered"]["f1"],
                lenient["answered"]["recall"],
                lenient["answered"]["specificity"],
                lenient["answered"]["balanced_accuracy"],
                lenient["worst_case"]["f1"],
                "; ".join(map(str, marks(row))),
            )
        )
    note = (
        f"{claim} Rates over answered clips with 95% intervals, except the last. "
        f"{VIEW_NOTES['strict']} {VIEW_NOTES['lenient']}{_repeated(rows)}"
    )
    return Table("summary", "Summary", columns, tuple(lines), note)


def _repeated(rows: Rows) -> str:
    """A sentence on what is counted, where every clip was asked more than once."""
    times = {row["rows"] // row["n"] for row in rows.values() if row["n"]} - {1}
    return f" n counts clips, “answered” every one of the {max(times)} repeats of a clip." if times else ""


def _rates(rows: Rows, view: View, basis: Basis) -> Table:
    columns = (
        MODEL,
        Column("n", "n", "count"),
        Column("coverage", "Coverage", "share"),
        *COUNTS,
        *rate_columns(*RATES),
        Column("beats", "Beats best trivial"),
    )
    lines: list[tuple[Value, ...]] = []
    for name, row in rows.items():
        lines.append(line(columns, {"model": name, **row, **row["views"][view][basis], "beats": _beats(row, view)}))
    note = (
        f"{VIEW_NOTES[view]} {BASIS_NOTES[basis]} 95% intervals: Wilson’s for shares; made of Wilson’s for F1 "
        "and balanced accuracy; drawn for MCC. “Beats best trivial”: F1 against the best of always, never, random and "
        "category-prior on the clips that the model answered; see the table of trivial baselines."
    )
    return Table(f"rates_{view}_{basis}", f"Rates, {view} view, {BASIS_TITLES[basis]}", columns, tuple(lines), note)


def _beats(row: TableRow, view: View) -> str:
    if row["beats_trivial"] is None:
        return "baseline"
    bar = row["beats_trivial"][view]
    if bar["best"] is None:
        return "n/a"
    return f"{bar['verdict'].replace('_', ' ')}: {bar['best']} {shown(bar['best_f1'], 'rate')}"


def _confusion(rows: Rows) -> Table:
    columns = (MODEL, Column("truth", "Truth"), *(Column(grade, GRADE_TITLES[grade], "count") for grade in COLUMNS))
    lines: tuple[tuple[Value, ...], ...] = tuple(
        (name, TRUTH_TITLES[truth], *(row["confusion"][truth][grade] for grade in COLUMNS))
        for name, row in rows.items()
        for truth in TRUTHS
    )
    return Table(
        "confusion", "Confusion matrices", columns, lines, "Rows: what the label says. Columns: what was said."
    )


def _detection(rows: Rows) -> Table:
    columns = (
        MODEL,
        *(Column(grade, GRADE_TITLES[grade], "share") for grade in COLUMNS),
        Column("prevalence", "Prevalence", "share"),
        Column("false_alarms_per_hour", "False alarms/h strict", "number"),
        Column("false_alarms_per_hour_lenient", "False alarms/h lenient", "number"),
    )
    lines = tuple(
        (
            name,
            *(row["detection_rates"][grade] for grade in COLUMNS),
            row["prevalence"],
            row["false_alarms_per_hour"],
            row["false_alarms_per_hour_lenient"],
        )
        for name, row in rows.items()
    )
    note = (
        "The share of all clips that got each grade, whatever the truth. Prevalence: the share that are ghost "
        "probings. False alarms per hour of negative footage that the model answered for."
    )
    return Table("detection", "Detection rates", columns, lines, note)
