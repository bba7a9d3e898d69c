"""Runs of several machines over clips in a store: what one machine makes of the same clips in its own folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from drawn_data import moving_square, write_dataset, write_video
from warm_process import run_bench

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.datasets.schemes import handed_over, take_over

MODELS = ["--models", "motion,category-prior"]
CLIPS = {
    "images_1_001": "1.0s: ghost probing",
    "images_1_002": "none",
    "images_2_001": "ghost probing",
    "images_2_002": "0.5s: cut-in",
    "images_3_002": "none",
    "images_4_001": "none",
}
"""Of three shards of these none is empty."""
pytestmark = pytest.mark.timeout(900)
OF_STORES = ("AWS_", "AZURE_")


def outside() -> dict[str, str]:
    """The environment of a machine that knows nothing of any store."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OF_STORES)}


@dataclass(frozen=True)
class Alone:
    """A run of one machine over files. dataset : its definition. folder : of the run."""

    dataset: Path
    folder: Path

    @property
    def clips(self) -> list[Path]:
        return sorted((self.dataset.parent / "clips").iterdir())


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    root = tmp_path_factory.mktemp("drawn")
    (root / "clips").mkdir()
    for number, clip in enumerate(CLIPS):
        write_video(root / "clips" / f"{clip}.avi", moving_square(30 + 35 * number))
    dataset = write_dataset(root, CLIPS)
    given = ["run", *MODELS, "--dataset", str(dataset), "--run-id", "alone", "--on", "thread", "--quiet"]
    done = run_bench(given, cwd=root, env=outside(), timeout=600)
    assert done.returncode == 0, done.stderr
    return Alone(dataset, root / "results" / "alone")


def filled(store: Any, alone: Alone) -> str:
    """Put the clips into the store; where they are then."""
    for clip in alone.clips:
        store.put(f"cluster/{clip.name}", clip.read_bytes())
    store.proxy.count_anew()
    return f"{store.root}/cluster"


def require_same(folder: Path, alone: Alone, *, ordered: bool) -> None:
    """Hold predictions, frames, prompts and whose answer each is against the run over files."""
    for name in ("predictions.jsonl", "clips.jsonl"):
        lines, others = ((each / name).read_text().splitlines() for each in (folder, alone.folder))
        assert (lines if ordered else sorted(lines)) == (others if ordered else sorted(others))
    assert asked(folder) == asked(alone.folder)
    assert {line["frames_sha256"] for line in lines_of(folder, "clips.jsonl")} != {None}


def asked(folder: Path) -> list[tuple[Any, ...]]:
    keys = ("model", "clip", "attempt", "outcome", "frames_sha256", "prompt_sha256", "raw")
    return sorted((tuple(line[key] for key in keys) for line in lines_of(folder, "attempts.jsonl")), key=str)


