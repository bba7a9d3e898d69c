"""`--seed`, the same for every command that asks models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_BEYOND = 2**63


class _Seed(click.types.IntParamType):
    """A number of 64 bits with a sign: servers and libraries take no other."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        seed = int(super().convert(value, param, ctx))
        if not -_BEYOND <= seed < _BEYOND:
            self.fail(f"{seed} is not from {-_BEYOND} to {_BEYOND - 1}", param, ctx)
        return seed


def seed_option() -> Callable[[F], F]:
    """The option `--seed`, as parameter `seed`."""
    return click.option("--seed", type=_Seed(), default=0, show_default=True, help="Seed for everything that draws.")
