"""What is registered: models, tasks, datasets, report sections, and the plugins that had to be left out.

Each plugin is loaded and asked in a `try` of its own. One that cannot be imported, or registers a taken name or
nonsense, is quarantined: reported by name with the way out, and nothing else suffers.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import pluggy

from ghostbench.errors import BadInput
from ghostbench.models import ModelSpec
from ghostbench.plugins import hookspecs
from ghostbench.plugins.hookspecs import DatasetSpec, ReportSectionSpec, TaskSpec

GROUP = "ghostbench"
BUILTIN = ("ghostbench.tasks.builtin", "ghostbench.datasets.builtin")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

Spec = TypeVar("Spec", ModelSpec, TaskSpec, DatasetSpec, ReportSectionSpec)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A plugin, or one of its registrations, that was left out. `way_out` says what the user can do."""

    plugin: str
    reason: str
    way_out: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' was left out: {self.reason}; {self.way_out}"


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that plugins registered, by name, in order of registration."""

    models: dict[str, ModelSpec] = field(default_factory=dict)
    tasks: dict[str, TaskSpec] = field(default_factory=dict)
    datasets: dict[str, DatasetSpec] = field(default_factory=dict)
    report_sections: dict[str, ReportSectionSpec] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    """The plugin that brought a thing, by "kind name", e.g. "model motion"."""
    quarantined: list[Quarantined] = field(default_factory=list)


def find(kind: str, table: Mapping[str, Spec], name: str) -> Spec:
    """The spec of that name. Raises `BadInput` with near names, or with all of them when there are few."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(table))}"
    raise BadInput(f"unknown {kind} '{printable(name)}'; {hint}")


def load_target(target: str) -> Any:
    """The object behind "package.module:attribute". Raises whatever the import raises."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def printable(text: str) -> str:
    """Untrusted text as one printable line of at most 200 characters, for a message."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return line if len(line) <= 200 else line[:199] + "…"


@functools.cache
def registry() -> Registry:
    """What this environment's plugins register. Read once per process."""
    found = Registry()
    for name in BUILTIN:
        _take(found, name, functools.partial(importlib.import_module, name), None)
    for point in _entry_points():
        _take(found, point.name, point.load, point)
    return found


def _entry_points() -> Iterator[EntryPoint]:
    """Each entry point once: our own distribution's first, so that no plugin can take an in-tree name."""

    def rank(point: EntryPoint) -> tuple[bool, str, str]:
        return (_distribution(point) != "ghostbench", point.name, point.value)

    seen = set()
    for point in sorted(entry_points(group=GROUP), key=rank):
        if (point.name, point.value) not in seen:
            seen.add((point.name, point.value))
            yield point


def _distribution(point: EntryPoint) -> str | None:
    return point.dist.name if point.dist is not None else None


def _take(found: Registry, name: str, load: Callable[[], object], point: EntryPoint | None) -> None:
    distribution = _distribution(point) if point is not None else "ghostbench"
    way_out = f"repair it, or remove it with: pip uninstall {distribution or name}"
    offered: list[tuple[str, Any]] = []
    try:
        plugin = load()
        manager = pluggy.PluginManager("ghostbench")
        manager.add_hookspecs(hookspecs)
        manager.register(plugin, name)
        manager.check_pending()
        if not manager.get_hookcallers(plugin):
            raise TypeError(f"{getattr(plugin, '__name__', plugin)!r} implements no hook of ghostbench")
        for kind in _TABLES:
            getattr(manager.hook, f"register_{kind}s")(register=lambda spec, kind=kind: offered.append((kind, spec)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's module raises stays its own affair
        reason = f"{type(error).__name__}: {printable(str(error))}"
        found.quarantined.append(Quarantined(printable(name), reason, way_out))
        return
    for kind, spec in offered:
        table: dict[str, Any] = getattr(found, f"{kind}s")
        reason = next(_objections(kind, spec), "")
        if not reason and spec.name in table:
            owner = found.origin[f"{kind} {spec.name}"]
            reason = f"the {kind} name '{spec.name}' is taken by plugin '{owner}'"
            way_out = f"give it another name, or uninstall one of them: pip uninstall {distribution or name}"
        if reason:
            found.quarantined.append(Quarantined(printable(name), reason, way_out))
        else:
            table[spec.name] = spec
            found.origin[f"{kind} {spec.name}"] = name


_TABLES: dict[str, type[ModelSpec] | type[TaskSpec] | type[DatasetSpec] | type[ReportSectionSpec]] = {
    "model": ModelSpec,
    "task": TaskSpec,
    "dataset": DatasetSpec,
    "report_section": ReportSectionSpec,
}


def _objections(kind: str, spec: Any) -> Iterator[str]:
    """What is wrong with a registration, most basic first."""
    wanted = _TABLES[kind]
    if not isinstance(spec, wanted):
        yield f"it registered {printable(repr(spec))} where a {wanted.__name__} belongs"
        return
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        yield f"the {kind} name {printable(repr(spec.name))} is not made of letters, digits, '.', '_' and '-'"
        return
    if not isinstance(spec.load, str) or not _TARGET.fullmatch(spec.load):
        yield f"{kind} '{spec.name}' has load={printable(repr(spec.load))}, not 'package.module:Name'"
    if isinstance(spec, ModelSpec):
        yield from _model_objections(spec)


def _model_objections(spec: ModelSpec) -> Iterable[str]:
    if spec.kind not in {"local", "remote", "reference"}:
        yield f"model '{spec.name}' has kind={printable(repr(spec.kind))}, not local, remote or reference"
    if not (isinstance(spec.settings, type) and dataclasses.is_dataclass(spec.settings)):
        yield f"model '{spec.name}' has settings that are not a dataclass"
    elif any(f.default is dataclasses.MISSING for f in dataclasses.fields(spec.settings)):
        yield f"model '{spec.name}' has a setting without a default"
    if spec.family is not None and spec.argument is not None:
        yield f"model '{spec.name}' is a family and has a fixed argument"
