"""A comparison as tables: one for all pairs, a ranking in each view, one for each pair."""

from __future__ import annotations

from ghostbench.evidence.compare import Comparison, Pair, Ranking
from ghostbench.report.columns import MODEL, line, rate_columns
from ghostbench.report.table import Column, Table, Value
from ghostbench.report.titles import BASIS_TITLES, RATE_TITLES, VIEW_NOTES
from ghostbench.scoring.rates import RATES
from ghostbench.scoring.significance import ALPHA
from ghostbench.scoring.views import BASES, VIEWS


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Every table of a comparison, in reading order."""
    tables = [_ranking(ranking) for ranking in comparison.rankings]
    tables += [_all_pairs(comparison, view, basis) for view in VIEWS for basis in BASES]
    first = [pair for pair in comparison.pairs if pair.view == VIEWS[0] and pair.basis == BASES[0]]
    return [*tables, *(_pair(comparison, pair) for pair in first)]


def _ranking(ranking: Ranking) -> Table:
    columns = (
        MODEL,
        Column("place", "Place"),
        Column("group", "Group"),
        *rate_columns("accuracy", "balanced_accuracy", "f1", "mcc"),
    )
    lines = tuple(
        line(columns, {"model": it.name, "place": it.place, "group": it.group, **it.rates}) for it in ranking.lines
    )
    note = (
        f"{VIEW_NOTES[ranking.view]} By accuracy on the {ranking.n} clips that every model answered. Models that share "
        "a letter do not differ significantly (exact McNemar, Holm over all pairs) and share their places."
        if ranking.n
        else "No clip was answered by every model: there is no common ranking; see the pairs."
    )
    return Table(f"ranking_{ranking.view}", f"Ranking, {ranking.view} view", columns, lines, note)


def _all_pairs(comparison: Comparison, view: str, basis: str) -> Table:
    columns = (
        Column("first", "First"),
        Column("second", "Second"),
        Column("n", "n", "count"),
        Column("first_only", "Only first right", "count"),
        Column("second_only", "Only second right", "count"),
        Column("difference", "Accuracy, first − second", "rate"),
        Column("p", "p exact", "p"),
        Column("p_holm", "p Holm", "p"),
        Column("significant", "Significant"),
        Column("smallest_significant", "Smallest significant", "rate"),
        Column("detectable", "80% power at", "rate"),
    )
    pairs = [pair for pair in comparison.pairs if pair.view == view and pair.basis == basis]
    lines: tuple[tuple[Value, ...], ...] = tuple(
        (
            pair.first,
            pair.second,
            pair.n,
            pair.first_only,
            pair.second_only,
            pair.differences["accuracy"],
            pair.p,
            pair.p_holm,
            "yes" if pair.p_holm <= ALPHA else "no",
            pair.power.smallest_significant,
            pair.power.detectable,
        )
        for pair in pairs
    )
    over = (
        "Each pair on the clips that both answered."
        if basis == "answered"
        else "Each pair on the clips that both were asked; a clip without an answer is wrong."
    )
    note = (
        f"{VIEW_NOTES[view]} {over} Exact McNemar; Holm over the {len(pairs)} pairs of this table. Smallest "
        "significant: the smallest accuracy difference that so few discordant clips can show; below six of them "
        "there is none. 80% power at: the true difference that so many clips would find four times in five; n/a where "
        "none would be."
    )
    title = f"All pairs, {view} view, {BASIS_TITLES[basis]}"
    return Table(f"pairs_{view}_{basis}", title, columns, lines, note)


def _pair(comparison: Comparison, shown: Pair) -> Table:
    columns = (
        Column("view", "View"),
        Column("rate", "Rate"),
        Column("first", "First", "rate"),
        Column("second", "Second", "rate"),
        Column("difference", "First − second", "rate"),
        Column("worst_case", "First − second, worst case", "rate"),
    )
    same = {
        (pair.view, pair.basis): pair
        for pair in comparison.pairs
        if (pair.first, pair.second) == (shown.first, shown.second)
    }
    lines: list[tuple[Value, ...]] = []
    for view in VIEWS:
        answered, worst = same[view, "answered"], same[view, "worst_case"]
        lines += [
            (
                view,
                RATE_TITLES[rate],
                answered.first_rates[rate],
                answered.second_rates[rate],
                answered.differences[rate],
                worst.differences[rate],
            )
            for rate in RATES
        ]
    note = (
        f"On the {shown.n} clips that both answered; worst case on the {same['strict', 'worst_case'].n} clips that "
        "both were asked. Differences: paired bootstrap, whole clips within each truth; not corrected for the other "
        "rates."
    )
    return Table(f"pair_{shown.first}_{shown.second}", f"{shown.first} − {shown.second}", columns, tuple(lines), note)
