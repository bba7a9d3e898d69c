"""A dataset, a task and a report section from outside the tree: the packages that the documentation shows, used."""

from __future__ import annotations

import ast
import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from drawn_data import moving_square, write_video

import ghostbench

if TYPE_CHECKING:
    from conftest import PluginSite


@pytest.fixture
def install(plugin_site: PluginSite, shown_package: Callable[[str], Path]) -> Callable[[str], None]:
    """Installs the package that a page shows, as pip would from its pyproject.toml."""

    def add(page: str) -> None:
        folder = shown_package(page)
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        ((name, package),) = project["entry-points"]["ghostbench"].items()
        plugin_site.add(project["name"], modules={}, entry_points=f"[ghostbench]\n{name} = {package}\n")
        shutil.copytree(folder / package, plugin_site.folder / package)

    return add


@pytest.mark.slow
def test_a_dataset_of_a_package_is_listed_and_run(plugin_site: PluginSite, install: Callable[[str], None]) -> None:
    install("add-a-dataset.md")
    media = plugin_site.folder / "media"
    media.mkdir()
    for number in (1, 2, 3):
        write_video(media / f"night_0{number}.mp4", moving_square(40 * number))
    listed = plugin_site.bench("datasets")
    row = next(line for line in listed.stdout.splitlines() if line.startswith("junctions"))
    assert "all, wet" in row
    assert "yours: --data-root" in row
    assert "three clips of junctions at night" in row
    words = ("--dataset", "junctions", "--data-root", "media", "--models", "motion,always")
    done = plugin_site.bench("run", *words, "--run-id", "whole")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((plugin_site.folder / "results/whole/metrics.json").read_text())
    assert metrics["models"]["motion"]["answered"] == 3
    assert metrics["models"]["always"]["views"]["strict"]["answered"]["tp"] == 1
    done = plugin_site.bench("run", *words, "--split", "wet", "--run-id", "wet")
    assert done.returncode == 0, done.stderr
    clips = [json.loads(line) for line in (plugin_site.folder / "results/wet/clips.jsonl").read_text().splitlines()]
    assert [(clip["clip"], clip["truth"], clip["truth_time_s"]) for clip in clips] == [
        ("night_01", "ghost_probing", 1.5),
        ("night_03", "cut_in", 0.8),
    ]


def test_the_shown_packages_build_on_public_names_alone(shown_package: Callable[[str], Path]) -> None:
    public = set(ghostbench.__all__)
    for page in ("add-a-dataset.md", "add-a-task-or-section.md"):
        modules = list(shown_package(page).rglob("*.py"))
        nodes = [node for path in modules for node in ast.walk(ast.parse(path.read_bytes()))]
        reached = [node for node in nodes if isinstance(node, ast.ImportFrom) and "ghostbench." in f"{node.module}."]
        ours = [node for node in reached if not str(node.module).startswith("ghostbench_")]
        assert ours
        assert {node.module for node in ours} == {"ghostbench"}
        assert {alias.name for node in ours for alias in node.names} <= public


def test_a_dataset_without_its_media_says_what_to_bring(
    plugin_site: PluginSite, install: Callable[[str], None]
) -> None:
    install("add-a-dataset.md")
    done = plugin_site.bench("run", "--dataset", "junctions", "--models", "motion")
    assert done.returncode == 2
    assert "needs the clips of junctions; say where they are with --data-root" in done.stderr


def test_a_task_and_a_section_of_a_package_are_used(plugin_site: PluginSite, install: Callable[[str], None]) -> None:
    install("add-a-task-or-section.md")
    done = plugin_site.bench("run", "--task", "one-word", "--models", "always,never", "--run-id", "words")
    assert done.returncode == 0, done.stderr
    folder = plugin_site.folder / "results" / "words"
    attempts = [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]
    assert {line["raw"] for line in attempts} == {'{"grade": "ghost_probing"}', '{"grade": "normal"}'}
    assert {line["outcome"] for line in attempts} == {"answered"}
    for name in ("report.md", "report.html"):
        report = (folder / name).read_text(encoding="utf-8")
        assert "Where the models agree" in report
        assert "All answers agree on 0 of 5 answered clips." in report


def test_a_section_that_fails_costs_the_report_nothing_else(plugin_site: PluginSite) -> None:
    source = """
        from ghostbench import ReportSectionSpec, hookimpl

        @hookimpl
        def register_report_sections(register):
            register(ReportSectionSpec(name="bad", load="sections:fail", title="Fails"))
            register(ReportSectionSpec(name="gone", load="sections:gone", title="Gone"))
            register(ReportSectionSpec(name="html", load="sections:html", title="<b>Html</b>"))

        def fail(run):
            raise ValueError("no such column")

        def html(run):
            return "<script>alert(1)</script> in 5 clips"
    """
    plugin_site.add("sections", modules={"sections.py": source})
    done = plugin_site.bench("run", "--models", "always", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    for name in ("report.md", "report.html"):
        page = (plugin_site.folder / "results/r" / name).read_text(encoding="utf-8")
        assert "<script>alert(1)" not in page
        assert "in 5 clips" in page
    assert "This section could not be written: ValueError: no such column" in page
    assert "This section could not be written: AttributeError" in page


def test_a_task_that_cannot_be_imported_is_bad_input(plugin_site: PluginSite) -> None:
    source = """
        from ghostbench import TaskSpec, hookimpl

        @hookimpl
        def register_tasks(register):
            register(TaskSpec(name="broken", load="not_there:Task", summary="its module is not there"))
    """
    plugin_site.add("tasks", modules={"tasks_plugin.py": source})
    done = plugin_site.bench("run", "--task", "broken", "--models", "always")
    assert done.returncode == 2
    assert "task 'broken' cannot be loaded: ModuleNotFoundError: No module named 'not_there'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
