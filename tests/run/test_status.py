"""A run looked at while it is under way: how far it is, and what its settled part says, without disturbing it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from evidence_data import RunBuilder, attempt, clip
from rich.console import Console

from ghostbench.cli import main
from ghostbench.errors import BadInput
from ghostbench.outcomes import Outcome
from ghostbench.running.resume.partial import is_unfinished, read_part
from ghostbench.running.resume.status import read_status
from ghostbench.running.watch.progress import Progress

G, N = "ghost_probing", "normal"


def under_way(folder: Path, status: str = "running") -> Path:
    """Six clips: "m" is settled for four and waits for a fifth, "n" is settled for five, "late" has not begun."""
    run = RunBuilder([clip(f"c{place}", G if place < 3 else N) for place in range(6)])
    began = datetime.now(UTC) - timedelta(seconds=100)
    for place in range(5):
        at = {"started_at": (began + timedelta(seconds=10 * place)).isoformat(), "usage": {"cost_usd": 0.01}}
        failed = place == 1
        run.row("m", f"c{place}", None if failed else G, outcome="refused" if failed else None, attempts=[at])
        run.row("n", f"c{place}", N, attempts=[{**at, "usage": {"cost_usd": None}}])
    run.model("m", ladder=[])
    run.model("late")
    waiting = attempt("m", "c4", attempt=1, outcome="rate_limited", raw=None)
    run.attempts = [line for line in run.attempts if (line["model"], line["clip"]) != ("m", "c4")] + [waiting]
    run.write(folder, status=status, digests={}, max_attempts=3)
    (folder / "predictions.jsonl").unlink()
    with (folder / "attempts.jsonl").open("a") as ledger:
        ledger.write('{"model": "m", "clip": "c5", "torn')
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def said(*words: str) -> str:
    return CliRunner().invoke(main.bench, list(words), catch_exceptions=False).output


def test_status_counts_what_is_settled_and_leaves_the_folder_alone(tmp_path: Path) -> None:
    folder = under_way(tmp_path / "r")
    before = digests(folder)
    status = read_status(folder)
    assert (status.state, status.left_s, status.cost_usd) == ("stopped", None, pytest.approx(0.04))
    m = status.rows["m"]
    assert (m.units, m.begun, m.attempts) == (6, 5, 5)
    assert m.outcomes == {"answered": 3, "refused": 1, "rate_limited": 1}
    assert (status.rows["late"].begun, status.rows["n"].cost_usd) == (0, None)
    assert digests(folder) == before
    printed = said("status", str(folder))
    assert "r: stopped, $0.0400 as far as stated" in printed
    assert f"go on with: bench run --resume --run-id r --out {tmp_path}" in printed
    assert json.loads(said("status", str(folder), "--json"))["rows"]["m"]["outcomes"]["answered"] == 3
    with pytest.raises(BadInput, match="no run folder"):
        read_status(tmp_path)


def test_status_knows_by_the_lock_that_a_run_goes_on_and_reckons_its_end(tmp_path: Path) -> None:
    folder = under_way(tmp_path / "r")
    text = (folder / "manifest.json").read_text()
    manifest = json.loads(text)
    del manifest["models"]["late"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    code = (
        "import sys; from pathlib import Path; from ghostbench.folder.place import RunFolder; "
        "run = RunFolder.at(Path(sys.argv[1]), 'r'); run.reopen(); print('held', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=pipe, stdout=pipe, text=True)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        status = read_status(folder)
        assert status.state == "running"
        # Five clips in the hundred seconds and more until now: the sixth takes another twenty.
        assert status.left_s is not None
        assert 20 <= status.left_s < 40
        assert "running, about 0:00:" in said("status", str(folder))
    finally:
        writer.communicate("")
    assert read_status(folder).state == "stopped"


def test_status_of_a_finished_run_counts_clips_that_were_never_sent(tmp_path: Path) -> None:
    run = RunBuilder([clip("a"), clip("b")])
    run.model("m", stopped={"outcome": "auth_failed", "message": "no"})
    run.row("m", "a", None, outcome="auth_failed")
    run.row("m", "b", None, outcome="auth_failed", attempts=[])
    status = read_status(run.write(tmp_path / "r"))
    assert (status.state, status.rows["m"].outcomes) == ("complete", {"auth_failed": 2})
    assert status.rows["m"].stopped == "auth_failed"


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_the_settled_part_of_a_run_is_reported_and_nobody_takes_it_for_a_result(tmp_path: Path, status: str) -> None:
    folder = under_way(tmp_path / "r", status)
    before = digests(folder)
    assert is_unfinished(folder)
    with read_part(folder) as part:
        assert list(part.run.clips["clip"]) == ["c0", "c1", "c2", "c3"]
        assert part.waiting == ("late",)
        row = part.run.rows["m"]
        assert (row["n"], row["answered"], row["outcomes"]) == (4, 3, {"answered": 3, "refused": 1})
        assert row["confusion"]["ghost_probing"]["no_answer"] == 1
    printed = said("report", str(folder))
    assert printed.startswith("NOT FINISHED, NO RESULT: r, the 4 of 6 clips")
    assert "not begun: late" in printed
    assert "NOT FINISHED" in said("report", str(folder), "--table", "confusion")
    assert "NOT FINISHED" in json.loads(said("report", str(folder), "--table", "confusion", "--json"))["note"]
    assert "NOT FINISHED" in json.loads(said("report", str(folder), "--json"))["unfinished"]
    assert digests(folder) == before


def test_a_clip_that_was_decoded_again_when_the_run_went_on_counts_once(tmp_path: Path) -> None:
    folder = under_way(tmp_path / "r")
    lines = (folder / "clips.jsonl").read_text()
    (folder / "clips.jsonl").write_text(lines + lines)
    with read_part(folder) as part:
        assert list(part.run.clips["clip"]) == ["c0", "c1", "c2", "c3"]
        assert part.of == 6


def test_a_run_of_which_nothing_is_settled_has_no_part(tmp_path: Path) -> None:
    folder = under_way(tmp_path / "r")
    (folder / "attempts.jsonl").write_text("")
    with pytest.raises(BadInput, match="no clip of it is settled"), read_part(folder):
        pass


def test_off_a_terminal_a_line_says_every_so_often_how_far_the_run_is() -> None:
    file = io.StringIO()
    with Progress(Console(file=file, width=80), ["m", "n"], 4, every_s=0.5) as progress:
        progress.settled("m", Outcome.ANSWERED)
        time.sleep(0.8)
        progress.settled("m", Outcome.REFUSED)
        progress.settled("n", Outcome.ANSWERED, 4)
        time.sleep(0.8)
    lines = [re.sub(r"^after 0:00:\d\d: ", "", line) for line in file.getvalue().splitlines()]
    assert lines[0] == "m 1/4 (1 answered); n 0/4"
    assert lines[-1].startswith("m 2/4 (1 answered, 1 refused); n 4/4 (4 answered); about 0:00:0")
    quiet = io.StringIO()
    with Progress(Console(file=quiet), ["m"], 4, quiet=True, every_s=0.02):
        time.sleep(0.1)
    assert quiet.getvalue() == ""


@pytest.mark.parametrize(("term", "is_terminal"), [("xterm", False), ("dumb", True)])
def test_what_is_only_coloured_or_cannot_move_up_gets_lines_and_no_bars(
    monkeypatch: pytest.MonkeyPatch, term: str, is_terminal: bool
) -> None:
    """`FORCE_COLOR`, as in CI, makes no terminal of a log file."""
    monkeypatch.setenv("TERM", term)
    file = io.StringIO()
    monkeypatch.setattr(file, "isatty", lambda: is_terminal)
    with Progress(Console(file=file, width=80, force_terminal=True), ["m"], 4, every_s=0.05) as progress:
        progress.settled("m", Outcome.ANSWERED)
        until = time.monotonic() + 60
        while "\n" not in file.getvalue() and time.monotonic() < until:
            time.sleep(0.02)
    assert "\x1b" not in file.getvalue()
    assert "m 1/4 (1 answered)" in file.getvalue()


def test_a_stream_that_is_none_gets_lines_too() -> None:
    class Sink:
        """What a program puts in a stream's place, with no more than is written to it."""

        text = ""

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None:
            pass

    sink = Sink()
    with Progress(Console(file=sink, width=80, force_terminal=True), ["m"], 4, every_s=0.05):  # type: ignore[arg-type]
        until = time.monotonic() + 60
        while "m 0/4" not in sink.text and time.monotonic() < until:
            time.sleep(0.02)
    assert "m 0/4" in sink.text


