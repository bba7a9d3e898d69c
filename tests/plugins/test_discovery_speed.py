"""Discovery stays quick however many plugins there are."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import PluginSite

COUNT = 200
BARE_INTERPRETERS = 30
"""About half a second where a bare interpreter takes 17 ms."""


@pytest.mark.slow
def test_200_installed_plugins_are_listed_in_the_time_of_thirty_bare_interpreters(
    plugin_site: PluginSite, least_cpu_s: Callable[..., float]
) -> None:
    for number in range(COUNT):
        name = f"plug{number:03}"
        source = f"""
            from ghostbench import ModelSpec, hookimpl

            @hookimpl
            def register_models(register):
                register(ModelSpec(name="{name}", load="{name}_model:M", kind="local", summary="number {number}"))
        """
        plugin_site.add(name, modules={f"{name}.py": source})
    listed = plugin_site.bench("models")  # compiles the modules, as pip does when it installs them
    assert listed.stdout.count("number ") == COUNT
    words = [sys.executable, "-m", "ghostbench", "models"]
    bare = least_cpu_s([os.path.realpath(sys.executable), "-c", "pass"], times=10)
    assert least_cpu_s(words, env=plugin_site.environment()) <= BARE_INTERPRETERS * bare
