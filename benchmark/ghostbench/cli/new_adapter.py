"""`bench new-adapter`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(
    "new-adapter",
    epilog="Examples:\n\n\b\n  bench new-adapter my-model\n  bench new-adapter my-service --kind api --out src",
)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["local", "api"]),
    default="local",
    show_default=True,
    help="Computed here, or asked over HTTP.",
)
@click.option("--out", type=click.Path(path_type=Path), default=".", show_default=True, help="Where the folder goes.")
@quiet_option()
@as_json_option("Print the folder as JSON.")
def command(name: str, kind: str, out: Path, quiet: bool, as_json: bool) -> int:
    """Write the start of an adapter package: OUT/NAME, with a toy for an answer and tests that pass."""
    from ghostbench.scaffold.write import write_adapter

    refuse_both(quiet, as_json)
    folder = write_adapter(name, "api" if kind == "api" else "local", out)
    if as_json:
        click.echo(json.dumps({"folder": str(folder)}, ensure_ascii=False))
    if quiet or as_json:
        return 0
    click.echo(f"{folder} is written. Its answers are a toy's until you replace {folder.name}'s model.py. Next:")
    click.echo(f"  pip install -e {_quoted(folder)} pytest")
    click.echo(f"  pytest {_quoted(folder)}")
    click.echo(f"  bench doctor {name}")
    click.echo(f"  bench run --models {name},always")
    return 0


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
