"""`bench run` and `bench doctor` on the five embedded clips."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from tiny_checkpoints import FAMILIES
from warm_process import run_bench

from ghostbench import GRADES
from ghostbench.tasks.ghost_probing import GhostProbing

pytestmark = pytest.mark.first

TASK = GhostProbing()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def bench(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment}
    return run_bench(words, cwd=folder, env=env, timeout=800)


def of_every(row: str) -> tuple[str, ...]:
    return tuple(
        word for key in ("device=cpu", "dtype=float32", "max_new_tokens=100") for word in ("--set", f"{row}.{key}")
    )


@pytest.mark.slow
def test_a_checkpoint_of_every_family_answers_every_clip(tmp_path: Path, checkpoint: Callable[[str], Path]) -> None:
    models = ",".join(f"hf:{checkpoint(family)}" for family in FAMILIES)
    sets = [word for family in FAMILIES for word in of_every(family)]
    words = ("run", "--models", models, *sets, "--sampling", "uniform:3", "--on", "thread", "--run-id", "r", "--quiet")
    done = bench(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    run = tmp_path / "results" / "r"
    lines = [json.loads(line) for line in (run / "attempts.jsonl").read_text().splitlines()]
    assert {line["model"] for line in lines} == set(FAMILIES)
    assert len(lines) == 5 * len(FAMILIES)
    for line in lines:
        assert line["outcome"] == "answered", line["error"]
        assert TASK.parse(line["raw"]).grade in GRADES
        assert sum(line["grade_probabilities"].values()) == pytest.approx(1.0)
        assert line["usage"]["input_tokens"] > 100
    models = json.loads((run / "manifest.json").read_text())["models"]
    assert {entry["facts"]["architecture"] for entry in (models.values() if isinstance(models, dict) else models)}
    assert bench("verify", str(run), folder=tmp_path).returncode == 0


@pytest.mark.slow
def test_the_doctor_finds_that_the_answers_depend_on_the_frames(
    tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    words = (*of_every("qwen2_5_vl"), "--set", "qwen2_5_vl.batch_size=4")
    done = bench("doctor", f"hf:{checkpoint('qwen2_5_vl')}", *words, "--limit", "3", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line["check"]: line["judgement"] for line in json.loads(done.stdout)["lines"]}
    assert lines["depends on the frames"] == "pass"
    assert "fail" not in lines.values()


def test_a_name_that_leads_nowhere_is_one_line_and_status_2(tmp_path: Path) -> None:
    done = bench("run", "--models", "hf:/no/where", folder=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "hf:/no/where" in done.stderr


class Hub(BaseHTTPRequestHandler):
    """A repository as the hub serves it: a listing that names its commit, and files by that commit."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        found = re.match(rf"/some/tiny/resolve/{COMMIT}/([^?]+)", self.path)
        if self.path.startswith("/api/models/some/tiny/revision/main"):
            siblings = [{"rfilename": name, "size": len(content)} for name, content in self.files.items()]
            self.reply(200, json.dumps({"_id": "1", "id": "some/tiny", "sha": COMMIT, "siblings": siblings}).encode())
        elif found:
            self.reply(200, self.files[found[1]])
        else:
            self.reply(404, b"{}")

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub(checkpoint: Callable[[str], Path]) -> Iterator[str]:
    """The address of a hub with one repository, in which a pickle and code lie beside the weights."""
    Hub.files = {path.name: path.read_bytes() for path in checkpoint("gemma3").iterdir()}
    Hub.files |= {"pytorch_model.bin": b"pickle", "modeling.py": b"raise SystemExit", "nested/model.safetensors": b"no"}
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.slow
def test_a_repository_is_fetched_where_that_is_asked_and_used_without_the_network(tmp_path: Path, hub: str) -> None:
    once = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ("run", "--models", "hf:some/tiny", *of_every("tiny"), "--sampling", "uniform:1", "--limit", "1", "--quiet")
    refused = bench(*words, folder=tmp_path, **once)
    assert refused.returncode == 2
    assert "--set tiny.download=true" in refused.stderr
    assert Hub.asked == []
    done = bench(*words, "--set", "tiny.download=true", "--run-id", "fetched", folder=tmp_path, **once)
    assert done.returncode == 0, done.stderr
    assert not any(name in path for path in Hub.asked for name in ("pytorch_model", "modeling", "nested"))
    Hub.asked.clear()
    done = bench(*words, "--run-id", "kept", folder=tmp_path, **{**once, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr
    assert Hub.asked == []
    for name in ("fetched", "kept"):
        text = (tmp_path / "results" / name / "manifest.json").read_text()
        assert f'"commit": "{COMMIT}"' in text or f'"commit":"{COMMIT}"' in text
