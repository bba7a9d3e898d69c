"""A run in at most thirty lines of eighty columns: one table, what to beware of, what went wrong and why, the paths."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ghostbench.folder.names import PAGE
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain
from ghostbench.report.marks import marks
from ghostbench.report.other_task import read_by_another
from ghostbench.report.reasons import Unanswered, unanswered
from ghostbench.report.table import shown
from ghostbench.report.titles import VIEW_NOTES
from ghostbench.report.warning_tables import BRIEF, at_moments, brief_note
from ghostbench.report.warning_tables import shown as warned_rows
from ghostbench.scoring.rates import RateName
from ghostbench.scoring.views import View

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LINES = 28
"""Two are left for what a run may say before and after."""
_FEWEST = 4
_RATES: tuple[tuple[View, RateName, str], ...] = (
    ("strict", "f1", "F1 strict"),
    ("lenient", "f1", "F1 lenient"),
    ("lenient", "balanced_accuracy", "Bal.acc. lenient"),
)
_NAME = 17
_REASONS = 2
_LONGEST_LIST = 60
_NOTE = f"Rates over answered clips, with 95% intervals. {VIEW_NOTES['strict']} {VIEW_NOTES['lenient']}"


def print_brief(run: RunData, console: Console, errors: Console | None = None, *, title: str | None = None) -> None:
    """Print the run: to `console`, and what went wrong to `errors` where that is another one.

    title : what stands in the place of the run's name and extent, for a part of a run; the page is then not named.

    Where no model of the run gave any answer there is no table: baselines alone would fill it.
    """
    wrong = unanswered(run)
    head = wrapped([_plain(title or _title(run))], console)
    speaks = _speaks(run)
    words = brief_note(run.rows) if at_moments(run.rows) else _NOTE
    note = wrapped([_plain(words, "dim")], console) if speaks else []
    parts = [_rows(run) if speaks else [], _marks(run, console) if speaks else []]
    failures = [*map(in_words, wrong), *read_by_another(run)]
    parts.append(wrapped([_plain(words, "red") for words in failures], console))
    foot = _foot(run)[: 2 if title else None]
    table, remarks, told = _cut(parts, LINES - sum(map(len, (head, note, foot))) - 4, run, console)
    for part in (head, table + note, remarks):
        _print(part, console)
    _print(told, errors or console, last=True)
    if told and (errors is None or console.is_terminal):
        console.print()
    _print(foot, console, last=True)


def print_failures(run: RunData, errors: Console, *, silent_only: bool = False) -> None:
    """Print what went wrong alone; only of rows without any answer, if so wished."""
    for rows in unanswered(run):
        if not silent_only or (rows.silent and not rows.probe):
            errors.print(_plain(in_words(rows), "red"), soft_wrap=True)
    for words in read_by_another(run):
        errors.print(_plain(words, "red"), soft_wrap=True)


def in_words(rows: Unanswered) -> str:
    """One line that says which rows gave no answer for how many clips, and the commonest reasons."""
    names = _together(rows.names)
    extent = "gave no answer at all" if rows.silent else f"gave no answer for {rows.count} of {rows.of} clips"
    reasons = [str(reason) for reason in rows.reasons[:_REASONS]]
    further = sum(reason.count for reason in rows.reasons[_REASONS:])
    return f"{names} {extent}: {', '.join(reasons)}" + (f", {further} for other reasons" if further else "")


def _together(names: Sequence[str]) -> str:
    """The names in one list, of which no more are written out than fit a line."""
    shown = list(names[:1])
    for name in names[1:]:
        if len(", ".join([*shown, name])) > _LONGEST_LIST:
            return f"{', '.join(shown)} and {len(names) - len(shown)} more"
        shown.append(name)
    return ", ".join(shown)


def _speaks(run: RunData) -> bool:
    """Whether the table has anything to show: an answer of a model, or a run of baselines alone."""
    models = [row for row in run.metrics["models"].values() if not row["baseline"]]
    return not models or any(row["answered"] for row in models)


def _title(run: RunData) -> str:
    dataset = run.manifest.dataset
    times = f", {run.manifest.repeats} times each" if run.manifest.repeats > 1 else ""
    clips = f"{len(run.clips)} clips of {dataset.name}, split {dataset.split}{times}"
    return f"{run.manifest.run_id}: {clips}. {run.claim}"


def _rows(run: RunData) -> list[Text]:
    from rich.text import Text

    warns = at_moments(run.rows)
    titles = [title for title, _ in BRIEF] if warns else [title for *_, title in _RATES]
    lines = [Text(_columns("Model", "Answered", titles), style="bold")]
    for name, row in warned_rows(run.rows) if warns else run.rows.items():
        if (warned := row["early_warning"]) is not None:
            rates = [brief_estimate(warned[field]) for _, field in BRIEF]
        else:
            rates = [brief_estimate(row["views"][view]["answered"][rate]) for view, rate, _ in _RATES]
        style = "dim" if row["baseline"] else ""
        lines.append(Text(_columns(name, f"{row['answered']}/{row['rows']}", rates), style=style))
    return lines


def _columns(name: str, answered: str, rates: Sequence[str]) -> str:
    return f"{brief_name(name)} {answered:>9}" + "".join(f" {rate:>16}" for rate in rates)


def brief_estimate(value: Mapping[str, Any] | None) -> str:
    """An estimate as `.712 [.61,.80]`; its third decimals are in the tables."""
    if value is None:
        return "n/a"
    text = shown({**value, "low": None, "high": None}, "rate")
    if value["low"] is None or value["high"] is None:
        return text
    return f"{text} [{_hundredths(value['low'])},{_hundredths(value['high'])}]"


def _hundredths(value: float) -> str:
    text = f"{value:.2f}".replace("1.00", "1.0")
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def brief_name(name: str) -> str:
    """The name in exactly the column's width, its middle left out where it is too long."""
    from rich.cells import cell_len, set_cell_size

    name = plain(name)
    if cell_len(name) <= _NAME:
        return name + " " * (_NAME - cell_len(name))
    tail = name[-1]
    for character in reversed(name[:-1]):
        if cell_len(character + tail) > _NAME // 2:
            break
        tail = character + tail
    return f"{set_cell_size(name, _NAME - 1 - cell_len(tail))}…{tail}"


