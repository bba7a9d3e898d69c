"""What a run is gone on with: read strictly before anything is asked, asked again where it may go well another time."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ghostbench.evidence.verify import verify

Lines = list[dict[str, Any]]


def as_a_kill_leaves_it(bench: Any, **fields: Any) -> None:
    manifest = {**bench.manifest("r"), "status": "running", "finished_at": None, "digests": {}, **fields}
    (bench.folder / "results/r/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def write(bench: Any, lines: Lines) -> Path:
    path: Path = bench.folder / "results/r/attempts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("error", ["RateLimited", "TimedOut", "ConnectionFailed", "ServerError"], ids=str)
def test_what_may_go_well_another_time_is_asked_again_though_the_attempts_were_used_up(bench: Any, error: str) -> None:
    bench.hurry()
    given = ["--models", "blind-remote", "--set", f"blind-remote.outcome={error}", "--set", "blind-remote.times=6"]
    given += ["--set", "blind-remote.retry_after_s=0", "--max-attempts", "1", "--run-id", "r"]
    assert bench.run(*given).returncode == 1
    assert {p["outcome"] for p in bench.lines("r", "predictions.jsonl")} != {"answered"}
    at_last = [word.replace("times=6", "times=0") for word in given]
    refused = bench.run(*at_last, "--resume")
    assert "models.blind-remote.settings.times = 6, not 0" in refused.stderr
    manifest = bench.manifest("r")
    manifest["models"]["blind-remote"]["settings"]["times"] = 0
    as_a_kill_leaves_it(bench, models=manifest["models"])
    done = bench.run(*at_last, "--resume")
    assert done.returncode == 0, done.stderr
    assert {(p["outcome"], p["attempts"]) for p in bench.lines("r", "predictions.jsonl")} == {("answered", 2)}
    assert verify(bench.folder / "results/r").findings == ()


@pytest.mark.slow
def test_the_limit_of_attempts_may_be_raised_and_the_next_rung_is_then_tried(bench: Any) -> None:
    given = ["--models", "blind-spy", "--set", "blind-spy.outcome=Nonfinite", "--set", "blind-spy.ladder=1"]
    given += ["--run-id", "r"]
    assert bench.run(*given, "--max-attempts", "1").returncode == 1
    assert bench.run(*given, "--max-attempts", "2", "--resume").returncode == 1
    tried = Counter((line["attempt"], line["fallback_level"]) for line in bench.lines("r", "attempts.jsonl"))
    assert tried == {(1, 0): 6, (2, 1): 6}
    manifest = bench.manifest("r")
    assert manifest["max_attempts"] == 2
    assert [note["changed"] for note in manifest["resumed"]] == [{"max_attempts": [1, 2]}]
    lowered = bench.run(*given, "--max-attempts", "1", "--resume")
    assert (lowered.returncode, lowered.stderr.count("\n")) == (2, 1)
    assert "max_attempts" in lowered.stderr


@pytest.mark.slow
def test_settings_of_throughput_may_change_and_the_manifest_says_when(bench: Any) -> None:
    given = ["--models", "blind-spy", "--run-id", "r"]
    assert bench.run(*given).returncode == 0
    assert bench.run(*given, "--set", "blind-spy.batch=4", "--resume").returncode == 0
    manifest = bench.manifest("r")
    assert manifest["models"]["blind-spy"]["settings"]["batch"] == 4
    assert [note["changed"] for note in manifest["resumed"]] == [{"models.blind-spy.settings.batch": [1, 4]}]
    assert verify(bench.folder / "results/r").findings == ()


@pytest.fixture(scope="module")
def logged(module_bench: Any) -> tuple[Any, list[str], Path]:
    """A run `r` of a model that notes in a file what it is asked; the words it was begun with; that file."""
    log = module_bench.folder / "log"
    given = ["--models", "blind-spy", "--set", f"blind-spy.log={log}", "--run-id", "r"]
    assert module_bench.run(*given).returncode == 0
    return module_bench, given, log


@pytest.mark.parametrize("version", [0, 1, 3, "2", True, None])
def test_a_run_of_another_format_is_refused_before_anything_is_asked(bench: Any, logged: Any, version: Any) -> None:
    begun, given, log = logged
    shutil.copytree(begun.folder / "results", bench.folder / "results")
    write(bench, bench.lines("r", "attempts.jsonl")[:3])
    as_a_kill_leaves_it(bench, format=version)
    before = log.read_text()
    done = bench.run(*given, "--resume")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "format" in done.stderr
    assert log.read_text() == before


def doubled(lines: Lines) -> Lines:
    return [*lines, lines[0]]


def renumbered_double(lines: Lines) -> Lines:
    return [*lines, {**lines[0], "attempt": 2}]


def another_request(lines: Lines) -> Lines:
    return [*lines, {**lines[0], "attempt": 2, "request_id": "made-up"}]


def gap(lines: Lines) -> Lines:
    return [{**lines[0], "attempt": 2}, *lines[1:]]


def shared_request(lines: Lines) -> Lines:
    return [{**lines[0], "request_id": lines[1]["request_id"]}, *lines[1:]]


def unknown_level(lines: Lines) -> Lines:
    return [{**lines[0], "fallback_level": 3}, *lines[1:]]


def pause_before_the_first(lines: Lines) -> Lines:
    return [{**lines[0], "wait_s": 4.5}, *lines[1:]]


def no_request(lines: Lines) -> Lines:
    return [{**lines[0], "request_id": None}, *lines[1:]]


def same_level_again(lines: Lines) -> Lines:
    failed = {**lines[0], "outcome": "unparseable", "error": {"type": "Unparseable", "message": "?"}}
    return [failed, *lines[1:], {**lines[0], "attempt": 2, "request_id": "made-up"}]


BREACHES = [
    (doubled, "line 7 is attempt 1 of blind-spy"),
    (renumbered_double, "line 7 is attempt 2 of blind-spy"),
    (another_request, "nothing follows that"),
    (gap, "where attempt 1 is due"),
    (shared_request, "with the request of another line"),
    (unknown_level, "at fallback level 3: the model has 0"),
    (pause_before_the_first, "with a pause since an attempt before it"),
    (no_request, "answered without a request"),
    (same_level_again, "at fallback level 0 again"),
]


@pytest.mark.parametrize(("change", "said"), BREACHES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_ledger_that_no_run_wrote_is_bad_input_and_verify_names_the_line(
    finished: Any, change: Callable[[Lines], Lines], said: str
) -> None:
    from ghostbench.folder.lines import AttemptLine, adapter_of
    from ghostbench.running.rules.ledger_rules import LedgerRules

    changed = change([dict(line) for line in finished.lines("r", "attempts.jsonl")])
    lines = [adapter_of(AttemptLine).validate_json(json.dumps(line)) for line in changed]
    found = list(LedgerRules({"blind-spy": 0}, 1).breaches(lines))
    assert any(said in f"line {breach.number} {breach.what}" for breach in found)


@pytest.mark.slow
def test_a_doubled_line_is_neither_gone_on_with_nor_verified(bench: Any) -> None:
    given = ["--models", "blind-spy", "--run-id", "r"]
    assert bench.run(*given).returncode == 0
    path = write(bench, doubled(bench.lines("r", "attempts.jsonl")))
    found = [str(finding) for finding in verify(bench.folder / "results/r").findings]
    assert any("attempts.jsonl: line 7 is attempt 1 of blind-spy" in line for line in found)
    as_a_kill_leaves_it(bench)
    before = path.read_bytes()
    done = bench.run(*given, "--resume")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "attempts.jsonl line 7 is attempt 1 of blind-spy" in done.stderr
    assert path.read_bytes() == before
