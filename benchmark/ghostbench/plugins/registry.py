"""What is registered: models, tasks, datasets, report sections, and the plugins that had to be left out.

Each plugin is loaded and asked in a `try` of its own. One that cannot be imported, or registers a taken name or
nonsense, is quarantined: reported once, by name, with the way out, and nothing else suffers.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import importlib.util
import io
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import pluggy

from ghostbench.errors import BadInput
from ghostbench.models import ModelSpec
from ghostbench.plugins import hookspecs
from ghostbench.plugins.discovery import Found, find_plugins
from ghostbench.plugins.hookspecs import DatasetSpec, ReportSectionSpec, TaskSpec
from ghostbench.plugins.installed import OWN, own_folder
from ghostbench.plugins.objections import KINDS, cleaned, objections
from ghostbench.plugins.put_back import put_back
from ghostbench.plugins.text import printable

__all__ = ["Quarantined", "Registry", "Remark", "find", "load_target", "printable", "registry"]

BUILTIN = ("ghostbench.tasks.builtin", "ghostbench.datasets.builtin")
SLOW_S = 0.5
"""A plugin whose import takes more CPU time is remarked upon: every command waits for it."""

Spec = TypeVar("Spec", ModelSpec, TaskSpec, DatasetSpec, ReportSectionSpec)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A plugin of which something was left out: all of it, or some of its registrations.

    reason : what is wrong, all of it in one line. way_out : what the user can do.
    """

    plugin: str
    reason: str
    way_out: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' was left out: {self.reason}; {self.way_out}"


@dataclass(frozen=True, slots=True)
class Remark:
    """A plugin that works, and disturbs: it prints at import, changes what is everybody's, or takes long."""

    plugin: str
    what: str
    way_out: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' {self.what}; {self.way_out}"


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that plugins registered, by name, in order of registration."""

    models: dict[str, ModelSpec] = field(default_factory=dict)
    tasks: dict[str, TaskSpec] = field(default_factory=dict)
    datasets: dict[str, DatasetSpec] = field(default_factory=dict)
    report_sections: dict[str, ReportSectionSpec] = field(default_factory=dict)
    origin: dict[str, Found] = field(default_factory=dict)
    """The plugin that brought a thing, by "kind name", e.g. "model motion"."""
    finishers: list[Found] = field(default_factory=list)
    """The plugins that want to hear of runs that have ended."""
    quarantined: list[Quarantined] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def warnings(self) -> tuple[Quarantined | Remark, ...]:
        """What the user should hear about plugins, one line each."""
        return (*self.quarantined, *self.remarks)


def find(kind: str, table: Mapping[str, Spec], name: str) -> Spec:
    """The spec of that name. Raises `BadInput` with near names, or with all of them when there are few."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(table))}"
    left_out = ", ".join(plugin.plugin for plugin in registry().quarantined)
    aside = f" (plugins left out: {left_out}; bench models says why)" if left_out else ""
    raise BadInput(f"unknown {kind} '{printable(name)}'; {hint}{aside}")


def load_target(target: str) -> Any:
    """The object behind "package.module:attribute". Raises whatever the import raises."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


@functools.cache
def registry() -> Registry:
    """What this environment's plugins register. Read once per process."""
    found = Registry()
    manager = pluggy.PluginManager("ghostbench")
    manager.add_hookspecs(hookspecs)
    with _told_apart_from_ctrl_c() as interrupted:
        for plugin in (*(Found(name, OWN, None, source=str(own_folder())) for name in BUILTIN), *find_plugins()):
            _take(found, plugin, manager)
            if interrupted():
                raise KeyboardInterrupt
    return found


def load_plugin(plugin: Found) -> object:
    """The plugin itself: what its entry point names, or one of our own modules. Raises whatever the import raises."""
    if plugin.unreadable:
        raise ImportError(plugin.unreadable)
    if plugin.point is None:
        return importlib.import_module(plugin.name)
    if plugin.own:
        _check_source(plugin.point.module.partition(".")[0], plugin.source)
    return plugin.point.load()


