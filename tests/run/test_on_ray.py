"""Local models in a Ray cluster: the same answers as anywhere else, whatever is lost on the way."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from warm_process import run_bench

from ghostbench.errors import BadInput, DecodeFailed
from ghostbench.evidence.verify import verify
from ghostbench.media.far import Facts, FarFrames, Recipe
from ghostbench.media.sampling import parse_sampling
from ghostbench.question import Question
from ghostbench.records import Request
from ghostbench.running.ask.places import actor
from ghostbench.running.ask.places.looking import Looking, Seen, Wanted
from ghostbench.tasks.load import load_task

PATIENCE_S = 600.0
"""How long a run may take, and what is waited for in one: starting Ray is slow on a machine that does much besides."""
pytestmark = [pytest.mark.first, pytest.mark.timeout(1500)]

MODELS = ["--models", "local-spy,picky", "--probe", "blank"]
WAYS: dict[str, list[str]] = {
    "thread": ["--on", "thread"],
    "process": ["--on", "process"],
    "ray-1": ["--on", "ray"],
    "ray-4": ["--on", "ray", "--replicas", "local-spy=4", "--replicas", "picky=4"],
}


def table(folder: Path) -> list[Any]:
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    return sorted(((p["model"], p["clip"], p["grade"], p["score"], p["outcome"]) for p in lines), key=str)


def hashes(folder: Path) -> set[Any]:
    lines = [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]
    return {
        (p["model"], p["clip"], p["frames_sha256"], p["prompt_sha256"]) for p in lines if p["outcome"] == "answered"
    }


def seen(folder: Path) -> list[Any]:
    lines = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    return [(line["clip"], line["frames_sha256"], line["frame_indices"], line["frame_times_s"]) for line in lines]


def verified(bench: Any, run: str) -> None:
    assert verify(bench.folder / "results" / run).findings == ()


@pytest.fixture(scope="module")
def asked_once(module_bench: Any) -> Path:
    """The run on threads that all others are held against."""
    done = module_bench.run(*MODELS, *WAYS["thread"], "--run-id", "thread")
    assert done.returncode == 0, done.stderr
    return module_bench.folder / "results" / "thread"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["process", "ray-1", "ray-4"])
def test_a_run_comes_out_the_same_wherever_its_models_live(module_bench: Any, asked_once: Path, way: str) -> None:
    if way.startswith("ray"):
        pytest.importorskip("ray")
    home = module_bench.folder / "home"
    home.mkdir(exist_ok=True)
    if way == "process":
        done = module_bench.run(*MODELS, *WAYS[way], "--run-id", way, HOME=str(home))
        assert done.returncode == 0, done.stderr
    else:
        running = module_bench.start(*MODELS, *WAYS[way], "--run-id", way, HOME=str(home))
        _, said = running.communicate(timeout=PATIENCE_S)
        assert running.returncode == 0, said
    folder = module_bench.folder / "results" / way
    assert table(folder) == table(asked_once)
    assert hashes(folder) == hashes(asked_once)
    assert seen(folder) == seen(asked_once)
    verified(module_bench, way)
    workers = {line["worker"] for line in module_bench.lines(way, "attempts.jsonl")}
    if way == "ray-4":
        assert workers <= {f"{model}#{number}" for model in ("local-spy", "picky") for number in range(1, 5)}
    else:
        assert workers == {"local-spy", "picky"}
    assert not (home / ".ray").exists(), "Ray writes its token there unless it is told not to"


@pytest.mark.slow
def test_three_merged_shards_are_the_same_run(module_bench: Any, asked_once: Path) -> None:
    shards = []
    # Of four shards of these six clips one is empty.
    for number in (1, 2, 4):
        given = ["--on", "thread", "--shard", f"{number}/4", "--run-id", f"part-{number}"]
        done = module_bench.run(*MODELS, *given)
        assert done.returncode == 0, done.stderr
        shards.append(f"results/part-{number}")
    words = ["merge", *shards, "--out", "results", "--run-id", "whole"]
    done = run_bench(words, cwd=module_bench.folder, env=module_bench.env)
    assert done.returncode == 0, done.stderr
    whole = module_bench.folder / "results" / "whole"
    assert table(whole) == table(asked_once)
    assert hashes(whole) == hashes(asked_once)
    verified(module_bench, "whole")


def told(folder: Path) -> list[Any]:
    """All that was asked and said, but for who said it and when."""
    keys = ("model", "clip", "repeat", "moment_s", "fallback_level", "outcome", "frames_sha256", "prompt_sha256", "raw")
    lines = (json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines())
    return sorted((tuple(line[key] for key in keys) for line in lines), key=str)


@pytest.mark.slow
def test_moments_wordings_probes_and_repeats_are_the_same_wherever_models_live(module_bench: Any) -> None:
    pytest.importorskip("ray")
    given = ["--task", "worded-moments", "--models", "wordy", "--variants", "all", "--repeats", "2", "--quiet"]
    given += ["--probe", "dark,blank,shuffled", "--set", "wordy.most=4"]
    runs = {}
    for way in ("thread", "process", "ray"):
        named = ["--on", way, "--run-id", f"all-{way}"]
        if way == "ray":
            running = module_bench.start(*given, *named, "--replicas", "wordy=2")
            _, said = running.communicate(timeout=PATIENCE_S)
            assert running.returncode == 0, said
        else:
            done = module_bench.run(*given, *named)
            assert done.returncode == 0, done.stderr
        runs[way] = module_bench.folder / "results" / f"all-{way}"
    thread = runs.pop("thread")
    asked = [json.loads(line) for line in (thread / "attempts.jsonl").read_text().splitlines()]
    rows = ("", "@bold", "@few", "+dark", "+blank", "+shuffled")
    assert {line["model"] for line in asked} == {f"wordy{row}" for row in rows}
    assert {line["moment_s"] for line in asked} == {0.25, 0.5, 0.875}
    assert {line["fallback_level"] for line in asked} == {0, 1}
    for way, folder in runs.items():
        assert told(folder) == told(thread), way
        assert seen(folder) == seen(thread), way
        for name in ("predictions.jsonl", "clips.jsonl"):
            lines, others = (sorted((each / name).read_text().splitlines()) for each in (folder, thread))
            assert lines == others, (way, name)
        assert verify(folder).findings == ()


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def lines_of(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def actors(root: psutil.Process) -> list[psutil.Process]:
    found = []
    for process in root.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[0].startswith("ray::_ActorDesk"):
                found.append(process)
    return found


class Held:
    """A run of so many replicas, each of which has answered once and is at its second clip, until it is let go."""

    def __init__(self, bench: Any, run_id: str, replicas: int, on: str, **more: str) -> None:
        self.ledger = bench.folder / "results" / run_id / "attempts.jsonl"
        self._gate = bench.folder / f"{run_id}.gate"
        given = ["--models", "local-spy", "--set", f"local-spy.gate={self._gate}", "--on", on, "--run-id", run_id]
        self.running = bench.start(*given, "--replicas", f"local-spy={replicas}", **more)
        wait_for(lambda: self.running.poll() is not None or lines_of(self._gate.with_suffix(".waiting")) == replicas)
        assert self.running.poll() is None, self.running.communicate()
        wait_for(lambda: lines_of(self.ledger) == replicas)

    def let_go(self) -> None:
        self._gate.touch()

    def ends_well(self) -> None:
        self.let_go()
        _, said = self.running.communicate(timeout=PATIENCE_S)
        assert self.running.returncode == 0, said


@pytest.mark.slow
def test_an_actor_that_is_killed_costs_an_attempt_and_no_clip(module_bench: Any, asked_once: Path) -> None:
    pytest.importorskip("ray")
    held = Held(module_bench, "killed", 2, "ray")
    actors(psutil.Process(held.running.pid))[0].kill()
    held.ends_well()
    assert table(held.ledger.parent) == [row for row in table(asked_once) if row[0] == "local-spy"]
    lines = module_bench.lines("killed", "attempts.jsonl")
    answered = Counter(line["clip"] for line in lines if line["outcome"] == "answered")
    assert set(answered.values()) == {1}
    lost = [line for line in lines if line["outcome"] == "worker_lost"]
    # What it was at, and what it was about to prepare, if anything.
    assert 1 <= len(lost) <= 2
    assert all(line["error"]["message"].startswith("the worker was lost") for line in lost)
    verified(module_bench, "killed")


@pytest.mark.slow
def test_a_run_whose_driver_is_killed_is_gone_on_with_and_nobody_computes_meanwhile(
    module_bench: Any, asked_once: Path
) -> None:
    pytest.importorskip("ray")
    held = Held(module_bench, "driver", 2, "ray")
    family = psutil.Process(held.running.pid).children(recursive=True)
    # Ray's own agents look only now and then whether what they are for is there.
    computing = [process for process in family if "Agent" not in process.name()]
    assert {"raylet", "gcs_server"} < {process.name() for process in computing}
    held.running.kill()
    held.running.communicate()
    _, alive = psutil.wait_procs(computing, timeout=PATIENCE_S)
    assert alive == []
    held.let_go()
    done = module_bench.run("--resume", "--run-id", "driver", dataset=False)
    assert done.returncode == 0, done.stderr
    assert table(held.ledger.parent) == [row for row in table(asked_once) if row[0] == "local-spy"]
    answered = Counter(line["clip"] for line in module_bench.lines("driver", "attempts.jsonl"))
    assert set(answered.values()) == {1}
    verified(module_bench, "driver")


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[Any]]]:
    """A cluster with a head that computes nothing and two nodes that do; its address, and the nodes."""
    pytest.importorskip("ray")
    # Ray has made up its mind about tokens when it is imported.
    for name, value in {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=2), cluster.add_node(num_cpus=2)]
        yield cluster.address, nodes
    finally:
        cluster.shutdown()


def raylet(node: Any) -> psutil.Process:
    (info,) = node.all_processes["raylet"]
    return psutil.Process(info.process.pid)


@pytest.mark.slow
def test_a_node_that_is_lost_costs_attempts_and_no_clip(
    module_bench: Any, asked_once: Path, two_nodes: tuple[str, list[Any]]
) -> None:
    address, nodes = two_nodes
    held = Held(module_bench, "node", 3, f"ray:{address}", **ray_environment())
    lost = max(nodes, key=lambda node: len(actors(raylet(node))))
    assert actors(raylet(lost))
    # A machine that goes down takes all of its processes with it.
    own = actors(raylet(lost))
    raylet(lost).send_signal(signal.SIGKILL)
    for process in own:
        process.kill()
    held.ends_well()
    assert table(held.ledger.parent) == [row for row in table(asked_once) if row[0] == "local-spy"]
    answered = Counter(line["clip"] for line in module_bench.lines("node", "attempts.jsonl") if not line["error"])
    assert set(answered.values()) == {1}
    assert {line["outcome"] for line in module_bench.lines("node", "attempts.jsonl")} == {"answered", "worker_lost"}
    verified(module_bench, "node")


def ray_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("RAY_")}


@pytest.mark.parametrize("on", ["ray:", "process:x", "rays", "thread:1"])
def test_places_that_are_none_are_bad_input(bench: Any, on: str) -> None:
    done = bench.run("--models", "blind-spy", "--on", on)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --on '{on}' is no place for models; choose from thread, process, ray")


@pytest.mark.slow
def test_a_model_that_needs_more_than_this_machine_has_is_refused_and_not_waited_for(bench: Any) -> None:
    pytest.importorskip("ray")
    done = bench.run("--models", "on-gpu", "--on", "ray", "--replicas", "on-gpu=4096", "--run-id", "r")
    assert done.returncode == 2
    assert "4096 GPUs are needed" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (bench.folder / "results" / "r").exists()


def test_a_run_without_any_local_model_needs_no_cluster(bench: Any) -> None:
    pytest.importorskip("ray")
    done = bench.run("--models", "always", "--on", "ray:of.nobody:6379", "--run-id", "r", "--quiet")
    assert done.returncode == 0, done.stderr
    assert {line["outcome"] for line in bench.lines("r", "predictions.jsonl")} == {"answered"}


def test_a_cluster_without_ray_or_by_its_client_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'ghostbench\[ray\]'"):
        actor.Cluster(None)
    monkeypatch.setattr(actor, "find_spec", lambda name: True)
    with pytest.raises(BadInput, match="with --on ray:auto"):
        actor.Cluster("ray://head:10001")


@pytest.fixture
def clip(drawn_dataset: Path, tmp_path: Path) -> str:
    media = tmp_path / "clip.avi"
    shutil.copy(drawn_dataset.parent / "clips" / "images_1_001.avi", media)
    return str(media)


def asking(frames: FarFrames) -> Request:
    task = load_task("ghost-probing")
    return Request(
        id="1",
        prompt=task.build(frames),
        frames=frames,
        seed=0,
        level=0,
        level_settings={},
        write_answer=task.write,
    )


def test_what_a_worker_tells_of_a_clip_has_no_pixels_and_leads_to_the_same_frames(clip: str) -> None:
    looking = Looking(load_task("ghost-probing"), {}, parse_sampling("uniform:10"), "m")
    told = looking.look(Wanted(clip, ("blank",)))
    assert isinstance(told, Seen)
    (question,) = told.told[None]
    assert isinstance(question, Question)
    assert question.frames is told.frames
    with pytest.raises(RuntimeError, match="not here"):
        _ = told.frames.pixels
    shown = looking.shown(asking(told.frames)).frames
    assert shown is not None
    assert (shown.sha256, shown.pixels.shape) == (told.frames.sha256, told.frames.facts.shape)
    (recipe, asked), *_ = told.others
    blank = asked.frames
    assert recipe.probe == "blank"
    assert isinstance(blank, FarFrames)
    assert blank.sha256 != told.frames.sha256
    few = FarFrames(blank.facts, Recipe(clip, parse_sampling("uniform:10"), most=3))
    with pytest.raises(DecodeFailed, match="not those that were decoded elsewhere"):
        looking.shown(asking(few))


def test_frames_that_differ_between_workers_are_shown_to_nobody(clip: str) -> None:
    looking = Looking(load_task("ghost-probing"), {}, parse_sampling("uniform:10"), "m")
    told = looking.look(Wanted(clip))
    assert isinstance(told, Seen)
    facts = told.frames.facts
    other = Facts(facts.shape, facts.indices, facts.times_s, facts.duration_s, "another decoder", sha256="0" * 64)
    with pytest.raises(DecodeFailed, match="there another decoder"):
        looking.shown(asking(FarFrames(other, told.frames.recipe)))
