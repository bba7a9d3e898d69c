"""Runs of every state to look at, and `bench view` as a real server over them."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
from evidence_data import RunBuilder, attempt, clip, raw_answer

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"
HOSTILE = "</script><script>window.ran=1</script><img src=x onerror='window.ran=1'>\x1b[31m\u202e"
"""Text that acts where it is not shown as text."""


@dataclass(frozen=True)
class Viewer:
    """A server: its address and token, and requests with and without what it wants to see."""

    port: int
    token: str

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> httpx.Response:
        """With the token's cookie, unless another is given."""
        sent = {"cookie": f"ghostbench_{self.port}={self.token}", **headers}
        return httpx.get(self.root + path, headers={name: value for name, value in sent.items() if value})

    def json(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def serving(results: Path, data_root: Path | None = None) -> Iterator[Viewer]:
    from ghostbench.datasets.granted import Granted
    from ghostbench.viewer.guard import Access
    from ghostbench.viewer.server import application, server_of

    with socket.create_server(("127.0.0.1", 0)) as listening:
        granted = Granted.of(data_root=None if data_root is None else str(data_root))
        access = Access.new("127.0.0.1", listening.getsockname()[1])
        server = server_of(application(results, granted, access))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Viewer(access.port, access.token)
        server.should_exit = True
        thread.join(10)


@contextmanager
def serving_text(page: str) -> Iterator[str]:
    """Another page, at a host that browsers hold apart from the viewer's: its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def hostile_run(folder: Path) -> None:
    """A finished run with acting text in every field that can hold text."""
    run = RunBuilder([clip(f"{HOSTILE}{place}", (G, N)[place % 2], remark=HOSTILE) for place in range(4)])
    name = f"model {HOSTILE}"
    run.model(name, mark=HOSTILE, asked_model=HOSTILE)
    for line in run.clips:
        fault = {"type": HOSTILE, "message": HOSTILE}
        run.row(name, line["clip"], G, raw=raw_answer(G, evidence=HOSTILE), attempts=[
            {"outcome": "rate_limited", "error": fault, "raw": None}, {"served_model": HOSTILE, "notes": [HOSTILE]},
        ])  # fmt: skip
    run.write(folder, command=["bench", HOSTILE], run_id=HOSTILE, hardware={"machine": HOSTILE})


def two_models(folder: Path, grades: str = "GNGNPN") -> Path:
    """Six clips: "m" answers them but for the last, "n" says yes to all, "always" is a baseline."""
    run = RunBuilder(
        [clip(f"c{place}", G if place < 2 else N, time_s=2.0 if place < 2 else None) for place in range(6)]
    )
    for place, grade in enumerate(grades):
        last = place == 5
        said = {"G": G, "P": P, "N": N}[grade]
        run.row("m", f"c{place}", None if last else said, outcome="refused" if last else None)
        run.row("n", f"c{place}", G if place < 5 else N)
    run.model("always", kind="reference", reference=True, needs_frames=False)
    run.rows("always", [G] * 6)
    return run.write(folder)


def run_on_media(folder: Path, dataset: str, name: str, media: str) -> Path:
    """A run over one clip of real media, with the frames that a run would have sampled."""
    from ghostbench.media.decode import decode
    from ghostbench.media.sampling import parse_sampling

    frames = decode(media, parse_sampling("uniform:10"))
    line = clip(name, G, time_s=2.0, frames=frames.times_s, duration_s=frames.duration_s)
    line |= {"frame_indices": list(frames.indices), "frames_sha256": frames.sha256, "decoder": frames.decoder}
    run = RunBuilder([line])
    run.row("m", name, G)
    return run.write(folder, dataset={
        "name": dataset, "split": "all", "data_root": None, "labels": None, "labels_sha256": "a" * 64,
        "split_sha256": "b" * 64, "n": 1,
    })  # fmt: skip


def warned_run(folder: Path) -> Path:
    """Three clips asked at moments: "m" warns of the one by night in time, and of the one by day in vain. The label's
    time is the contact at night; at dusk it is first sight, as with clips that are drawn, and contact comes later."""
    lines = [clip("night", G, time_s=4.0), clip("day", N), clip("dusk", G, time_s=1.5)]
    for line in lines:
        line["parameters"] = {"light": line["clip"], "ego_kmh": 30.0}
        line["questions"] = [{"moment_s": at, "frames_sha256": None} for at in (1.0, 2.0, 3.0, 4.0)]
    lines[0]["labels"] = {"first_visible_s": 2.5}
    lines[2]["labels"] = {"first_visible_s": 1.5, "contact_s": 3.0}
    run = RunBuilder(lines)
    for name, said in (("night", "NGGG"), ("day", "NNGN"), ("dusk", "GGGG")):
        grades = [{"G": G, "N": N}[each] for each in said]
        times = [at + 1.0 for at in range(len(grades))]
        asked = [
            {"moment_s": at, "attempt": 1, "raw": raw_answer(grade)} for at, grade in zip(times, grades, strict=True)
        ]
        run.row("m", name, G, attempts=asked)
        run.predictions[-1]["moments"] = [
            {"moment_s": at, "grade": grade, "score": None, "outcome": "answered"}
            for at, grade in zip(times, grades, strict=True)
        ]
        run.predictions[-1]["alarm_time_s"] = 2.0
    return run.write(folder)


def growing_run(folder: Path) -> Path:
    """A run of which two of six clips have been asked about."""
    run = RunBuilder([clip(f"c{place}", N) for place in range(6)])
    run.model("m")
    run.write(folder, status="running", digests={})
    (folder / "predictions.jsonl").unlink()
    grow(folder, "c0")
    grow(folder, "c1")
    return folder


def grow(folder: Path, name: str, said: str = N) -> None:
    line = attempt("m", name, raw=raw_answer(said), usage={"cost_usd": 0.25})
    with (folder / "attempts.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def until(find: Callable[[], Any], within_s: float = 15) -> Any:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := find():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to that")


def text(page: Any) -> str:
    return str(page.execute_script("return document.getElementById('main').innerText"))


def listed(page: Any) -> list[str]:
    return list(page.execute_script("return [...document.querySelectorAll('.clips a')].map((a) => a.dataset.clip)"))
