"""From what the user wrote after `--models` and `--set` to models under their settings."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.models import LocalModel, Model, ModelSpec, ReferenceModel, RemoteModel
from ghostbench.plugins.put_back import put_back
from ghostbench.plugins.registry import find, load_target, printable, registry
from ghostbench.plugins.setting_values import listed, read_values
from ghostbench.redact import Redactor, without_value

_ROW = re.compile(r"[^\W_][\w.:@/-]{0,99}")
_BASES: dict[str, type[Model]] = {"local": LocalModel, "remote": RemoteModel, "reference": ReferenceModel}


@dataclass(frozen=True, slots=True)
class Choice:
    """One model as the user named it.

    row : its name in every record and table. argument : what stands after a family's colon, or the spec's own.
    """

    row: str
    spec: ModelSpec
    argument: str | None


def spec_named(text: str) -> ModelSpec:
    """The model of `NAME`, `FAMILY` or `FAMILY:ARG`. Raises `BadInput`."""
    models = registry().models
    if text in models:
        return models[text]
    name, colon, _ = text.partition(":")
    spec = find("model", models, name if colon else text)
    if spec.family is None:
        forms = " or ".join([spec.name, *(known for known in models if known.startswith(f"{spec.name}:"))])
        raise BadInput(f"model '{printable(text)}': {spec.name} takes nothing else after a colon; write {forms}")
    return spec


def parse_model(text: str) -> Choice:
    """Read `NAME`, `FAMILY:ARG` or `FAMILY:ARG=ROW`. Raises `BadInput`."""
    spec = spec_named(text)
    if spec.family is None:
        return Choice(text, spec, spec.argument)
    argument = text.partition(":")[2]
    argument, _, named = argument.rpartition("=") if "=" in argument else (argument, "", "")
    if not argument:
        raise BadInput(f"model '{printable(text)}' is not complete; write {spec.name}:{spec.family}")
    row = named or _own_row_name(spec, argument)
    if not _ROW.fullmatch(row):
        raise BadInput(
            f"'{printable(row)}' cannot name a row of the tables; "
            f"choose letters, digits and . _ : @ / - with {spec.name}:{spec.family}=NAME"
        )
    return Choice(row, spec, argument)


def _own_row_name(spec: ModelSpec, argument: str) -> str:
    if spec.row_name is None:
        return f"{spec.name}:{argument}"
    try:
        return str(spec.row_name(argument))
    except Exception as error:  # noqa: BLE001 - a stranger's function may raise anything
        reason = printable(f"{type(error).__name__}: {error}")
        raise BadInput(
            f"model '{printable(f'{spec.name}:{argument}')}' gives its row no name ({reason}); "
            f"name it with {spec.name}:{spec.family}=NAME"
        ) from None


def parse_set(pairs: Sequence[str], choices: Sequence[Choice]) -> dict[str, dict[str, str]]:
    """Read `MODEL.key=value` pairs into {row: {key: value}}; the last one of a key wins. Raises `BadInput`."""
    rows = {choice.row for choice in choices}
    given: dict[str, dict[str, str]] = {}
    for pair in pairs:
        target, equals, value = pair.partition("=")
        row, dot, key = target.rpartition(".")
        if not equals or not dot or not row or not key:
            raise BadInput(f"--set '{printable(without_value(pair))}' is not of the form MODEL.key=value")
        if row not in rows:
            where = f"--set '{printable(without_value(pair))}'"
            raise BadInput(f"{where}: this run has no model '{printable(row)}'; it has {listed(rows)}")
        given.setdefault(row, {})[key] = value
    return given


def build_settings(choice: Choice, given: Mapping[str, Any]) -> Any:
    """The spec's settings dataclass with the given texts read as its fields' types. Raises `BadInput`."""
    values = read_values(choice.row, choice.spec.settings, given)
    try:
        return choice.spec.settings(**values)
    except Exception as error:  # noqa: BLE001 - the class may check more than its fields say
        redactor = Redactor()
        redactor.learn_settings(given)
        reason = printable(redactor.message(str(error) or type(error).__name__))
        raise BadInput(f"model '{choice.row}' does not take these settings: {reason}; see bench models") from None


def check_requirements(choice: Choice) -> None:
    """Raise `BadInput` when a package that the model needs is not installed."""
    for package in choice.spec.requires:
        if not is_installed(package):
            install = choice.spec.extra or package
            raise BadInput(
                f"model '{choice.row}' needs the package {package}; install it with: pip install '{install}'"
            )


def is_installed(package: str) -> bool:
    """Whether a package can be found, "package.module" too. Imports at most the packages that hold it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def build_model(choice: Choice, settings: Any) -> Model:
    """Import the model's class and construct it. Raises what its import or constructor raises, or TypeError.

    What that changes of the process is put back: it is the run's, and other models' too.
    """
    with put_back():
        made = load_target(choice.spec.load)(settings, choice.argument)
    base = _BASES[choice.spec.kind]
    if not isinstance(made, base):
        raise TypeError(f"{choice.spec.load} is not a {base.__name__}, as its kind '{choice.spec.kind}' says")
    return made
