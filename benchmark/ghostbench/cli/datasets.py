"""`bench datasets`."""

from __future__ import annotations

import click

from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(
    epilog="Examples:\n\n\b\n  bench datasets\n  bench run --dataset dada2000 --data-root DADA --labels labels.csv"
)
@quiet_option()
@as_json_option("Print the list as JSON.")
def command(quiet: bool, as_json: bool) -> int:
    """List the datasets with their splits, and where their media comes from."""
    import json
    import sys

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ghostbench.datasets.definition import find_definition
    from ghostbench.errors import BadInput
    from ghostbench.plugins.registry import registry

    refuse_both(quiet, as_json)
    console, err = Console(quiet=quiet or as_json), Console(stderr=True)
    listed = []
    table = Table("dataset", "splits", "media", "what it is", box=None, pad_edge=False, header_style="bold")
    for spec in registry().datasets.values():
        try:
            definition = find_definition(spec.name)
        except BadInput as error:
            err.print(f"warning: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True)
            continue
        splits = ", ".join(["all", *definition.splits])
        own = definition.root is not None
        listed.append(
            {"name": spec.name, "splits": ["all", *definition.splits], "own_media": own, "summary": spec.summary}
        )
        media = "comes with the package" if own else "yours: --data-root"
        table.add_row(*map(escape, (spec.name, splits, media, spec.summary)))
    if as_json:
        sys.stdout.write(json.dumps(listed, ensure_ascii=False) + "\n")
    console.print(table)
    console.print("Others: a YAML file with name, root, layout, labels and splits; see docs.", highlight=False)
    return 0
