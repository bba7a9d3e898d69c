"""A run in Weights & Biases: one run with a table of all rows, their numbers as its summary, and the files."""

from __future__ import annotations

import os
from pathlib import Path

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.report.trackers.tracked import missing, tracked


def to_wandb(folder: Path, project: str) -> str:
    """Write a finished run where `WANDB_MODE` and its other variables say; return its address, or its folder offline.

    Raises `BadInput` where the library is not installed or W&B does not take the run.
    """
    run = tracked(folder)
    try:
        import wandb
    except ImportError:
        raise missing("wandb", "Weights & Biases") from None
    config = {**run.params, "rows": {name: dict(params) for name, (params, _) in run.rows.items()}}
    columns = list(dict.fromkeys(name for _, numbers in run.rows.values() for name in numbers))
    lines = [[printable(name), *(numbers.get(each) for each in columns)] for name, (_, numbers) in run.rows.items()]
    try:
        with wandb.init(
            project=project,
            name=run.manifest.run_id,
            tags=list(run.written.tags),
            notes=run.written.note or None,
            config=config,
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        ) as own:
            own.log({"metrics": wandb.Table(columns=["model", *columns], data=lines)})
            for name, (_, numbers) in run.rows.items():
                own.summary.update({f"{printable(name)}/{key}": value for key, value in numbers.items()})
            files = wandb.Artifact(f"run-{run.key[:16]}", type="ghostbench-run")
            for name, path in run.files():
                files.add_file(str(path), name=name)
            own.log_artifact(files)
            return str(own.url or os.path.dirname(own.dir))
    except (wandb.Error, OSError) as error:
        words = printable(" ".join(str(error).split()))[:300]
        raise BadInput(f"Weights & Biases does not take the run: {words}; see WANDB_MODE and WANDB_API_KEY") from None
