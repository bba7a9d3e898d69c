"""A comparison of warnings as tables, as JSON, and in a few lines on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostbench.evidence.compare_files import SCHEMA_VERSION, comparison_html, warnings_of, write_forms
from ghostbench.evidence.warning_pairs import MEASURES, Measure, WarningComparison, WarningPair
from ghostbench.report.brief import brief_estimate, brief_name, wrapped
from ghostbench.report.columns import MODEL, line
from ghostbench.report.escape import plain
from ghostbench.report.table import Column, Table
from ghostbench.report.titles import TRUTH_TITLES
from ghostbench.report.warning_tables import BRIEF, number_columns, numbers_line
from ghostbench.scoring.significance import ALPHA

if TYPE_CHECKING:
    from rich.console import Console

_TITLES: dict[Measure, str] = {
    "warned": "Warned",
    "false_alarms": "False alarms per safe clip",
    "lead_s": "Lead, mean, seconds",
    "ap_mean": "AP, mean",
}
_MOST_LINES = 30


def warning_comparison_json(comparison: WarningComparison) -> dict[str, Any]:
    """Everything of a comparison of warnings, unrounded."""
    field = comparison.field
    first = field.runs[0].manifest
    return {
        "schema_version": SCHEMA_VERSION,
        "runs": field.titles,
        "clips": len(field.clips),
        "positives": int(field.positive.sum()),
        "models": [one.name for one in field.contenders],
        "baselines": list(comparison.baselines),
        "allowed_differences": list(field.differences),
        "relabelled": list(field.relabelled),
        "not_compared": dict(field.without),
        "of_videos": field.of_videos,
        "moments_per_s": first.task.moments_per_s,
        "sampling": first.sampling,
        "sustain": str(comparison.rule),
        "early_warning": comparison.measured,
        "pairs": [{**asdict(pair), "significant": _differ(pair)} for pair in comparison.pairs],
        "differing_clips": comparison.said,
    }


def warning_comparison_tables(comparison: WarningComparison) -> Iterator[Table]:
    """Every table, in reading order: the models, the pairs by each measure, and the clips that differ."""
    columns = (MODEL, Column("answered", "Answered", "count"), *number_columns())
    answered = {one.name: int(one.answered.sum()) for one in comparison.field.contenders}
    rows = tuple(
        line(columns, {"model": name, "answered": answered.get(name), **numbers_line(found)})
        for name, found in comparison.measured.items()
    )
    yield Table(
        "warnings",
        "Warnings on the common clips",
        columns,
        rows,
        "Of all common clips; a missing answer is a miss or a false alarm. Thresholds are chosen on these clips.",
    )
    yield from (_pairs(comparison, measure) for measure in MEASURES)
    yield _clips(comparison)


def write_warning_comparison(folder: Path, comparison: WarningComparison) -> None:
    """Write comparison.json, comparison.html and tables/ into a folder, made if need be. Raises `BadInput`."""
    tables = list(warning_comparison_tables(comparison))
    page = comparison_html(comparison.field, tables, list(comparison.baselines))
    write_forms(folder, "comparison", tables, warning_comparison_json(comparison), page)


def print_warning_comparison(comparison: WarningComparison, console: Console, out: Path | None = None) -> None:
    """Print the comparison in at most thirty lines of eighty columns."""
    from rich.text import Text

    field = comparison.field
    safe = len(field.clips) - int(field.positive.sum())
    rule = f"; an alarm holds where {comparison.rule.words} moments alarm" if comparison.rule.n > 1 else ""
    head = [
        Text(f"{len(field.clips)} common clips, {safe} of them safe; {len(field.contenders)} models{rule}."),
        Text(plain(field.runs[0].manifest.task.claim)),
        *(Text(plain(words)[:240], style="yellow") for words in warnings_of(field)),
    ]
    foot = [Text(_significant(comparison, measure), style="") for measure in MEASURES]
    foot.append(Text(f"files: {out / 'comparison.html'}" if out else "everything: --out DIR, or --json"))
    above, below = wrapped(head, console), wrapped(foot, console)
    titles = " ".join(f"{title:>16}" for title, _ in BRIEF)
    rows = [Text(f"{'Model':<17} {titles} {'Lead':>8}", style="bold")]
    for name, found in comparison.measured.items():
        cells = " ".join(f"{brief_estimate(found[field]):>16}" for _, field in BRIEF)
        mean = found["lead_s"]["mean"]
        lead = "n/a" if mean is None else f"{mean['value']:.2f} s"
        rows.append(Text(f"{brief_name(name)} {cells} {lead:>8}", style="dim" if name in comparison.baselines else ""))
    room = max(_MOST_LINES - len(above) - len(below) - 2, 4)
    if len(rows) > room:
        more = len(rows) - room + 1
        rows = [*rows[: room - 1], Text(f"… and {more} more rows", style="dim")]
    for part in (above, rows, below):
        for each in part:
            console.print(each, soft_wrap=True)
        if part is not below:
            console.print()


def _significant(comparison: WarningComparison, measure: Measure) -> str:
    pairs = [pair for pair in comparison.pairs if pair.measure == measure]
    title = _TITLES[measure]
    if measure == "ap_mean":
        apart = sum(_excludes_zero(pair) for pair in pairs)
        return f"{title}: {apart} of {len(pairs)} pairs have a difference whose interval excludes 0 (no exact test)."
    tested = [pair for pair in pairs if pair.p is not None]
    if pairs and not any(pair.n for pair in pairs):
        lacking = "is safe" if measure == "false_alarms" else "has a window in which both were asked"
        return f"{title}: not tested, as no clip {lacking}."
    if pairs and not tested:
        return f"{title}: not tested, as the thresholds were chosen by them."
    apart = sum(_differ(pair) is True for pair in tested)
    smallest = min((pair.p_holm for pair in pairs if pair.p_holm is not None), default=None)
    least = "" if smallest is None else f", smallest p {smallest:.2g}"
    return f"{title}: {apart} of {len(tested)} pairs differ (exact, Holm{least})."


def _differ(pair: WarningPair) -> bool | None:
    return None if pair.p_holm is None else pair.p_holm <= ALPHA


def _excludes_zero(pair: WarningPair) -> bool:
    difference = pair.difference
    if difference is None or difference["low"] is None or difference["high"] is None:
        return False
    return difference["low"] > 0 or difference["high"] < 0


def _pairs(comparison: WarningComparison, measure: Measure) -> Table:
    columns = (
        Column("first", "First"),
        Column("second", "Second"),
        Column("n", "Clips", "count"),
        Column("difference", "Difference", "rate"),
        Column("first_more", "More of the first", "count"),
        Column("second_more", "More of the second", "count"),
        Column("p", "p", "p"),
        Column("p_holm", "p (Holm)", "p"),
    )
    rows = tuple(line(columns, asdict(pair)) for pair in comparison.pairs if pair.measure == measure)
    tests = {
        "warned": "Of the clips with a window. Exact McNemar test, by clip.",
        "false_alarms": (
            "Of the safe clips. Exact McNemar test, by clip; no test and no interval where a threshold was chosen by "
            "these very false alarms."
        ),
        "lead_s": "Of the clips with a window, misses as 0. Exact test over the signs of the clips’ differences.",
        "ap_mean": "Nexar’s mean, interval over redrawn clips, the same for both models; there is no exact test of it.",
    }
    return Table(
        f"pairs_{measure}",
        f"Pairs: {_TITLES[measure]}",
        columns,
        rows,
        f"The first’s minus the second’s, paired by clip, with a 95% interval. {tests[measure]}",
    )


def _clips(comparison: WarningComparison) -> Table:
    names = [one.name for one in comparison.field.contenders]
    columns = (
        Column("clip", "Clip"),
        Column("truth", "Truth"),
        *(Column(f"model_{place}", name) for place, name in enumerate(names, 1)),
    )
    truths = dict(zip(comparison.clips["clip"], comparison.clips["truth"], strict=True))
    rows = tuple(
        (clip, TRUTH_TITLES[truths[clip]], *(words[name] for name in names)) for clip, words in comparison.said.items()
    )
    return Table("clips", "Clips on which models differ", columns, rows, "By the first alarm that holds.")
