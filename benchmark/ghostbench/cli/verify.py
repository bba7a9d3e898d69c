"""`bench verify`."""

from __future__ import annotations

from pathlib import Path

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(
    epilog="Examples:\n\n\b\n  bench verify results/RUN\n"
    "  bench verify results/RUN --labels labels.csv --data-root DADA"
)
@click.argument("run", shell_complete=complete.runs, type=click.Path(path_type=Path))
@click.option("--data-root", metavar="DIR|URL", help="Where the media is, to decode embedded frames again.")
@click.option("--labels", metavar="FILE", help="The label file, to hold the run's truths against.")
@quiet_option("Print only what differs.")
@as_json_option("Print the verdict as JSON.")
def command(run: Path, data_root: str | None, labels: str | None, quiet: bool, as_json: bool) -> int:
    """Recompute every number of a finished run from its ledger and labels, and name each difference.

    Looks at the manifest's seal, every file's digest, labels, predictions, metrics, tables, pages and their charts;
    embedded frames are decoded again. Nothing that the folder names is opened: a label file and media of your own are
    compared where you name them. What was not compared is said in notes.

    Exit status 0 if all of it holds, 1 if anything differs or was edited.
    """
    import json
    import sys
    from dataclasses import asdict

    from rich.console import Console
    from rich.text import Text

    from ghostbench.datasets.granted import Granted
    from ghostbench.evidence.verify import verify
    from ghostbench.report.escape import plain

    refuse_both(quiet, as_json)
    console = Console()
    verdict = verify(run, Granted.of(data_root=data_root, labels=labels))
    if as_json:
        stated = {"run": str(run), "holds": not verdict.findings, **asdict(verdict)}
        sys.stdout.write(json.dumps(stated, ensure_ascii=False) + "\n")
        return int(bool(verdict.findings))
    for finding in verdict.findings:
        console.print(Text(plain(str(finding)), style="red"), soft_wrap=True)
    for part in verdict.checked if not quiet and not verdict.findings else ():
        console.print(Text(plain(f"checked: {part}"), style="dim"), soft_wrap=True)
    for note in verdict.notes if not quiet else ():
        console.print(Text(plain(f"note: {note}"), style="dim"), soft_wrap=True)
    if verdict.findings:
        console.print(Text(f"{len(verdict.findings)} differences in {plain(str(run))}"), soft_wrap=True)
        return 1
    if not quiet:
        console.print(Text(f"{plain(str(run))} holds"), soft_wrap=True)
    return 0
