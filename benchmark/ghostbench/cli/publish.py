"""`bench publish`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(epilog="Examples:\n\n\b\n  bench publish results/A results/B --out site")
@click.argument("runs", nargs=-1, required=True, shell_complete=complete.runs, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write; it must be new.")
@quiet_option("Print nothing but errors.")
@as_json_option("Print the folder as one JSON object.")
def command(*, runs: tuple[Path, ...], out: Path, quiet: bool, as_json: bool) -> int:
    """Write finished runs as a static folder of `bench view`'s page, without media, for a web server.

    RUNS are folders that `bench run` wrote. The page fetches nothing but files of its own folder. Answers and attempts
    are in it whole; where files lay on this machine is not.
    """
    from ghostbench.viewer.publish import publish

    refuse_both(quiet, as_json)
    files = publish(runs, out)
    if as_json:
        sys.stdout.write(json.dumps({"folder": str(out), "files": files}) + "\n")
    elif not quiet:
        click.echo(f"{files} files in {out}; to look at it here: python -m http.server --directory {out}")
    return 0
