"""A comparison as tables: rankings, trivial baselines, pairs, differences of every rate, and the clips that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ghostbench.evidence.compare import SIDES, Comparison, Ranking, Side, differing_clips, pairs_apart
from ghostbench.report.columns import MODEL, line, rate_columns
from ghostbench.report.evidence_tables import trivial
from ghostbench.report.table import Column, Table, Value
from ghostbench.report.titles import RATE_TITLES, TRUTH_TITLES, VIEW_NOTES
from ghostbench.scoring.rates import RATES
from ghostbench.scoring.significance import ALPHA
from ghostbench.scoring.views import VIEWS, View

SIDE_TITLES: Mapping[Side, str] = {
    "answered": "answered clips",
    "worst_case": "worst case",
    "against_first": "all that is missing against the first",
    "for_first": "all that is missing for the first",
}
_SIDE_NOTES: Mapping[Side, str] = {
    "answered": "Each pair on the clips that both answered.",
    "worst_case": "Each pair on the clips that both were asked; a clip without an answer is wrong.",
    "against_first": (
        "Each pair on the clips that both were asked; a missing answer of the first is wrong, of the second right: no "
        "answers could make the difference smaller."
    ),
    "for_first": (
        "Each pair on the clips that both were asked; a missing answer of the first is right, of the second wrong: no "
        "answers could make the difference larger."
    ),
}
_FIRST, _SECOND = Column("first", "First"), Column("second", "Second")


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """Every table of a comparison, in reading order."""
    yield from (_ranking(ranking) for ranking in comparison.rankings)
    yield trivial(comparison.against)
    for view in VIEWS:
        yield from (_pairs(comparison, view, side) for side in SIDES)
    for view in VIEWS:
        yield from (_differences(comparison, view, side) for side in ("answered", "worst_case"))
    yield _leads(comparison)
    if comparison.places:
        yield _places(comparison)
    yield _clips(comparison)
    yield _pairs_apart(comparison)


def _ranking(ranking: Ranking) -> Table:
    columns = (
        MODEL,
        Column("place", "Place"),
        Column("group", "Group"),
        *rate_columns("balanced_accuracy", "recall", "specificity", "accuracy", "f1", "mcc"),
    )
    lines = tuple(
        line(columns, {"model": it.name, "place": it.place or "baseline", "group": it.group, **it.rates})
        for it in ranking.lines
    )
    return Table(f"ranking_{ranking.view}", f"Ranking, {ranking.view} view", columns, lines, _ranking_note(ranking))


def _ranking_note(ranking: Ranking) -> str:
    left = ", ".join(f"{name} ({count} clips)" for name, count in ranking.left_out.items())
    out = (
        f" Left out, because too few clips were answered: {left}; name models with --models to have them in."
        if left
        else ""
    )
    if not ranking.n:
        return f"No clip was answered by every model: there is no common ranking; see the pairs.{out}"
    return (
        f"{VIEW_NOTES[ranking.view]} By balanced accuracy on the {ranking.n} clips that every model of the ranking "
        "answered. Models that share a letter do not differ significantly: exact McNemar on positives and on negatives "
        "apart, Holm over all these tests. One stands before another where it is significantly better on one and not "
        f"significantly worse on the other; else they share their places. Baselines have none.{out}"
    )


def _pairs(comparison: Comparison, view: View, side: Side) -> Table:
    columns = (
        _FIRST,
        _SECOND,
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
    pairs = [pair for pair in comparison.pairs if pair.view == view and pair.side == side]
    lines: tuple[tuple[Value, ...], ...] = tuple(
        (
            pair.first,
            pair.second,
            pair.n,
            pair.first_only,
            pair.second_only,
            comparison.accuracy(pair),
            pair.p,
            pair.p_holm,
            "yes" if pair.p_holm <= ALPHA else "no",
            pair.power.smallest_significant,
            pair.power.detectable,
        )
        for pair in pairs
    )
    note = (
        f"{VIEW_NOTES[view]} {_SIDE_NOTES[side]} Exact McNemar; Holm over the {len(pairs)} pairs of this table. The "
        f"last two columns are at the level that Holm asks of the smallest p-value of so many tests, "
        f"{ALPHA / max(len(pairs), 1):.2g}. Smallest significant: the smallest accuracy difference that so few "
        "discordant clips can show. 80% power at: the true difference that so many clips would find four times in "
        "five. n/a where there is none."
    )
    return Table(f"pairs_{view}_{side}", f"All pairs, {view} view, {SIDE_TITLES[side]}", columns, lines, note)


def _differences(comparison: Comparison, view: View, side: Side) -> Table:
    columns = (
        _FIRST,
        _SECOND,
        Column("n", "n", "count"),
        Column("rate", "Rate"),
        Column("first_rate", "First’s", "rate"),
        Column("second_rate", "Second’s", "rate"),
        Column("difference", "First − second", "rate"),
    )
    lines: list[tuple[Value, ...]] = []
    for pair in comparison.pairs:
        if pair.view == view and pair.side == side:
            found = comparison.rates(pair)
            lines += [
                (pair.first, pair.second, pair.n, RATE_TITLES[rate], found.first[rate], found.second[rate],
                 found.differences[rate])
                for rate in RATES
            ]  # fmt: skip
    note = (
        f"{VIEW_NOTES[view]} {_SIDE_NOTES[side]} Paired intervals: Newcombe’s method 10 for accuracy, recall, "
        "specificity and FPR, drawn from the joint table for the others; not corrected for the number of rates "
        "and pairs."
    )
    title = f"Differences of all rates, {view} view, {SIDE_TITLES[side]}"
    return Table(f"differences_{view}_{side}", title, columns, tuple(lines), note)


def _leads(comparison: Comparison) -> Table:
    columns = (
        Column("view", "View"),
        Column("first", "Ahead"),
        Column("second", "Behind"),
        Column("n", "n", "count"),
        Column("doubted", "Doubted", "count"),
        Column("lead", "Lead", "rate"),
        Column("flips", "Wrong labels to change places", "count"),
        Column("doubted_flips", "Of the doubted", "count"),
    )
    lines: tuple[tuple[Value, ...], ...] = tuple(
        (
            each.view,
            each.first,
            each.second,
            each.n,
            each.doubted,
            None if (found := each.lead) is None else {"value": found.value, "low": found.low, "high": found.high},
            None if found is None else found.flips,
            None if found is None else found.doubted_flips,
        )
        for each in comparison.leads
    )
    note = (
        "Lead: balanced accuracy of the first minus the second’s on the clips that both answered, a clip’s repeats "
        "counting as one; in brackets the least and the largest whichever way the doubted labels go (bounds, not a 95% "
        "interval). How many labels would have to be wrong before the second is ahead: of all, and of the doubted "
        "alone (n/a: all of them together do not do it)."
    )
    return Table("label_flips", "What each lead hangs on", columns, lines, note)


def _places(comparison: Comparison) -> Table:
    columns = (Column("view", "View"), MODEL, Column("best", "Best place", "count"), Column("worst", "Worst", "count"))
    lines = tuple((each.view, each.name, each.best, each.worst) for each in comparison.places)
    note = (
        "By balanced accuracy on the clips of the ranking, whichever way the doubted labels go: no way leads beyond "
        "these places, though not all of them need be reached by one and the same."
    )
    return Table("places_under_doubt", "Places if doubted labels are wrong", columns, lines, note)


def _clips(comparison: Comparison) -> Table:
    field = comparison.field
    columns = (
        Column("clip", "Clip"),
        Column("truth", "Truth"),
        *(Column(f"model_{place}", one.name) for place, one in enumerate(field.contenders, 1)),
    )
    found = differing_clips(field)
    truths = truths_of(comparison)
    lines = tuple((clip, truths[clip], *words.values()) for clip, words in found.items())
    note = (
        f"The {len(lines)} of {len(field.clips)} common clips on which not all models say the same, a missing answer "
        "included. In CSV, the columns are named model_1, model_2 … in the order of the table."
    )
    return Table("clips", "Clips that differ", columns, lines, note)


def _pairs_apart(comparison: Comparison) -> Table:
    columns = (_FIRST, _SECOND, Column("count", "Clips", "count"), Column("clips", "Clips that differ"))
    names = [one.name for one in comparison.field.contenders]
    lines = tuple(
        (one, other, len(clips), " ".join(clips))
        for one, other, clips in pairs_apart(differing_clips(comparison.field), names)
    )
    return Table(
        "pairs_clips", "Clips on which two models differ", columns, lines, "By what each says, right or wrong."
    )


def truths_of(comparison: Comparison) -> dict[str, str]:
    """The truth of each common clip in words, by the first run's labels."""
    clips = comparison.field.runs[0].clips
    return {clip: TRUTH_TITLES[truth] for clip, truth in zip(clips["clip"], clips["truth"], strict=True)}
