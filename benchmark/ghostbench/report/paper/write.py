"""A folder for a paper: tables, figures, methods and references of a finished run, and a document that shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from ghostbench.digests import digest
from ghostbench.errors import BadInput
from ghostbench.folder.manifest import has_manifest
from ghostbench.folder.names import TABLES
from ghostbench.plugins.text import printable
from ghostbench.report.data import RunData
from ghostbench.report.escape import LATEX_UNICODE, latex
from ghostbench.report.paper.figures import paper_figures
from ghostbench.report.paper.methods import methods
from ghostbench.report.paper.narrow import COLUMN_PT, TEXT_PT, paper_table
from ghostbench.report.paper.references import references
from ghostbench.report.tables import run_tables
from ghostbench.writing import write_bytes, write_json, write_texts

WIDTHS: Mapping[str, float] = {"column": COLUMN_PT, "text": TEXT_PT}
"""The forms of every table, and their widths, pt."""
WRITTEN = "written.json"
"""The digests of what was written, so that nothing else is ever replaced."""
SHOWN = ("summary", "confusion", "outcomes", "early_warning", "twins", "label_doubt", "cost")
"""The tables that the document shows, where the run has them."""


def write_paper(run: RunData, out: Path) -> list[Path]:
    """Write the folder and return its files: `paper.tex`, `methods.tex`, `references.bib`, `tables/NAME-column.tex` and
    `-text.tex` for every table, `figures/NAME.pdf` and `.svg`, and `written.json` with their digests. Nothing of the
    run changes.

    Raises `BadInput` where it cannot be written, in a run's own folder, and where another's file would be lost.
    """
    if any(has_manifest(folder) for folder in (out, *out.resolve().parents)):
        raise BadInput(f"{printable(str(out))} is a run's folder, or in one: choose another --out")
    cited = references(run)
    texts = {"references.bib": cited.text(), "methods.tex": methods(run, cited)}
    tables = run_tables(run)
    for table in tables:
        for form, width in WIDTHS.items():
            texts[f"{TABLES}/{table.name}-{form}.tex"] = paper_table(table, width)
    figures = paper_figures(run)
    names = [table.name for table in tables]
    texts["paper.tex"] = _document(run, [name for name in SHOWN if name in names], figures)
    pictures = {
        f"figures/{name}.{kind}": data
        for name, (_, pdf, svg) in figures.items()
        for kind, data in (("pdf", pdf), ("svg", svg))
    }
    _check_unchanged(out, (*texts, *pictures))
    try:
        for folder in (out, out / TABLES, out / "figures"):
            folder.mkdir(parents=True, exist_ok=True)
        write_texts({out / name: text for name, text in texts.items()})
        for name, data in pictures.items():
            write_bytes(out / name, data)
        write_json(out / WRITTEN, {name: digest(out / name) for name in (*texts, *pictures)})
    except OSError as error:
        raise BadInput(f"cannot write to {printable(str(out))}: {error.strerror}; choose another --out") from None
    return [out / name for name in (*texts, *pictures, WRITTEN)]


def _check_unchanged(out: Path, names: Iterable[str]) -> None:
    """Raise `BadInput` where one of these files is there and was not written by this, or was changed since."""
    held = [name for name in names if (out / name).exists()]
    try:
        stated = json.loads((out / WRITTEN).read_bytes()) if held and (out / WRITTEN).is_file() else {}
        own = stated if isinstance(stated, dict) else {}
        others = [name for name in held if own.get(name) != digest(out / name)]
    except (OSError, ValueError, RecursionError):
        others = held
    if others:
        raise BadInput(
            f"{printable(str(out / others[0]))} was written or changed by somebody else: choose another --out, or move "
            "it away"
        )


def _document(run: RunData, names: list[str], figures: Mapping[str, tuple[str, bytes, bytes]]) -> str:
    """An article in one column that shows what there is; two columns take `-column.tex` instead of `-text.tex`."""
    shown = "\n".join(rf"\input{{{TABLES}/{name}-text}}" for name in names)
    drawn = "\n".join(
        "\\begin{figure}[tp]\n\\centering\n"
        f"\\includegraphics{{figures/{name}}}\n\\caption{{{latex(words)}}}\\label{{fig:{name}}}\n\\end{{figure}}"
        for name, (words, *_) in figures.items()
    )
    return "\n".join(
        [
            "% Shows what is here; take from it what your paper needs.",
            r"\documentclass[10pt]{article}",
            r"\usepackage[T1]{fontenc}",
            r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}",
            r"\usepackage{textcomp,booktabs,graphicx,url}",
            LATEX_UNICODE,
            r"\extrafloats{500}\sloppy",
            rf"\title{{{latex(run.manifest.run_id)}}}\author{{}}\date{{}}",
            r"\begin{document}\maketitle",
            r"\section*{Methods}\input{methods}",
            shown,
            drawn,
            r"\clearpage",
            r"\nocite{*}\bibliographystyle{plain}\bibliography{references}",
            r"\end{document}",
            "",
        ]
    )
