"""What the shell offers at a press of Tab: models, datasets, tasks, splits and runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ghostbench.cli.out_option import OUT_VARIABLE

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def models(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models, also after the commas of a list; files after a family's colon are left to the user."""
    from ghostbench.plugins.registry import registry

    before, comma, word = incomplete.rpartition(",")
    taken = set(before.split(","))
    names = [spec.name + ":" if spec.family else spec.name for spec in registry().models.values()]
    return _beginning([name for name in names if name not in taken], word, f"{before}{comma}")


def one_model(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """A single model."""
    from ghostbench.plugins.registry import registry

    return _beginning(list(registry().models), incomplete)


def datasets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Registered datasets, and YAML files."""
    from ghostbench.plugins.registry import registry

    return _beginning([*registry().datasets, *_files(incomplete, (".yaml", ".yml"))], incomplete)


def tasks(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Registered tasks."""
    from ghostbench.plugins.registry import registry

    return _beginning(list(registry().tasks), incomplete)


def splits(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The splits of the dataset that stands on the line."""
    from ghostbench.datasets.definition import find_definition
    from ghostbench.errors import BadInput

    try:
        definition = find_definition(str(ctx.params.get("dataset") or "ghost5"))
    except BadInput:
        return []
    return _beginning(["all", *definition.splits], incomplete)


def runs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Run folders: below the place where runs go, or below what is written so far."""
    from ghostbench.folder.reader import runs_in

    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    places = [folder, Path(os.environ.get(OUT_VARIABLE) or "results")]
    found = [str(path) for place in places for path in runs_in(place)]
    deeper = [f"{path}/" for path in sorted(folder.glob("*/")) if runs_in(path)]
    return _beginning([*dict.fromkeys(found), *deeper], incomplete)


def run_ids(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of the runs below `--out`, for going on with one."""
    from ghostbench.folder.reader import runs_in

    out = Path(ctx.params.get("out") or os.environ.get(OUT_VARIABLE) or "results")
    return _beginning([path.name for path in runs_in(out)], incomplete)


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    try:
        return sorted(str(path) for path in folder.iterdir() if path.name.endswith(suffixes))
    except OSError:
        return []


def _beginning(names: list[str], incomplete: str, before: str = "") -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(before + name) for name in names if name.startswith(incomplete)]
