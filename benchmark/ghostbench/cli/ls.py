"""`bench ls`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(epilog="Examples:\n\n\b\n  bench ls\n  bench ls results --json\n  bench ls --tag paper")
@click.argument("results", default="results", type=click.Path(path_type=Path))
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only runs with this tag.")
@quiet_option("Print nothing; exit status 1 if there is no run.")
@as_json_option("Print the runs as one JSON list.")
def command(results: Path, tags: tuple[str, ...], quiet: bool, as_json: bool) -> int:
    """List the runs below a folder, a line each, the newest first: state, models, clips, best score and tags.

    RESULTS is the folder that `bench run` writes to. A run that cannot be read is named with the reason.
    """
    from ghostbench.errors import BadInput
    from ghostbench.plugins.text import printable
    from ghostbench.report.overview import headline, overview

    refuse_both(quiet, as_json)
    if not results.is_dir():
        raise BadInput(f"there is no folder {printable(str(results))}: give the one that `bench run` writes to")
    found = [line for line in overview(results) if set(tags) <= set(line.get("tags", ()))]
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return 0
    if quiet:
        return int(not found)
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for line in found:
        console.print(Text(headline(line)), soft_wrap=True)
    if not found:
        console.print(Text("no run is here so far"), soft_wrap=True)
    return 0
