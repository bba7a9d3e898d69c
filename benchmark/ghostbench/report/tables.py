"""The tables of a run, from its metrics: one list for terminal, Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ghostbench.records import TRUTHS
from ghostbench.report.data import RunData
from ghostbench.report.table import Column, Table, Value
from ghostbench.scoring.account import QUANTILES
from ghostbench.scoring.run_records import COLUMNS, STAGES
from ghostbench.scoring.slices import SMALL
from ghostbench.scoring.views import BASES, VIEWS

IN_RETROSPECT = "A model sees the whole clip, aftermath included: this is recognition in retrospect, not early warning."
GRADE_TITLES = {
    "ghost_probing": "ghost probing",
    "potential_ghost_probing": "potential",
    "normal": "normal",
    "no_answer": "no answer",
}
TRUTH_TITLES = {"ghost_probing": "ghost probing", "cut_in": "cut-in", "normal": "normal"}
VIEW_NOTES = {
    "strict": "Strict: only the grade “ghost probing” is a yes.",
    "lenient": "Lenient: “potential ghost probing” is a yes too.",
}
BASIS_TITLES = {"answered": "answered clips", "worst_case": "worst case"}
BASIS_NOTES = {
    "answered": "Over the clips that the model answered.",
    "worst_case": "Over all clips; a clip without an answer counts as wrong.",
}
_MODEL = Column("model", "Model")
_MARKS = Column("marks", "Marks")
Rows = Mapping[str, Mapping[str, Any]]


def run_tables(run: RunData) -> list[Table]:
    """Every table of the report, in reading order; the headline comes first."""
    rows = run.rows
    tables = [headline(rows)]
    tables += [_rates(rows, view, basis) for view in VIEWS for basis in BASES]
    tables += [_confusion(rows), _detection(rows), _outcomes(rows), _ledger(rows), _latency(rows), _cost(rows)]
    tables += [
        table
        for table in (
            _repeats(rows),
            _scores(rows),
            _operating_points(rows),
            _event_time(run),
            _actors(rows),
            _slices(rows),
        )
        if table.rows
    ]
    return tables


def headline(rows: Rows) -> Table:
    """One line a model: coverage, the lenient and strict rates over answered clips, and what to beware of."""
    columns = (
        _MODEL,
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
                "; ".join(marks(row)),
            )
        )
    note = (
        f"{IN_RETROSPECT} Rates over answered clips with 95% intervals, except the last. "
        f"{VIEW_NOTES['strict']} {VIEW_NOTES['lenient']}"
    )
    return Table("summary", "Summary", columns, tuple(lines), note)


def marks(row: Mapping[str, Any]) -> list[str]:
    """What a reader must know of a row before its rates: what it is, and what is wrong with it. Plain text."""
    found = []
    if row["baseline"] and "baseline" not in (row["mark"] or ""):
        found.append("baseline")
    if row["mark"]:
        found.append(str(row["mark"]))
    if row["probe"]:
        found.append(f"probe {row['probe']} of {row['of']}")
    elif row["of"]:
        found.append(f"substitute for {row['of']}")
    if row["stopped"]:
        found.append(f"stopped: {row['stopped']['outcome']}")
    if not row["baseline"] and row["answered"] == 0:
        found.append("no answer at all")
    found += [f"does not beat {best} ({', '.join(views)})" for best, views in _not_beaten(row).items()]
    asked, served = row["asked_model"], row["served_models"]
    if asked and any(not same_model(asked, name) for name in served):
        found.append(f"asked for {asked}, served {', '.join(served)}")
    return found


def same_model(asked: str, served: str) -> bool:
    """Whether a server's name is the asked model or a dated snapshot of it (`gpt-4.1` and `gpt-4.1-2025-04-14`)."""
    if served == asked:
        return True
    dated = served.removeprefix(asked + "-")
    return dated != served and len(dated) >= 8 and dated.replace("-", "").isdigit()


def _not_beaten(row: Mapping[str, Any]) -> dict[str, list[str]]:
    """The views in which the row does not beat the best trivial baseline, by that baseline's name."""
    found: dict[str, list[str]] = {}
    for view, bar in (row["beats_trivial"] or {}).items():
        if bar["beats"] is False:
            found.setdefault(bar["best"], []).append(view)
    return found


def _rates(rows: Rows, view: str, basis: str) -> Table:
    columns = (
        _MODEL,
        Column("n", "n", "count"),
        Column("coverage", "Coverage", "share"),
        *(Column(cell, cell.upper(), "count") for cell in ("tp", "fp", "fn", "tn")),
        Column("precision", "Precision", "rate"),
        Column("recall", "Recall", "rate"),
        Column("specificity", "Specificity", "rate"),
        Column("fpr", "FPR", "rate"),
        Column("f1", "F1", "rate"),
        Column("accuracy", "Accuracy", "rate"),
        Column("balanced_accuracy", "Bal. accuracy", "rate"),
        Column("mcc", "MCC", "rate"),
        Column("beats", "Beats best trivial", "text"),
    )
    lines: list[tuple[Value, ...]] = []
    for name, row in rows.items():
        table = row["views"][view][basis]
        values = {"model": name, "n": row["n"], "coverage": row["coverage"], **table, "beats": _beats(row, view)}
        lines.append(tuple(values[column.key] for column in columns))
    note = (
        f"{VIEW_NOTES[view]} {BASIS_NOTES[basis]} 95% intervals: Wilson for shares, stratified bootstrap for F1, "
        "balanced accuracy and MCC (one without width means that resampling could not vary the value, not that it is "
        "certain). “Beats best trivial”: F1 against the best of always, never, random and "
        "category-prior on the clips that the model answered."
    )
    return Table(f"rates_{view}_{basis}", f"Rates, {view} view, {BASIS_TITLES[basis]}", columns, tuple(lines), note)


