"""`bench render`."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path

import click

from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both
from ghostbench.errors import BadInput

_EVERY_S = 30.0


@click.command(
    epilog="Examples:\n\n\b\n  bench render cpnco --out cpnco\n  bench render my-grid.yaml --out my-grid --workers 2\n"
    "  bench run --dataset cpnco/dataset.yaml --models motion,always"
)
@click.argument("grid", metavar="GRID.yaml|NAME")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder that becomes the dataset.")
@click.option(
    "--workers",
    type=click.IntRange(min=1, max=1024),
    default=None,
    help="Processes that draw.  [default: one for each core]",
)
@quiet_option()
@as_json_option("Print the folder and the number of its clips as JSON.")
def command(grid: str, out: Path, workers: int | None, quiet: bool, as_json: bool) -> int:
    """Draw the clips of a grid of scenes, each with its twins, as a dataset for bench run --dataset OUT/dataset.yaml.

    GRID.yaml says which scenes; NAME is a ready grid: cpnco or ghost-grid. The same command goes on with a folder that
    was begun. The same grid gives the same pixels, however many processes draw.
    """
    refuse_both(quiet, as_json)
    _need_opencv()
    from ghostbench.rendering.grid import find_grid
    from ghostbench.rendering.render import DATASET, render

    chosen = find_grid(grid)
    shown = _silent if quiet or as_json else _Progress()
    count = None
    try:
        count = render(chosen, out, workers or len(os.sched_getaffinity(0)), shown)
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on from here", err=True)
    if count is None:
        gc.collect()  # the pool's semaphores: whoever leaves without a word about them is complained of
        return 130
    if as_json:
        click.echo(json.dumps({"folder": str(out), "clips": count}, ensure_ascii=False))
    elif not quiet:
        click.echo(f"{count} clips. Next: bench run --dataset {_quoted(out / DATASET)} --models motion,always")
    return 0


def _need_opencv() -> None:
    import importlib.util

    if importlib.util.find_spec("cv2") is None:
        raise BadInput("bench render draws with OpenCV, which is not installed: pip install 'ghostbench[grid]'")


def _silent(done: int, of: int) -> None:
    """Hears of the progress and says nothing."""


class _Progress:
    """A line that changes on a terminal; elsewhere a line every half a minute."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said = self._began
        self._first: int | None = None

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done
        drawn = done - self._first
        left = f", about {(of - done) * (now - self._began) / drawn / 60:.0f} min to go" if drawn and done < of else ""
        if sys.stderr.isatty():
            click.echo(f"\r{done} of {of} scenes{left}\x1b[K", nl=done == of, err=True)
        elif now - self._said >= _EVERY_S:
            self._said = now
            click.echo(f"{done} of {of} scenes{left}", err=True)


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
