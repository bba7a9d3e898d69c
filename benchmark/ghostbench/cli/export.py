"""`bench export`."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any, cast

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(
    epilog="Examples:\n\n\b\n  bench export results/RUN --to csv\n"
    "  bench export results/RUN --to parquet --out tables\n"
    "  MLFLOW_TRACKING_URI=http://host:5000 \\\n    bench export results/RUN --to mlflow --project ghosts\n"
    "  WANDB_MODE=offline bench export results/RUN --to wandb\n"
    "  bench export results/RUN --to hf --repository me/ghosts"
)
@click.argument("run", shell_complete=complete.runs, type=click.Path(path_type=Path))
@click.option(
    "--to",
    "form",
    required=True,
    type=click.Choice(["parquet", "csv", "json", "mlflow", "wandb", "hf"]),
    help="The files' form, or a tracker.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The folder for files; else RUN-export beside RUN.")
@click.option("--project", metavar="NAME", help="With mlflow, the experiment; with wandb, the project.  [ghostbench]")
@click.option("--repository", metavar="OWNER/NAME", help="With hf: upload to this dataset, private if it is new.")
@quiet_option("Print nothing but errors.")
@as_json_option("Print the files that were written, or where the run is, as one JSON object.")
def command(
    *,
    run: Path,
    form: str,
    out: Path | None,
    project: str | None,
    repository: str | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Write a finished run's clips, attempts, predictions and metrics as tables, or send them to a tracker.

    RUN is the folder that `bench run` wrote; nothing in it changes. Each of the four is a file, one row a line of the
    run's own, with the columns of docs/file-formats.md; `metrics` has one row for each row of the tables.

    MLflow and Weights & Biases are found by their own variables (MLFLOW_TRACKING_URI, WANDB_MODE), and get numbers,
    settings and the run's files without media. With hf the files are a dataset for the Hugging Face hub.
    """
    from ghostbench.errors import BadInput

    refuse_both(quiet, as_json)
    if project is not None and form not in {"mlflow", "wandb"}:
        raise BadInput("--project goes with --to mlflow and --to wandb")
    if repository is not None and form != "hf":
        raise BadInput("--repository goes with --to hf")
    if out is not None and form in {"mlflow", "wandb"}:
        raise BadInput(f"--out goes with files: {form} is found by its own variables")
    place = out or run.resolve().with_name(f"{run.resolve().name}-export")
    with contextlib.redirect_stdout(sys.stderr):  # trackers' libraries speak of themselves
        found = _sent(run, form, project or "ghostbench", place, repository)
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    elif not quiet:
        for path in found["files"] if isinstance(found.get("files"), list) else [found["place"]]:
            click.echo(str(path))
    return 0


def _sent(run: Path, form: str, project: str, out: Path, repository: str | None) -> dict[str, Any]:
    """Where the run is now: `files`, or the `place` that the tracker has it in."""
    if form == "mlflow":
        from ghostbench.report.trackers.to_mlflow import to_mlflow

        return {"place": to_mlflow(run, project)}
    if form == "wandb":
        from ghostbench.report.trackers.to_wandb import to_wandb

        return {"place": to_wandb(run, project)}
    if form == "hf":
        from ghostbench.report.trackers.to_hub import to_hub

        return {"place": to_hub(run, out, repository)}
    from ghostbench.report.export import Form, export_run

    return {"files": [str(path) for path in export_run(run, cast("Form", form), out)]}
