"""One list of options: the command line, a run file and a run that is gone on with cannot differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from evidence_data import write_begun

from ghostbench.cli.run import command
from ghostbench.cli.run_given import RunCommand
from ghostbench.datasets.query import SplitQuery
from ghostbench.errors import BadInput
from ghostbench.running.plan.options import Options

OF_A_CALL = {"study", "dry_run", "quiet", "as_json", "help"}


def parsed(*words: str) -> dict[str, Any]:
    return command.make_context("run", list(words)).params


@pytest.fixture
def study(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "study.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_every_option_is_one_of_the_runs_and_the_other_way_round() -> None:
    assert isinstance(command, RunCommand)
    apart = {"query", "patience"}
    fields = {f.name: f for kind in (Options, SplitQuery) for f in dataclasses.fields(kind) if f.name not in apart}
    assert {p.name for p in command.params} - OF_A_CALL == set(fields)
    given = parsed()
    for name, field in fields.items():
        assert given[name] == field.default, name


def test_a_run_file_has_the_options_own_names_and_the_command_line_goes_before_it(study: Callable[[str], str]) -> None:
    file = study(
        "models: [motion, always]\ndata-root: DADA\nlimit: 10\nonly_available: true\nmax-cost: 1.5\nlabels: null\n"
        "set:\n  gpt-4.1: {detail: low, stream: true}\n  motion: {gain: 2}\nrun-id: 2026\n"
    )
    got = parsed(file, "--limit", "3", "--set", "motion.gain=4")
    assert got["models"] == "motion,always"
    assert (got["data_root"], got["limit"], got["only_available"], got["max_cost"]) == ("DADA", 3, True, 1.5)
    assert (got["labels"], got["run_id"]) == (None, "2026")
    assert got["settings"] == ("gpt-4.1.detail=low", "gpt-4.1.stream=true", "motion.gain=4")
    same = parsed("--models", "motion,always", "--limit", "3", "--only-available", "--max-cost", "1.5")
    assert {k: v for k, v in same.items() if got[k] != v} == {
        "study": None, "data_root": None, "settings": (), "run_id": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "written", ["010", "0o17", "1_000", "12:30", "2026-1-2", "1e3", "0x1F", "2026-01-02T03:04:05Z"]
)
def test_digits_of_a_run_file_are_read_as_they_are_written(study: Callable[[str], str], written: str) -> None:
    """YAML makes 8 of 010, and 750 of 12:30: a run's folder would have another name than its file says."""
    got = parsed(study(f"run-id: {written}\ntag: [{written}]\nset: {{m: {{key: {written}}}}}"))
    assert (got["run_id"], got["tag"], got["settings"]) == (written, (written,), (f"m.key={written}",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("deadline: 1:30", "deadline: '1:30' is not a valid float"),
        ("modles: motion", "unknown key 'modles'; did you mean models?"),
        ("limit: ten", "limit: 'ten' is not a valid integer"),
        ("limit: 1.5", "limit: '1.5' is not a valid integer"),
        ("limit: [1, 2]", "limit: takes a single value"),
        ("only-available: 3", "only-available: '3' is not true or false"),
        ("limit: 1\nlimit: 2", "line 2: not YAML (limit is there twice)"),
        ("data-root: a\ndata_root: b", "data-root is there twice"),
        ("set: {motion: 3}", "set: motion needs a mapping"),
        ("task: {a: b}", "task: takes no mapping"),
        ("- motion", "holds no options"),
        ("", "holds no options"),
        ("a: [", "not YAML"),
        ("study: other.yaml", "unknown key 'study'"),
    ],
)
def test_an_error_of_a_run_file_names_the_file_and_the_key(study: Callable[[str], str], text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parsed(study(text))
    assert "study.yaml" in str(caught.value)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_run_file_that_is_not_there_is_bad_input() -> None:
    with pytest.raises(BadInput, match="No such file"):
        parsed("nowhere.yaml")


def test_where_runs_go_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTBENCH_OUT", "elsewhere")
    assert parsed()["out"] == Path("elsewhere")
    assert parsed("--out", "here")["out"] == Path("here")


def begun(folder: Path, **manifest: Any) -> list[str]:
    folder.mkdir(parents=True)
    write_begun(folder, **manifest)
    return ["--resume", "--run-id", folder.name, "--out", str(folder.parent)]


def test_a_run_that_is_gone_on_with_brings_its_options(tmp_path: Path) -> None:
    settings = ["motion.threshold=1", "motion.horizon=2"]
    kept = {"models": "motion,b", "limit": 7, "settings": settings, "only_available": True, "strange": 1}
    words = begun(tmp_path / "out" / "r", command=["bench", "run", "--models", "motion,b"], options=kept)
    got = parsed(*words, "--set", "motion.horizon=3", "--max-cost", "2")
    assert (got["models"], got["limit"], got["only_available"], got["max_cost"]) == ("motion,b", 7, True, 2.0)
    assert got["settings"] == ("motion.threshold=1", "motion.horizon=3")
    assert got["resume"] is True


def test_a_run_of_an_earlier_version_brings_its_command_line(tmp_path: Path) -> None:
    setting = "motion.threshold=1"
    was = ["bench", "run", "--models", "motion", "--set", setting, "--run-id", "r", "--limit", "4", "--quiet"]
    got = parsed(*begun(tmp_path / "out" / "r", command=was))
    assert (got["models"], got["settings"], got["limit"], got["quiet"]) == ("motion", (setting,), 4, False)


def test_a_setting_of_a_model_that_is_not_here_is_said_again(tmp_path: Path) -> None:
    kept = {"models": "a", "settings": ["a.x=1"]}
    words = begun(tmp_path / "out" / "r", command=["bench", "run"], options=kept)
    with pytest.raises(BadInput, match=r"if you mean it, add --set a\.x=1$"):
        parsed(*words)
    assert parsed(*words, "--set", "a.x=1")["settings"] == ("a.x=1",)


def test_a_secret_that_no_run_keeps_must_be_given_again(tmp_path: Path) -> None:
    kept = {"models": "wise", "settings": ["wise.api_key=[redacted]"]}
    words = begun(tmp_path / "out" / "r", command=["bench", "run"], options=kept)
    with pytest.raises(BadInput, match=r"give 'wise\.api_key=\[redacted\]' again"):
        parsed(*words)
    assert parsed(*words, "--set", "wise.api_key=sk")["settings"] == ("wise.api_key=sk",)


def test_help_needs_no_run_file() -> None:
    with pytest.raises(click.exceptions.Exit):
        parsed("nowhere.yaml", "--help")
