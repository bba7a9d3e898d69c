"""`bench compare`."""

from __future__ import annotations

from pathlib import Path

import click

_KEYS = ("dataset", "labels", "split", "task", "sampling", "repeats")


@click.command(
    epilog="Examples:\n\n\b\n  bench compare results/RUN\n  bench compare results/A results/B\n"
    "  bench compare results/A results/B --allow sampling"
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN]...", type=click.Path(path_type=Path))
@click.option(
    "--allow",
    multiple=True,
    metavar="KEY",
    type=click.Choice(_KEYS),
    help=f"Compare although the runs differ in this: {', '.join(_KEYS)}. May be given several times.",
)
def command(runs: tuple[Path, ...], allow: tuple[str, ...]) -> int:
    """Compare the models of one or more runs on the clips they have in common.

    Baselines take part only where there are not two other models.
    """
    from rich.console import Console
    from rich.text import Text

    from ghostbench.errors import BadInput
    from ghostbench.evidence.compare import compare
    from ghostbench.evidence.compare_tables import comparison_tables
    from ghostbench.evidence.contenders import read_field
    from ghostbench.report.escape import plain
    from ghostbench.report.table import IN_RETROSPECT
    from ghostbench.report.terminal import print_table

    if len({run.resolve() for run in runs}) < len(runs):
        raise BadInput("a run is named twice: name each run once")
    field = read_field(runs, allow)
    console = Console()

    def say(text: str, style: str = "") -> None:
        console.print(Text(plain(text), style=style), soft_wrap=True)

    count = len(field.clips)
    say(f"{count} common clips, {int(field.positive.sum())} of them ghost probings; {len(field.contenders)} models.")
    say(IN_RETROSPECT)
    for words in field.differences:
        say(f"The runs differ in {words}.", "yellow")
    if field.relabelled:
        say(
            f"{len(field.relabelled)} clips have other labels in another run; those of {field.runs[0].manifest.run_id} "
            f"count: {', '.join(field.relabelled)}",
            "yellow",
        )
    console.print()
    for table in comparison_tables(compare(field)):
        print_table(table, console)
    return 0
