"""Tells plugins that a run has ended, each in a `try` of its own: one that fails costs nothing but itself."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pluggy

from ghostbench.plugins import hookspecs
from ghostbench.plugins.registry import load_plugin, printable, registry


def run_finished(folder: Path) -> Iterator[str]:
    """Call every plugin's `run_finished`; yield what went wrong, a line for each that failed.

    folder : of the run, absolute.
    """
    for plugin in registry().finishers:
        manager = pluggy.PluginManager("ghostbench")
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(load_plugin(plugin), plugin.name)
            with contextlib.redirect_stdout(sys.stderr):
                manager.hook.run_finished(folder=folder)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger raises
            reason = printable(f"{type(error).__name__}: {error}")
            name = printable(plugin.name)
            yield f"plugin '{name}' failed when the run had ended: {reason}; repair it, or {plugin.removal}"
