"""A run file: the options of `bench run` as YAML, under the options' own names and read by the options' own types."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.yaml_text import BoundedLoader

_LIMIT_BYTES = 1 << 20
_LISTS = ("models", "probe", "variants")
"""Options that take names with commas between them, and may be lists here."""


class _AsWritten(BoundedLoader):
    """Numbers and dates stay the words that they are written in, as on the command line: the options read them."""


for _kind in ("int", "float", "timestamp"):
    _AsWritten.add_constructor(f"tag:yaml.org,2002:{_kind}", lambda loader, node: node.value)


def read_run_file(path: Path, command: click.Command, ctx: click.Context) -> dict[str, Any]:
    """The values of a run file by the command's parameter names, each as the command line would have it.

    A key is an option's name with or without its dashes; what takes names with commas between them may be a list, `set`
    a list of MODEL.key=value or a mapping of models to mappings of settings; null leaves an option as it is. Raises
    `BadInput` naming file and key.
    """
    shown = f"run file {printable(str(path))}"
    parameters = {option.lstrip("-"): p for p in command.params for option in p.opts if option.startswith("--")}
    values: dict[str, Any] = {}
    for key, value in _content(path, shown).items():
        name = str(key).lstrip("-").replace("_", "-")
        if name not in parameters:
            near = difflib.get_close_matches(name, parameters, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"its keys are {', '.join(parameters)}"
            raise BadInput(f"{shown}: unknown key '{printable(str(key))}'; {hint}")
        parameter = parameters[name]
        if value is None:
            continue
        if parameter.name in values:
            raise BadInput(f"{shown}: {name} is there twice; keep one of them")
        try:
            values[str(parameter.name)] = _value(name, value, parameter, ctx)
        except (click.BadParameter, ValueError) as error:
            reason = error.message if isinstance(error, click.BadParameter) else str(error)
            raise BadInput(f"{shown}: {name}: {printable(' '.join(reason.split()))}") from None
    return values


def _content(path: Path, shown: str) -> Mapping[Any, Any]:
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise BadInput(f"{shown}: larger than 1 MiB, so no run file; write the options of bench run as YAML")
        content = yaml.load(path.read_text(encoding="utf-8-sig"), _AsWritten)  # noqa: S506 - a SafeLoader
    except OSError as error:
        several = "" if path.suffix else " (several models stand together: --models A,B)"
        raise BadInput(f"{shown}: {error.strerror}; name a YAML file with options of bench run{several}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = printable(getattr(error, "problem", None) or type(error).__name__)
        raise BadInput(f"{shown}{line}: not YAML ({problem}); correct it") from None
    if not isinstance(content, Mapping):
        raise BadInput(f"{shown}: holds no options; write one a line, such as `models: motion,always`")
    return content


def _value(name: str, value: Any, parameter: click.Parameter, ctx: click.Context) -> Any:
    """The value as the parameter's type has it. Raises `click.BadParameter`, or ValueError, saying what is wrong."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not true or false")
        return value
    words = list(_words(name, value))
    if parameter.multiple:
        return words
    if name in _LISTS:
        return ",".join(words)
    if len(words) != 1 or isinstance(value, list | Mapping):
        raise ValueError("takes a single value")
    parameter.type_cast_value(ctx, words[0])
    return words[0]


def _words(name: str, value: Any) -> Iterator[str]:
    """The value as words of a command line."""
    if isinstance(value, list):
        for item in value:
            yield from _words(name, item)
    elif isinstance(value, Mapping):
        if name != "set":
            raise ValueError("takes no mapping")
        for model, settings in value.items():
            if not isinstance(settings, Mapping):
                raise ValueError(f"{model} needs a mapping of its settings, such as {{temperature: 0}}")
            for key, setting in settings.items():
                yield f"{model}.{key}={_scalar(setting)}"
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_scalar, value))
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        raise ValueError("takes no mapping here")
    return str(value)
