"""report.html: one file, without network, to read, filter and print; a large run's rows are loaded from beside it.

Everything that comes from models, labels or names is escaped by the template or written as text by the page's own
script, which the page's security policy names by its digest: no other script can run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostbench.folder.lines import COLUMNS
from ghostbench.media.corruptions import described
from ghostbench.plugins.installed import version_of
from ghostbench.records import TRUTHS
from ghostbench.report.clip_rows import ClipRows
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain, script_json, without_places
from ghostbench.report.facts import facts
from ghostbench.report.marks import marks
from ghostbench.report.prompt import wordings_as_text
from ghostbench.report.table import Table, Value, interval, shown
from ghostbench.report.tables import run_tables
from ghostbench.report.titles import GRADE_TITLES, TRUTH_TITLES
from ghostbench.scoring.metrics import TableRow
from ghostbench.scoring.views import VIEWS

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).parent / "templates"
_ROWS_BESIDE = " 'self' file:"
"""The page's own folder, served or opened as a file: a browser takes no file for part of the page that loads it."""
_NO_SHARE = {"mcc", "d_prime", "criterion", "threshold", "slope"}
"""Estimates that do not lie in [0, 1]: they get no little bar."""
_DIFFERENCES = ("_change", "_lead")
"""Ends of the keys of differences, which lie in [-1, 1] and get none either."""
_RIGHT = {("ghost_probing", "ghost_probing"), ("cut_in", "normal"), ("normal", "normal")}


def report_html(run: RunData, rows: ClipRows | None = None) -> str:
    """The whole page; the same run under the same versions gives the same text.

    rows : the clips with their answers, of which a large run's are in files of their own; without frames if not given.
    """
    from markupsafe import Markup

    from ghostbench.report.frame_strips import has_free_media
    from ghostbench.report.plots import charts
    from ghostbench.report.sections import plugin_sections

    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    tables = run_tables(run)
    rows = rows or ClipRows(run, {})
    return page_template().render(
        policy="; ".join(
            (
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
                f"script-src 'sha256-{digest}'{'' if rows.embedded else _ROWS_BESIDE}",
            )
        ),
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        data=Markup(script_json(rows.page())),  # noqa: S704 - escaped by script_json
        charts={
            section: [(words, Markup(svg)) for words, svg in figures]  # noqa: S704 - drawn and escaped by matplotlib
            for section, figures in charts(run).items()
        },
        generator=generator(),
        run_id=plain(run.manifest.run_id),
        facts=facts(run),
        prompt=wordings_as_text(run.wordings),
        examples=bool(run.manifest.examples),
        claim=run.claim,
        dataset=plain(run.manifest.dataset.name),
        n=len(run.clips),
        repeats=run.metrics["repeats"],
        event_coverage=run.metrics["event_coverage"],
        with_frames=rows.with_frames,
        free_media=has_free_media(run),
        alerts=_alerts(run),
        summary=tables[0],
        tables={table.name: table for table in tables},
        matrices=[_matrix(name, row) for name, row in run.rows.items()],
        truths=TRUTH_TITLES,
        grades=GRADE_TITLES,
        sections=[
            (section.title, Markup(section.html()))  # noqa: S704 - rendered without raw HTML
            for section in plugin_sections(run)
        ],
        cell=table_cell,
        is_reference={plain(name): row["baseline"] for name, row in run.rows.items()},
    )


@cache
def page_template(name: str = "report.html.j2") -> Template:
    """The template of this name, compiled once a process."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(name)


def generator() -> str:
    """What writes the page and decides its charts and pictures, with versions, as the page's own metadata says it."""
    return ", ".join(f"{name} {version_of(name)}" for name in ("ghostbench", "matplotlib", "pillow"))


def table_cell(value: Value, table: Table, place: int) -> dict[str, Any]:
    """A table cell: its text, its interval apart, and where the interval lies in [0, 1] for the little bar."""
    column = table.columns[place]
    if isinstance(value, Mapping):
        bounds = interval(value)
        text = shown(value, column.kind).removesuffix(bounds).rstrip()
        bar = None
        if bounds and column.key not in _NO_SHARE and not column.key.endswith(_DIFFERENCES):
            bar = tuple(round(100 * value[key], 2) for key in ("low", "value", "high"))
        return {"text": text, "bounds": bounds, "bar": bar, "numeric": True}
    return {
        "text": without_places(plain(shown(value, column.kind))),
        "bounds": "",
        "bar": None,
        "numeric": column.kind != "text",
    }


def _matrix(name: str, row: TableRow) -> dict[str, Any]:
    """A confusion matrix as cells with a shade: the share of its truth's clips, right or wrong apart."""
    lines = []
    for truth in TRUTHS:
        total = sum(row["confusion"][truth].values())
        cells = []
        for grade in COLUMNS:
            count = row["confusion"][truth][grade]
            kind = "none" if grade == "no_answer" else "right" if (truth, grade) in _RIGHT else "wrong"
            kind = "half" if grade == "potential_ghost_probing" else kind
            cells.append({"count": count, "share": round(count / total, 4) if total else 0, "kind": kind})
        lines.append({"truth": TRUTH_TITLES[truth], "total": total, "cells": cells})
    return {
        "name": plain(name),
        "reference": row["baseline"],
        "lines": lines,
        "marks": [plain(str(m)) for m in marks(row)],
    }


def _alerts(run: RunData) -> list[tuple[str, list[str]]]:
    """The rows whose numbers need a warning before they are read, with the warnings.

    A probe that takes the pixels away is meant to do badly: it is worth a warning where it does not.
    """
    found = []
    for name, row in run.metrics["models"].items():
        told = [] if row["baseline"] else [mark for mark in marks(row) if mark.kind != "what_it_is"]
        serious = [
            without_places(plain(mark.words))
            for mark in told
            if not row["probe"] or mark.kind in ("stopped", "served_another")
        ]
        takes_away = row["probe"] is not None and not described(row["probe"])
        views = _no_worse(row, run.metrics["models"].get(row["of"] or "")) if takes_away else []
        if views:
            serious.append(
                f"F1 over all clips no lower than {plain(str(row['of']))}’s ({', '.join(views)}): "
                "what this probe takes away may not have mattered to it"
            )
        if serious:
            found.append((plain(name), serious))
    return found


def _no_worse(probe: TableRow, model: TableRow | None) -> list[str]:
    """The views in which a probe's F1, every clip counted, is at least its model's."""
    if model is None:
        return []
    both = {
        view: (probe["views"][view]["worst_case"]["f1"], model["views"][view]["worst_case"]["f1"]) for view in VIEWS
    }
    return [view for view, (own, its) in both.items() if own and its and own["value"] >= its["value"]]
