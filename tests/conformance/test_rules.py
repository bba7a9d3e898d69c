"""The kit passes sound adapters, and fails a broken one in exactly the rule that it breaks."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

if TYPE_CHECKING:
    from conftest import PluginSite

ADAPTERS = Path(__file__).parent / "adapters"
PLUGINS = ("kit_plugin", "kit_heavy", "kit_slow", "kit_eager")
SOUND = {"TestLocal", "TestRemote", "TestReference", "TestTwin", "TestExcused"}
RULES = 16
WORDS = {"failure": "failed", "error": "error", "skipped": "skipped"}


def broken_cases() -> dict[str, str]:
    """{class: the rule it breaks}, as the case file states it."""
    namespace: dict[str, object] = {}
    found = {}
    for node in ast.parse((ADAPTERS / "kit_cases.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            name = ast.unparse(node.targets[0])
            arguments = node.value.args
            if name.startswith("Test") and len(arguments) > 1:
                breaks = arguments[1]
                found[name] = namespace[breaks.id] if isinstance(breaks, ast.Name) else ast.literal_eval(breaks)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            namespace[ast.unparse(node.targets[0])] = node.value.value
    return {name: f"test_{rule}" for name, rule in found.items()}


BROKEN = broken_cases()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[str, str]]]:
    """{class: {rule: ("passed" or "skipped" or "failed", message)}} of one run of all cases."""
    site = tmp_path_factory.mktemp("site")
    for source in ADAPTERS.glob("kit_*.py"):
        shutil.copy(source, site)
    for plugin in PLUGINS:
        info = site / f"{plugin}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {plugin}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[ghostbench]\n{plugin} = {plugin}\n")
    report = site / "report.xml"
    words = [
        "kit_cases.py",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--rootdir",
        ".",
        f"--junitxml={report}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=site, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for test in ElementTree.parse(report).iter("testcase"):
        name = test.get("classname", "").rpartition(".")[2]
        child = next((c for c in test if c.tag in {"failure", "error", "skipped"}), None)
        outcome = (
            {"failure": "failed", "error": "error", "skipped": "skipped"}[child.tag] if child is not None else "passed"
        )
        found[name][test.get("name", "")] = (outcome, child.get("message", "") if child is not None else "")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SOUND))
def test_a_sound_adapter_passes(outcomes: dict[str, dict[str, tuple[str, str]]], name: str) -> None:
    rules = outcomes[name]
    assert len(rules) == RULES
    assert {rule: why for rule, why in rules.items() if why[0] not in {"passed", "skipped"}} == {}
    assert all(message.startswith("not applicable: ") for outcome, message in rules.values() if outcome == "skipped")
    assert sum(outcome == "passed" for outcome, _ in rules.values()) >= 6


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_adapter_fails_exactly_the_rule_it_breaks(
    outcomes: dict[str, dict[str, tuple[str, str]]], name: str
) -> None:
    rules = outcomes[name]
    assert len(rules) == RULES
    assert {rule for rule, why in rules.items() if why[0] in {"failed", "error"}} == {BROKEN[name]}, rules


def test_every_rule_has_an_adapter_that_breaks_it(outcomes: dict[str, dict[str, tuple[str, str]]]) -> None:
    assert set(BROKEN.values()) == set(outcomes["TestLocal"])


def test_a_rule_is_never_skipped_in_silence(outcomes: dict[str, dict[str, tuple[str, str]]]) -> None:
    """The sound local adapter declares nothing inapplicable, and has one way to be asked: that one skip alone."""
    skipped = {rule: why for rule, (outcome, why) in outcomes["TestLocal"].items() if outcome == "skipped"}
    assert skipped == {"test_its_sync_and_async_ways_agree": "not applicable: there is one way to ask it"}


def test_an_inapplicable_rule_needs_its_reason() -> None:
    from ghostbench.conformance import NotApplicable

    with pytest.raises(ValueError, match="reason"):
        NotApplicable(" ")


def test_an_unknown_model_is_named(plugin_site: PluginSite) -> None:
    (plugin_site.folder / "test_it.py").write_text(
        "from ghostbench.conformance import AdapterConformance\n"
        "class TestIt(AdapterConformance):\n    model = 'alwayz'\n"
    )
    done = plugin_site.python("-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", ".", "test_it.py")
    assert "unknown model 'alwayz'; did you mean always" in done.stdout
    assert " passed" not in done.stdout
