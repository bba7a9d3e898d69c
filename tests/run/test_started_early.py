"""A worker that is started while the run is planned: it is the run's own, and gone where the run is refused."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ghostbench.models import NoSettings
from ghostbench.running.ask.places.early import Early, starting_early
from ghostbench.running.ask.places.process import WorkerProcess
from ghostbench.running.ask.places.started import Started, start
from ghostbench.running.ask.places.worker_model import Assignment
from ghostbench.running.plan.options import Options

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no worker is started early here")

MODEL = """
import os, sys
from pathlib import Path
from ghostbench import LocalModel, Reply

def begin(settings):
    print("said ahead", flush=True)
    Path("began").write_text(str(os.getpid()))
    if Path("fails").exists():
        raise SystemExit("not today")

class Model(LocalModel):
    def load(self):
        print("said while loading", file=sys.stderr, flush=True)
        return {"pid": os.getpid(), "began": Path("began").read_text()}
    def answer(self, requests):
        return [Reply(text="no") for _ in requests]
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Where Python looks for modules, a model among them that begins ahead; the working folder is of its own."""
    (tmp_path / "early_model.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return (str(tmp_path), *sys.path)


def assignment(path: tuple[str, ...], **more: Any) -> Assignment:
    return Assignment("early_model:Model", NoSettings(), None, path, 2, **{"ahead": "early_model:begin"} | more)


def early(path: tuple[str, ...]) -> Early:
    started = start(path, ahead="early_model:begin", settings=NoSettings(), waits=True)
    return Early(started, path, dict(os.environ), "early_model:begin", NoSettings())


def until(true: Any) -> None:
    while not true():
        time.sleep(0.01)


def is_there(started: Started) -> bool:
    return Path(f"/proc/{started.process.pid}").exists()


def loaded(worker: WorkerProcess) -> Any:
    try:
        facts, _ = worker.ask("load", None)[1].result()
    finally:
        worker.end("was closed")
    return facts


def test_it_begins_before_it_is_assigned_and_prints_where_the_run_does_once_it_is(
    path: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    begun = early(path)
    until(Path("began").exists)
    assert capfd.readouterr() == ("", ""), "what it says before is the run's to show or to drop"
    started = begun.take(assignment(path), {})
    assert started is not None
    facts = loaded(WorkerProcess("m", assignment(path), None, started))
    assert facts == {"pid": started.process.pid, "began": str(started.process.pid)}
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "said ahead\nsaid while loading\n")
    assert begun.take(assignment(path), {}) is None, "it is there once"


def test_a_limit_that_the_program_set_for_its_own_sockets_is_none_for_its_worker(path: tuple[str, ...]) -> None:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)
    try:
        worker = WorkerProcess("m", assignment(path))
    finally:
        socket.setdefaulttimeout(before)
    assert set(loaded(worker)) == {"pid", "began"}


@pytest.mark.parametrize(
    ("more", "environment"),
    [({"settings": "others"}, {}), ({"ahead": "early_model:other"}, {}), ({"path": ()}, {}), ({}, {"X": "1"})],
    ids=["settings", "beginning", "path", "environment"],
)
def test_it_is_ended_where_another_would_be_started(
    path: tuple[str, ...], more: dict[str, Any], environment: dict[str, str]
) -> None:
    begun = early(path)
    started = begun.started
    assert started is not None
    given = Assignment(**{"target": "early_model:Model", "settings": NoSettings(), "argument": None, "path": path,
                          "preparing": 2, "ahead": "early_model:begin"} | more)  # fmt: skip
    assert begun.take(given, environment) is None
    assert not is_there(started)


def test_it_is_ended_where_the_environment_has_changed(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    begun = early(path)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert begun.take(assignment(path), {}) is None


def test_one_that_is_gone_is_not_taken_and_a_failed_beginning_is_dropped(path: tuple[str, ...]) -> None:
    begun = early(path)
    assert begun.started is not None
    begun.started.process.kill()
    begun.started.process.wait()
    assert begun.take(assignment(path), {}) is None
    Path("fails").touch()
    Path("began").unlink(missing_ok=True)
    worker = WorkerProcess("m", assignment(path))
    assert loaded(worker)["began"], "what failed ahead hinders no load"


RUN = """
import json, os, sys
from pathlib import Path
from ghostbench.models import ModelSpec
from ghostbench.plugins.registry import registry
from ghostbench.running.ask.places.early import starting_early
from ghostbench.running.plan.options import Options
registry().models["early"] = ModelSpec(
    name="early", load="early_model:Model", kind="local", summary="", ahead="early_model:begin"
)
with starting_early(Options(models="always,early", **json.loads(sys.argv[1]))) as early:
    print(json.dumps(None if early is None else early.started.process.pid), flush=True)
    if early is not None:
        sys.stdin.readline()
"""


def of_a_run(path: tuple[str, ...], **options: Any) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", RUN, json.dumps(options)]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=given)


def test_it_is_gone_with_the_run_that_is_killed_while_it_plans(path: tuple[str, ...]) -> None:
    with of_a_run(path) as run:
        assert run.stdout is not None
        number = json.loads(run.stdout.readline())
        run.kill()
        run.wait()
        until(lambda: not Path(f"/proc/{number}").exists())


def test_it_is_gone_where_the_run_is_not_begun(path: tuple[str, ...]) -> None:
    with of_a_run(path) as run:
        assert run.stdout is not None
        number = json.loads(run.stdout.readline())
        run.communicate("\n")
        assert not Path(f"/proc/{number}").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"on": "thread"},
        {"resume": True},
        {"replicas": ("drivemm=2",)},
        {"models": "always"},
        {"models": "motion"},
        {"models": "always>drivemm"},
        {"models": "no-such-model"},
        {"settings": ("drivemm.batch_size=many",)},
    ],
    ids=str,
)
def test_none_is_started_where_none_is_wanted_or_the_plan_will_be_refused(options: dict[str, Any]) -> None:
    with starting_early(Options(**{"models": "drivemm"} | options)) as begun:
        assert begun is None
