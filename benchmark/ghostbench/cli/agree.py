"""`bench agree`."""

from __future__ import annotations

import click

from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(
    epilog="Examples:\n\n\b\n  bench agree anna.csv ben.csv\n  bench agree anna.csv ben.csv --table confusion\n"
    "  bench agree labels.csv badas_consensus.csv\n"
    "  bench agree labels.csv dada_text_annotations.xlsx --data-root DADA"
)
@click.argument("files", nargs=-1, required=True, metavar="FILE FILE...")
@click.option("--data-root", metavar="DIR|URL", help="Where the clips are; DADA-2000's own rows are found by frames.")
@click.option("--skip-bad-labels", is_flag=True, help="Leave out label rows that cannot be read.")
@click.option("--table", "table", metavar="NAME", help="Print this table: raters, alpha, pairs, times, confusion.")
@click.option("--all", "every", is_flag=True, help="Print every table.")
@quiet_option("Print nothing.")
@as_json_option("Print everything as JSON.")
def command(
    *,
    files: tuple[str, ...],
    data_root: str | None,
    skip_bad_labels: bool,
    table: str | None,
    every: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Say how far annotators agree: on the label, on when things happen, on who comes from behind what.

    Each label file is an annotator, or as many as its column `annotator` names. Annotation files (DADA-2000's,
    BADAS-Open's, Nexar's, JSON or a table by clip) are raters that only say when.
    """
    from rich.console import Console

    from ghostbench.errors import BadInput
    from ghostbench.labelling.agree import agree
    from ghostbench.labelling.agree_tables import agreement_tables, told_of_media
    from ghostbench.labelling.agree_tables import as_json as stated
    from ghostbench.labelling.raters import read_raters
    from ghostbench.plugins.text import printable
    from ghostbench.report.terminal import print_table
    from ghostbench.writing import json_text

    refuse_both(quiet, as_json)
    found = agree(read_raters(files, data_root=data_root, skip_bad=skip_bad_labels))
    if as_json:
        click.echo(json_text(stated(found)), nl=False)
        return 0
    tables = {each.name: each for each in agreement_tables(found)}
    if table is not None and table not in tables:
        raise BadInput(f"there is no table '{printable(table)}' here; choose from {', '.join(tables)}")
    shown = [table] if table is not None else list(tables) if every else ["alpha"]
    if not quiet:
        if found.other_media:
            click.echo(f"warning: {told_of_media(found)}", err=True)
        for name in shown:
            print_table(tables[name], Console())
        if table is None and not every:
            click.echo(f"pair by pair: --table {'|'.join(name for name in tables if name != 'alpha')}, --all or --json")
    return 0
