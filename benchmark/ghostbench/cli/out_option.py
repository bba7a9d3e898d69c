"""`--out`, the folder of runs, the same for every command that writes there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

OUT_VARIABLE = "GHOSTBENCH_OUT"


def out_option(help: str) -> Callable[[F], F]:
    """The option `--out`, as parameter `out`."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        default="results",
        show_default=True,
        envvar=OUT_VARIABLE,
        show_envvar=True,
        help=help,
    )