def _beats(row: Mapping[str, Any], view: str) -> str:
    if row["beats_trivial"] is None:
        return "baseline"
    bar = row["beats_trivial"][view]
    if bar["beats"] is None:
        return "n/a"
    return f"{'yes' if bar['beats'] else 'NO'}: {bar['best']} {bar['best_f1']:.3f}"


def _confusion(rows: Rows) -> Table:
    columns = (_MODEL, Column("truth", "Truth"), *(Column(grade, GRADE_TITLES[grade], "count") for grade in COLUMNS))
    lines = tuple(
        (name, TRUTH_TITLES[truth], *(row["confusion"][truth][grade] for grade in COLUMNS))
        for name, row in rows.items()
        for truth in TRUTHS
    )
    return Table(
        "confusion", "Confusion matrices", columns, lines, "Rows: what the label says. Columns: what was said."
    )


def _detection(rows: Rows) -> Table:
    columns = (
        _MODEL,
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


def _outcomes(rows: Rows) -> Table:
    seen = list(dict.fromkeys(outcome for row in rows.values() for outcome in row["outcomes"]))
    columns = (_MODEL, *(Column(outcome, outcome.replace("_", " "), "count") for outcome in seen))
    lines = tuple((name, *(row["outcomes"].get(outcome, 0) for outcome in seen)) for name, row in rows.items())
    return Table("outcomes", "Outcomes", columns, lines, "How each clip ended for each model.")


def _ledger(rows: Rows) -> Table:
    named = {name: row for name, row in rows.items() if row["attempts"] is not None}
    levels = sorted({int(level) for row in named.values() for level in row["fallbacks"]})
    columns = (
        _MODEL,
        Column("rows", "Clips × repeats", "count"),
        Column("attempts", "Attempts", "count"),
        Column("retries", "Retries", "count"),
        *(Column(f"fallback_{level}", f"To level {level}", "count") for level in levels),
        Column("asked_model", "Asked for"),
        Column("served_models", "Served by"),
    )
    lines = tuple(
        (
            name,
            row["rows"],
            row["attempts"],
            row["retries"],
            *(row["fallbacks"].get(str(level), 0) for level in levels),
            row["asked_model"] or "",
            ", ".join(row["served_models"]),
        )
        for name, row in named.items()
    )
    note = (
        "Every attempt is a clip's first, a retry (same settings) or a step to a fallback level of the same model. "
        "Served by: the names that the server returned."
    )
    return Table("attempts", "Attempts, retries and fallbacks", columns, lines, note)


def _latency(rows: Rows) -> Table:
    columns = (
        _MODEL,
        Column("stage", "Stage"),
        Column("n", "n", "count"),
        *(Column(name, name, "seconds") for name, _ in QUANTILES),
        Column("max", "max", "seconds"),
    )
    titles = {"wall_s": "attempt", "batch_share_s": "share of batch", "clip_s": "clip, with retries and waits"}
    lines: list[tuple[Value, ...]] = []
    for name, row in rows.items():
        for stage in ("wall_s", "batch_share_s", "clip_s", *STAGES):
            found = row.get("latency", {}).get(stage)
            if found is not None:
                title = titles.get(stage, stage.removesuffix("_s").replace("_", " "))
                lines.append((name, title, found["n"], *(found[q] for q, _ in QUANTILES), found["max"]))
    return Table("latency", "Latency by stage", columns, tuple(lines), "Warm-up attempts are left out.")


def _cost(rows: Rows) -> Table:
    columns = (
        _MODEL,
        Column("load_s", "Load", "seconds"),
        Column("throughput_clips_per_s", "Clips/s", "number"),
        Column("peak_allocated_bytes", "Peak allocated", "bytes"),
        Column("peak_reserved_bytes", "Peak reserved", "bytes"),
        Column("process_bytes", "Process", "bytes"),
        Column("input_tokens", "Input tokens", "count"),
        Column("cached_tokens", "Cached", "count"),
        Column("output_tokens", "Output tokens", "count"),
        Column("cost_usd", "Cost", "usd"),
        Column("attempts_without_price", "Unpriced attempts", "count"),
    )
    lines = []
    for name, row in rows.items():
        if row["attempts"] is not None:
            values = {"model": name, **row, **row["memory"], **row["usage"]}
            lines.append(tuple(values[column.key] for column in columns))
    note = "Clips/s: answered clips per second in which the model had an attempt under way."
    return Table("cost", "Throughput, memory and cost", columns, tuple(lines), note)


def _repeats(rows: Rows) -> Table:
    columns = (
        _MODEL,
        Column("clips", "Clips", "count"),
        Column("unanimous", "Unanimous", "count"),
        Column("rate", "Agreement", "share"),
        Column("kappa", "Fleiss’ κ", "rate"),
    )
    lines = tuple(
        (name, *(row["agreement"][column.key] for column in columns[1:]))
        for name, row in rows.items()
        if row["agreement"] is not None
    )
    note = "Agreement: the chance that two repeats of a clip say the same. Intervals of all rates cluster by clip."
    return Table("repeats", "Agreement between repeats", columns, lines, note)


def _scores(rows: Rows) -> Table:
    columns = (
        _MODEL,
        Column("n", "n", "count"),
        Column("positives", "Positives", "count"),
        Column("auc", "ROC AUC", "rate"),
        Column("average_precision", "Average precision", "rate"),
        Column("brier", "Brier", "rate"),
        Column("ece", "ECE", "rate"),
    )
    lines = tuple(
        (name, *(row["scores"][column.key] for column in columns[1:]))
        for name, row in rows.items()
        if row["scores"] is not None
    )
    note = (
        "Over answered clips with a probability of ghost probing. Brier and ECE: lower is better. ECE: ten equal bins."
    )
    return Table("scores", "Probabilities", columns, lines, note)


def _operating_points(rows: Rows) -> Table:
    columns = (
        _MODEL,
        Column("recall_wanted", "Recall wanted"),
        Column("threshold", "Threshold", "rate"),
        Column("recall", "Recall", "rate"),
        Column("precision", "Precision", "rate"),
        Column("specificity", "Specificity", "rate"),
    )
    lines = tuple(
        (name, f"{100 * float(wanted):.0f}%", *(point[column.key] for column in columns[2:]))
        for name, row in rows.items()
        if row["scores"] is not None
        for wanted, point in row["scores"]["operating_points"].items()
    )
    note = "The highest threshold that reaches the recall, chosen on these very clips: it flatters the model."
    return Table("operating_points", "Operating points", columns, lines, note)


def _event_time(run: RunData) -> Table:
    columns = (
        _MODEL,
        Column("view", "View"),
        Column("true_positives", "True positives", "count"),
        Column("stated", "Both times stated", "count"),
        Column("median_abs_error_s", "Median |t − t*|", "seconds"),
        Column("within_1s", "Within 1 s", "rate"),
        Column("within_2s", "Within 2 s", "rate"),
        Column("event_not_sampled", "Missed: event not sampled", "count"),
        Column("sampled_but_missed", "Missed: event was sampled", "count"),
        Column("unknown", "Missed: unknown", "count"),
    )
    lines = []
    for name, row in run.rows.items():
        for view, found in row["event_time"].items():
            values = {"model": name, "view": view, **found, **found["misses"]}
            if not row["baseline"]:
                lines.append(tuple(values[column.key] for column in columns))
    covered = run.metrics["event_coverage"]
    note = (
        f"Event coverage of the sampling: a frame lies in [t*, t* + 1 s] for {covered['covered']} of "
        f"{covered['with_frames']} positives with a stated time and decoded frames ({covered['positives']} positives "
        f"in all). {IN_RETROSPECT}"
    )
    return Table("event_time", "Event time", columns, tuple(lines), note)


def _actors(rows: Rows) -> Table:
    columns = (
        _MODEL,
        Column("actor", "Actor named"),
        Column("alarms", "Alarms", "count"),
        Column("tp", "TP", "count"),
        Column("fp", "FP", "count"),
        Column("precision", "Precision", "rate"),
    )
    lines = tuple(
        (name, actor, *(counts[column.key] for column in columns[2:]))
        for name, row in rows.items()
        if not row["baseline"]
        for actor, counts in row.get("actors", {}).items()
    )
    note = (
        "Alarms in the lenient view by the actor that the answer itself names; labels name none. Fewer than "
        f"{SMALL} alarms show counts and no rate."
    )
    return Table("actors", "Alarms by the actor named", columns, lines, note)


def _slices(rows: Rows) -> Table:
    columns = (
        _MODEL,
        Column("by", "By"),
        Column("part", "Part"),
        Column("n", "n", "count"),
        Column("answered", "Answered", "count"),
        *(Column(cell, cell.upper(), "count") for cell in ("tp", "fp", "fn", "tn")),
        Column("recall", "Recall", "rate"),
        Column("specificity", "Specificity", "rate"),
        Column("accuracy", "Accuracy", "rate"),
    )
    lines = []
    for name, row in rows.items():
        if row["baseline"]:
            continue
        for way, found in row["slices"].items():
            for part, counts in found.items():
                values = {"model": name, "by": way, "part": part, **counts, **counts["lenient"]}
                lines.append(tuple(values[column.key] for column in columns))
    note = f"Lenient view, answered clips. Parts with fewer than {SMALL} answered clips show counts and no rates."
    return Table("slices", "Slices", columns, tuple(lines), note)
