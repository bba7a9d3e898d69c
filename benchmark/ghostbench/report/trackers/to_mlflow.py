"""A run in MLflow: one run of it with the files, and one below it for each row of the tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.report.trackers.tracked import missing, tracked

KEY = "ghostbench.manifest_sha256"
_NAME = re.compile(r"[^A-Za-z0-9_\-. :/]")
_AT_ONCE = 90
"""Parameters and numbers in one request."""


def to_mlflow(folder: Path, project: str) -> str:
    """Write a finished run to the MLflow that `MLFLOW_TRACKING_URI` names; return the id of its run there.

    project : the experiment, made if need be.

    Raises `BadInput` where MLflow is not installed, cannot be reached, or has this run already.
    """
    run = tracked(folder)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise missing("mlflow", "MLflow") from None
    try:
        client = MlflowClient()
        experiment = client.get_experiment_by_name(project)
        place = experiment.experiment_id if experiment is not None else client.create_experiment(project)
        there = client.search_runs([place], f"tags.`{KEY}` = '{run.key}'")
        if there:
            raise BadInput(f"MLflow has this run already, as {there[0].info.run_id}: delete it there to send it anew")
        tags = {KEY: run.key, **{f"tag.{_NAME.sub('_', tag)}": "yes" for tag in run.written.tags}}
        if run.written.note:
            tags["mlflow.note.content"] = run.written.note
        own = client.create_run(place, run_name=run.manifest.run_id, tags=tags)
        _log(client, own.info.run_id, dict(run.params), {})
        for name, (params, numbers) in run.rows.items():
            below = {"mlflow.parentRunId": own.info.run_id, "ghostbench.row": printable(name)}
            row = client.create_run(place, run_name=printable(name), tags=below)
            _log(client, row.info.run_id, dict(params), dict(numbers))
            client.set_terminated(row.info.run_id)
        for name, path in run.files():
            client.log_artifact(own.info.run_id, str(path), name.rpartition("/")[0] or None)
        client.set_terminated(own.info.run_id)
    except (MlflowException, OSError) as error:
        words = printable(" ".join(str(error).split()))[:300]
        raise BadInput(f"MLflow cannot take the run: {words}; see MLFLOW_TRACKING_URI") from None
    return str(own.info.run_id)


def _log(client: Any, run: str, params: dict[str, str], numbers: dict[str, float]) -> None:
    from mlflow.entities import Metric, Param

    texts = [Param(_NAME.sub("_", name), value) for name, value in params.items()]
    figures = [Metric(_NAME.sub("_", name), value, 0, 0) for name, value in numbers.items()]
    for start in range(0, max(len(texts), len(figures)), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        client.log_batch(run, metrics=figures[part], params=texts[part])
