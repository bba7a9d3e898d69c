"""The hook `run_finished`: called once with the folder of a run that has ended; one that fails loses nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import PluginSite

WORDS = ("run", "--models", "always", "--limit", "2", "--run-id", "r", "--json")


def test_every_plugin_hears_once_of_a_run_that_is_whole_and_one_that_fails_costs_nothing(
    plugin_site: PluginSite,
) -> None:
    plugin_site.add(
        "hears",
        modules={
            "hears.py": """
            import ghostbench

            @ghostbench.hookimpl
            def run_finished(folder):
                print("printed")
                scored = ghostbench.read_run(folder).metrics["models"]["always"]["n"]
                with open("heard.txt", "a") as file:
                    file.write(f"{folder.name} {folder.is_absolute()} {(folder / 'report.html').is_file()} {scored}\\n")
            """
        },
    )
    for name, act in (("raises", "raise ValueError('no\\\\nroom')"), ("leaves", "raise SystemExit(7)")):
        plugin_site.add(
            name,
            modules={
                f"{name}.py": f"""
                import ghostbench

                @ghostbench.hookimpl
                def run_finished(folder):
                    {act}
                """
            },
        )
    done = plugin_site.bench(*WORDS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["models"]["always"]["n"] == 2
    assert (plugin_site.folder / "heard.txt").read_text() == "r True True 2\n"
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: plugin")]
    assert len(warnings) == 2
    assert all("failed when the run had ended" in line and "the run itself is whole" in line for line in warnings)
    assert plugin_site.bench("verify", "results/r").returncode == 0
