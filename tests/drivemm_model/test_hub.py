"""The download from the hub, against a real HTTP server that speaks the hub's protocol on the loopback."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FETCH = """
import sys
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_drivemm.checkpoint.public import fetch_public
try:
    snapshot = fetch_public(sys.argv[1])
except CheckpointError as error:
    sys.exit(f"refused: {error}")
print(snapshot.folder, snapshot.commit)
"""


@dataclass
class Hub:
    """A repository of files, how it misbehaves, and what it was asked."""

    files: dict[str, bytes]
    commit: str = COMMIT
    status: int = 200
    refused: str | None = None
    token: str | None = None
    delay_s: float = 0.0
    drop_after: int | None = None
    drops: int = 0
    branches: tuple[str, ...] = ("main",)
    ignore_range: bool = False
    listed_size: int | None = None
    listed_sha256: str | None = None
    address: str = ""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    sent: int = 0

    def ranges(self, name: str) -> list[str | None]:
        """The Range headers of the requests for one file's contents."""
        return [given for method, path, given in self.requests if method == "GET" and path.startswith(f"/cdn/{name}")]

    def listing(self) -> dict[str, Any]:
        siblings = []
        for name, content in self.files.items():
            size = self.listed_size or len(content)
            entry: dict[str, Any] = {"rfilename": name, "size": size, "blobId": hashlib.sha1(content).hexdigest()}
            if name.endswith(".safetensors"):
                digest = self.listed_sha256 or hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": size, "pointerSize": 134}
            siblings.append(entry)
        return {"_id": "1", "id": "DriveMM/DriveMM", "sha": self.commit, "siblings": siblings, "private": False}


