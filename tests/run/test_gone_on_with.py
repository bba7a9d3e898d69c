"""A run that is stopped in any way, and gone on with by its name alone."""

from __future__ import annotations

import io
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ghostbench.records import Clip
from ghostbench.running.announcements import say_what_is_missing
from ghostbench.running.terminal import Terminal
from ghostbench.running.watch.stopping import StopSignals


@pytest.mark.slow
def test_a_run_is_gone_on_with_by_its_name_alone(bench: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    (bench.folder / "study.yaml").write_text(
        f"models: [local-spy, always]\ndataset: {bench.dataset}\nlimit: 4\nrepeats: 2\n"
        f"set: {{local-spy: {{log: {log}}}}}\nrun-id: r\nout: studies\n"
    )
    done = bench.run("study.yaml", dataset=False)
    assert done.returncode == 0, done.stderr
    folder = bench.folder / "studies" / "r"
    first = (folder / "predictions.jsonl").read_bytes()
    (bench.folder / "study.yaml").unlink()
    attempts = (folder / "attempts.jsonl").read_bytes().splitlines(keepends=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "status": "interrupted", "digests": {}}))
    (folder / "attempts.jsonl").write_bytes(b"".join(attempts[:-5]))
    again = bench.run("--resume", "--run-id", "r", "--out", "studies", dataset=False)
    assert again.returncode == 0, again.stderr
    assert "run 'r' was begun with: bench run study.yaml" in again.stderr
    assert (folder / "predictions.jsonl").read_bytes() == first
    assert json.loads((folder / "manifest.json").read_text())["options"]["limit"] == 4


@pytest.mark.slow
def test_what_cannot_be_gone_on_with_is_told_in_one_line_of_plain_words(bench: Any) -> None:
    assert bench.run("--models", "always,never", "--run-id", "r").returncode == 0
    for words, said in (
        (["--models", "always"], "was started with never as well; leave out --models to go on with the run's own, or "),
        (["--models", "always,never,random"], "was started without random; leave out --models to go on with "),
        (["--models", "always,random"], "was started without random and with never as well; leave out --models to "),
        (["--give-up", "alwys"], "error: --give-up 'alwys' is no model of this run; choose from always, never"),
        (["--sampling", "fps:2"], "was started with sampling = uniform:10, not fps:2; resume it with its own "),
        (["--limit", "2"], "was started with dataset.filters = none, not limit=2; resume it with its own settings"),
        (["--shard", "1/2"], "was started with dataset.filters = none, not shard=1/2; resume it with its own "),
        (["--seed", "1"], "was started with seed = 0, not 1; resume it with its own settings, or choose another "),
    ):
        done = bench.run("--resume", "--run-id", "r", *words, dataset=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert said in done.stderr
        assert "{" not in done.stderr


@pytest.fixture
def hang_ups_are_heard() -> Iterator[None]:
    """As from a terminal: what nohup starts ignores them, the tests too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_ups_are_heard")
def test_a_hang_up_ends_a_run_cleanly_and_nohup_lets_it_live(bench: Any) -> None:
    given = ["--models", "remote-spy", "--set", "remote-spy.outcome=RateLimited", "--set", "remote-spy.times=2"]
    process = bench.start(*given, "--set", "remote-spy.retry_after_s=90", "--run-id", "r")
    ledger = bench.folder / "results" / "r" / "attempts.jsonl"
    until = time.monotonic() + 60
    while not (ledger.exists() and ledger.stat().st_size):
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "go on with: bench run --resume --run-id r --out results" in err
    assert bench.manifest("r")["status"] == "interrupted"
    with StopSignals():
        assert signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_where_no_clip_has_media_what_lies_there_is_shown(tmp_path: Path) -> None:
    for name in ("Clip_1.AVI", "clip_2.part", "notes.txt", "sub", "\x1b[31m.avi"):
        (tmp_path / name).touch()
    clips = [Clip(id=name, truth="normal", media=None) for name in ("clip_1", "clip_2")]
    plan = SimpleNamespace(split=SimpleNamespace(clips=clips, data_root=str(tmp_path)), needs_media=True)
    err = Console(file=io.StringIO(), width=400)
    say_what_is_missing(plan, Terminal(out=err, err=err))  # type: ignore[arg-type]
    said = err.file.getvalue()  # type: ignore[attr-defined]
    assert said.startswith(f"2 of 2 clips have no media under {tmp_path}: ")
    assert said.endswith(
        " (there are: \N{REPLACEMENT CHARACTER}[31m.avi, Clip_1.AVI, clip_2.part, notes.txt and 1 more)\n"
    )


@pytest.mark.slow
def test_media_that_is_not_there_is_told_of_before_anything_is_asked(bench: Any) -> None:
    root = bench.folder / "some"
    root.mkdir()
    for clip in sorted((bench.dataset.parent / "clips").iterdir())[:2]:
        (root / clip.name).symlink_to(clip)
    done = bench.run("--models", "local-spy", "--run-id", "r", GHOSTBENCH_DATA_ROOT="unused", COLUMNS="400")
    assert "no media" not in done.stderr
    text = bench.dataset.read_text().replace("root: clips\n", "")
    (bench.folder / "own.yaml").write_text(text)
    (bench.folder / "labels.csv").write_bytes((bench.dataset.parent / "labels.csv").read_bytes())
    given = ["--dataset", "own.yaml", "--models", "local-spy", "--limit", "5"]
    done = bench.run(*given, "--run-id", "e", dataset=False, GHOSTBENCH_DATA_ROOT="some", COLUMNS="400")
    assert done.stderr.splitlines()[0].startswith(f"3 of 5 clips have no media under {root}: "), done.stderr
    assert bench.manifest("e")["options"]["data_root"] == "some"
    done = bench.run("--resume", "--run-id", "e", "--dataset", "own.yaml", dataset=False)
    assert done.returncode == 0, done.stderr
