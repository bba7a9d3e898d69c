"""What a run makes of models that fail: each failure is an outcome, and nothing else changes."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ghostbench.running.settle.budget import Budget

N = 6


def outcomes(bench: Any, run_id: str, row: str) -> Counter[str]:
    return Counter(p["outcome"] for p in bench.lines(run_id, "predictions.jsonl") if p["model"] == row)


FINAL = {
    "Refused": "refused",
    "ContentFiltered": "content_filtered",
    "NotRecorded": "not_recorded",
    "Nonfinite": "nonfinite",
    "OutOfMemory": "out_of_memory",
    "Truncated": "truncated",
    "RequestRejected": "request_rejected",
    "Crashed": "crashed",
    "NoSuchError": "crashed",
}


@pytest.fixture(scope="module")
def failed(module_bench: Any) -> tuple[Any, str]:
    """A run `f` of a model for each failure, and what it said on standard error."""
    names = ",".join(f"failing:{error}={error}" for error in FINAL)
    done = module_bench.run("--models", f"{names},always", "--run-id", "f")
    assert done.returncode == 1, done.stderr
    return module_bench, done.stderr


@pytest.mark.parametrize(("error", "outcome"), FINAL.items())
def test_a_failure_without_a_ladder_is_the_clips_outcome(failed: Any, error: str, outcome: str) -> None:
    bench, said = failed
    assert outcomes(bench, "f", error) == {outcome: N}
    lines = [line for line in bench.lines("f", "attempts.jsonl") if line["model"] == error]
    assert len(lines) == N
    assert all(line["outcome"] == outcome and line["error"]["message"] for line in lines)
    assert outcomes(bench, "f", "always") == {"answered": N}
    assert f"{error} gave no answer at all" in said


def test_a_run_of_one_model_that_fails_ends_with_status_1(bench: Any) -> None:
    done = bench.run("--models", "local-spy,always", "--set", "local-spy.outcome=Refused", "--run-id", "r")
    assert done.returncode == 1, done.stderr
    assert outcomes(bench, "r", "local-spy") == {"refused": N}
    assert "local-spy gave no answer at all" in done.stderr


def test_a_retried_failure_is_tried_again_with_the_servers_pause(bench: Any) -> None:
    bench.hurry(first_s=60.0, longest_s=60.0)
    given = ["outcome=RateLimited", "times=2", "retry_after_s=0.3"]
    words = [word for pair in given for word in ("--set", f"remote-spy.{pair}")]
    assert bench.run("--models", "remote-spy", *words, "--run-id", "r").returncode == 0
    lines = bench.lines("r", "attempts.jsonl")
    assert Counter(line["outcome"] for line in lines) == {"rate_limited": 2, "answered": N}
    again = [line for line in lines if line["attempt"] > 1]
    assert all(0.3 <= line["wait_s"] < 30 and line["fallback_level"] == 0 for line in again)
    assert all(line["wait_s"] is None for line in lines if line["attempt"] == 1)
    row = bench.metrics("r")["models"]["remote-spy"]
    assert (row["attempts"], row["retries"], row["answered"]) == (N + 2, 2, N)


def test_retries_end_at_max_attempts(bench: Any) -> None:
    bench.hurry()
    given = ["--set", "remote-spy.outcome=ServerError", "--set", "remote-spy.retry_after_s=0"]
    assert bench.run("--models", "remote-spy", *given, "--max-attempts", "3", "--run-id", "r").returncode == 1
    lines = bench.lines("r", "attempts.jsonl")
    assert Counter(line["attempt"] for line in lines) == {1: N, 2: N, 3: N}
    assert {p["attempts"] for p in bench.lines("r", "predictions.jsonl")} == {3}


def test_a_fallback_changes_the_level_and_keeps_the_owner(bench: Any) -> None:
    given = ["--set", "local-spy.outcome=Nonfinite", "--set", "local-spy.times=1", "--set", "local-spy.ladder=true"]
    assert bench.run("--models", "local-spy", *given, "--run-id", "r").returncode == 0
    levels = Counter((p["fallback_level"], p["answered_by"]) for p in bench.lines("r", "predictions.jsonl"))
    assert levels == {(0, "model"): N - 1, (1, "model"): 1}


@pytest.mark.slow
def test_fewer_frames_are_other_frames_in_the_ledger(bench: Any) -> None:
    given = ["--set", "local-spy.outcome=RequestTooLarge", "--set", "local-spy.times=1", "--set", "local-spy.ladder=1"]
    assert bench.run("--models", "local-spy", *given, "--run-id", "r").returncode == 0
    clips = {clip["clip"]: clip["frames_sha256"] for clip in bench.lines("r", "clips.jsonl")}
    lines = bench.lines("r", "attempts.jsonl")
    whole = [line for line in lines if line["fallback_level"] == 0]
    assert all(line["frames_sha256"] == clips[line["clip"]] for line in whole)
    thinner = [line for line in lines if line["outcome"] == "answered" and line["fallback_level"] > 0]
    assert thinner
    assert all(line["frames_sha256"] != clips[line["clip"]] for line in thinner if line["fallback_level"] == 2)
    assert len({line["prompt_sha256"] for line in thinner} & {line["prompt_sha256"] for line in whole}) == 0 or all(
        line["fallback_level"] == 1 for line in thinner
    )


@pytest.mark.slow
@pytest.mark.parametrize(("error", "outcome"), [("AuthFailed", "auth_failed"), ("QuotaExhausted", "quota_exhausted")])
def test_a_stop_ends_the_model_and_no_other(bench: Any, tmp_path: Path, error: str, outcome: str) -> None:
    given = ["--set", f"local-spy.outcome={error}", "--set", "local-spy.after=2"]
    given += ["--set", f"local-spy.log={tmp_path / 'log'}"]
    done = bench.run("--models", "local-spy,always", *given, "--run-id", "r")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench, "r", "local-spy") == {"answered": 2, outcome: N - 2}
    assert len((tmp_path / "log").read_text().splitlines()) == 3
    unsent = [p for p in bench.lines("r", "predictions.jsonl") if p["attempts"] == 0]
    assert len(unsent) == N - 3
    assert bench.manifest("r")["models"]["local-spy"]["stopped"]["outcome"] == outcome
    assert outcomes(bench, "r", "always") == {"answered": N}


@pytest.mark.slow
def test_after_more_quota_a_resumed_run_sends_what_was_not_sent(bench: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    given = ["--models", "blind-spy,always", "--set", "blind-spy.outcome=QuotaExhausted", "--set", "blind-spy.after=2"]
    given += ["--set", "blind-spy.times=1", "--set", f"blind-spy.log={log}", "--run-id", "r"]
    assert bench.run(*given).returncode == 0
    assert len(log.read_text().splitlines()) == 3
    assert bench.run(*given, "--resume").returncode == 0
    assert len(log.read_text().splitlines()) == 6
    assert outcomes(bench, "r", "blind-spy") == {"answered": 4, "quota_exhausted": 2}


@pytest.mark.slow
def test_a_model_that_cannot_load_is_unavailable_for_every_clip_and_the_run_goes_on(bench: Any) -> None:
    done = bench.run("--models", "unloadable,unimportable,local-spy", "--run-id", "r")
    assert done.returncode == 1
    assert {m: outcomes(bench, "r", m) for m in ("unloadable", "unimportable")} == {
        "unloadable": {"unavailable": N},
        "unimportable": {"unavailable": N},
    }
    assert outcomes(bench, "r", "local-spy") == {"answered": N}
    assert {line["model"] for line in bench.lines("r", "attempts.jsonl")} == {"local-spy"}


BROKEN = ("too-few", "none", "bytes", "probability")
RAWS = {
    "blank": " ",
    "word": "yes",
    "title": "ghost probing",
    "torn": '{"grade": "ghost_probing"',
    "capitals": '{"grade": "Ghost Probing"}',
}


@pytest.fixture(scope="module")
def odd(module_bench: Any) -> Any:
    """A run `o` of models each of which gives something else that is hardly a reply: read it, and change nothing."""
    names = [f"careless:{how}={how}" for how in (*BROKEN, "rounding", "read-only", "surrogate")]
    done = module_bench.run("--models", ",".join([*names, *(f"saying:{n}={n}" for n in RAWS)]), "--run-id", "o")
    assert done.returncode == 1, done.stderr
    return module_bench


def lines_of(bench: Any, name: str, *rows: str) -> list[dict[str, Any]]:
    found = [line for line in bench.lines("o", name) if line["model"] in rows]
    assert len(found) == N * len(rows)
    return found


@pytest.mark.slow
def test_a_broken_contract_is_crashed_and_never_an_answer(odd: Any) -> None:
    assert {how: outcomes(odd, "o", how) for how in BROKEN} == {key: {"crashed": N} for key in BROKEN}


def test_a_probability_that_rounding_took_over_the_edge_is_put_back(odd: Any) -> None:
    assert {line["score"] for line in lines_of(odd, "predictions.jsonl", "rounding")} == {0.0}


def test_probabilities_in_any_mapping_are_kept(odd: Any) -> None:
    assert {line["score"] for line in lines_of(odd, "predictions.jsonl", "read-only")} == {0.25}


def test_text_that_no_file_can_hold_is_kept_readable(odd: Any) -> None:
    assert {line["raw"] for line in lines_of(odd, "attempts.jsonl", "surrogate")} == {"\ufffd not an answer"}


def test_text_that_is_no_answer_is_unparseable(odd: Any) -> None:
    assert {name: outcomes(odd, "o", name) for name in RAWS} == {key: {"unparseable": N} for key in RAWS}
    assert {line["model"]: line["raw"] for line in lines_of(odd, "attempts.jsonl", *RAWS)} == RAWS
    predictions = lines_of(odd, "predictions.jsonl", *RAWS)
    assert all(p["grade"] is None and p["answered_by"] is None for p in predictions)


@pytest.mark.slow
def test_no_breach_of_the_contract_ends_the_run(bench: Any) -> None:
    local = [
        "no-usage",
        "no-stages",
        "served-object",
        "finish-object",
        "batch-text",
        "note-object",
        "probability-list",
        "bare-error",
        "own-outcome",
        "media-error",
        "text-for-reply",
        "nan-in-error",
        "half-tokens",
        "age-of-the-world",
        "pause-text",
        "pause-nan",
        "exit",
        "exit-early",
        "mute",
        "speechless",
    ]
    remote = ["cancel", "cancel-early", "exit", "bare-error", "mute", "speechless"]
    names = [f"careless:{how}={how}" for how in local] + [f"careless-remote:{how}=remote-{how}" for how in remote]
    done = bench.run("--models", ",".join([*names, "always"]), "--run-id", "r")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    for row in [*local, *(f"remote-{how}" for how in remote)]:
        assert outcomes(bench, "r", row) == {"crashed": N}, row
    assert outcomes(bench, "r", "always") == {"answered": N}


def test_what_a_model_does_when_it_is_closed_or_priced_changes_no_answer(bench: Any) -> None:
    names = ["careless:exit-close=local"]
    names += [f"careless-remote:{how}={how}" for how in ("cancel-close", "exit-close", "exit-estimate")]
    done = bench.run("--models", ",".join(names), "--run-id", "r")
    assert (done.returncode, done.stderr) == (0, "")
    assert bench.manifest("r")["status"] == "complete"
    assert {p["outcome"] for p in bench.lines("r", "predictions.jsonl")} == {"answered"}


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("estimate", {"crashed": N}),
        ("exit-estimate", {"answered": N}),
        ("exit-encode", {"crashed": N}),
        ("exit-answer", {"answered": 1, "unavailable": N - 1}),
        ("cancel-answer", {"answered": 1, "unavailable": N - 1}),
    ],
)
def test_a_model_that_fails_in_its_batch_interface_ends_no_run(bench: Any, how: str, found: dict[str, int]) -> None:
    limit = ["--max-cost", "1"] if how != "exit-estimate" else []
    done = bench.run("--models", f"careless-batch:{how}=c,always", *limit, "--run-id", "r")
    assert done.returncode == int("answered" not in found), done.stderr
    assert "Traceback" not in done.stderr
    assert outcomes(bench, "r", "c") == found
    assert outcomes(bench, "r", "always") == {"answered": N}


def test_a_model_that_fails_its_own_check_is_unavailable(bench: Any) -> None:
    ways = ["bad-check", "exit-check", "no-ladder", "odd-ladder", "bare-ladder", "final-ladder"]
    done = bench.run("--models", ",".join(["always", *(f"careless:{how}={how}" for how in ways)]), "--run-id", "r")
    assert done.returncode == 1, done.stderr
    assert all(outcomes(bench, "r", how) == {"unavailable": N} for how in ways)
    said = bench.manifest("r")["models"]["final-ladder"]["stopped"]["message"]
    assert said.endswith("fallback level 'after all': nothing follows refused, it is final")


@pytest.mark.parametrize("model", ["local-spy", "looking-batch"])
def test_a_task_that_cannot_ask_about_a_clip_ends_no_run(bench: Any, model: str) -> None:
    done = bench.run("--models", f"{model},always", "--task", "touchy", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench, "r", "always") == {"answered": N}
    assert outcomes(bench, "r", model) == {"answered": 4, "crashed": 2}
    said = [line["error"]["message"] for line in bench.lines("r", "attempts.jsonl") if line["error"]]
    assert len(said) == 2
    assert all("too bright" in words for words in said)


def test_a_second_ctrl_c_waits_for_no_model_that_is_closing(bench: Any) -> None:
    running = bench.start("--models", "always,careless-remote:slow-close=c", "--run-id", "r")
    ledger = bench.folder / "results" / "r" / "attempts.jsonl"
    while not (ledger.exists() and len(ledger.read_text().splitlines()) == N) and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    # Two that arrive together are one, and a busy machine brings them nearer to each other.
    time.sleep(3)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=300)
    assert running.returncode == 130
    assert said.startswith("interrupted; go on with: ")
    assert said.count("\n") == 1, said
    assert len(bench.lines("r", "attempts.jsonl")) == N


@pytest.mark.slow
def test_ctrl_c_waits_for_no_model_that_is_loading(bench: Any) -> None:
    running = bench.start("--models", "careless:slow-load=c", "--run-id", "r")
    ledger = bench.folder / "results" / "r" / "attempts.jsonl"
    while not ledger.exists() and running.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=300)
    assert running.returncode == 130
    assert "--resume" in said


def test_missing_and_torn_media_are_outcomes_of_the_models_that_look(bench: Any, tmp_path: Path) -> None:
    broken = tmp_path / "clips"
    broken.mkdir()
    whole = next((bench.dataset.parent / "clips").glob("*.avi")).read_bytes()
    for number, clip in enumerate(sorted((bench.dataset.parent / "clips").glob("*.avi"))):
        data = [whole, whole[: len(whole) // 2], b"", None, b"text", whole][number]
        if data is not None:
            (broken / clip.name).write_bytes(data)
    done = bench.run("--models", "local-spy,always", "--data-root", str(broken), "--run-id", "r")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench, "r", "local-spy") == {"answered": 2, "decode_failed": 3, "missing_media": 1}
    assert outcomes(bench, "r", "always") == {"answered": N}
    failed = [
        line for line in bench.lines("r", "attempts.jsonl") if line["outcome"] in {"decode_failed", "missing_media"}
    ]
    assert len(failed) == 4
    assert all(line["attempt"] == 1 and line["error"]["message"] for line in failed)


def test_a_cost_limit_is_never_passed(bench: Any) -> None:
    given = ["--set", "remote-spy.cost_usd=0.4", "--set", "remote-spy.sleep_s=0.05", "--max-cost", "1"]
    done = bench.run("--models", "remote-spy,always", *given, "--run-id", "r")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench, "r", "remote-spy") == {"answered": 2, "over_budget": N - 2}
    spent = sum(
        line["usage"]["cost_usd"] for line in bench.lines("r", "attempts.jsonl") if line["model"] == "remote-spy"
    )
    assert spent <= 1


def test_a_cost_limit_on_an_unknown_price_is_refused(bench: Any) -> None:
    done = bench.run("--models", "remote-spy", "--set", "remote-spy.price_known=false", "--max-cost", "1")
    assert done.returncode == 2
    assert "price" in done.stderr


def test_a_substitute_has_a_row_of_its_own_and_never_enters_the_models(bench: Any) -> None:
    given = ["--set", "local-spy.outcome=Refused", "--set", "local-spy.after=2"]
    done = bench.run("--models", "local-spy>always", *given, "--run-id", "r")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench, "r", "local-spy") == {"answered": 2, "refused": N - 2}
    predictions = bench.lines("r", "predictions.jsonl")
    owners = Counter(p["answered_by"] for p in predictions if p["model"] == "local-spy>always")
    assert owners == {"model": 2, "substitute": N - 2}
    assert bench.metrics("r")["models"]["local-spy"]["answered"] == 2


@pytest.mark.slow
def test_repeats_are_rows_of_the_same_clips(bench: Any) -> None:
    assert bench.run("--models", "local-spy,random", "--repeats", "3", "--run-id", "r").returncode == 0
    row = bench.metrics("r")["models"]["local-spy"]
    assert (row["n"], row["rows"]) == (N, 3 * N)


@pytest.mark.slow
def test_probes_are_rows_and_take_the_pixels_away(bench: Any) -> None:
    done = bench.run("--models", "local-spy", "--probe", "blank,shuffled,text-only", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    digests: dict[str, set[Any]] = {}
    for line in bench.lines("r", "attempts.jsonl"):
        digests.setdefault(line["model"], set()).add(line["frames_sha256"])
    assert {row: len(found) for row, found in digests.items()} == {
        "local-spy": N,
        "local-spy+blank": 1,
        "local-spy+shuffled": N,
        "local-spy+text-only": 1,
    }
    assert digests["local-spy+text-only"] == {None}
    assert not digests["local-spy"] & digests["local-spy+shuffled"]


@pytest.mark.slow
def test_a_probe_without_answers_is_no_model_without_answers(bench: Any) -> None:
    done = bench.run("--models", "motion", "--probe", "text-only", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench, "r", "motion+text-only") == {"request_rejected": N}


@pytest.mark.slow
def test_batches_keep_the_order_of_replies(bench: Any) -> None:
    assert bench.run("--models", "local-spy", "--set", "local-spy.batch=4", "--run-id", "four").returncode == 0
    assert bench.run("--models", "local-spy", "--run-id", "one").returncode == 0
    four, one = ({p["clip"]: p["score"] for p in bench.lines(r, "predictions.jsonl")} for r in ("four", "one"))
    assert four == one
    assert len(set(one.values())) == N


def test_json_prints_the_metrics_and_quiet_prints_nothing(bench: Any) -> None:
    as_json = bench.run("--models", "always", "--json", "--run-id", "a")
    assert json.loads(as_json.stdout)["metrics"]["models"]["always"]["answered"] == N
    quiet = bench.run("--models", "always", "--quiet", "--run-id", "b")
    assert (quiet.stdout, quiet.stderr) == ("", "")


@pytest.mark.slow
def test_a_clip_without_media_holds_up_no_batch(bench: Any) -> None:
    clips = bench.dataset.parent / "clips"
    root = bench.folder / "some"
    root.mkdir()
    for clip in sorted(clips.iterdir())[:-1]:
        (root / clip.name).symlink_to(clip)
    next(root.iterdir()).unlink()
    given = ["--data-root", str(root), "--set", "local-spy.batch=4", "--run-id", "r"]
    assert bench.run("--models", "local-spy", *given).returncode == 0
    assert outcomes(bench, "r", "local-spy") == {"answered": N - 2, "missing_media": 2}


async def test_what_costs_nothing_is_within_every_budget() -> None:
    budget = Budget(1.0, spent=1.5)
    assert await budget.reserve(0.0)
    assert not budget.reserve_now(0.1)
