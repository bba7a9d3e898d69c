"""A comparison, or what carries over from twins, as files: a .json, a page, tables/*.csv and tables/*.tex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostbench.errors import BadInput
from ghostbench.evidence.carry_over import CANNOT_SHOW, CarryOver
from ghostbench.evidence.compare import Comparison, Pair, differing_clips, pairs_apart
from ghostbench.evidence.compare_tables import comparison_tables, truths_of
from ghostbench.evidence.contenders import Field
from ghostbench.folder.names import MANIFEST, TABLES
from ghostbench.models import SEES_VIDEO
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain
from ghostbench.report.files import table_files
from ghostbench.report.html import TEMPLATES, page_template, table_cell
from ghostbench.report.table import Table, as_mapping
from ghostbench.scoring.significance import ALPHA
from ghostbench.writing import json_text, write_texts

if TYPE_CHECKING:
    from markupsafe import Markup

SCHEMA_VERSION = 2
_MOST_ROWS = 1000
"""A longer table would make the page slow: it is in the files beside it."""


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Everything of a comparison, unrounded; null where a rate has no denominator."""
    field = comparison.field
    clips = differing_clips(field)
    names = [one.name for one in field.contenders]
    truths = truths_of(comparison)
    return {
        "schema_version": SCHEMA_VERSION,
        "runs": field.titles,
        "clips": len(field.clips),
        "positives": int(field.positive.sum()),
        "models": names,
        "baselines": [one.name for one in field.baselines],
        "allowed_differences": list(field.differences),
        "relabelled": list(field.relabelled),
        "not_compared": dict(field.without),
        "of_videos": field.of_videos,
        "rankings": {ranking.view: asdict(ranking) for ranking in comparison.rankings},
        "beats_trivial": comparison.against,
        "pairs": [_pair(comparison, pair) for pair in comparison.pairs],
        "leads": [asdict(each) for each in comparison.leads],
        "places_under_doubt": [asdict(each) for each in comparison.places],
        "differing_clips": {clip: {"truth": truths[clip], "said": dict(words)} for clip, words in clips.items()},
        "differing_pairs": [
            {"first": one, "second": other, "clips": apart} for one, other, apart in pairs_apart(clips, names)
        ],
    }


def _pair(comparison: Comparison, pair: Pair) -> dict[str, Any]:
    found = asdict(pair)
    del found["family"]
    found |= {"accuracy": comparison.accuracy(pair), "power": asdict(pair.power)}
    found["significant"] = pair.p_holm <= ALPHA
    if pair.side in ("answered", "worst_case"):
        rates = comparison.rates(pair)
        found |= {"differences": rates.differences, "first_rates": rates.first, "second_rates": rates.second}
    return found


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Write every form of a comparison into a folder, made if need be; what it held under these names is replaced.

    Raises `BadInput` for a run folder, and for one that cannot be written.
    """
    tables = list(comparison_tables(comparison))
    page = comparison_html(comparison.field, tables, [one.name for one in comparison.field.baselines])
    write_forms(folder, "comparison", tables, comparison_json(comparison), page)


def write_carry_over(folder: Path, grid: RunData, real: RunData, found: CarryOver) -> None:
    """Write whether ranks and errors on twins carry over: carry_over.json, carry_over.html, tables/carry_over.csv and
    .tex. Raises `BadInput` as `write_comparison` does."""
    runs = [plain(run.manifest.run_id) for run in (grid, real)]
    page = page_template("carry_over.html.j2").render(
        style=_style(),
        runs=runs,
        words=plain(found.words()),
        cannot_show=CANNOT_SHOW,
        table=found.table,
        is_reference={},
        cell=table_cell,
    )
    write_forms(folder, "carry_over", [found.table], {"runs": runs, **carry_over_json(found)}, page)


def carry_over_json(found: CarryOver) -> dict[str, Any]:
    """Everything that `bench compare --carry-over` found, unrounded."""
    return {
        "tau": found.tau,
        "p": found.p,
        "models": found.models,
        "table": as_mapping(found.table),
        "words": found.words(),
        "cannot_show": CANNOT_SHOW,
    }


def write_forms(folder: Path, name: str, tables: Sequence[Table], stated: Mapping[str, Any], page: str) -> None:
    """Write NAME.json with what is stated, NAME.html with the page, and the tables, into a folder, made if need be.

    Raises `BadInput` as `write_comparison` does.
    """
    if (folder / MANIFEST).exists():
        raise BadInput(f"{folder} is a run folder: give --out another one")
    try:
        (folder / TABLES).mkdir(parents=True, exist_ok=True)
        files = table_files(tables) | {f"{name}.json": json_text(stated), f"{name}.html": page}
        write_texts({folder / file: text for file, text in files.items()})
    except OSError as error:
        raise BadInput(f"{folder} cannot be written: {error.strerror}") from None


def _style() -> Markup:
    from markupsafe import Markup

    return Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file


def comparison_html(field: Field, tables: Sequence[Table], baselines: Sequence[str]) -> str:
    """One page without scripts and without network; tables too long for a page are named with their file.

    baselines : the names whose lines are marked.
    """
    return page_template("comparison.html.j2").render(
        style=_style(),
        claim=plain(field.runs[0].manifest.task.claim),
        runs=[plain(name) for name in field.titles],
        clips=len(field.clips),
        positives=int(field.positive.sum()),
        warnings=[plain(words) for words in warnings_of(field)],
        tables=[table for table in tables if len(table.rows) <= _MOST_ROWS],
        long={table.name: table for table in tables if len(table.rows) > _MOST_ROWS},
        is_reference=dict.fromkeys(map(plain, baselines), True),
        cell=table_cell,
    )


def warnings_of(field: Field) -> list[str]:
    """What must be known before the numbers are read: in what the runs differ, and who saw what."""
    found = [f"The runs differ in {words}." for words in field.differences]
    if field.relabelled:
        count, first = len(field.relabelled), field.titles[0]
        found.append(
            f"{count} clips have other labels in another run; those of {first} count: {_some(field.relabelled, 5)}"
        )
    found += [f"Not compared with the others: {name}, which {why}." for name, why in field.without.items()]
    if field.of_videos:
        found.append(f"Each of these models {SEES_VIDEO}.")
    return found


def _some(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
