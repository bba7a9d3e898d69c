"""`bench datasets`."""

from __future__ import annotations

import click


@click.command(
    epilog="Examples:\n\n\b\n  bench datasets\n  bench run --dataset dada2000 --data-root DADA --labels labels.csv"
)
def command() -> int:
    """List the datasets with their splits, and where their media comes from."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ghostbench.datasets.definition import find_definition
    from ghostbench.errors import BadInput
    from ghostbench.plugins.registry import registry

    console, err = Console(), Console(stderr=True)
    table = Table("dataset", "splits", "media", "what it is", box=None, pad_edge=False, header_style="bold")
    for spec in registry().datasets.values():
        try:
            definition = find_definition(spec.name)
        except BadInput as error:
            err.print(f"warning: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True)
            continue
        splits = ", ".join(["all", *definition.splits])
        media = "comes with the package" if definition.root else "yours: --data-root"
        table.add_row(*map(escape, (spec.name, splits, media, spec.summary)))
    console.print(table)
    console.print("Others: a YAML file with name, root, layout, labels and splits; see docs.", highlight=False)
    return 0
