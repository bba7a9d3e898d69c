"""`bench status`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both

if TYPE_CHECKING:
    from ghostbench.running.resume.status import Status


@click.command(epilog="Examples:\n\n\b\n  bench status results/RUN\n  bench status results/RUN --json")
@click.argument("run", shell_complete=complete.runs, type=click.Path(path_type=Path))
@quiet_option("Print nothing; the exit status says whether the run is complete.")
@as_json_option("Print the same as JSON.")
def command(run: Path, quiet: bool, as_json: bool) -> int:
    """Say how far a run is: whether it runs, its clips by outcome, what it has cost, and when it ends.

    Reads the folder and changes nothing, while the run goes on too. Exit status 0; with --quiet, 1 for a run that is
    not complete.
    """
    from ghostbench.running.resume.status import read_status

    refuse_both(quiet, as_json)
    status = read_status(run)
    if as_json:
        stated = {**asdict(status), "cost_usd": status.cost_usd, "left_s": status.left_s}
        sys.stdout.write(json.dumps(stated, ensure_ascii=False) + "\n")
    elif quiet:
        return int(status.state != "complete")
    else:
        _print(status, run)
    return 0


def _print(status: Status, run: Path) -> None:
    import shlex
    from datetime import timedelta

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ghostbench.report.escape import plain
    from ghostbench.report.table import shown

    console = Console()
    left = "" if status.left_s is None else f", about {timedelta(seconds=round(status.left_s))} to go"
    cost = "" if status.cost_usd is None else f", {shown(status.cost_usd, 'usd')} as far as stated"
    console.print(Text(plain(f"{status.run_id}: {status.state}{left}{cost}"), style="bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", overflow="fold")
    table.add_column("asked", justify="right")
    table.add_column("last outcomes", overflow="fold")
    for name, row in status.rows.items():
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in row.outcomes.items())
        stopped = f"stopped: {row.stopped}" if row.stopped else ""
        words = "; ".join(filter(None, (outcomes, stopped)))
        table.add_row(Text(plain(name)), f"{row.begun}/{row.units}", Text(plain(words)))
    console.print(table)
    if status.state == "stopped":
        again = ["bench", "run", "--resume", "--run-id", run.resolve().name, "--out", str(run.parent)]
        console.print(Text(plain(f"go on with: {shlex.join(again)}")), soft_wrap=True)
    if status.state != "complete":
        console.print(Text(plain(f"so far:     bench report {shlex.quote(str(run))}")), soft_wrap=True)
