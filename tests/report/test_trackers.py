"""Runs in MLflow's own server, in W&B offline, and as a dataset of the hub, where their libraries are installed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from evidence_data import RunBuilder, clip

from ghostbench.cli.main import bench
from ghostbench.folder.tags import write_tags
from ghostbench.scoring.score import score_run

ROOT = Path(__file__).parents[2]
G, N = "ghost_probing", "normal"
READ_WANDB = """
import json, struct, sys
from wandb.proto import wandb_internal_pb2 as pb

def records(data, block=32768):  # LevelDB's log format, after a header of 7 bytes
    at, whole = 7, b""
    while at + 7 <= len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""

found = {"summary": {}, "config": {}}
for data in records(open(sys.argv[1], "rb").read()):
    record = pb.Record()
    record.ParseFromString(data)
    if record.WhichOneof("record_type") == "summary":
        for item in record.summary.update:
            found["summary"][item.key or "/".join(item.nested_key)] = item.value_json
    if record.WhichOneof("record_type") == "run":
        found["tags"], found["notes"] = list(record.run.tags), record.run.notes
        found["config"].update({item.key: item.value_json for item in record.run.config.update})
print(json.dumps(found))
"""
READ_SET = """
import sys, datasets
datasets.load_dataset(sys.argv[1], "predictions", split="train").to_json("x.json")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder = RunBuilder([clip("a", G, time_s=2.0), clip("b"), clip("c", G), clip("d")])
    builder.model("m/ü", settings={"path": "/home/somebody/weights", "seed": 3})
    fault = {"type": "DecodeFailed", "message": "cannot open /home/somebody/b.avi"}
    for name, said in (("a", G), ("b", None), ("c", N), ("d", G)):
        builder.row("m/ü", name, said, outcome=None if said else "decode_failed", attempts=[{"error": fault}])
    folder = builder.write(tmp_path_factory.mktemp("runs") / "r")
    score_run(folder)
    (folder / "report.html").write_text('<img src="data:image/jpeg;base64,AAAA">')
    write_tags(folder, add=["paper"], note="a note")
    return folder


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with MLflow, W&B and `datasets`; skips where there is none."""
    place = ROOT / ".trackers" / "bin"
    if not (place / "python").exists():
        pytest.skip("no environment with the trackers' libraries: .ci/run makes it")
    return place


def environment(**more: str) -> dict[str, str]:
    away = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "WANDB", "HF_"))}
    return {**away, "PYTHONPATH": f"{ROOT / 'benchmark'}:{ROOT / 'adapters'}", "GIT_PYTHON_REFRESH": "quiet", **more}


def export(tracker: Path, run: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [str(tracker / "python"), "-m", "ghostbench", "export", str(run), *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment(**more), cwd=run.parent, timeout=240, check=False
    )


@pytest.fixture(scope="module")
def mlflow_server(tracker: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [
        str(tracker / "mlflow"), "server", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{place}/db.sqlite", "--artifacts-destination", str(place / "artifacts"),
    ]  # fmt: skip
    path = f"{tracker}:{os.environ['PATH']}"
    with (place / "log").open("w") as log:
        server = subprocess.Popen(
            words, stdout=log, stderr=log, env=environment(PATH=path), cwd=place, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 240
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, (place / "log").read_text()
                assert time.monotonic() < end, (place / "log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def ask(address: str, path: str, **body: Any) -> Any:
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/{path}",
        json.dumps(body).encode() if body else None,
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_mlflows_own_server_has_the_run_its_rows_and_its_files_once(
    tracker: Path, run: Path, mlflow_server: str
) -> None:
    words = ("--to", "mlflow", "--project", "ghosts", "--json")
    done = export(tracker, run, *words, MLFLOW_TRACKING_URI=mlflow_server)
    assert done.returncode == 0, done.stderr
    own = json.loads(done.stdout)["place"]
    experiment = ask(mlflow_server, "experiments/get-by-name?experiment_name=ghosts")["experiment"]["experiment_id"]
    runs = ask(mlflow_server, "runs/search", experiment_ids=[experiment])["runs"]
    tags = {each["info"]["run_id"]: {tag["key"]: tag["value"] for tag in each["data"]["tags"]} for each in runs}
    assert tags[own]["tag.paper"] == "yes"
    assert tags[own]["mlflow.note.content"] == "a note"
    rows = {
        each["info"]["run_name"]: each for each in runs if tags[each["info"]["run_id"]].get("mlflow.parentRunId") == own
    }
    assert set(rows) == {"m/ü", "always", "never", "random", "category-prior"}
    numbers = {metric["key"]: metric["value"] for metric in rows["m/ü"]["data"]["metrics"]}
    stated = json.loads((run / "metrics.json").read_text())["models"]["m/ü"]["views"]["strict"]["answered"]
    assert numbers["strict.answered.f1.value"] == pytest.approx(stated["f1"]["value"])
    assert numbers["strict.answered.tp"] == stated["tp"]
    settings = {param["key"]: param["value"] for param in rows["m/ü"]["data"]["params"]}
    assert settings["setting.path"] == "…/weights"
    files = {each["path"] for each in ask(mlflow_server, f"artifacts/list?run_id={own}")["files"]}
    assert {"manifest.json", "attempts.jsonl", "metrics.json"} <= files
    assert "report.html" not in files  # it holds frames that may not be passed on
    again = export(tracker, run, *words, MLFLOW_TRACKING_URI=mlflow_server)
    assert again.returncode == 2
    assert f"MLflow has this run already, as {own}" in again.stderr


@pytest.mark.slow
def test_wandb_offline_keeps_settings_numbers_tags_and_the_table(tracker: Path, run: Path) -> None:
    done = export(tracker, run, "--to", "wandb", "--json", WANDB_MODE="offline", WANDB_DIR=str(run.parent))
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout)["place"])
    (file,) = folder.glob("*.wandb")
    words = [str(tracker / "python"), "-c", READ_WANDB, str(file)]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, env=environment(), check=True).stdout)
    stated = json.loads((run / "metrics.json").read_text())["models"]["m/ü"]["views"]["strict"]["answered"]["f1"][
        "value"
    ]
    assert json.loads(found["summary"]["m/ü/strict.answered.f1.value"]) == pytest.approx(stated)
    assert (found["tags"], found["notes"]) == (["paper"], "a note")
    assert json.loads(found["config"]["dataset"]) == "test"
    assert b"somebody" not in file.read_bytes()


@pytest.mark.slow
def test_the_hubs_own_library_reads_the_dataset_offline_and_an_upload_is_refused_in_a_line(
    tracker: Path, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = export(tracker, run, "--to", "hf", "--out", str(out), **offline)
    assert done.returncode == 0, done.stderr
    words = [str(tracker / "python"), "-c", READ_SET, str(out)]
    subprocess.run(words, capture_output=True, env=environment(**offline), cwd=tmp_path, check=True)
    lines = [json.loads(line) for line in (tmp_path / "x.json").read_text().splitlines()]
    assert [(line["clip"], line["grade"]) for line in lines] == [("a", G), ("b", None), ("c", N), ("d", G)]
    assert all(b"somebody" not in path.read_bytes() for path in out.iterdir())
    refused = export(tracker, run, "--to", "hf", "--out", str(out), "--repository", "me/ghosts", **offline)
    assert refused.returncode == 2
    assert "the hub does not take the run" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("form", ["mlflow", "wandb"])
def test_a_tracker_whose_library_is_missing_is_said_with_the_extra(run: Path, form: str) -> None:
    try:
        __import__(form)
        pytest.skip(f"{form} is here")
    except ImportError:
        pass
    with pytest.raises(Exception, match=rf"needs the extra \[{form}\]: pip install"):
        bench.main(["export", str(run), "--to", form], standalone_mode=False)


def test_options_that_do_nothing_are_refused(run: Path, tmp_path: Path) -> None:
    for words, why in (
        (["--to", "csv", "--project", "x"], "--project goes with"),
        (["--to", "csv", "--repository", "x/y"], "--repository goes with"),
        (["--to", "mlflow", "--out", str(tmp_path)], "--out goes with files"),
    ):
        result = CliRunner().invoke(bench, ["export", str(run), *words])
        assert why in str(result.exception)
