"""`bench models`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both
from ghostbench.models import ModelSpec
from ghostbench.plugins.text import one_line

if TYPE_CHECKING:
    from rich.console import Console


@click.command(epilog="Examples:\n\n\b\n  bench models\n  bench models motion")
@click.argument("name", required=False, shell_complete=complete.one_model)
@quiet_option()
@as_json_option("Print the list, or the settings, as JSON.")
def command(name: str | None, quiet: bool, as_json: bool) -> int:
    """List the models, or show one model's settings with their defaults."""
    import json
    import sys

    from rich.console import Console

    from ghostbench.plugins.choose import spec_named
    from ghostbench.plugins.registry import registry

    refuse_both(quiet, as_json)
    console = Console(quiet=quiet or as_json)
    if name is not None:
        spec = spec_named(name)
        _show(console, spec)
        stated: object = _as_mapping(spec)
    else:
        _list(console, registry().models)
        stated = [_as_mapping(spec) for spec in registry().models.values()]
    if as_json:
        sys.stdout.write(json.dumps(stated, ensure_ascii=False) + "\n")
    err = Console(stderr=True)
    for plugin in registry().warnings:
        err.print(f"warning: {plugin}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    return 0


def _as_mapping(spec: ModelSpec) -> dict[str, object]:
    """The model as JSON: its kind, what it lacks to be ready, its settings with their defaults."""
    from ghostbench.plugins.choose import is_installed

    settings = [
        {"name": field.name, "default": str(field.default), "help": _help(field)}
        for field in dataclasses.fields(spec.settings)
    ]
    lacking = [package for package in spec.requires if not is_installed(package)]
    stated: dict[str, object] = {"name": spec.name, "usage": _usage(spec), "kind": spec.kind, "summary": spec.summary}
    return {**stated, "mark": spec.remark, "lacking": lacking, "settings": settings}


def _list(console: Console, models: dict[str, ModelSpec]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from ghostbench.plugins.choose import is_installed

    table = Table("model", "kind", "what it is", "ready", box=None, pad_edge=False, header_style="bold")
    for spec in models.values():
        lacking = [p for p in spec.requires if not is_installed(p)]
        ready = f"pip install '{spec.extra or ' '.join(lacking)}'" if lacking else "yes"
        summary = f"{spec.summary} ({spec.remark})" if spec.remark else spec.summary
        table.add_row(*map(escape, (_usage(spec), spec.kind, summary, ready)))
    console.print(table)


def _show(console: Console, spec: ModelSpec) -> None:
    from rich.markup import escape
    from rich.table import Table

    remark = f" ({spec.remark})" if spec.remark else ""
    console.print(f"{_usage(spec)}: {spec.summary}{remark}", markup=False, highlight=False, soft_wrap=True)
    fields = dataclasses.fields(spec.settings)
    if not fields:
        console.print("It has no settings.")
        return
    table = Table("setting", "default", "what it does", box=None, pad_edge=False, header_style="bold")
    for field in fields:
        table.add_row(*map(escape, (field.name, one_line(str(field.default)), _help(field))))
    console.print(table)
    console.print(f"Set with: --set {_usage(spec)}.NAME=VALUE", markup=False, highlight=False)


def _help(field: dataclasses.Field[object]) -> str:
    text = str(field.metadata.get("help", ""))
    low, high, choices = (field.metadata.get(k) for k in ("minimum", "maximum", "choices"))
    if choices:
        text += f" [{', '.join(map(str, choices))}]"
    elif low is not None or high is not None:
        text += f" [{'' if low is None else format(low, 'g')}..{'' if high is None else format(high, 'g')}]"
    return one_line(text)


def _usage(spec: ModelSpec) -> str:
    return f"{spec.name}:{spec.family}" if spec.family else spec.name