@pytest.mark.parametrize(
    "line",
    [
        {"repeat": [[1]]},
        {"clip": {}},
        {"usage": {"cost_usd": 10**400}},
        {"usage": {"cost_usd": float("nan")}},
        {"started_at": "0001-01-01T00:00:00+23:59"},
        {"outcome": [1]},
    ],
)
def test_a_line_that_is_no_attempt_of_ours_hides_nothing_else(tmp_path: Path, line: dict[str, object]) -> None:
    folder = under_way(tmp_path)
    before = read_status(folder)
    ledger = folder / "attempts.jsonl"
    lines = ledger.read_text(encoding="utf-8")
    odd = json.dumps({**json.loads(lines.splitlines()[0]), "model": "late", "usage": {}, **line})
    ledger.write_text(f"{odd}\n{lines}", encoding="utf-8")
    after = read_status(folder)
    assert after.rows["m"].outcomes == before.rows["m"].outcomes
    assert after.rows["late"].attempts == 1
    assert after.cost_usd == pytest.approx(before.cost_usd)


@pytest.mark.parametrize(("name", "content"), [("manifest.json", "["), ("attempts.jsonl", "[")])
def test_nesting_without_end_is_bad_input(tmp_path: Path, name: str, content: str) -> None:
    folder = under_way(tmp_path)
    (folder / name).write_text(content * 200_000 + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match=name):
        read_status(folder)


@pytest.mark.parametrize("name", ["attempts.jsonl", ".lock"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_file_is_named_and_nobody_waits_for_it(tmp_path: Path, name: str, kind: str) -> None:
    folder = under_way(tmp_path)
    place = folder / name
    place.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(place)
        case "folder":
            place.mkdir()
        case _:
            place.symlink_to("/dev/zero")
    with pytest.raises(BadInput, match=name):
        read_status(folder)
