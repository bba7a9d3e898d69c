"""Everything that a user can get wrong: exit status 2, one line that names it, no traceback."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

LABELS = "video_id,ground_truth_label,remark\n"

COMMANDS = {
    "an unknown model": ("--models motoin", "motion"),
    "an empty model": ("--models always,,never", "--models"),
    "no model": ("--models ''", "--models"),
    "a repeated model": ("--models always,never,always", "always"),
    "a family without its argument": ("--models replay:", "replay"),
    "an argument for a model that takes none": ("--models always:x", "always"),
    "a row name that cannot be shown": ("--models 'careless:none=a|b'", "a|b"),
    "an unknown task": ("--models always --task ghost-probin", "ghost-probing"),
    "an unknown dataset": ("--models always --dataset dada2001", "dada2000"),
    "models with spaces between them": ("--models always never", "--models A,B"),
    "a folder as a dataset": ("--models always --dataset .", "--data-root"),
    "labels as a dataset": ("--models always --dataset grammar.csv", "--labels"),
    "a dataset file that is not there": ("--models always --dataset no.yaml", "no.yaml"),
    "a dataset file that is no dataset": ("--models always --dataset bad.yaml", "bad.yaml"),
    "an unknown split": ("--models always --split seed98", "seed98"),
    "an unknown sampler": ("--models local-spy --sampling every:3", "every:3"),
    "a sampler without frames": ("--models local-spy --sampling uniform:0", "uniform:0"),
    "a negative rate": ("--models local-spy --sampling fps:-1", "fps:-1"),
    "a rate that is no number": ("--models local-spy --sampling fps:nan", "fps:nan"),
    "a setting without a value": ("--models local-spy --set local-spy.batch", "local-spy.batch"),
    "a setting of another model": ("--models always --set local-spy.batch=1", "local-spy"),
    "an unknown setting": ("--models local-spy --set local-spy.bach=1", "bach"),
    "a setting of the wrong type": ("--models local-spy --set local-spy.batch=two", "two"),
    "a setting out of range": ("--models local-spy --set local-spy.batch=0", "0"),
    "a setting of a model that has none": ("--models always --set always.x=1", "always"),
    "a missing package": ("--models needy", "no_such_package"),
    "a missing package in a package": ("--models needy-within", "no_such_package.part"),
    "a setting that is no finite number": ("--models wise --set wise.share=inf", "inf"),
    "settings that do not go together": ("--models wise --set wise.words=z", "z is no word"),
    "a row that its plugin cannot name": ("--models nameless:x", "nameless:HOW=NAME"),
    "money without end": ("--models always --max-cost inf", "--max-cost"),
    "clips that match nothing": ("--models always --clips images_9_*", "images_9_"),
    "a clips file that is not there": ("--models always --clips @none.txt", "none.txt"),
    "an empty clips file": ("--models always --clips @empty.txt", "empty.txt"),
    "a limit of zero": ("--models always --limit 0", "--limit"),
    "a negative limit": ("--models always --limit -3", "--limit"),
    "a limit that is no number": ("--models always --limit many", "many"),
    "a seed that no server takes": ("--models always --seed 99999999999999999999", "--seed"),
    "no repeats": ("--models always --repeats 0", "--repeats"),
    "no attempts": ("--models always --max-attempts 0", "--max-attempts"),
    "no money": ("--models always --max-cost 0", "--max-cost"),
    "less than no money": ("--models always --max-cost -1", "--max-cost"),
    "money that is no number": ("--models always --max-cost nan", "--max-cost"),
    "an unknown probe": ("--models local-spy --probe blink", "blink"),
    "a probe of nobody": ("--models always --probe blank", "--probe"),
    "a media root that is not there": ("--models local-spy --data-root nowhere", "nowhere"),
    "a protocol without its package": ("--models local-spy --data-root gibberish://x", "gibberish"),
    "labels that are not there": ("--models always --labels no.csv", "no.csv"),
    "labels that are a folder": ("--models always --labels .", "folder"),
    "empty labels": ("--models always --labels empty.txt", "empty.txt"),
    "labels without rows": ("--models always --labels header.csv", "header.csv"),
    "labels without the columns": ("--models always --labels columns.csv", "columns.csv"),
    "a label outside the grammar": ("--models always --labels grammar.csv", "3"),
    "a blank id": ("--models always --labels blank.csv", "3"),
    "an id twice": ("--models always --labels twice.csv", "3"),
    "bytes that are no text": ("--models always --labels bytes.csv", "bytes.csv"),
    "a recorded file that is not there": ("--models replay:no.jsonl", "no.jsonl"),
    "an empty recorded file": ("--models replay:empty.txt", "empty.txt"),
    "a recorded file with a broken line": ("--models replay:broken.jsonl", "2"),
    "resuming a run that never was": ("--models always --run-id never-was --resume", "never-was"),
    "resuming nothing": ("--models always --resume", "--run-id"),
    "a run id that is a path": ("--models always --run-id ../x", "../x"),
    "an unknown option": ("--modles always", "--modles"),
    "an option without its value": ("--models", "--models"),
    "quiet and json at once": ("--models always --quiet --json", "--json"),
    "an out folder that is a file": ("--models always --out empty.txt", "empty.txt"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_bad_input_is_one_line_that_names_it(bench: Any, case: str) -> None:
    write_files(bench.folder)
    command, named = COMMANDS[case]
    words = shlex.split(command)
    done = bench.run(*words, dataset="--dataset" not in words)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert named in done.stderr
    assert not (bench.folder / "results").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("--models always,never", "models"),
        ("--models always --limit 3", "dataset"),
        ("--models always --seed 5", "seed"),
        ("--models always --repeats 2", "repeats"),
        ("--models always --sampling uniform:4", "sampling"),
        ("--models always --task ghost-probing-summary", "task"),
        ("--models always --max-attempts 5", "max_attempts"),
    ],
)
def test_resuming_with_other_settings_names_the_setting(bench: Any, change: str, named: str) -> None:
    assert bench.run("--models", "always", "--run-id", "r").returncode == 0
    done = bench.run(*shlex.split(change), "--run-id", "r", "--resume")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert named in done.stderr


def test_an_existing_run_without_resume_is_refused(bench: Any) -> None:
    assert bench.run("--models", "always", "--run-id", "r").returncode == 0
    done = bench.run("--models", "always", "--run-id", "r")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--resume" in done.stderr


@pytest.mark.slow
def test_a_disk_that_is_full_is_one_line_with_the_way_on(bench: Any) -> None:
    import subprocess

    words = bench.words("--models", "blind-spy,always,never", "--repeats", "20", "--run-id", "r", "--quiet")
    limited = ["bash", "-c", 'ulimit -f 60; exec "$@"', "bash", *words]
    done = subprocess.run(limited, cwd=bench.folder, env=bench.env, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "go on with: bench run" in done.stderr
    assert bench.run(*words[4:], "--resume", dataset=False).returncode == 0
    assert len(bench.lines("r", "attempts.jsonl")) == 360


def write_files(folder: Path) -> None:
    files = {
        "bad.yaml": "nom: x\n",
        "empty.txt": "",
        "header.csv": LABELS,
        "columns.csv": "id,label\na,none\n",
        "grammar.csv": LABELS + "a,none,\nb,ghost probing maybe,\n",
        "blank.csv": LABELS + "a,none,\n,none,\n",
        "twice.csv": LABELS + "a,none,\na.avi,none,\n",
        "broken.jsonl": '{"clip": "images_1_001", "raw": "x"}\n{"clip"\n',
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "bytes.csv").write_bytes(b"\xff\xfe\x00\x01\x02,\x80\n")
