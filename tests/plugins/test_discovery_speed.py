"""Discovery stays quick however many plugins there are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

pytestmark = pytest.mark.alone

if TYPE_CHECKING:
    from conftest import PluginSite

COUNT = 200
LIMIT_S = 0.5
TRIES = 15


def test_200_installed_plugins_are_listed_in_under_half_a_second(plugin_site: PluginSite) -> None:
    for number in range(COUNT):
        name = f"plug{number:03}"
        source = f"""
            from ghostbench import ModelSpec, hookimpl

            @hookimpl
            def register_models(register):
                register(ModelSpec(name="{name}", load="{name}_model:M", kind="local", summary="number {number}"))
        """
        plugin_site.add(name, modules={f"{name}.py": source})
    plugin_site.bench("models")  # compiles the modules, as pip does when it installs them
    times: list[float] = []
    while len(times) < TRIES and min(times, default=LIMIT_S) >= LIMIT_S:  # other processes share the machine
        started = time.perf_counter()
        done = plugin_site.bench("models")
        times.append(time.perf_counter() - started)
        assert done.stdout.count("number ") == COUNT
    assert min(times) < LIMIT_S, times
