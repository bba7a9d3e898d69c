"""`bench report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="Examples:\n\n\b\n  bench report results/RUN\n  bench report results/RUN --embed-frames\n"
    "  bench report results/RUN --labels corrected.csv"
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--embed-frames", is_flag=True, help="Put the clips' frames into report.html; mind the licence of the media."
)
@click.option(
    "--labels",
    metavar="FILE",
    help="Say which scores change under this second label file; metrics.json and the tables stay as they are.",
)
@click.option("--skip-bad-labels", is_flag=True, help="With --labels: leave out bad rows and list them.")
def command(run: Path, embed_frames: bool, labels: str | None, skip_bad_labels: bool) -> int:
    """Write a finished run's metrics, tables and pages again, and print the tables.

    RUN is the folder that `bench run` wrote.
    """
    from rich.console import Console

    from ghostbench.errors import BadInput
    from ghostbench.report.terminal import print_table, print_tables
    from ghostbench.report.write import write_report
    from ghostbench.scoring.score import score_run

    if skip_bad_labels and labels is None:
        raise BadInput("--skip-bad-labels goes with --labels FILE: name the second label file")
    console = Console()
    if labels is not None:
        from ghostbench.evidence.sensitivity import sensitivity, write_sensitivity

        found = sensitivity(run, labels, skip_bad=skip_bad_labels)
        write_sensitivity(run, found)
        for line in found.skipped:
            console.print(f"skipped {line}", markup=False, highlight=False, soft_wrap=True)
        for table in found.tables:
            print_table(table, console)
        return 0
    score_run(run)
    write_report(run, embed_frames=embed_frames)
    print_tables(run, console)
    console.print(f"Report: {run / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
    return 0
