"""What importing a plugin costs, measured in a process of its own: `python -m ghostbench.plugins.import_cost NAME`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass

import pluggy

from ghostbench.plugins import hookspecs
from ghostbench.plugins.discovery import find_plugins
from ghostbench.plugins.registry import ask_plugin, load_plugin

HEAVY = (
    "torch",
    "transformers",
    "openai",
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "statsmodels",
    "matplotlib",
    "cv2",
    "av",
    "tensorflow",
    "jax",
)
"""Libraries that no plugin may import before one of its models is named: they would slow down every command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCost:
    """One import of a plugin in a fresh interpreter that had the harness loaded already.

    seconds : of CPU time, for import and registration. heavy : libraries of `HEAVY` that it loaded.
    modules : all modules it loaded.
    """

    seconds: float
    heavy: tuple[str, ...]
    modules: frozenset[str]


def measure(plugin: str) -> ImportCost:
    """Import the plugin of that entry point's name in a fresh interpreter.

    Raises `RuntimeError` with the interpreter's last words when it cannot be imported there.
    """
    done = subprocess.run([sys.executable, "-m", __name__, plugin], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"plugin '{plugin}' cannot be imported by itself: {done.stderr.strip()[-500:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return ImportCost(seconds=found["seconds"], heavy=tuple(found["heavy"]), modules=frozenset(found["modules"]))


def _measure_here(name: str) -> None:
    plugin = next(plugin for plugin in find_plugins() if plugin.name == name)
    manager = pluggy.PluginManager("ghostbench")
    manager.add_hookspecs(hookspecs)
    before = set(sys.modules)
    started = time.process_time()
    ask_plugin(load_plugin(plugin), name, manager)
    seconds = time.process_time() - started
    modules = sorted(set(sys.modules) - before)
    heavy = [module for module in HEAVY if module in modules]
    sys.stdout.write("\n" + json.dumps({"seconds": seconds, "heavy": heavy, "modules": modules}) + "\n")


if __name__ == "__main__":
    _measure_here(sys.argv[1])
