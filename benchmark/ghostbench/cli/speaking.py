"""`--quiet` and `--json`, the same for every command that has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def quiet_option(help: str = "Print nothing but errors.") -> Callable[[F], F]:
    """The option `--quiet`, as parameter `quiet`."""
    return click.option("--quiet", is_flag=True, help=help)


def as_json_option(help: str) -> Callable[[F], F]:
    """The option `--json`, as parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=help)


def refuse_both(quiet: bool, as_json: bool) -> None:
    """Raise `click.UsageError` where both are given: one of them asks for nothing."""
    if quiet and as_json:
        raise click.UsageError("--quiet and --json exclude each other; choose one")
