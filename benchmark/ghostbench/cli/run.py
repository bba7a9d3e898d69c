"""`bench run`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ghostbench.cli import complete
from ghostbench.cli.out_option import out_option
from ghostbench.cli.run_given import RunCommand
from ghostbench.cli.seed_option import seed_option
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both
from ghostbench.datasets.query import SplitQuery
from ghostbench.running.plan.options import DEADLINE_S, DEFAULT_MODELS, Options
from ghostbench.running.watch.guard import guarded

_EPILOG = """Examples:

\b
  bench run
  bench run --models motion,category-prior --dataset dada2000 \\
      --data-root DADA --labels labels.csv
  bench run --models drivemm,gpt-4.1 --dataset dada2000 --max-cost 5 \\
      --data-root DADA --labels labels.csv
  bench run --models hf:Qwen/Qwen2.5-VL-7B-Instruct=qwen \\
      --set qwen.download=true --set qwen.batch_size=8
  bench run --models replay:gpt.jsonl=GPT,always --dataset dada2000 \\
      --labels labels.csv --task ghost-probing-summary
  bench run --models gpt-4.1 --set gpt-4.1.concurrency=16 \\
      --repeats 3 --run-id trial
  bench run --task ghost-warning --moments 4/s --sustain 2/3
  bench run --models gpt-4.1 --task my-task.yaml --variants all
  bench run --models gpt-4.1 --probe blank,dark:5,rain,noise,flip
  bench run --models gpt-4.1,anthropic:claude-sonnet-4-5 --cache CACHE
  bench run --resume --run-id trial
  bench run study.yaml --limit 10

A run file has the options' own names, one a line:

\b
  models: [motion, always]
  data-root: DADA
  set: {gpt-4.1: {detail: low}}
