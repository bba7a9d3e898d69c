"""The doctor on the adapters of this repository."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from warm_process import run_bench

pytestmark = pytest.mark.first

sys.path.insert(0, str(Path(__file__).parents[1] / "openai" / "server"))


def examined(*words: str, status: int = 0, **environment: str) -> dict[str, tuple[str, str]]:
    """{check: (judgement, why)} of `bench doctor WORDS --json`."""
    done = run_bench(["doctor", *words, "--json"], cwd=Path.cwd(), env={**os.environ, **environment}, timeout=800)
    assert done.returncode == status, done.stdout + done.stderr
    return {line["check"]: (line["judgement"], line["why"]) for line in json.loads(done.stdout)["lines"]}


@pytest.mark.slow
def test_motion_sees_its_frames() -> None:
    lines = examined("motion", "--limit", "3")
    assert lines["depends on the frames"][0] == "pass"
    assert lines["same in any batch"] == ("not applicable", "its batch size is 1")


@pytest.mark.parametrize("model", ["always", "never", "random"])
def test_a_yardstick_sees_none(model: str) -> None:
    assert examined(model)["depends on the frames"] == ("not applicable", "a reference model never sees frames")


@pytest.mark.slow
def test_a_model_over_an_api_is_asked_as_often_as_announced_and_no_more() -> None:
    pytest.importorskip("openai")
    loopback = pytest.importorskip("loopback_openai")
    with loopback.running(loopback.Server()) as server:
        words = ("gpt-4.1", "--set", f"gpt-4.1.base_url={server.url}", "--limit", "2")
        lines = examined(*words, OPENAI_API_KEY="sk-proj-loopback0123456789abcdefghijklmnop")
    assert lines["depends on the frames"][0] == "pass"
    assert lines["deterministic"][1].startswith("2 of 2 texts are the same when asked again")
    assert lines["memory"] == ("not applicable", "computed on the server")
    assert len(server.log.chats) == 10


@pytest.mark.slow
def test_drivemm_sees_its_frames_and_is_the_same_in_any_batch(shared_data: Path) -> None:
    pytest.importorskip("torch")
    checkpoint = shared_data / "drivemm" / "ckpt_a"
    settings = {"checkpoint": checkpoint, "device": "cpu", "dtype": "float32", "batch_size": 4, "max_new_tokens": 100}
    words = [word for key, value in settings.items() for word in ("--set", f"drivemm.{key}={value}")]
    lines = examined("drivemm", *words, "--limit", "3")
    assert {check for check, (judgement, _) in lines.items() if judgement == "fail"} == set()
    assert lines["same in any batch"][0] == "pass"
    assert "blank frames change 3 of 3 answers" in lines["depends on the frames"][1]
