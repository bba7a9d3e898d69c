"""`bench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both

if TYPE_CHECKING:
    from ghostbench.evidence.contenders import Field

_KEYS = ("dataset", "labels", "split", "task", "sampling", "moments", "sustain", "repeats")


@click.command(
    epilog="Examples:\n\n\b\n  bench compare results/RUN\n  bench compare results/A results/B --out comparison\n"
    "  bench compare results/RUN --models gpt-4.1,gpt-4o\n  bench compare results/A results/B --allow sampling\n"
    "  bench compare results/GRID results/REAL --carry-over --out carried"
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN]...", type=click.Path(path_type=Path))
@click.option("--models", metavar="A,B", help="Compare these models alone, however few clips they answered.")
@click.option(
    "--allow",
    multiple=True,
    metavar="KEY",
    type=click.Choice(_KEYS),
    help=f"Compare although the runs differ in this: {', '.join(_KEYS)}. May be given several times.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write everything there: comparison.json, comparison.html, tables/*.csv, tables/*.tex; with --carry-over, "
    "carry_over.json and carry_over.html in their place.",
)
@click.option(
    "--carry-over",
    is_flag=True,
    help="Of two runs, over rendered twins and over real clips: whether ranks and errors carry over.",
)
@quiet_option("Write the files and print nothing.")
@as_json_option("Print everything as JSON.")
def command(
    *,
    runs: tuple[Path, ...],
    models: str | None,
    allow: tuple[str, ...],
    out: Path | None,
    carry_over: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Compare the models of one or more runs on the clips they have in common.

    Trivial baselines stand beside them. A model that answered less than half of the clips that another did is not
    ranked, unless --models names it: it would take the others' clips away. Rows of probes and of other wordings
    (MODEL+PROBE, MODEL@WORDING) are compared only where --models names them.
    Rows that see the video are left out beside rows that saw the frames.

    Runs that ask at moments are compared by their warnings, false alarms, leads and average precision.
    """
    from rich.console import Console

    from ghostbench.errors import BadInput
    from ghostbench.evidence.compare import compare
    from ghostbench.evidence.compare_brief import print_comparison
    from ghostbench.evidence.compare_files import comparison_json, write_comparison
    from ghostbench.evidence.contenders import read_field
    from ghostbench.writing import json_text

    refuse_both(quiet, as_json)
    if len({run.resolve() for run in runs}) < len(runs):
        raise BadInput("a run is named twice: name each run once")
    if carry_over:
        if len(runs) != 2 or models is not None or allow:
            raise click.UsageError("--carry-over takes two runs, twins first, and neither --models nor --allow")
        _carry_over(runs[0], runs[1], out, quiet, as_json)
        return 0
    names = [name.strip() for name in models.split(",")] if models is not None else []
    if "" in names or len(set(names)) < len(names):
        raise BadInput("--models has an empty or repeated name: name each model once, with commas between")
    field = read_field(runs, allow, names)
    if field.at_moments:
        _print_warnings(field, out, quiet, as_json)
        return 0
    comparison = compare(field)
    if out is not None:
        write_comparison(out, comparison)
    if as_json:
        click.echo(json_text(comparison_json(comparison)), nl=False)
    elif not quiet:
        print_comparison(comparison, Console(), out)
    return 0


def _print_warnings(field: Field, out: Path | None, quiet: bool, as_json: bool) -> None:
    from rich.console import Console

    from ghostbench.evidence.warning_compare_files import (
        print_warning_comparison,
        warning_comparison_json,
        write_warning_comparison,
    )
    from ghostbench.evidence.warning_pairs import WarningComparison
    from ghostbench.writing import json_text

    comparison = WarningComparison(field)
    if out is not None:
        write_warning_comparison(out, comparison)
    if as_json:
        click.echo(json_text(warning_comparison_json(comparison)), nl=False)
    elif not quiet:
        print_warning_comparison(comparison, Console(), out)


def _carry_over(drawn: Path, filmed: Path, out: Path | None, quiet: bool, as_json: bool) -> None:
    from rich.console import Console

    from ghostbench.evidence.carry_over import CANNOT_SHOW, carry_over
    from ghostbench.evidence.compare_files import carry_over_json, write_carry_over
    from ghostbench.report.data import read_run
    from ghostbench.report.terminal import print_table
    from ghostbench.writing import json_text

    grid, real = read_run(drawn), read_run(filmed)
    found = carry_over(grid, real)
    if out is not None:
        write_carry_over(out, grid, real, found)
    if as_json:
        click.echo(json_text(carry_over_json(found)), nl=False)
    elif not quiet:
        print_table(found.table, Console())
        click.echo(f"{found.words()}\n{CANNOT_SHOW}")