def lines_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def holding(secret: str, *folders: Path) -> list[Path]:
    """The files that have it in them."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
def test_three_merged_shards_over_a_store_are_the_run_over_files(store: Any, alone: Alone, tmp_path: Path) -> None:
    root, env = filled(store, alone), {**outside(), **store.environment}

    def bench(*words: str) -> None:
        done = run_bench([*words, "--quiet"], cwd=tmp_path, env=env, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr

    for number, on in ((1, "thread"), (2, "process"), (3, "thread")):
        given = ["--dataset", str(alone.dataset), "--data-root", root, "--on", on, "--shard", f"{number}/3"]
        bench("run", *MODELS, *given, "--run-id", f"part-{number}")
    bench("merge", *(f"results/part-{number}" for number in (1, 2, 3)), "--run-id", "whole")
    bench("verify", "results/whole", "--data-root", root)
    require_same(tmp_path / "results" / "whole", alone, ordered=True)
    # Each clip is fetched by the share that it is in, and by no other.
    fetched = [request for request in store.proxy.requests if request.startswith("GET") and ".avi" in request]
    assert len(fetched) == len(CLIPS), fetched
    for secret in secret_parts(store):
        assert holding(secret, tmp_path) == []


def secret_parts(store: Any) -> list[str]:
    return [
        part.partition("=")[2] if part.startswith("AccountKey=") else part
        for name, value in store.environment.items()
        if "SECRET" in name or "CONNECTION" in name
        for part in value.split(";")
        if "CONNECTION" not in name or part.startswith("AccountKey=")
    ]


@dataclass(frozen=True)
class Apart:
    """A Ray cluster whose machines know of no store. address : of it. logs : all that it writes."""

    address: str
    logs: Path


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patched:
        for name in set(os.environ) - set(outside()):
            patched.delenv(name)
        # Ray has made up its mind about tokens when it is imported.
        for name, value in {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}.items():
            patched.setenv(name, value)
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
        try:
            yield Apart(cluster.address, Path(cluster.head_node.get_session_dir_path()))
        finally:
            cluster.shutdown()


def on_the_cluster(apart: Apart, alone: Alone, root: str, env: dict[str, str], folder: Path) -> Path:
    """The folder of a run whose model reads the clips from the store by itself."""
    env = {**outside(), **env, "HOME": str(folder), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    given = [*MODELS, "--dataset", str(alone.dataset), "--data-root", root, "--run-id", "ray", "--quiet"]
    words = [sys.executable, "-m", "ghostbench", "run", *given, "--on", f"ray:{apart.address}"]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "results" / "ray"


@pytest.mark.slow
@pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
def test_a_worker_elsewhere_reads_the_store_with_what_the_run_has_and_nobody_writes_that_down(
    store: Any, alone: Alone, apart: Apart, tmp_path: Path
) -> None:
    root = filled(store, alone)
    folder = on_the_cluster(apart, alone, root, store.environment, tmp_path)
    require_same(folder, alone, ordered=False)
    assert {line["worker"] for line in lines_of(folder, "attempts.jsonl")} == {"motion", None}
    assert sum(request.startswith("GET") and ".avi" in request for request in store.proxy.requests) == len(CLIPS)
    for secret in secret_parts(store):
        assert holding(secret, tmp_path, apart.logs) == []


@pytest.mark.slow
def test_a_worker_elsewhere_reads_a_url_with_the_password_that_the_user_gave_in_it(
    http_store: Any, alone: Alone, apart: Apart, tmp_path: Path
) -> None:
    for clip in alone.clips:
        http_store.put(f"locked/{clip.name}", clip.read_bytes())
    root = f"{http_store.root}/locked".replace("//", "//anna:pa55word@", 1)
    require_same(on_the_cluster(apart, alone, root, {}, tmp_path), alone, ordered=False)
    assert holding("pa55word", tmp_path, apart.logs) == []


def test_a_machine_gets_what_speaks_of_the_runs_own_store_and_keeps_an_account_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in set(os.environ) - set(outside()):
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AWS_PROFILE"):
        monkeypatch.setenv(name, f"of {name}")
    named = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert {*handed_over("s3://dada/v", NO_CREDENTIALS).environment} == named
    assert {*handed_over("AZ://dada/v", NO_CREDENTIALS).environment} == {"AZURE_STORAGE_CONNECTION_STRING"}
    assert [
        handed_over(place, NO_CREDENTIALS).environment for place in ("/data", "http://host/v", "memory://v", None)
    ] == [{}] * 4
    given = handed_over("s3a://dada/v", Credentials.of("s3a://anna:pa55word@dada/v"))
    assert "of AWS" not in repr(given)
    assert given.full("s3a://dada/v/1.avi") == "s3a://anna:pa55word@dada/v/1.avi"
    for name in named:
        monkeypatch.delenv(name)
    # An account of its own, of which the other one's key is no part.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "its own")
    take_over(given)
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    take_over(given)
    assert {name: os.environ.get(name) for name in named} == {name: f"of {name}" for name in named}


@pytest.mark.parametrize(
    ("own", "store", "account"),
    [
        ("AWS_REGION", "s3://dada/v", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
        ("AWS_ENDPOINT_URL", "s3://dada/v", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")),
        ("AZURE_STORAGE_ACCOUNT_NAME", "az://dada/v", ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY")),
        ("AZURE_TENANT_ID", "abfs://dada/v", ("AZURE_STORAGE_CONNECTION_STRING",)),
    ],
)
def test_a_machine_that_only_says_where_such_a_store_is_takes_the_account_over(
    monkeypatch: pytest.MonkeyPatch, own: str, store: str, account: tuple[str, ...]
) -> None:
    monkeypatch.setattr(os, "environ", {name: f"of {name}" for name in account})
    given = handed_over(store, NO_CREDENTIALS)
    monkeypatch.setattr(os, "environ", {own: "its own", "PATH": "/bin"})
    take_over(given)
    taken = {name: f"of {name}" for name in account}
    assert dict(os.environ) == {"PATH": "/bin", own: "its own", **taken}