def _check_source(package: str, source: str) -> None:
    """Raise `ImportError` if a package of ours would be imported from another place than ghostbench's."""
    found = importlib.util.find_spec(package)
    if found is not None and found.origin and not Path(found.origin).resolve().is_relative_to(source):
        raise ImportError(f"another package hides {package}: {found.origin}")


def _take(found: Registry, plugin: Found, manager: pluggy.PluginManager) -> None:
    """Add what a plugin registers, or the reason why not."""
    name = printable(plugin.name)
    printed = io.StringIO()
    started = time.process_time()
    try:
        with put_back() as changed, contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            loaded = load_plugin(plugin)
            offered = ask_plugin(loaded, plugin.name, manager)
            # In pluggy 1.6.0 a name that is not there is an error.
            finishes = (
                hasattr(loaded, "run_finished") and manager.parse_hookimpl_opts(loaded, "run_finished") is not None
            )
    except BaseException as error:  # noqa: BLE001 - even an exit that a stranger's module asks for stays its own affair
        reason = printable(f"{type(error).__name__}: {error}")
        found.quarantined.append(Quarantined(name, reason, f"repair it, or {plugin.removal}"))
        return
    took = time.process_time() - started
    _add(found, plugin, offered)
    if finishes:
        found.finishers.append(plugin)
    if printed.getvalue().strip():
        said = printable(printed.getvalue().strip().splitlines()[0])
        found.remarks.append(Remark(name, f"prints when it is imported ('{said}')", "take the print out of it"))
    if changed:
        what = f"changes {' and '.join(changed)} when it is imported, and it was put back"
        found.remarks.append(Remark(name, what, "take that out of it"))
    if took > SLOW_S and not plugin.own:
        way_out = f"import heavy libraries where they are used, or {plugin.removal}"
        what = f"takes {took:.1f} s of computing to import, and every command waits for it"
        found.remarks.append(Remark(name, what, way_out))


def ask_plugin(plugin: object, name: str, manager: pluggy.PluginManager) -> list[tuple[str, Any]]:
    """Everything that a plugin registers, as (kind, spec), in the order of its calls."""
    offered: list[tuple[str, Any]] = []
    try:
        manager.register(plugin, name)
        manager.check_pending()
        if not manager.get_hookcallers(plugin):
            raise TypeError(f"{getattr(plugin, '__name__', plugin)!r} implements no hook of ghostbench")
        for kind in KINDS:
            getattr(manager.hook, f"register_{kind}s")(register=lambda spec, kind=kind: offered.append((kind, spec)))
    finally:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
    return offered


def _add(found: Registry, plugin: Found, offered: list[tuple[str, Any]]) -> None:
    """Add the sound registrations; report all others of this plugin in one line."""
    reasons: list[str] = []
    taken = False
    for kind, spec in offered:
        table: dict[str, Any] = getattr(found, f"{kind}s")
        reason = next(objections(kind, spec), "")
        if not reason and kind == "model":
            reason = _without_main(found, plugin, spec)
        if not reason and spec.name in table:
            owner = found.origin[f"{kind} {spec.name}"].name
            reason = f"the {kind.replace('_', ' ')} name '{spec.name}' is taken by plugin '{printable(owner)}'"
            taken = True
        if reason:
            reasons.append(reason)
        else:
            table[spec.name] = cleaned(spec)
            found.origin[f"{kind} {spec.name}"] = plugin
    if reasons:
        way_out = f"{'give it another name' if taken else 'repair it'}, or {plugin.removal}"
        found.quarantined.append(Quarantined(printable(plugin.name), ", and ".join(reasons), way_out))


def _without_main(found: Registry, plugin: Found, spec: ModelSpec) -> str:
    """Why a model's name may not have a colon in it: what stands before it is a model of the same plugin, no family."""
    name, colon, _ = spec.name.partition(":")
    main = found.models.get(name)
    if not colon or (main is not None and main.family is None and found.origin[f"model {name}"] is plugin):
        return ""
    return f"model '{spec.name}' is another form of '{name}', which this plugin has not registered before it"


@contextlib.contextmanager
def _told_apart_from_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Yields whether the user pressed Ctrl-C: a plugin may raise KeyboardInterrupt itself, which interrupts nobody."""
    pressed = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        pressed.set()
        raise KeyboardInterrupt

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
