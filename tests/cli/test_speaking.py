"""Every command knows --quiet and --json: nothing but errors, or one JSON value and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from evidence_data import RunBuilder, clip

from ghostbench.cli import main
from ghostbench.report.write import write_report
from ghostbench.scoring.score import score_run

G, N = "ghost_probing", "normal"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder = RunBuilder([clip("a", G), clip("b"), clip("c", G), clip("d")])
    builder.rows("m", [G, N, N, N])
    builder.rows("n", [G, G, G, N])
    folder = builder.write(tmp_path_factory.mktemp("runs") / "r")
    score_run(folder)
    write_report(folder)
    return folder


def words_of(name: str, run: Path, place: Path) -> list[str]:
    return {
        "models": ["models"],
        "datasets": ["datasets"],
        "tasks": ["tasks"],
        "new-adapter": ["new-adapter", "mine", "--out", str(place)],
        "ls": ["ls", str(run.parent)],
        "show": ["show", str(run), "a"],
        "tag": ["tag", str(run)],
        "export": ["export", str(run), "--to", "csv", "--out", str(place)],
        "publish": ["publish", str(run), "--out", str(place / "site")],
        "status": ["status", str(run)],
        "report": ["report", str(run)],
        "compare": ["compare", str(run)],
        "verify": ["verify", str(run)],
        "regress": ["regress", str(run), "--against", str(place / "reference.json"), "--update"],
    }[name]


COMMANDS = [
    "ls",
    "show",
    "tag",
    "export",
    "publish",
    "models",
    "datasets",
    "tasks",
    "new-adapter",
    "status",
    "report",
    "compare",
    "verify",
    "regress",
]


def test_every_command_has_both_and_an_example() -> None:
    context = click.Context(main.bench)
    for name in main.bench.list_commands(context):
        command = main.bench.get_command(context, name)
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--quiet", "--json"} <= options, name
        assert re.search(rf"  bench {name}\b", command.epilog or ""), name


@pytest.mark.parametrize("words", [[], *([name] for name in main.bench.list_commands(click.Context(main.bench)))])
def test_help_fits_a_terminal_of_80_columns(words: list[str]) -> None:
    said = CliRunner().invoke(main.bench, [*words, "--help"], terminal_width=80).output
    assert "Options:" in said
    assert [line for line in said.splitlines() if len(line) > 80] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_one_value_and_quiet_is_silent(name: str, run: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(main.bench, [*words_of(name, run, tmp_path), "--json"], catch_exceptions=False)
    assert json.loads(said.stdout) is not None
    silent = CliRunner().invoke(main.bench, [*words_of(name, run, tmp_path / "q"), "--quiet"], catch_exceptions=False)
    assert silent.stdout == ""
    with pytest.raises(click.UsageError, match="exclude each other"):
        main.bench.main([*words_of(name, run, tmp_path / "b"), "--quiet", "--json"], standalone_mode=False)


def test_quiet_still_says_what_fails(run: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference.json"
    CliRunner().invoke(main.bench, ["regress", str(run), "--against", str(reference), "--update"])
    stated = json.loads(reference.read_text())
    reference.write_text(json.dumps(stated).replace("ghost_probing", "normal"))
    said = CliRunner().invoke(main.bench, ["regress", str(run), "--against", str(reference), "--quiet"])
    assert "checks against" in said.stdout
    told = CliRunner().invoke(main.bench, ["regress", str(run), "--against", str(reference), "--json"])
    assert json.loads(told.stdout)["holds"] is False
