"""Whatever a stranger's model raises, and wherever: its own row suffers, and the run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import PluginSite

pytestmark = pytest.mark.slow

PLUGIN = """
    from dataclasses import dataclass
    from ghostbench import ModelSpec, hookimpl, setting

    @dataclass(frozen=True)
    class Settings:
        size: int = setting(1, "a size")

        def __post_init__(self):
            if self.size < 0:
                raise RuntimeError("no negative sizes")

    @hookimpl
    def register_models(register):
        register(ModelSpec(name="{name}", load="{name}_model:Model", kind="{kind}", summary="bad", settings=Settings))
        more = {{"family": "X", "row_name": row}}
        register(ModelSpec(name="{name}ly", load="{name}_model:Model", kind="{kind}", summary="bad", **more))

    def row(argument):
        return {{}}[argument]
"""
LOCAL = """
    from ghostbench import LocalModel, Reply, Verdict

    class Model(LocalModel):
        def answer(self, requests):
            return [Reply(text=r.write_answer(Verdict(grade="normal", evidence="bad"))) for r in requests]

        {method}
"""
REMOTE = """
    from ghostbench import RemoteModel, Reply, Verdict

    class Model(RemoteModel):
        async def answer(self, request):
            return Reply(text=request.write_answer(Verdict(grade="normal", evidence="bad")))

        {method}
"""


RAISES = "raise RuntimeError('bad')"


CASES = (
    ("local", f"def __init__(self, settings, argument): {RAISES}", "unavailable"),
    ("local", "def __init__(self): pass", "unavailable"),
    ("local", f"def check(self): {RAISES}", "unavailable"),
    ("local", f"def load(self): {RAISES}", "unavailable"),
    ("local", "def load(self): raise SystemExit('bad')", "unavailable"),
    ("local", "ladder = property(lambda self: 1 / 0)", "unavailable"),
    ("local", "ladder = ('float32',)", "unavailable"),
    ("local", "batch_size = property(lambda self: 1 / 0)", "unavailable"),
    ("local", "batch_size = 'four'", "unavailable"),
    ("local", "parallel_batches = property(lambda self: 1 / 0)", "unavailable"),
    ("local", f"def prepare(self, request): {RAISES}", "crashed"),
    ("local", f"def answer(self, requests): {RAISES}", "crashed"),
    ("local", "def answer(self, requests): raise SystemExit('bad')", "crashed"),
    ("local", "def answer(self, requests): return None", "crashed"),
    ("local", "def answer(self, requests): return [None] * len(requests)", "crashed"),
    ("local", "def answer(self, requests): return [Reply(text='x', stages=None)] * len(requests)", "crashed"),
    ("local", "def answer(self, requests): return [Reply(text='x', usage=7)] * len(requests)", "crashed"),
    (
        "local",
        "def answer(self, requests): return [Reply(text='x', finish_reason=b'x')] * len(requests)",
        "crashed",
    ),
    ("local", "def answer(self, requests): return [ValueError('x')] * len(requests)", "crashed"),
    ("local", f"def close(self): {RAISES}", "answered"),
    ("local", "def load(self): return {'module': __import__('sys'), 3: {4}}", "answered"),
    ("local", "def load(self): return None", "answered"),
    ("local", "def load(self): return 7", "unavailable"),
    ("remote", "concurrency = property(lambda self: 1 / 0)", "unavailable"),
    ("remote", f"async def load(self): {RAISES}", "unavailable"),
    ("remote", f"async def answer(self, request): {RAISES}", "crashed"),
    ("remote", "async def answer(self, request): return 7", "crashed"),
    ("remote", f"async def aclose(self): {RAISES}", "answered"),
)


def install(site: PluginSite, name: str, kind: str, method: str) -> None:
    model = (LOCAL if kind == "local" else REMOTE).format(method=method)
    site.add(name, modules={f"{name}.py": PLUGIN.format(kind=kind, name=name), f"{name}_model.py": model})


@pytest.fixture(scope="module")
def outcomes(module_plugin_site: Callable[[], PluginSite]) -> dict[str, dict[str, int]]:
    """{row: {outcome: count}} of one run of all of them beside a good one."""
    site = module_plugin_site()
    for number, (kind, method, _) in enumerate(CASES):
        install(site, f"bad{number}", kind, method)
    rows = ",".join([*(f"bad{number}" for number in range(len(CASES))), "always"])
    done = site.bench("run", "--models", rows, "--run-id", "r", "--max-attempts", "1", timeout=600)
    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr
    file = site.folder / "results" / "r" / "metrics.json"
    models = json.loads(file.read_text(encoding="utf-8"))["models"]
    return {name: row["outcomes"] for name, row in models.items()}


@pytest.mark.parametrize("number", range(len(CASES)), ids=["-".join(case) for case in CASES])
def test_a_model_that_raises_loses_its_own_row_alone(outcomes: dict[str, dict[str, int]], number: int) -> None:
    _, _, outcome = CASES[number]
    assert outcomes[f"bad{number}"] == {outcome: 5}


def test_the_good_model_beside_them_answers_everything(outcomes: dict[str, dict[str, int]]) -> None:
    assert outcomes["always"] == {"answered": 5}


def test_settings_that_refuse_a_value_are_bad_input(plugin_site: PluginSite) -> None:
    install(plugin_site, "bad", "local", "")
    done = plugin_site.bench("run", "--models", "bad", "--set", "bad.size=-1")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "no negative sizes" in done.stderr


def test_a_row_name_that_raises_is_bad_input(plugin_site: PluginSite) -> None:
    install(plugin_site, "bad", "local", "")
    done = plugin_site.bench("run", "--models", "badly:x")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "badly:X=NAME" in done.stderr
