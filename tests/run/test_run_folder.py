"""The files that outside scripts read: their names and fields are a contract."""

from __future__ import annotations

from typing import Any

import pytest

from ghostbench.redact import Redactor

CLIP_FIELDS = """clip truth truth_time_s category remark duration_s frame_indices frame_times_s decoder
    frames_sha256 labels parameters questions"""
ATTEMPT_FIELDS = """model clip repeat attempt fallback_level outcome error started_at wall_s wait_s stages batch_size
    usage memory served_model system_fingerprint request_id server_request_id finish_reason grade_probabilities
    frames_sha256 prompt_sha256 raw notes moment_s worker from_cache video_sha256 compared"""
PREDICTION_FIELDS = """model clip repeat truth truth_time_s grade event_time_s score answered_by fallback_level outcome
    attempts actor occluder evidence alarm_time_s moments"""
STAGES = "queue_s video_decode_s preprocess_s vision_s prefill_s first_token_s generate_s"


@pytest.fixture(scope="module")
def whole(module_bench: Any) -> Any:
    """A run `r` of models of every kind: read it, and change nothing."""
    assert module_bench.run("--models", "local-spy,always,remote-spy", "--run-id", "r").returncode == 0
    return module_bench


def test_a_run_folder_holds_what_the_contract_names(whole: Any) -> None:
    names = {p.name for p in (whole.folder / "results" / "r").iterdir()}
    assert names >= {
        "manifest.json",
        "clips.jsonl",
        "attempts.jsonl",
        "predictions.jsonl",
        "metrics.json",
        "report.md",
        "report.html",
        "tables",
    }
    clip = whole.lines("r", "clips.jsonl")[0]
    attempt = whole.lines("r", "attempts.jsonl")[0]
    prediction = whole.lines("r", "predictions.jsonl")[0]
    assert list(clip) == CLIP_FIELDS.split()
    assert list(attempt) == ATTEMPT_FIELDS.split()
    assert list(prediction) == PREDICTION_FIELDS.split()
    assert list(attempt["stages"]) == STAGES.split()
    assert list(attempt["usage"]) == ["input_tokens", "cached_tokens", "output_tokens", "cost_usd"]
    assert list(attempt["memory"]) == ["peak_allocated_bytes", "peak_reserved_bytes", "process_bytes"]


def test_clips_and_predictions_come_in_the_order_of_the_split(whole: Any) -> None:
    clips = [line["clip"] for line in whole.lines("r", "clips.jsonl")]
    assert clips == [f"images_{c}_{i:03}" for c in (1, 2, 3) for i in (1, 2)]
    pairs = [(line["model"], line["clip"]) for line in whole.lines("r", "predictions.jsonl")]
    assert pairs == [(model, clip) for model in ("local-spy", "always", "remote-spy") for clip in clips]


def test_the_manifest_says_what_was_run_and_seals_the_files(bench: Any) -> None:
    import hashlib

    assert bench.run("--models", "local-spy", "--limit", "3", "--seed", "7", "--run-id", "r").returncode == 0
    manifest = bench.manifest("r")
    assert (manifest["format"], manifest["status"]) == (2, "complete")
    assert manifest["command"][:2] == ["bench", "run"]
    assert (manifest["seed"], manifest["sampling"], manifest["dataset"]["n"]) == (7, "uniform:10", 3)
    assert manifest["dataset"]["filters"]
    assert manifest["models"]["local-spy"]["settings"]["batch"] == 1
    for name, digest in manifest["digests"].items():
        data = (bench.folder / "results" / "r" / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
    assert set(manifest["digests"]) == {"clips.jsonl", "attempts.jsonl", "predictions.jsonl"}


@pytest.mark.slow
def test_every_attempt_has_a_request_id_of_its_own(whole: Any) -> None:
    ids = [line["request_id"] for line in whole.lines("r", "attempts.jsonl")]
    assert len(set(ids)) == len(ids) == 18


def test_a_terminal_without_unicode_gets_its_tables(bench: Any) -> None:
    done = bench.run("--models", "always", "--run-id", "r", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "Bal.acc. lenient" in done.stdout


def test_a_run_folder_that_cannot_be_locked_is_bad_input(bench: Any) -> None:
    assert bench.run("--models", "always", "--run-id", "r").returncode == 0
    lock = bench.folder / "results" / "r" / ".lock"
    lock.unlink()
    lock.mkdir()
    done = bench.run("--models", "always", "--run-id", "r", "--resume")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_secrets_of_the_command_line_reach_no_file(bench: Any) -> None:
    words = ["--models", "wise", "--set", "wise.api_key=sk-hunter2", "--set=wise.api_key=sk-hunter2", "--run-id", "r"]
    done = bench.run(*words, "--data-root", "memory://clips?signature=s1gn", "--limit", "2")
    assert done.returncode == 2, "there is no such folder in memory"
    assert bench.run(*words, "--limit", "2").returncode == 0
    for path in (bench.folder / "results" / "r").rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes(), path.name
    assert Redactor({}).command(["--data-root=az://u:p@c/x?sig=s1gn", "wise.share=0.5"]) == [
        "--data-root=az://[redacted]@c/x?[redacted]",
        "wise.share=0.5",
    ]


def test_no_secret_reaches_any_file_or_the_screen(bench: Any) -> None:
    secret = "sk-verysecretvalue123"
    words = ["--models", "blind-spy", "--set", f"blind-spy.raw=leak {secret}", "--run-id", "r"]
    done = bench.run(*words, OPENAI_API_KEY=secret)
    assert secret not in done.stdout + done.stderr
    for path in (bench.folder / "results" / "r").rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path.name


def test_a_secret_inside_an_answer_makes_it_unreadable_and_the_run_complete(bench: Any) -> None:
    done = bench.run("--models", "blind-spy,always", "--run-id", "r", MY_TOKEN="ghost_probing")
    assert done.returncode == 1, done.stderr
    outcomes = {p["model"]: p["outcome"] for p in bench.lines("r", "predictions.jsonl")}
    assert outcomes["always"] == "unparseable"
    assert bench.manifest("r")["status"] == "complete"
