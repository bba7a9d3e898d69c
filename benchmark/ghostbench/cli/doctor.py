"""`bench doctor`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from ghostbench.cli import complete
from ghostbench.cli.seed_option import seed_option
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both
from ghostbench.running.plan.options import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ghostbench.doctor.judge import Line

_EPILOG = """Examples:

\b
  bench doctor motion
  bench doctor drivemm --dataset dada2000 --data-root DADA --labels labels.csv
  bench doctor gpt-4.1 --set gpt-4.1.detail=low --limit 2 --max-cost 0.20

Exit status: 0 when no line fails, 1 when one does.
"""


_MOST_USD = 1.0


@click.command(epilog=_EPILOG)
@click.argument("model", shell_complete=complete.one_model)
@click.option("--set", "settings", multiple=True, metavar="MODEL.key=value", help="A setting; may be repeated.")
@click.option(
    "--dataset",
    shell_complete=complete.datasets,
    default="ghost5",
    show_default=True,
    help="ghost5, dada2000, or a dataset YAML file.",
)
@click.option("--data-root", help="Folder or fsspec URL with the clips.")
@click.option("--labels", help="Label file (CSV or TSV).")
@click.option("--split", shell_complete=complete.splits, default="all", show_default=True, help="Split of the dataset.")
@click.option("--clips", help="GLOB over clip ids, or @FILE with one id a line.")
@click.option("--limit", type=click.IntRange(min=1), default=5, show_default=True, help="Ask about this many clips.")
@click.option(
    "--task",
    shell_complete=complete.tasks,
    default="ghost-probing",
    show_default=True,
    help="What is asked; see `bench tasks`.",
)
@click.option("--sampling", default="uniform:10", show_default=True, help="uniform:N frames, or fps:R frames a second.")
@seed_option()
@click.option(
    "--max-cost", type=float, metavar="USD", help="Spend no more than this.  [default: 1 where prices are known]"
)
@click.option(
    "--deadline",
    type=float,
    default=DEADLINE_S,
    show_default=True,
    metavar="S",
    help="Seconds that loading the model, and one attempt, may take.",
)
@quiet_option("Print only the checks that fail.")
@as_json_option("Print the lines as JSON.")
def command(*, model: str, settings: tuple[str, ...], limit: int, quiet: bool, as_json: bool, **given: object) -> int:
    """Load a model, ask it about a few clips in several ways, and judge what comes back.

    The questions are those of a run. Each clip is asked about with its own frames (twice), with blank frames, with its
    frames shuffled, and with another clip's; a local model is asked alone and in batches.
    """
    from ghostbench.errors import BadInput
    from ghostbench.running.watch.guard import guarded

    refuse_both(quiet, as_json)
    if "," in model or ">" in model:
        raise BadInput(f"bench doctor takes one model, not '{model}'; call it for each")
    return guarded(lambda: _examine(model, settings, limit, quiet, as_json, given), "the examination")


def _examine(
    model: str, settings: tuple[str, ...], limit: int, quiet: bool, as_json: bool, given: dict[str, object]
) -> int:
    from rich.console import Console

    from ghostbench.datasets.query import SplitQuery
    from ghostbench.doctor.examine import Examiner
    from ghostbench.doctor.judge import as_json as lines_as_json
    from ghostbench.doctor.judge import judge
    from ghostbench.running.plan.options import Options
    from ghostbench.running.plan.plan import make_plan

    query = SplitQuery(**{name: given.pop(name) for name in ("dataset", "data_root", "labels", "split", "clips")})  # type: ignore[arg-type]
    plan = make_plan(Options(models=model, query=query, settings=settings, **given))  # type: ignore[arg-type]
    examiner = Examiner(plan, clips=limit, max_cost=plan.options.max_cost or _MOST_USD)
    forecast = examiner.forecast()
    if plan.rows[0].configured.choice.spec.kind == "remote" and not quiet:
        price = "at an unknown price" if forecast.most_usd is None else f"for ${forecast.most_usd:.4f} at most"
        click.echo(f"sending {forecast.requests} requests to {plan.rows[0].name} {price}, retries apart", err=True)
    found = examiner.run()
    lines = judge(found)
    if as_json:
        sys.stdout.write(json.dumps({"model": plan.rows[0].name, "lines": lines_as_json(lines)}) + "\n")
    else:
        _print([line for line in lines if not quiet or line.judgement == "fail"], Console())
    for clip in found.skipped if not quiet else ():
        click.echo(f"left out {clip}", err=True)
    return int(any(line.judgement == "fail" for line in lines))


def _print(lines: Sequence[Line], console: Console) -> None:
    if not lines:
        return
    from rich.table import Table
    from rich.text import Text

    from ghostbench.plugins.text import printable

    colours = {"pass": "green", "fail": "bold red", "not applicable": "dim"}
    table = Table("check", "", "why", box=None, pad_edge=False, header_style="bold")
    for line in lines:
        why = Text(" ".join(printable(part) for part in line.why.split()))
        table.add_row(line.check, Text(line.judgement, style=colours[line.judgement]), why)
    console.print(table)
