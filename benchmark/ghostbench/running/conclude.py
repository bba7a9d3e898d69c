"""What follows when a run has asked all: scores, pages, what is printed of them, and the exit status."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ghostbench import own_process
from ghostbench.plugins.finishers import run_finished
from ghostbench.running.terminal import Terminal

if TYPE_CHECKING:
    from ghostbench.scoring.metrics import Metrics

DONE, NO_ANSWERS = 0, 1


def make_report(folder: Path) -> Metrics:
    """Score a finished run and write its pages; return the metrics."""
    if own_process.is_ours():
        # What was imported is no garbage: it would be looked through several times while charts are drawn.
        gc.freeze()
    from ghostbench.report.write import write_report
    from ghostbench.scoring.score import score_run

    metrics = score_run(folder)
    write_report(folder)
    return metrics


def conclude(folder: Path, terminal: Terminal, metrics: Metrics) -> int:
    """Print what came of a run, with the metrics that `make_report` gave; return the exit status."""
    from ghostbench.report.brief import print_brief, print_failures
    from ghostbench.report.data import read_run

    run = read_run(folder)
    if terminal.as_json:
        sys.stdout.write(json.dumps({"run": str(folder), "metrics": metrics}, ensure_ascii=False) + "\n")
    if terminal.as_json or terminal.quiet:
        print_failures(run, terminal.err, silent_only=terminal.quiet)
    else:
        print_brief(run, terminal.out, terminal.err)
    for failure in run_finished(folder.absolute()):
        terminal.warn(f"warning: {failure}; the run itself is whole")
    silent = any(row["answered"] == 0 and not row["probe"] for row in metrics["models"].values())
    return NO_ANSWERS if silent else DONE
