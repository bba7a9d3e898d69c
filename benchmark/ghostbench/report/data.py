"""What every report is made from: a finished run, read and scored. Report sections of plugins get it too."""

from __future__ import annotations

import contextlib
import copy
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ghostbench.errors import BadInput
from ghostbench.folder.manifest import Manifest
from ghostbench.folder.metrics_file import has_metrics, read_metrics
from ghostbench.folder.names import METRICS
from ghostbench.folder.prompts import read_words
from ghostbench.folder.run_records import RunRecords, read_run_records
from ghostbench.report.escape import plain
from ghostbench.tasks.wording import MAIN

if TYPE_CHECKING:
    import pandas as pd

    from ghostbench.scoring.metrics import Metrics, TableRow

T = TypeVar("T")


@dataclass(frozen=True)
class RunData:
    """A finished run.

    metrics : metrics.json, as the contract of the run folder describes it.
    records : the run's own lines; see `RunRecords`.
    fits : whether curves against the dose may be fitted; False to have the report that was written without psignifit.
    """

    folder: Path
    records: RunRecords
    metrics: Metrics
    fits: bool = True

    def of_ones_own(self) -> RunData:
        """The same, to be changed at will: nobody else sees it."""
        records = self.records
        own: dict[str, Any] = {name: getattr(records, name).copy() for name in ("clips", "attempts", "predictions")}
        own["clips"]["parameters"] = own["clips"]["parameters"].map(dict)
        own["manifest"] = records.manifest.model_copy(deep=True)
        return replace(self, records=replace(records, **own), metrics=copy.deepcopy(self.metrics))

    @property
    def manifest(self) -> Manifest:
        """manifest.json, typed."""
        return self.records.manifest

    @property
    def claim(self) -> str:
        """What the run's numbers may be taken for, in the sentence of its task."""
        return plain(self.manifest.task.claim)

    @property
    def clips(self) -> pd.DataFrame:
        """One row a clip, with the fields of clips.jsonl."""
        return self.records.clips

    @property
    def attempts(self) -> pd.DataFrame:
        """One row a line of attempts.jsonl; `stages`, `usage` and `memory` are spread into columns.

        What models said is not among them, as it may be larger than memory: see `answers`.
        """
        return self.records.attempts

    def answers(self, lines: pd.DataFrame) -> Iterator[str | None]:
        """What the models said (`raw`) in some rows of `attempts`, in their order; read from the ledger one by one.

        Raises `BadInput` where the ledger has changed since it was read.
        """
        return (text.raw for text in self.records.texts.of(lines["starts_at"]))

    @property
    def predictions(self) -> pd.DataFrame:
        """One row a line of predictions.jsonl."""
        return self.records.predictions

    @cached_property
    def prompt(self) -> Mapping[str, Any] | None:
        """The words that were put to every model, as `Task.template` gives them; None where the folder lacks them."""
        return self.wordings.get(MAIN)

    @cached_property
    def wordings(self) -> dict[str, Mapping[str, Any]]:
        """The words of each wording that was asked, by its name, the main one first; those that the folder holds."""
        task = self.manifest.task
        found: dict[str, Mapping[str, Any]] = {}
        for name, digest in task.wordings.items():
            with contextlib.suppress(ValueError):
                if (words := read_words(self.folder, digest)) is not None:
                    found[name] = words
        return found

    @property
    def rows(self) -> dict[str, TableRow]:
        """The metrics of every row of the tables: the run's models, then the baselines that it did not name.

        A baseline whose name another model of the run has is called "NAME (baseline)".
        """
        models: dict[str, TableRow] = dict(self.metrics["models"])
        for name, row in self.metrics["reference"].items():
            models[name if name not in self.metrics["models"] else f"{name} (baseline)"] = row
        return models


def read_run(folder: Path) -> RunData:
    """Read a finished run with its metrics; a run that was never scored is scored now, in memory.

    Raises `BadInput` for a folder that is no run, is unfinished, or holds a file that does not fit.
    """
    records = read_run_records(folder)
    from ghostbench.scoring.score import compute_metrics

    if not has_metrics(folder):
        return RunData(folder, records, compute_metrics(records))
    try:
        metrics = read_metrics(folder)
        whole = isinstance(metrics, dict) and set(metrics["models"]) == set(records.names)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise BadInput(
            f"{folder / METRICS} does not belong to this run's ledger: "
            f"remove it and run `bench report {shlex.quote(str(folder))}` again"
        )
    return RunData(folder, records, metrics)


def from_stated(run: RunData, make: Callable[[RunData], T]) -> T:
    """What is made of a run whose metrics.json was read, and not made here.

    Raises `BadInput` where that file holds what no run writes: where the same can be made of the ledger's own metrics.
    What else `make` raises is a mistake in ghostbench, and raised as it is.
    """
    from ghostbench.scoring.score import compute_metrics

    try:
        return make(run)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        make(replace(run, metrics=compute_metrics(run.records)))
        raise BadInput(
            f"{run.folder / METRICS} holds what no run writes: "
            f"remove it and run `bench report {shlex.quote(str(run.folder))}` again"
        ) from None
