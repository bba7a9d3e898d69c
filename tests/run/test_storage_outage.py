"""A storage that is away for a while costs no clip; one that stays away is told of, and resumed: a real HTTP server."""

from __future__ import annotations

import functools
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ghostbench.datasets.query import SplitQuery
from ghostbench.evidence.verify import verify
from ghostbench.running.execute import execute
from ghostbench.running.plan.options import Options
from ghostbench.running.rules.patience import Patience
from ghostbench.running.terminal import Terminal

pytest.importorskip("aiohttp")

QUICK = Patience(outage_s=30.0, first_s=0.05, longest_s=0.4)
IMPATIENT = Patience(outage_s=0.5, first_s=0.02, longest_s=0.1)
AWAY_S = 1.0


class Store:
    """Serves a folder over HTTP, and is away in some way from when it has given so many clips.

    asked : the clips that were asked for, each time, those refused a connection apart.
    """

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.good_for: int | None = None
        self.away_s = AWAY_S
        self.fault: Callable[[Handler, float], None] = status(503)
        self._given: set[str] = set()
        self._back_at: float | None = None
        self._lock = threading.Lock()
        self._handler = functools.partial(Handler, self, directory=str(folder))
        self._server = self._started(0)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def away_after(self, clips: int, fault: Callable[[Handler, float], None], away_s: float = AWAY_S) -> None:
        self.good_for, self.fault, self.away_s = clips, fault, away_s
        self._given, self._back_at = set(), None

    def left_s(self, clip: str) -> float:
        """For how long it is away from now on; 0 where this request is answered."""
        with self._lock:
            self.asked.append(clip)
            if self.good_for is None or clip in self._given or len(self._given) < self.good_for:
                self._given.add(clip)
                return 0.0
            now = time.monotonic()
            self._back_at = now + self.away_s if self._back_at is None else self._back_at
            return max(0.0, self._back_at - now)

    def refuse(self, seconds: float) -> None:
        """Refuse connections for so long."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            time.sleep(seconds)
            self._server = self._started(self.port)

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _started(self, port: int) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", port), self._handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, store: Store, *given: Any, **named: Any) -> None:
        self.store = store
        super().__init__(*given, **named)

    def do_GET(self) -> None:
        clip = self.path.rpartition("/")[2].removesuffix(".avi")
        left_s = self.store.left_s(clip) if clip else 0.0
        if left_s:
            self.store.fault(self, left_s)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def status(code: int, *, says_when: bool = False) -> Callable[[Handler, float], None]:
    def answer(handler: Handler, left_s: float) -> None:
        handler.send_response(code)
        if says_when:
            handler.send_header("Retry-After", f"{int(left_s) + 1}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def reset(handler: Handler, _: float) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def cut(handler: Handler, _: float) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"RIFF" * 100)


def refused(handler: Handler, left_s: float) -> None:
    threading.Thread(target=handler.store.refuse, args=(left_s,), daemon=True).start()
    handler.close_connection = True


FAULTS = {
    "503": status(503),
    "503 that says when": status(503, says_when=True),
    "reset": reset,
    "cut": cut,
    "refused": refused,
}


@pytest.fixture
def store(drawn_dataset: Path) -> Iterator[Store]:
    made = Store(drawn_dataset.parent / "clips")
    yield made
    made.close()


class Run:
    """`bench run` in this process under quick times, with what it says."""

    def __init__(self, folder: Path, dataset: Path, url: str, heard: pytest.CaptureFixture[str]) -> None:
        self._heard = heard
        self.folder = folder / "results" / "r"
        self._query = SplitQuery(dataset=str(dataset), data_root=url)
        self._out = folder / "results"
        self.said = ""

    def __call__(self, patience: Patience, *, resume: bool = False) -> int:
        options = Options(
            models="motion,always",
            query=self._query,
            sampling="uniform:4",
            out=self._out,
            run_id="r",
            resume=resume,
            patience=patience,
        )
        terminal = Terminal(out=Console(width=300), err=Console(stderr=True, width=300))
        code = execute(options, ["bench", "run"], terminal)
        self.said = self._heard.readouterr().err
        return code

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text(encoding="utf-8").splitlines()]

    def outcomes(self) -> Counter[tuple[str, str]]:
        return Counter((line["model"], line["outcome"]) for line in self.lines("predictions.jsonl"))


@pytest.fixture
def run(tmp_path: Path, drawn_dataset: Path, store: Store, capfd: pytest.CaptureFixture[str]) -> Run:
    return Run(tmp_path, drawn_dataset, store.url, capfd)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_clips_wait_for_a_storage_that_is_away_for_a_while(
    run: Run, store: Store, fault: Callable[[Handler, float], None]
) -> None:
    store.away_after(2, fault)
    assert run(QUICK) == 0, run.said
    assert run.outcomes() == {("motion", "answered"): 6, ("always", "answered"): 6}
    tried = [line for line in run.lines("attempts.jsonl") if line["model"] == "motion"]
    assert {line["outcome"] for line in tried} == {"answered", "media_unreachable"}
    assert len(tried) <= 6 + 20, "one clip at a time looks whether it is back"
    if fault is not FAULTS["503 that says when"]:  # a short pause that is asked for is worth no line
        assert "the clips' storage: paused until " in run.said
        assert "the clips' storage: goes on after " in run.said
    assert verify(run.folder).findings == ()


@pytest.mark.slow
def test_a_storage_that_stays_away_is_told_of_and_resuming_asks_for_exactly_what_is_left(
    run: Run, store: Store
) -> None:
    store.away_after(2, status(503), away_s=1e9)
    assert run(IMPATIENT) == 0, run.said
    assert run.outcomes() == {("motion", "answered"): 2, ("motion", "media_unreachable"): 4, ("always", "answered"): 6}
    assert "motion: 4 media_unreachable may go well another time; ask again with: bench run --resume" in run.said
    assert "503" in run.said, "the storage's own words reach the terminal"
    stopped = json.loads((run.folder / "manifest.json").read_text())["models"]["motion"]["stopped"]
    assert stopped["outcome"] == "media_unreachable"
    assert verify(run.folder).findings == ()
    before = (run.folder / "attempts.jsonl").read_bytes()
    left = {line["clip"] for line in run.lines("predictions.jsonl") if line["outcome"] == "media_unreachable"}
    store.good_for = None
    store.asked.clear()
    assert run(QUICK, resume=True) == 0, run.said
    assert "another time" not in run.said
    assert set(store.asked) == left
    assert run.outcomes() == {("motion", "answered"): 6, ("always", "answered"): 6}
    after = (run.folder / "attempts.jsonl").read_bytes()
    assert after.startswith(before)
    added = [json.loads(line) for line in after[len(before) :].splitlines()]
    assert {(line["model"], line["clip"], line["outcome"]) for line in added} == {
        ("motion", c, "answered") for c in left
    }
    assert len(added) == 4
    assert verify(run.folder).findings == ()
