"""`bench export`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(
    epilog="Examples:\n\n\b\n  bench export results/RUN --to csv\n  bench export results/RUN --to parquet --out tables"
)
@click.argument("run", shell_complete=complete.runs, type=click.Path(path_type=Path))
@click.option("--to", "form", required=True, type=click.Choice(["parquet", "csv", "json"]), help="The files' form.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder for them; else RUN-export beside RUN.")
@quiet_option("Print nothing but errors.")
@as_json_option("Print the files that were written, as one JSON object.")
def command(*, run: Path, form: Literal["parquet", "csv", "json"], out: Path | None, quiet: bool, as_json: bool) -> int:
    """Write a finished run's clips, attempts, predictions and metrics as tables for other programs.

    RUN is the folder that `bench run` wrote; nothing in it changes. Each of the four is a file, one row a line of the
    run's own, with the columns of docs/file-formats.md; `metrics` has one row for each row of the tables.
    """
    from ghostbench.report.export import export_run

    refuse_both(quiet, as_json)
    written = export_run(run, form, out or run.resolve().with_name(f"{run.resolve().name}-export"))
    if as_json:
        sys.stdout.write(json.dumps({"files": [str(path) for path in written]}, ensure_ascii=False) + "\n")
    elif not quiet:
        for path in written:
            click.echo(str(path))
    return 0
