"""`bench report`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both

if TYPE_CHECKING:
    from ghostbench.datasets.granted import Granted
    from ghostbench.report.data import RunData


@click.command(
    epilog="Examples:\n\n\b\n  bench report results/RUN\n  bench report results/RUN --all\n"
    "  bench report results/RUN --table confusion\n  bench report results/RUN --table no_answer --json\n"
    "  bench report results/RUN --embed-frames --data-root DADA\n  bench report results/RUN --labels corrected.csv\n"
    "  bench report results/RUN --labels anna.csv --labels ben.csv\n"
    "  bench report results/RUN --paper --out paper"
)
@click.argument("run", shell_complete=complete.runs, type=click.Path(path_type=Path))
@click.option("--table", "table", metavar="NAME", help="Print this table, and write nothing; --all shows their names.")
@click.option("--all", "every", is_flag=True, help="Print every table, and write nothing.")
@click.option(
    "--embed-frames/--no-embed-frames",
    default=None,
    help="Put the clips' frames into report.html, or not; mind the licence of the media.  [else: free media's alone]",
)
@click.option("--data-root", metavar="DIR|URL", help="With --embed-frames: where the media is.")
@click.option(
    "--labels",
    metavar="FILE",
    multiple=True,
    help="Say which scores change under this label file, or under those of several annotators; nothing else changes.",
)
@click.option("--skip-bad-labels", is_flag=True, help="With --labels: leave out bad rows and list them.")
@click.option(
    "--paper",
    is_flag=True,
    help="Write tables as wide as a column, figures, methods and BibTeX to a folder of its own.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="With --paper: the folder for them; else RUN-paper beside RUN."
)
@quiet_option("Write the files and print nothing.")
@as_json_option("Print the metrics, or the tables that are asked for, as JSON.")
def command(  # noqa: PLR0913 - one parameter an option
    *,
    run: Path,
    table: str | None,
    every: bool,
    embed_frames: bool | None,
    data_root: str | None,
    labels: tuple[str, ...],
    skip_bad_labels: bool,
    paper: bool,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Write a finished run's metrics, tables and pages again, and print the run in short.

    RUN is the folder that `bench run` wrote. With --table or --all, tables are printed and nothing is written. Of a run
    that is not finished, the settled part is printed, marked as such, and nothing is written. Nothing that RUN names is
    opened: --data-root says where the media is, unless the dataset comes with a package.

    --paper writes nothing into RUN: LaTeX tables that fit a column of 240 pt and a text of 345 pt, the charts as PDF
    and SVG, a text on methods with every setting and version, and BibTeX.
    """
    from ghostbench.datasets.granted import Granted
    from ghostbench.errors import BadInput
    from ghostbench.report.data import read_run
    from ghostbench.running.resume.partial import is_unfinished

    refuse_both(quiet, as_json)
    if skip_bad_labels and not labels:
        raise BadInput("--skip-bad-labels goes with --labels FILE: name the second label file")
    if every and table is not None:
        raise BadInput("--all prints every table: leave out --table")
    if out is not None and not paper:
        raise BadInput("--out goes with --paper: every other report is written into RUN")
    if paper:
        if every or table is not None or embed_frames or labels:
            raise BadInput("--paper writes a folder of its own: leave out --table, --all, --embed-frames and --labels")
        return _paper(run, out, quiet=quiet, as_json=as_json)
    if labels:
        if every or table is not None or as_json:
            raise BadInput("--labels prints the tables that change: leave out --table, --all and --json")
        return _under_other_labels(run, labels, skip_bad=skip_bad_labels, quiet=quiet)
    if not embed_frames and is_unfinished(run):
        return _part(run, table=table, every=every, as_json=as_json, quiet=quiet)
    if every or table is not None:
        if embed_frames:
            raise BadInput("--embed-frames writes report.html, and --table and --all write nothing: leave out one")
        return _tables(read_run(run), table, as_json=as_json, quiet=quiet)
    granted = Granted.of(data_root=data_root)
    return _report(run, embed_frames, granted, as_json=as_json, quiet=quiet)


def _report(run: Path, embed: bool | None, granted: Granted, *, as_json: bool, quiet: bool) -> int:
    """Write the report, with frames of the media that may be looked for, or without."""
    from rich.console import Console

    from ghostbench.report.brief import print_brief
    from ghostbench.report.data import read_run
    from ghostbench.report.write import write_report
    from ghostbench.scoring.score import score_run

    metrics = score_run(run)
    write_report(run, embed_frames=embed, granted=granted)
    if as_json:
        sys.stdout.write(json.dumps({"run": str(run), "metrics": metrics}, ensure_ascii=False) + "\n")
    elif not quiet:
        print_brief(read_run(run), Console())
    return 0


def _paper(run: Path, out: Path | None, *, quiet: bool, as_json: bool) -> int:
    from ghostbench.report.data import read_run
    from ghostbench.report.paper.write import write_paper

    place = out or run.resolve().with_name(f"{run.resolve().name}-paper")
    files = write_paper(read_run(run), place)
    if as_json:
        sys.stdout.write(json.dumps({"folder": str(place), "files": [str(path) for path in files]}) + "\n")
    elif not quiet:
        click.echo(f"{len(files)} files in {place}; paper.tex shows what is there")
    return 0


def _part(folder: Path, *, table: str | None, every: bool, as_json: bool, quiet: bool) -> int:
    """The settled part of an unfinished run, printed alone; every form of it says that it is a part."""
    from rich.console import Console

    from ghostbench.report.brief import print_brief
    from ghostbench.report.escape import plain
    from ghostbench.running.resume.partial import read_part

    with read_part(folder) as part:
        if not (every or table is not None):
            if as_json:
                stated = {"run": str(folder), "unfinished": str(part), "metrics": part.run.metrics}
                sys.stdout.write(json.dumps(stated, ensure_ascii=False) + "\n")
            elif not quiet:
                print_brief(part.run, Console(), title=str(part))
            return 0
        if not as_json and not quiet:
            Console().print(plain(str(part)), style="bold red", markup=False, highlight=False)
        return _tables(part.run, table, as_json=as_json, quiet=quiet, remark=f"{part} ")


def _tables(run: RunData, name: str | None, *, as_json: bool, quiet: bool, remark: str = "") -> int:
    """Print tables. remark : what stands before every note."""
    from dataclasses import replace

    from rich.console import Console

    from ghostbench.report.table import as_mapping
    from ghostbench.report.terminal import chosen_tables, print_table

    found = [replace(table, note=f"{remark}{table.note}") for table in chosen_tables(run, name)]
    if as_json:
        shown = [as_mapping(table) for table in found]
        sys.stdout.write(json.dumps(shown if name is None else shown[0], ensure_ascii=False) + "\n")
    elif not quiet:
        console = Console()
        for table in found:
            print_table(table, console)
    return 0


def _under_other_labels(run: Path, labels: tuple[str, ...], *, skip_bad: bool, quiet: bool) -> int:
    from rich.console import Console

    from ghostbench.evidence.sensitivity import sensitivity, write_sensitivity
    from ghostbench.report.terminal import print_table

    console = Console(quiet=quiet)
    found = sensitivity(run, labels, skip_bad=skip_bad)
    write_sensitivity(run, found)
    for line in found.skipped:
        console.print(f"skipped {line}", markup=False, highlight=False, soft_wrap=True)
    for table in found.tables:
        print_table(table, console)
    return 0
