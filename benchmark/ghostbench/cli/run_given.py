"""Where the options of `bench run` come from besides the command line: a run file, and the run that is gone on with."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ghostbench.cli.out_option import OUT_VARIABLE
from ghostbench.cli.run_file import read_run_file
from ghostbench.errors import BadInput
from ghostbench.folder.names import MANIFEST
from ghostbench.plugins.text import printable
from ghostbench.redact import CROSSED_OUT
from ghostbench.running.plan.named_servers import from_environment, only_in_the_folder, refuse

_NOT_TAKEN = {"study", "resume", "run_id", "out", "cache", "give_up", "tag", "quiet", "as_json", "dry_run"}
"""Options of one call, not of a run."""


class RunCommand(click.Command):
    """A command whose options default to those of its run file and, with --resume, of the run that is gone on with.

    What stands on the command line goes before the file, and the file before the run. Settings (--set) are put
    together, each from the nearest place that names it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the defaults of file and run in place."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        helping = self.get_help_option(ctx)
        if helping is not None and helping.name in given:
            return super().parse_args(ctx, args)
        study = given.get("study")
        file = read_run_file(Path(study), self, ctx) if isinstance(study, str) else {}
        before = self._before(ctx, given, file)
        before = {name: _as_the_environment_says(name, value) for name, value in before.items()}
        ctx.default_map = {**before, **file}
        left = super().parse_args(ctx, args)
        if before or file:
            places = (before.get("settings", ()), file.get("settings", ()), given.get("settings") or ())
            ctx.params["settings"] = _together(*places)
        known = [*(value for name, value in ctx.params.items() if name in before), *ctx.params.get("settings", ())]
        for value in known:
            if isinstance(value, str) and CROSSED_OUT in value:
                raise BadInput(f"a run keeps no secrets: give '{printable(value)}' again, with its value")
        taken = _taken(before, file, given)
        servers = only_in_the_folder(taken, str(ctx.params.get("models")), os.environ)
        if servers:
            raise refuse(str(ctx.params.get("run_id")), servers)
        return left

    def _before(self, ctx: click.Context, given: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the run that is gone on with; {} where none is, or none can be found."""
        run_id = given.get("run_id", file.get("run_id"))
        if not (given.get("resume") is True or file.get("resume") is True) or not isinstance(run_id, str):
            return {}
        out = given.get("out", os.environ.get(OUT_VARIABLE) or file.get("out") or "results")
        # Imported for this alone: every other run has its worker started the sooner.
        from ghostbench.folder.manifest import has_manifest, read_manifest
        from ghostbench.folder.place import RunFolder

        folder = RunFolder.at(Path(out), run_id)
        if not has_manifest(folder.path):
            return {}
        manifest = read_manifest(folder.path)
        command = manifest.command
        options: Mapping[str, Any] | None = manifest.options
        if options is None:  # of an earlier version: its command line says it all
            options, _, _ = self.make_parser(ctx).parse_args(command[2:])
        names = {parameter.name for parameter in self.params} - _NOT_TAKEN
        takes = {parameter.name: parameter for parameter in self.params}
        for name, value in options.items():
            unfit = name in takes and _unfit(takes[name], value)
            if unfit or (isinstance(value, float) and not math.isfinite(value)):
                what = f"{folder.path / MANIFEST} has {unfit or value} for the option {printable(name)}"
                raise BadInput(f"{what}; put it back as it was, or start a new run")
        return {
            name: list(value) if isinstance(value, list | tuple) else value
            for name, value in options.items()
            if name in names and isinstance(value, str | int | float | list | tuple)
        }


def _unfit(parameter: click.Parameter, value: Any) -> str | None:
    """What a value is that click cannot convert for the option, of which it would not say so; None where it can."""
    several = parameter.multiple or parameter.nargs != 1
    if isinstance(value, list | tuple):
        if not several:
            return "a list"
        return None if all(isinstance(each, str) for each in value) else "a list of what is no text"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number" if isinstance(parameter.type, click.types.BoolParamType | click.Path) else None
    return None


def _as_the_environment_says(name: str, value: Any) -> Any:
    """The value, with the credentials that only the environment has where it names the same place."""
    return (from_environment(name, value, os.environ) or value) if isinstance(value, str) else value


def _taken(before: Mapping[str, Any], *nearer: Mapping[str, Any]) -> dict[str, Any]:
    """What comes from the run that is gone on with, since no nearer place says it."""
    said = {str(word).partition("=")[0] for place in nearer for word in place.get("settings") or ()}
    taken = {name: value for name, value in before.items() if not any(name in place for place in nearer)}
    settings = [word for word in before.get("settings", ()) if str(word).partition("=")[0] not in said]
    return {**taken, "settings": settings}


def _together(*places: Any) -> tuple[str, ...]:
    """The settings of all places, MODEL.key=value, of each MODEL.key the last."""
    settings: dict[str, str] = {}
    for place in places:
        for word in place:
            settings[str(word).partition("=")[0]] = str(word)
    return tuple(settings.values())