"""


_ANNOTATIONS = "More about the clips: DADA-2000's own, BADAS-Open's, Nexar's, JSON or a table. May be repeated."
_PROBE = (
    "Extra rows with pixels taken away (blank, shuffled, text-only) or made worse: dark, rain, blur, noise, jpeg, "
    "frame-drop (severity 1 to 5 as in blur:5, else 3), flip."
)
_SAMPLING = "uniform:N frames, or fps:R frames a second.  [default: the task's, uniform:10 or fps:2]"
_SUSTAIN = "An alarm holds where K of the last N moments alarm.  [default: 1/1]"
_REPLICAS = "So many workers of a local model, each on GPUs of its own. May be repeated."
_CACHE = "Take deterministic answers of earlier runs from here, and keep this run's."
_DEADLINE = "Seconds that loading a model, and one attempt, may take."


@click.command(cls=RunCommand, epilog=_EPILOG)
@click.argument("study", required=False, metavar="[STUDY.yaml]")
@click.option(
    "--models",
    shell_complete=complete.models,
    default=DEFAULT_MODELS,
    show_default=True,
    help="Comma-separated names; see `bench models`.",
)
@click.option(
    "--task",
    shell_complete=complete.tasks,
    default="ghost-probing",
    show_default=True,
    help="What is asked: a name (`bench tasks`), or a YAML file.",
)
@click.option(
    "--dataset",
    shell_complete=complete.datasets,
    default="ghost5",
    show_default=True,
    help="ghost5, dada2000, or a dataset YAML file.",
)
@click.option("--data-root", help="Folder or fsspec URL with the clips.  [else: the dataset's, GHOSTBENCH_DATA_ROOT]")
@click.option("--labels", help="Label file (CSV or TSV).  [else: the dataset's, GHOSTBENCH_LABELS]")
@click.option("--annotations", multiple=True, metavar="FILE", help=_ANNOTATIONS)
@click.option("--split", shell_complete=complete.splits, default="all", show_default=True, help="Split of the dataset.")
@click.option("--clips", help="GLOB over clip ids, or @FILE with one id a line.")
@click.option("--limit", type=int, help="At most this many clips, from the start of the split.")
@click.option("--shard", metavar="I/N", help="Share I of N of the clips; `bench merge` puts the runs together.")
@click.option("--only-available", is_flag=True, help="Leave out clips whose media is not there.")
@click.option("--sampling", help=_SAMPLING)
@click.option("--moments", metavar="R", help="Ask at R moments a second, where the task asks at moments.")
@click.option("--sustain", metavar="K/N", help=_SUSTAIN)
@click.option("--set", "settings", multiple=True, metavar="MODEL.key=value", help="A model's setting; may be repeated.")
@click.option("--repeats", type=int, default=1, show_default=True, help="Ask each model this often about each clip.")
@click.option("--max-attempts", type=int, help="Attempts a clip; default: 6, outages of up to 15 minutes not counted.")
@click.option("--deadline", type=float, default=DEADLINE_S, show_default=True, metavar="S", help=_DEADLINE)
@click.option(
    "--on",
    default="process",
    show_default=True,
    metavar="thread|process|ray[:ADDRESS]",
    help="Where local models live: the run's process, processes of their own, a Ray cluster.",
)
@click.option("--replicas", multiple=True, metavar="MODEL=N", help=_REPLICAS)
@click.option("--max-cost", type=float, metavar="USD", help="Send nothing that could take the run over this.")
@click.option("--cache", type=click.Path(path_type=Path), metavar="DIR", help=_CACHE)
@click.option("--dry-run", is_flag=True, help="Print requests, tokens and cost; send nothing.")
@click.option("--variants", metavar="all|NAME,…", help="Ask in other wordings of the task too, each a row of its own.")
@click.option("--probe", metavar="NAME,…", help=_PROBE)
@click.option("--skip-bad-labels", is_flag=True, help="Leave out label rows that cannot be read, and list them.")
@out_option("Where runs go.")
@click.option("--run-id", shell_complete=complete.run_ids, help="Name of the run's folder; default: time and models.")
@click.option("--tag", multiple=True, metavar="TAG", help="Write this on the run, as `bench tag` does.")
@click.option("--resume", is_flag=True, help="Go on with the run named by --run-id, under its own options.")
@click.option("--give-up", multiple=True, metavar="MODEL", help="On --resume: ask this model nothing more.")
@seed_option()
@quiet_option()
@as_json_option("Print the metrics as JSON instead of a table.")
def command(
    *,
    study: str | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **given: object,
) -> int:
    """Put models through a task on a dataset, and report every attempt.

    Without options: the baselines on the embedded clips, in seconds. Options may stand in a YAML file; those of the
    command line go before it.
    """
    refuse_both(quiet, as_json)
    options = options_of(given)

    def work() -> int:
        from ghostbench.running.ask.places.early import starting_early

        with contextlib.nullcontext() if dry_run else starting_early(options) as early:
            from rich.console import Console

            from ghostbench.running.dry_run import print_dry_run
            from ghostbench.running.execute import execute
            from ghostbench.running.terminal import Terminal

            terminal = Terminal(out=Console(), err=Console(stderr=True), quiet=quiet, as_json=as_json)
            if dry_run:
                return print_dry_run(options, terminal)
            return execute(options, ["bench", *sys.argv[1:]], terminal, early=early)

    return guarded(work)


def options_of(given: Mapping[str, Any]) -> Options:
    """The run that the command's parameters ask for; those that only say how it speaks are passed over."""
    run = {name: value for name, value in given.items() if name not in _SPEAKING}
    query = SplitQuery(**{name: run.pop(name) for name in _QUERY})
    return Options(query=query, **run)


_SPEAKING = ("study", "dry_run", "quiet", "as_json")
_QUERY = (
    "dataset",
    "data_root",
    "labels",
    "annotations",
    "split",
    "clips",
    "limit",
    "only_available",
    "skip_bad_labels",
    "shard",
)