def _marks(run: RunData, console: Console) -> list[Text]:
    """What to beware of, rows with the same mark together. That there was no answer is said with the reasons."""
    named: dict[str, list[str]] = {}
    for name, row in warned_rows(run.rows) if at_moments(run.rows) else run.rows.items():
        for mark in marks(row):
            if mark.kind not in ("no_answer", "stopped"):
                named.setdefault(mark.words, []).append(name)
    alike: dict[str, list[str]] = {}
    for words, names in named.items():
        alike.setdefault(_together(names), []).append(words)
    return wrapped([_plain(f"{names}: {'; '.join(found)}", "yellow") for names, found in alike.items()], console)


def _foot(run: RunData) -> list[Text]:
    """What it took, and where the rest is; a path is not broken."""
    rows = [row for row in run.metrics["models"].values() if row["attempts"] is not None]
    attempts = sum(row["attempts"] or 0 for row in rows)
    retries = sum(row["retries"] or 0 for row in rows)
    costs = [cost for row in rows if (cost := row["usage"]["cost_usd"]) is not None]
    spent = f", {shown(sum(costs), 'usd')} as far as stated" if costs else ""
    again = f"bench report {shlex.quote(str(run.folder))}"
    lines = [
        _plain(f"{attempts} attempts, {retries} retries{spent}", "dim"),
        _plain(f"all tables: {again} --all"),
    ]
    if (run.folder / PAGE).is_file():
        lines.append(_plain(f"report:     {run.folder / PAGE}"))
    return lines


def _cut(parts: Sequence[list[Text]], room: int, run: RunData, console: Console) -> list[list[Text]]:
    """The parts, cut where all of them together have more lines than there is room for; each keeps a few."""
    kept = [list(part) for part in parts]
    tables = ("summary", "summary", "no_answer")
    for fewest in (_FEWEST, 2, 1):
        for place in (1, 2, 0):
            over = sum(map(len, kept)) - room
            if over <= 0:
                return kept
            part = parts[place]
            where = f"… and more: bench report {shlex.quote(str(run.folder))} --table {tables[place]}"
            more = wrapped([_plain(where, "dim")], console)
            keep = max(fewest, len(kept[place]) - over - len(more))
            if keep + len(more) < len(kept[place]):
                kept[place] = [*part[:keep], *more]
    return kept


def _plain(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain(text), style=style)


def wrapped(texts: Iterable[Text], console: Console) -> list[Text]:
    """The texts in lines no wider than the console."""
    lines = [line for text in texts for line in text.wrap(console, console.width)]
    for line in lines:
        line.rstrip()
    return lines


def _print(lines: Sequence[Text], console: Console, *, last: bool = False) -> None:
    for line in lines:
        console.print(line, soft_wrap=True)
    if lines and not last:
        console.print()
