"""An agreement as tables, as JSON, and in at most thirty lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from ghostbench.labelling.agree import WITHIN_S, Agreement, Categories, PairAgreement, Times
from ghostbench.report.table import Column, Table, Value
from ghostbench.report.titles import TRUTH_TITLES

TITLES: Mapping[str, str] = {
    "truth": "Label",
    "ghost_probing": "Ghost probing or not",
    "event_s": "Event",
    "first_visible_s": "First visible",
    "danger_s": "Danger",
    "contact_s": "Contact",
}
"""What people read for a column; others go by their name."""
_FIRST, _SECOND = Column("first", "First"), Column("second", "Second")


def agreement_tables(found: Agreement) -> Iterator[Table]:
    """Every table, in reading order."""
    yield _raters(found)
    yield _overall(found)
    yield _pairs(found)
    if any(part.times for part in _parts(found)):
        yield _times(found)
    yield _confusion(found)


def as_json(found: Agreement) -> dict[str, Any]:
    """Everything, unrounded; null where a figure has no denominator."""
    stated = asdict(replace(found, again=()))
    stated["again"] = [as_json(each) for each in found.again]
    stated["raters"] = [
        {"name": rater.name, "form": rater.form, "clips": len(rater.ratings),
         "doubted": sum(rating.doubted for rating in rater.ratings.values())}
        for rater in found.raters
    ]  # fmt: skip
    return stated


def told_of_media(found: Agreement) -> str:
    """That raters looked at different files of a clip, in words; "" where none did."""
    if not found.other_media:
        return ""
    clips = "1 clip was" if found.other_media == 1 else f"{found.other_media} clips were"
    return f"{clips} labelled by two of them in different files: their times need not be of the same frames."


def _titled(name: str) -> str:
    return TITLES.get(name, name)


def _categories(found: Agreement) -> dict[str, Categories]:
    return {"truth": found.truth, "ghost_probing": found.ghost_probing, **found.words}


def _parts(found: Agreement) -> tuple[Agreement, ...]:
    """All raters, then each that was asked twice."""
    return (found, *found.again)


def _of(found: Agreement, name: str) -> tuple[PairAgreement, ...]:
    each = _categories(found).get(name)
    return each.pairs if each is not None else ()


def _raters(found: Agreement) -> Table:
    columns = (
        Column("rater", "Rater"),
        Column("form", "File"),
        Column("clips", "Clips", "count"),
        Column("doubted", "Doubted", "count"),
    )
    lines = tuple(
        (rater.name, rater.form, len(rater.ratings), sum(rating.doubted for rating in rater.ratings.values()))
        for rater in found.raters
    )
    note = f"{found.clips} clips are named by at least one of them."
    return Table("raters", "Raters", columns, lines, f"{note} {told_of_media(found)}".strip())


def _overall(found: Agreement) -> Table:
    columns = (Column("what", "What"), Column("clips", "Clips", "count"), Column("alpha", "Alpha", "rate"))
    measured: dict[str, Categories | Times] = {**_categories(found), **found.times}
    lines: tuple[tuple[Value, ...], ...] = tuple(
        (_titled(name), each.clips, each.alpha) for name, each in measured.items() if each.clips
    )
    note = (
        "Krippendorff's alpha of all raters, gaps and all, on the clips of which two or more say something: 1 is "
        "agreement, 0 what chance would give. For labels and words the nominal one, for times that of numbers. n/a "
        "where all say the same one thing."
    )
    return Table("alpha", "Agreement of all", columns, lines, note)


def _pairs(found: Agreement) -> Table:
    columns = (
        Column("what", "What"),
        _FIRST,
        _SECOND,
        Column("n", "n", "count"),
        Column("same", "Say the same", "rate"),
        Column("kappa", "Kappa", "rate"),
    )
    lines: tuple[tuple[Value, ...], ...] = tuple(
        (_titled(name), pair.first, pair.second, pair.n, pair.same, pair.kappa)
        for name in dict.fromkeys(name for part in _parts(found) for name in _categories(part))
        for part in _parts(found)
        for pair in _of(part, name)
    )
    note = (
        "On the clips of which both say something, and those that a rater was asked twice. Cohen's kappa; n/a where "
        "chance agreement is 1."
    )
    return Table("pairs", "Agreement of two", columns, lines, note)


def _times(found: Agreement) -> Table:
    within = tuple(Column(f"within_{limit:g}".replace(".", "_"), f"Within {limit:g} s", "rate") for limit in WITHIN_S)
    columns = (
        Column("what", "Time"),
        _FIRST,
        _SECOND,
        Column("n", "n", "count"),
        Column("median_s", "Median |Δ|", "seconds"),
        Column("earlier_s", "Median Δ", "number"),
        *within,
    )
    lines: tuple[tuple[Value, ...], ...] = tuple(
        (_titled(name), pair.first, pair.second, pair.n, pair.median_s, pair.earlier_s, *pair.within.values())
        for name in dict.fromkeys(name for part in _parts(found) for name in part.times)
        for part in _parts(found)
        for pair in (part.times[name].pairs if name in part.times else ())
    )
    note = "On the clips of which both state the time. Δ, seconds: the first's time minus the second's."
    return Table("times", "Agreement on times", columns, lines, note)


def _confusion(found: Agreement) -> Table:
    words = list(TRUTH_TITLES)
    columns = (
        _FIRST,
        Column("says", "says"),
        Column("second", "where … says"),
        *(Column(word, TRUTH_TITLES[word], "count") for word in words),
    )
    lines: tuple[tuple[Value, ...], ...] = tuple(
        (pair.first, TRUTH_TITLES[row], pair.second, *(pair.confusion[row][word] for word in words))
        for part in _parts(found)
        for pair in part.truth.pairs
        for row in words
    )
    note = "How often the first gave the row's label, and the second the column's."
    return Table("confusion", "Who says what", columns, lines, note)