class Handler(BaseHTTPRequestHandler):
    """Listing, resolve (redirecting to a content address, as the hub does for large files), contents with ranges."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.hub
        hub.requests.append((self.command, self.path, self.headers.get("Range")))
        if hub.token is not None and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self.reply(401, b'{"error":"Invalid credentials"}', {"X-Error-Message": "Invalid credentials"})
        elif hub.status != 200:
            code = {"X-Error-Code": "RepoNotFound"} if hub.status == 404 else {}
            self.reply(hub.status, b'{"error":"no"}', code)
        elif found := re.match(r"/api/models/DriveMM/DriveMM(?:/revision/([^?]+))?(?:\?|$)", self.path):
            if found[1] in (None, *hub.branches, hub.commit):
                self.reply(200, json.dumps(hub.listing()).encode(), {"Content-Type": "application/json"})
            else:
                self.reply(404, b'{"error":"Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"})
        elif found := re.match(rf"/DriveMM/DriveMM/resolve/{hub.commit}/([^?]+)", self.path):
            self.reply(302, b"", {"Location": f"/cdn/{found[1]}", "X-Repo-Commit": hub.commit})
        elif self.path.startswith(f"/cdn/{hub.refused}"):
            self.reply(403, b"", {})
        elif found := re.match(r"/cdn/([^?]+)", self.path):
            self.contents(hub.files[found[1]])
        else:
            self.reply(404, b"", {})

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def contents(self, content: bytes) -> None:
        hub, start = self.hub, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and not hub.ignore_range:
            start = int(asked[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        drop = hub.drop_after is not None and hub.drops > 0 and len(content) > hub.drop_after
        end = min(len(content), start + hub.drop_after) if drop and hub.drop_after else len(content)
        if drop:
            hub.drops -= 1
        try:
            for offset in range(start, end, 1 << 16):
                piece = content[offset : min(offset + (1 << 16), end)]
                self.wfile.write(piece)
                hub.sent += len(piece)
                time.sleep(hub.delay_s)
        except (BrokenPipeError, ConnectionResetError):
            pass
        if drop:
            self.close_connection = True
            self.connection.close()


@pytest.fixture
def hub(drivemm_data: Path) -> Iterator[Hub]:
    """A served copy of a tiny checkpoint with a pickle, a readme and a nested file that nobody should fetch."""
    files = {path.name: path.read_bytes() for path in (drivemm_data / "ckpt_a").iterdir()}
    served = Hub({**files, "pytorch_model.bin": b"pickle", "README.md": b"#", "nested/model.safetensors": b"no"})
    handler = type("Serving", (Handler,), {"hub": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    served.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


class Fetcher:
    """Runs the download in a process of its own, with a home that is empty at first."""

    def __init__(self, home: Path, address: str) -> None:
        self.home = home
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING", "XDG_"))}
        self.env = {
            **kept,
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "HF_ENDPOINT": address,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def start(self, revision: str = "main", **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", FETCH, revision],
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, revision: str = "main", **env: str) -> tuple[int, str, str]:
        process = self.start(revision, **env)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def folder(self) -> Path:
        return self.home / "cache" / "ghostbench" / "drivemm" / "DriveMM--DriveMM" / COMMIT


@pytest.fixture
def fetcher(hub: Hub, tmp_path: Path) -> Fetcher:
    return Fetcher(tmp_path, hub.address)


def refusal(result: tuple[int, str, str]) -> str:
    """The one line of an orderly refusal."""
    status, out, err = result
    assert status == 1
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("refused: ")
    return lines[0]


def test_a_download_is_whole_and_holds_safetensors_and_json_alone(
    hub: Hub, fetcher: Fetcher, drivemm_data: Path
) -> None:
    status, out, err = fetcher.run()
    assert status == 0, err
    assert err == ""
    folder, commit = out.split()
    assert commit == COMMIT
    source = drivemm_data / "ckpt_a"
    for path in source.iterdir():
        assert (Path(folder) / path.name).read_bytes() == path.read_bytes()
    fetched = {path.name for path in Path(folder).iterdir()}
    assert fetched - {path.name for path in source.iterdir()} == {".lock", "ghostbench-source.json"}

    from ghostbench_drivemm import DriveMM

    facts = DriveMM.from_checkpoint(folder, dtype="float32", device="cpu").facts
    assert facts["source"] == {"repository": "DriveMM/DriveMM", "revision": "main", "commit": COMMIT}


def test_a_second_run_asks_nothing_of_the_network_and_keeps_the_commit(hub: Hub, fetcher: Fetcher) -> None:
    first = fetcher.run()
    hub.requests.clear()
    hub.commit = "f" * 40
    assert fetcher.run() == first
    assert fetcher.run(HF_HUB_OFFLINE="1") == first
    assert fetcher.run(revision=COMMIT)[1] == first[1]
    assert hub.requests == []


def test_a_killed_download_goes_on_at_the_byte_where_it_stopped(hub: Hub, fetcher: Fetcher) -> None:
    name = "model-00001-of-00004.safetensors"
    large = os.urandom(24 << 20)
    hub.files[name] = large
    hub.delay_s = 0.02
    process = fetcher.start()
    part = fetcher.folder() / f"{name}.part"
    deadline = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size >= 4 << 20):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    have = part.stat().st_size
    assert 0 < have < len(large)
    hub.delay_s = 0.0
    hub.sent = 0
    status, _, err = fetcher.run()
    assert status == 0, err
    assert hub.ranges(name)[-1] == f"bytes={have}-"
    assert hub.sent <= len(large) - have + sum(len(content) for key, content in hub.files.items() if key != name)
    assert (fetcher.folder() / name).read_bytes() == large
    assert not part.exists()


def test_an_interrupt_ends_the_download_at_once(hub: Hub, fetcher: Fetcher) -> None:
    hub.files["model-00001-of-00004.safetensors"] = os.urandom(24 << 20)
    hub.delay_s = 0.1
    process = fetcher.start()
    part = fetcher.folder() / "model-00001-of-00004.safetensors.part"
    deadline = time.monotonic() + 60
    while not part.is_file():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=240)
    assert time.monotonic() - began < 20
    assert process.returncode != 0


def test_a_fault_in_one_file_stops_the_others(hub: Hub, fetcher: Fetcher) -> None:
    hub.files["model-00001-of-00004.safetensors"] = os.urandom(24 << 20)
    hub.files["model-00002-of-00004.safetensors"] = os.urandom(25 << 20)
    hub.refused = "model-00002-of-00004.safetensors"
    hub.delay_s = 0.02
    assert "403" in refusal(fetcher.run())
    assert hub.sent < 24 << 20


def test_broken_connections_are_taken_up_again_within_a_run(hub: Hub, fetcher: Fetcher) -> None:
    name = "model-00003-of-00004.safetensors"
    hub.files[name] = os.urandom(3 << 20)
    hub.drop_after, hub.drops = 1 << 20, 2
    status, _, err = fetcher.run()
    assert status == 0, err
    assert hub.ranges(name)[0] is None
    assert any(given is not None for given in hub.ranges(name)[1:])
    assert (fetcher.folder() / name).read_bytes() == hub.files[name]


def test_a_server_that_ignores_ranges_is_read_from_the_start(hub: Hub, fetcher: Fetcher) -> None:
    name = "model-00003-of-00004.safetensors"
    fetcher.folder().mkdir(parents=True)
    (fetcher.folder() / f"{name}.part").write_bytes(hub.files[name][:1000])
    hub.ignore_range = True
    status, _, err = fetcher.run()
    assert status == 0, err
    assert (fetcher.folder() / name).read_bytes() == hub.files[name]


def test_contents_with_another_sha256_are_thrown_away(hub: Hub, fetcher: Fetcher) -> None:
    hub.listed_sha256 = "0" * 64
    assert "SHA-256" in refusal(fetcher.run())
    assert not list(fetcher.folder().glob("*.safetensors"))
    hub.listed_sha256 = None
    assert fetcher.run()[0] == 0


def test_too_little_disk_space_stops_before_a_byte_is_fetched(hub: Hub, fetcher: Fetcher) -> None:
    hub.listed_size = 10**15
    line = refusal(fetcher.run())
    assert "GB free" in line
    assert "drivemm.checkpoint" in line
    assert hub.sent == 0


@pytest.mark.parametrize(("status", "word"), [(401, "HF_TOKEN"), (403, "HF_TOKEN"), (404, "404"), (503, "503")])
def test_a_refusal_of_the_hub_is_one_line_with_the_way_out(status: int, word: str, hub: Hub, fetcher: Fetcher) -> None:
    hub.status = status
    line = refusal(fetcher.run(HF_TOKEN="hf_secretsecretsecret"))
    assert word in line
    assert "hf_secret" not in line


def test_a_revision_that_is_not_there_is_named(hub: Hub, fetcher: Fetcher) -> None:
    line = refusal(fetcher.run(revision="v9"))
    assert "'v9'" in line
    assert "404" in line


def test_the_token_of_the_environment_is_used(hub: Hub, fetcher: Fetcher) -> None:
    hub.token = "hf_right"
    assert "401" in refusal(fetcher.run())
    status, _, err = fetcher.run(HF_TOKEN="hf_right")
    assert status == 0, err


def test_offline_mode_and_no_connection_are_one_line_each(hub: Hub, fetcher: Fetcher) -> None:
    line = refusal(fetcher.run(HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE" in line
    assert "drivemm.checkpoint" in line
    assert hub.requests == []
    line = refusal(fetcher.run(HF_ENDPOINT="http://127.0.0.1:9"))
    assert "cannot reach" in line
    assert "drivemm.checkpoint" in line


def test_a_repository_without_safetensors_is_refused(hub: Hub, fetcher: Fetcher) -> None:
    for name in [name for name in hub.files if name.endswith(".safetensors")]:
        del hub.files[name]
    assert "no safetensors" in refusal(fetcher.run())


def test_a_checkpoint_in_the_hub_librarys_own_cache_is_used(hub: Hub, fetcher: Fetcher) -> None:
    cache = fetcher.home / "hub" / "models--DriveMM--DriveMM"
    folder = cache / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(COMMIT)
    for name, content in hub.files.items():
        if "/" not in name:
            (folder / name).write_bytes(content)
    status, out, err = fetcher.run(HF_HUB_CACHE=str(fetcher.home / "hub"), HF_HUB_OFFLINE="1")
    assert status == 0, err
    assert out.split() == [str(folder), COMMIT]
    assert hub.requests == []


def test_revisions_whose_names_are_alike_are_kept_apart(hub: Hub, fetcher: Fetcher) -> None:
    hub.branches = ("main", "trial_2")
    assert fetcher.run("trial_2")[0] == 0
    assert "no revision 'trial/2'" in refusal(fetcher.run("trial/2"))


def test_two_processes_do_not_write_the_same_files(hub: Hub, fetcher: Fetcher) -> None:
    hub.files["model-00001-of-00004.safetensors"] = os.urandom(8 << 20)
    hub.delay_s = 0.05
    first = fetcher.start()
    part = fetcher.folder() / "model-00001-of-00004.safetensors.part"
    deadline = time.monotonic() + 60
    while not part.is_file():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "another process" in refusal(fetcher.run())
    hub.delay_s = 0.0
    assert first.wait(timeout=240) == 0
    first.communicate()
