"""Write a run's report: report.md, report.html with a large run's report_rows/*.js, tables/*.csv, tables/*.tex, and
SHA256SUMS over the whole folder."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ghostbench.datasets.granted import NOTHING, Granted
from ghostbench.folder.names import PAGE, PAGE_ROWS, REPORT, SENSITIVITY, TABLES
from ghostbench.folder.sums import read_sums, row_files, write_sums
from ghostbench.report.clip_rows import ClipRows
from ghostbench.report.data import RunData, read_run
from ghostbench.report.escape import markdown
from ghostbench.report.facts import facts
from ghostbench.report.files import markdown_table, table_files
from ghostbench.report.prompt import wordings_as_text
from ghostbench.report.sections import plugin_sections
from ghostbench.report.table import Table
from ghostbench.report.tables import run_tables
from ghostbench.writing import make_folder, remove_begun, write_text, write_texts


def write_report(folder: Path, *, embed_frames: bool | None = None, granted: Granted = NOTHING) -> None:
    """Write every file of the report into the run folder.

    embed_frames : put each clip's frames into report.html, decoded again; only for media whose licence allows it. None:
        where the dataset comes with free media, as far as they are the run's.
    granted : where the media for them may be looked for.

    Raises `BadInput` as `read_run` does, and for frames that can no longer be had.
    """
    from ghostbench.report.frame_strips import frame_strips, free_strips
    from ghostbench.report.html import report_html

    run = read_run(folder)
    strips = frame_strips(run, granted) if embed_frames else free_strips(run) if embed_frames is None else {}
    make_folder(folder / TABLES)
    for written in (folder, folder / TABLES):
        remove_begun(written)
    files = report_files(run)
    for name in sorted(_tables_of_before(folder) - files.keys()):
        (folder / name).unlink(missing_ok=True)
    rows = ClipRows(run, strips)
    files[PAGE] = report_html(run, rows=rows)
    _write_rows(folder, rows)
    write_texts({folder / name: text for name, text in files.items()})
    write_sums(folder)


def _write_rows(folder: Path, rows: ClipRows) -> None:
    """The files that a large run's page loads; what is there of an earlier report goes."""
    if not rows.embedded:
        make_folder(folder / PAGE_ROWS)
        remove_begun(folder / PAGE_ROWS)
    before = set(row_files(folder))
    for name, text in rows.files():
        write_text(folder / name, text)
        before.discard(name)
    for name in before:
        (folder / name).unlink(missing_ok=True)
    if rows.embedded:
        with contextlib.suppress(OSError):  # none, or something else is in it
            (folder / PAGE_ROWS).rmdir()


def _tables_of_before(folder: Path) -> set[str]:
    """The tables that a report wrote here before, by path: a run that was gone on with may have them no longer."""
    try:
        stated = read_sums(folder)
    except (OSError, ValueError):
        return set()
    return {
        name for name in stated if name.startswith(f"{TABLES}/") and not name.startswith(f"{TABLES}/{SENSITIVITY}_")
    }


def report_files(run: RunData) -> dict[str, str]:
    """The text of report.md and of every table file, by path within the run folder."""
    tables = run_tables(run)
    return {REPORT: report_markdown(run, tables)} | table_files(tables)


def report_markdown(run: RunData, tables: Sequence[Table] | None = None) -> str:
    """report.md: what was run, every table, and the sections of plugins.

    tables : those of the run, where they are at hand.
    """
    manifest = run.manifest
    lines = [f"# {markdown(manifest.run_id)}", "", f"**{markdown(run.claim)}**", ""]
    lines += [f"- {title}: {markdown(text)}" for title, text in facts(run)]
    lines.append("")
    lines += [markdown_table(table) for table in (run_tables(run) if tables is None else tables)]
    text = wordings_as_text(run.wordings)
    if text is not None:
        words = "".join(f"    {line}\n" for line in text.split("\n"))
        lines.append(f"## The prompt's words\n\n{words}")
    lines += [f"## {markdown(section.title)}\n\n{section.markdown()}\n" for section in plugin_sections(run)]
    return "\n".join(lines)
