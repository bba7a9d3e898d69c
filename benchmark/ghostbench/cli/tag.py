"""`bench tag`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(
    epilog="Examples:\n\n\b\n  bench tag results/RUN\n  bench tag results/RUN paper baseline\n"
    "  bench tag results/RUN --remove baseline\n  bench tag results/RUN --note 'before the fix of the sampler'"
)
@click.argument("run", shell_complete=complete.runs, type=click.Path(path_type=Path))
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option("--remove", multiple=True, metavar="TAG", help="Take this tag off.")
@click.option("--note", metavar="TEXT", help="Replace the note; an empty one takes it away.")
@quiet_option("Print nothing but errors.")
@as_json_option("Print what is written on the run as one JSON object.")
def command(
    *, run: Path, tags: tuple[str, ...], remove: tuple[str, ...], note: str | None, quiet: bool, as_json: bool
) -> int:
    """Write tags and a note on a run, or show them; `bench ls` and `bench view` show them too.

    RUN is the folder that `bench run` wrote, finished or not. The run itself stays as it is: `bench verify` holds it as
    before.
    """
    from ghostbench.folder.manifest import read_manifest
    from ghostbench.folder.tags import read_tags, write_tags
    from ghostbench.report.escape import plain

    refuse_both(quiet, as_json)
    read_manifest(run)
    changes = bool(tags or remove or note is not None)
    found = write_tags(run, add=tags, remove=remove, note=note) if changes else read_tags(run)
    if as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False))
    elif not quiet:
        click.echo(plain(f"tags: {', '.join(found.tags) or 'none'}"))
        if found.note:
            click.echo(plain(f"note: {found.note}"))
    return 0
