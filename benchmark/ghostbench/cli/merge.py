"""`bench merge`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ghostbench.cli import complete
from ghostbench.cli.out_option import out_option
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(
    epilog="Examples:\n\n\b\n  bench run --shard 1/2 --run-id part-1\n  bench run --shard 2/2 --run-id part-2\n"
    "  bench merge results/part-1 results/part-2 --run-id whole"
)
@click.argument(
    "shards", nargs=-1, required=True, shell_complete=complete.runs, type=click.Path(path_type=Path), metavar="SHARD..."
)
@out_option("Where the run goes.")
@click.option("--run-id", help="Name of its folder; default: the first shard's, without its number.")
@quiet_option()
@as_json_option("Print the metrics as JSON instead of a table.")
def command(shards: tuple[Path, ...], out: Path, run_id: str | None, quiet: bool, as_json: bool) -> int:
    """Put the runs over all shards of a split together to one run, and score that.

    They must differ in --shard alone: dataset, labels, split, task, settings, versions and the models' files are
    compared, and so is what each clip's share is. Missing and doubled clips are named. A tag that all of them
    bear is the whole run's too. The shards stay as they are.

    Exit status as for `bench run`.
    """
    refuse_both(quiet, as_json)
    from rich.console import Console

    from ghostbench.running.conclude import conclude, make_report
    from ghostbench.running.merge import merge
    from ghostbench.running.terminal import Terminal

    terminal = Terminal(out=Console(), err=Console(stderr=True), quiet=quiet, as_json=as_json)
    folder = merge(shards, out, run_id, ["bench", *sys.argv[1:]])
    return conclude(folder, terminal, make_report(folder))
