"""What the commands say of a mistyped word, at a press of Tab, and of a task's words."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from evidence_data import RunBuilder, clip

from ghostbench.cli import main
from ghostbench.errors import BadInput
from ghostbench.evidence.prompt_checks import check_words
from ghostbench.folder.prompts import keep_words, read_words
from ghostbench.folder.run_records import read_run_records
from ghostbench.folder.sums import listed_files
from ghostbench.report.data import read_run
from ghostbench.report.prompt import words_as_text
from ghostbench.report.write import report_markdown
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench.tasks.summary import GhostProbingSummary


def said(*words: str) -> str:
    return CliRunner().invoke(main.bench, list(words), catch_exceptions=False).output


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["ruin"], "there is no command 'ruin'; did you mean run?"),
        (["comapre", "a"], "did you mean compare?"),
        (["run", "--modles", "a"], "--models"),
        (["frobnicate"], "commands: run, "),
    ],
)
def test_a_mistyped_word_is_told_the_nearest(words: list[str], hint: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        main.bench.main(words, standalone_mode=False)
    assert hint in caught.value.format_message()


def offered(arguments: list[str], incomplete: str) -> list[str]:
    completer = ShellComplete(main.bench, {}, "bench", "_BENCH_COMPLETE")
    return [item.value for item in completer.get_completions(arguments, incomplete)]


def test_tab_offers_commands_models_datasets_tasks_splits_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunBuilder([clip("a")])
    run.rows("m", ["normal"])
    run.write(tmp_path / "results" / "first")
    monkeypatch.chdir(tmp_path)
    assert offered([], "re") == ["report", "regress", "render"]
    assert offered(["run", "--models"], "mo") == ["motion"]
    assert offered(["run", "--models"], "motion,al") == ["motion,always"]
    assert "motion,motion" not in offered(["run", "--models"], "motion,")
    assert "replay:" in offered(["run", "--models"], "rep")
    assert offered(["run", "--dataset"], "da") == ["dada2000"]
    assert offered(["run", "--dataset", "dada2000", "--split"], "seed") == ["seed99"]
    assert offered(["run", "--task"], "ghost-probing-s") == ["ghost-probing-summary"]
    assert offered(["report"], "") == ["results/first", "results/"]
    assert offered(["verify"], "results/f") == ["results/first"]
    assert offered(["run", "--resume", "--run-id"], "f") == ["first"]
    assert offered(["doctor"], "alw") == ["always"]


def test_tasks_are_listed_and_one_is_printed_word_for_word() -> None:
    assert {task["name"] for task in json.loads(said("tasks", "--json"))} >= {"ghost-probing", "ghost-probing-summary"}
    assert "ghost-probing-summary" in said("tasks")
    shown = said("tasks", "ghost-probing")
    for text in (GhostProbing.system, GhostProbing.question, GhostProbing().template_sha256()):
        assert text in shown
    stated = json.loads(said("tasks", "ghost-probing", "--json"))
    assert stated["schema"] == GhostProbing.schema
    with pytest.raises(BadInput, match="did you mean ghost-probing"):
        said("tasks", "ghost-proving")


def test_a_run_folder_holds_the_prompts_words_and_verify_notices_an_edit(tmp_path: Path) -> None:
    task = GhostProbing()
    digest = task.template_sha256()
    run = RunBuilder([clip("a")])
    run.rows("m", ["normal"])
    entry = {"name": task.name, "version": task.version, "template_sha256": digest}
    folder = run.write(tmp_path / "run", task=entry)
    assert "were not checked" in check_words(read_run_records(folder))[1]
    keep_words(folder, task)
    assert read_words(folder, digest) == task.template()
    assert check_words(read_run_records(folder)) == ([], "")
    assert f"prompts/{digest}.json" in listed_files(folder)
    page = report_markdown(read_run(folder))
    for line in words_as_text(task.template()).split("\n"):
        assert f"    {line}\n" in page
    path = folder / "prompts" / f"{digest}.json"
    path.write_text(path.read_text().replace("suddenly", "slowly"))
    [finding], _ = check_words(read_run_records(folder))
    assert finding.file == f"prompts/{digest}.json"
    assert read_run(folder).prompt is None
    path.write_text(json.dumps(GhostProbingSummary().template()))
    assert check_words(read_run_records(folder))[0]
