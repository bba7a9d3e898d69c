"""Runs from Python: make one, read one as pandas frames, score one. What the commands do, without their words."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ghostbench.errors import BadInput
from ghostbench.report.data import RunData
from ghostbench.report.data import read_run as read_finished

if TYPE_CHECKING:
    import click

    from ghostbench.scoring.metrics import Metrics

T = TypeVar("T")

_ONE_AT_A_TIME = threading.RLock()
"""A run has its process for itself: the libraries it imports, the signals it hears, the charts it draws."""
_NOT_HERE = frozenset({"quiet", "as_json", "dry_run", "help"})
"""What `bench run` asks about its own words."""


def run(
    models: str | Iterable[str] | None = None,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    show_progress: bool = False,
    **options: Any,
) -> RunData:
    """Put models through a task, as `bench run` does, and return the finished run.

    models : as after `--models`, in one text or several; None: the baselines.
    settings : for each model, its settings by name, as with `--set`.
    show_progress : whether to show on standard error how far the run is.
    options : every option of `bench run` by its name with underscores, e.g. `dataset="dada2000"`, `limit=10`,
        `only_available=True`, `out="results"`, `run_id="trial"`, `resume=True`. A list stands where the command line
        takes several values.

    Local models live in worker processes of their own; with `on="thread"` in this one, where a model's code that ends
    the process ends it: `bench run` watches over that. A model that gave no answer is in the metrics, and raises
    nothing. Of calls in several threads, one run follows the other.

    Raises
    ------
    BadInput
        For what `bench run` refuses, in the same words. TypeError for an option that it does not have.
    KeyboardInterrupt
        After Ctrl-C; everything is on disk, and `resume=True` goes on with it.
    """
    from ghostbench.cli.run import command

    given = dict(options)
    if models is not None:
        given["models"] = models
    given["settings"] = _settings(settings or {})
    if not any(given.get(name) for name in ("run_id", "study")):
        given["run_id"] = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    words = _words(command, given)
    return _off_the_loop(lambda: _run(words, show_progress=show_progress))


def read_run(path: str | Path) -> RunData:
    """Read a finished run: `clips`, `attempts` and `predictions` as pandas frames, `metrics`, `manifest`, of your own.

    Raises `BadInput` for a folder that is no run, is unfinished, or holds a file that does not fit.
    """
    return read_finished(Path(path)).of_ones_own()


def score(of: RunData | str | Path) -> Metrics:
    """Compute the metrics of a run from its clips, attempts and predictions; nothing is written.

    of : a folder, or a run whose frames may have been changed: each model must still have one prediction for each
        clip and repeat, and `at`, the clip's row in `clips`.

    Returns what `metrics.json` holds (docs/file-formats.md): unrounded, with 95% intervals, None where a denominator is
    zero. Raises `BadInput` as `read_run` does.
    """
    from ghostbench.scoring.score import compute_metrics

    return compute_metrics((of if isinstance(of, RunData) else read_run(of)).records)


def _run(words: list[str], *, show_progress: bool) -> RunData:
    from click import ClickException
    from rich.console import Console

    from ghostbench.cli.run import command, options_of
    from ghostbench.running.execute import INTERRUPTED, execute
    from ghostbench.running.terminal import Terminal

    try:
        context = command.make_context("run", list(words))
        options = options_of(context.params)
    except ClickException as error:
        raise BadInput(error.format_message()) from None
    err = Console(stderr=True, quiet=not show_progress)
    terminal = Terminal(out=Console(quiet=True), err=err, quiet=not show_progress)
    with _ONE_AT_A_TIME:
        status = execute(options, ["bench", "run", *words], terminal, own_process=False)
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    if options.run_id is None:
        raise BadInput("the run has no name: give run_id")
    return read_run(options.out / options.run_id)


def _settings(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [f"{model}.{key}={_text(value, ',')}" for model, named in settings.items() for key, value in named.items()]


def _words(command: click.Command, given: Mapping[str, Any]) -> list[str]:
    """The command line that says the same, so that it can be pasted, and is read by the same rules."""
    parameters = {parameter.name: parameter for parameter in command.params if parameter.name not in _NOT_HERE}
    words: list[str] = []
    for name, value in given.items():
        if name not in parameters:
            raise TypeError(f"run() has no option {name!r}; it has {', '.join(sorted(map(str, parameters)))}")
        parameter = parameters[name]
        if value is None or value is False:
            continue
        if parameter.param_type_name == "argument":
            words.append(str(value))
        elif getattr(parameter, "is_flag", False):
            words.append(parameter.opts[0])
        elif getattr(parameter, "multiple", False):
            several = [value] if isinstance(value, str) else value
            words.extend(word for each in several for word in (parameter.opts[0], _text(each, ",")))
        else:
            words.extend((parameter.opts[0], _text(value, ",")))
    return words


def _text(value: Any, joint: str) -> str:
    if value is None:
        return "none"
    return joint.join(map(str, value)) if isinstance(value, list | tuple | set) else str(value)


def _off_the_loop(work: Callable[[], T]) -> T:
    """What `work` returns; in a thread of its own where this one has a running event loop, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    done: list[T] = []
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            failed.append(error)

    thread = threading.Thread(target=guarded, name="ghostbench run")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]
