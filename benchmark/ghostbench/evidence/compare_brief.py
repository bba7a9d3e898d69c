"""A comparison in at most thirty lines of eighty columns: who stands where, what differs, and where the rest is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ghostbench.evidence.compare import Comparison, differing_clips
from ghostbench.evidence.compare_files import warnings_of
from ghostbench.report.brief import brief_estimate, brief_name, wrapped
from ghostbench.report.escape import plain
from ghostbench.scoring.significance import ALPHA
from ghostbench.scoring.views import VIEWS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LINES = 30
_NAMES = 3
"""Clips and models that a line names before it counts the others."""


def print_comparison(comparison: Comparison, console: Console, out: Path | None = None) -> None:
    """Print the comparison in short. out : where its files were written."""
    head = [(_extent(comparison), ""), (plain(comparison.field.runs[0].manifest.task.claim), "")]
    head += [(_short(words), "yellow") for words in warnings_of(comparison.field)]
    foot = [(words, "dim") for words in _notes(comparison)]
    foot += [(words, "yellow") for words in _left_out(comparison)]
    foot += [(words, "") for words in (_significant(comparison), _apart(comparison))]
    foot.append((f"files: {out / 'comparison.html'}" if out else "everything: --out DIR, or --json", ""))
    above, below = wrapped(_texts(head), console), wrapped(_texts(foot), console)
    rows = _rows(comparison)
    room = LINES - len(above) - len(below) - 2
    if len(rows) > room:
        rows = _cut(rows, max(room - 2, 2))
    for lines in (above, rows, below):
        for line in lines:
            console.print(line, soft_wrap=True)
        if lines is not below:
            console.print()


def _extent(comparison: Comparison) -> str:
    field = comparison.field
    ranked = " and ".join(f"{ranking.n} ({ranking.view})" for ranking in comparison.rankings)
    if len({ranking.n for ranking in comparison.rankings}) == 1:
        ranked = str(comparison.rankings[0].n)
    where = f"ranked on the {ranked} clips that every ranked model answered."
    if not any(ranking.n for ranking in comparison.rankings):
        where = "no clip was answered by every model, so there is no ranking."
    return (
        f"{len(field.clips)} common clips, {int(field.positive.sum())} of them ghost probings; "
        f"{len(field.contenders)} models, {len(field.baselines)} baselines; {where}"
    )


def _rows(comparison: Comparison) -> list[Text]:
    """One line a model or baseline: the ranked in the order of the first view, then those that have no place."""
    titles = "".join(f" {'Place':>5} {'Bal.acc. ' + ranking.view:>16}" for ranking in comparison.rankings)
    lines = [_text(f"{'Model':<17}{titles} {'F1 to trivial':>13}", "bold")]
    by_name = [{it.name: it for it in ranking.lines} for ranking in comparison.rankings]
    baselines = {one.name for one in comparison.field.baselines}
    everybody = [one.name for one in (*comparison.field.contenders, *comparison.field.baselines)]
    for name in dict.fromkeys([*(name for found in by_name for name in found), *everybody]):
        cells = ""
        for found in by_name:
            it = found.get(name)
            place, rate = ("", "") if it is None else (it.place, brief_estimate(it.rates["balanced_accuracy"]))
            cells += f" {place or '–':>5} {rate:>16}"
        verdict = "baseline" if name in baselines else comparison.against[name]["verdict"].replace("_", " ")
        lines.append(_text(f"{brief_name(name)}{cells} {verdict:>13}", "dim" if name in baselines else ""))
    return lines


def _cut(rows: list[Text], keep: int) -> list[Text]:
    """The first rows, and `always` where it is not among them: what a model has to beat is always shown."""
    always = [row for row in rows[keep:] if row.plain.startswith("always ") and row.style == "dim"]
    more = len(rows) - keep - len(always)
    return [*rows[:keep], _text(f"… and {more} more rows", "dim"), *always]


def _notes(comparison: Comparison) -> list[str]:
    if not any(ranking.n for ranking in comparison.rankings):
        return []
    return [
        "Places: by balanced accuracy; models share them unless exact McNemar on positives or on negatives (Holm) "
        "tells them apart. F1 to trivial: against each baseline on the model's own clips, in both views."
    ]


def _left_out(comparison: Comparison) -> list[str]:
    left: Mapping[str, int] = {name: n for ranking in comparison.rankings for name, n in ranking.left_out.items()}
    if not left:
        return []
    shown = [f"{plain(name)} ({count} clips answered)" for name, count in left.items()]
    return [f"Not ranked, too few answers: {_some(shown)}. --models A,B ranks the named alone."]


def _significant(comparison: Comparison) -> str:
    parts = []
    for view in VIEWS:
        pairs = [pair for pair in comparison.pairs if pair.view == view and pair.side == "answered"]
        apart = sum(pair.p_holm <= ALPHA for pair in pairs)
        smallest = min((pair.p_holm for pair in pairs), default=None)
        words = f"{apart} of {len(pairs)} pairs differ ({view}"
        parts.append(words + (")" if smallest is None else f", smallest p {smallest:.2g})"))
    return f"Accuracy on the clips that both answered, Holm: {'; '.join(parts)}."


def _apart(comparison: Comparison) -> str:
    clips = list(differing_clips(comparison.field))
    if not clips:
        return "All models say the same of every clip."
    return f"Answers differ on {len(clips)} clips: {_some([plain(clip) for clip in clips])}."


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _short(words: str) -> str:
    return words if len(words) <= 240 else f"{words[:239]}…"


def _texts(parts: list[tuple[str, str]]) -> list[Text]:
    return [_text(words, style) for words, style in parts]


def _text(words: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain(words), style=style)
