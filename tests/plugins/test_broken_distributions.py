"""A distribution that is broken, or takes our name, costs nothing but itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ghostbench.plugins.discovery import find_plugins
from ghostbench.plugins.installed import homes_of, own_version, version_of

if TYPE_CHECKING:
    from conftest import PluginSite

SOUND = b"Metadata-Version: 2.1\nName: ill\nVersion: 1\n"
BROKEN: dict[str, dict[str, bytes]] = {
    "an empty folder": {},
    "no metadata": {"entry_points.txt": b"[ghostbench]\nill = not_there\n"},
    "empty metadata": {"METADATA": b""},
    "undecodable metadata": {
        "METADATA": b"Name: \xff\xfe\nVersion: 1\n",
        "entry_points.txt": b"[ghostbench]\nill = x\n",
    },
    "no version": {"METADATA": b"Metadata-Version: 2.1\nName: ill\n"},
    "undecodable entry points": {"METADATA": SOUND, "entry_points.txt": b"[ghostbench]\n\xff\xfe = x\n"},
    "malformed entry points": {"METADATA": SOUND, "entry_points.txt": b"[ghostbench]\nnot an assignment\n"},
    "malformed entry points of another group": {
        "METADATA": SOUND,
        "entry_points.txt": b"[pytest11]\nnot an assignment\n",
    },
    "an entry point that names nothing": {"METADATA": SOUND, "entry_points.txt": b"[ghostbench]\nill = ill:nothing\n"},
    "an undecodable list of files": {"METADATA": SOUND, "RECORD": b"\xff\xfe,,\n", "top_level.txt": b"\xff"},
    "a senseless list of files": {"METADATA": SOUND, "RECORD": b"a\nb,c\nd,sha256=,x\n\n"},
    "numpy, after an upgrade that was cut off": {"RECORD": b"numpy/__init__.py,,\n"},
}


def break_into(site: Path, kind: str, name: str) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    for file, content in BROKEN[kind].items():
        (info / file).write_bytes(content)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_distribution_is_asked_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    sound = {(p.name, p.own) for p in find_plugins() if p.own}
    versions = (own_version(), version_of("numpy"), version_of("pluggy"))
    break_into(tmp_path, kind, "numpy" if kind.startswith("numpy") else "ill")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert {(p.name, p.own) for p in find_plugins() if p.own} == sound
    assert (own_version(), version_of("numpy"), version_of("pluggy")) == versions
    assert None not in versions
    assert {"numpy", "pillow", "opencv-python-headless"} <= homes_of(["numpy", "PIL", "cv2"])


def test_homes_are_of_whole_names_of_packages_and_modules() -> None:
    assert homes_of(["typing_extensions"]) == {"typing_extensions"}
    assert homes_of(["nump", "numpy.py", "n.mpy", "umpy"]) == homes_of([]) == set()


@pytest.mark.slow
def test_run_report_and_verify_work_beside_every_broken_distribution(plugin_site: PluginSite) -> None:
    for number, kind in enumerate(BROKEN):
        break_into(plugin_site.folder, kind, "numpy" if kind.startswith("numpy") else f"ill{number}")
    done = plugin_site.bench("run", "--models", "motion", "--limit", "1", "--out", "runs", "--run-id", "r")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    for words in (("report", "runs/r"), ("verify", "runs/r")):
        done = plugin_site.bench(*words)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


IMPOSTOR = """
    from ghostbench import ModelSpec, hookimpl

    @hookimpl
    def register_models(register):
        for name in ("always", "motion", "extra"):
            register(ModelSpec(name=name, load="impostor:M", kind="local", summary="an impostor"))
"""


def test_a_distribution_that_takes_our_name_replaces_nothing(
    plugin_site: PluginSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = "[ghostbench]\nbaselines = impostor\nmotion = impostor\n"
    plugin_site.add("ghostbench", modules={"impostor.py": IMPOSTOR}, entry_points=points)
    done = plugin_site.bench("models")
    assert done.stdout.count("an impostor") == 1, "what it brings under a name of its own stays"
    assert "says ghost_probing of every clip" in done.stdout
    assert "the model name 'always' is taken by plugin 'baselines'" in done.stderr
    assert "pip uninstall ghostbench" not in done.stderr, "that would take away the real one"
    assert str(plugin_site.folder / "ghostbench-1.0.dist-info") in done.stderr
    monkeypatch.syspath_prepend(str(plugin_site.folder))
    assert own_version() == version_of("ghostbench") != "1.0"
    assert {p.name for p in find_plugins() if p.own} >= {"baselines", "motion", "replay", "openai", "drivemm", "hf"}


def test_a_package_that_hides_one_of_ours_is_not_taken_for_it(plugin_site: PluginSite) -> None:
    plugin_site.add("ghostbench", modules={"ghostbench_baselines.py": IMPOSTOR}, entry_points="[ghostbench]\n")
    done = plugin_site.bench("models")
    assert "an impostor" not in done.stdout
    assert "plugin 'baselines' was left out: ImportError: another package hides ghostbench_baselines" in done.stderr
    assert "install ghostbench again" in done.stderr


def test_no_escape_of_a_plugin_reaches_the_terminal(plugin_site: PluginSite) -> None:
    source = r"""
        from dataclasses import dataclass
        from ghostbench import ModelSpec, hookimpl, setting

        @dataclass(frozen=True)
        class Settings:
            mode: str = setting("a\x1b[2Jb", help="first\x1b]0;title\x07 then")

        @hookimpl
        def register_models(register):
            register(ModelSpec(name="loud", load="loud:M", kind="local", summary="red \x1b[31m\nand \x9b32m green",
                               mark="\x1b[5m", extra="x\x1b[1m", requires=("not_there",), settings=Settings))
            register(ModelSpec(name="always", load="loud:M", kind="local", summary="taken"))
    """
    plugin_site.add("loud", modules={"loud.py": source})
    metadata = plugin_site.folder / "loud-1.0.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: loud\x1b[31m; rm -rf x\nVersion: 1\n")
    for words in (["models"], ["models", "loud"], ["run", "--models", "loud", "--dry-run"]):
        done = plugin_site.bench(*words)
        said = done.stdout + done.stderr
        assert "loud" in said
        assert not [c for c in said if not c.isprintable() and c != "\n"], repr(said)
        assert "uninstall loud" not in said, "no name that a shell would take for more than a name"


def test_entry_points_stay_strict_for_those_who_want_to_know(tmp_path: Path) -> None:
    """The program forgives; `bench models` can still say which distribution is broken."""
    break_into(tmp_path, "malformed entry points", "ill")
    code = """
import sys
from importlib.metadata import entry_points
from ghostbench.plugins.discovery import find_plugins
from ghostbench.plugins.installed import forgive_broken_distributions
forgive_broken_distributions()
forgive_broken_distributions()
entry_points()
print([plugin.unreadable for plugin in find_plugins() if plugin.distribution == "ill"])
"""
    words = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "its entry_points.txt cannot be read (TypeError" in done.stdout
