"""The recipe for a Slurm array, run by Slurm: controller, node daemon and authentication on this machine alone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RECIPE = Path(__file__).resolve().parents[2] / "docs" / "recipes" / "slurm-array.sh"
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"
WANTED = ("slurmctld", "slurmd", "munged", "sbatch", "srun")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not sys.platform.startswith("linux")
        or os.geteuid() != 0
        or not all(shutil.which(w, path=SBIN) for w in WANTED),
        reason="needs Slurm and MUNGE, and to be root",
    ),
]

CONFIG = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands find a cluster of this one machine."""
    folder = tmp_path / "slurm"
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    for path, mode in ((key, 0o600), (folder / "munge", 0o700), (folder, 0o755)):
        path.chmod(mode)
    config = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    ports = {"controller": free_port(), "daemon": free_port()}
    config.write_text(CONFIG.format(host=host, folder=folder, cpus=os.cpu_count(), **ports))
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{SBIN}", "SLURM_CONF": str(config)}
    munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
    munge += [f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge/seed"]
    daemons = [munge, ["slurmctld", "-D", "-f", str(config)], ["slurmd", "-D", "-f", str(config), "-N", host]]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for words in daemons:
            started.append(subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            time.sleep(1.0)
        until = time.monotonic() + 60
        while "idle" not in asked(env, "sinfo", "-h", "-o", "%t"):
            assert time.monotonic() < until, "".join(log.read_text()[-2000:] for log in folder.glob("*.log"))
            time.sleep(0.5)
        yield env
    finally:
        for daemon in reversed(started):
            daemon.terminate()
        for daemon in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(15)
            daemon.kill()


def asked(env: dict[str, str], *words: str, cwd: Path | None = None) -> str:
    done = subprocess.run(words, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    return done.stdout + done.stderr


def predictions(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_a_slurm_array_and_a_merge_give_the_run_of_one_machine(slurm: dict[str, str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    words = ["--models", "motion,always,category-prior", "--dataset", "ghost5"]
    said = asked(slurm, "sbatch", "--wait", "--array=1-2", str(RECIPE), *words, cwd=work)
    logs = "".join(log.read_text() for log in work.glob("*.log"))
    assert sorted(part.name for part in (work / "shards").iterdir()) == ["part-1", "part-2"], said + logs
    again = {**slurm, "SHARDS": "2"}
    manifest = work / "shards" / "part-2" / "manifest.json"
    before = json.loads(manifest.read_text())["finished_at"]
    said = asked(again, "sbatch", "--wait", "--array=2", str(RECIPE), *words, cwd=work)
    assert json.loads(manifest.read_text())["finished_at"] > before, said
    merged = asked(slurm, "bench", "merge", "shards/part-1", "shards/part-2", "--run-id", "whole", "--quiet", cwd=work)
    assert asked(slurm, "bench", "run", *words, "--run-id", "alone", "--quiet", cwd=work) == ""
    assert predictions(work / "results" / "whole") == predictions(work / "results" / "alone"), merged
    assert "whole holds" in asked(slurm, "bench", "verify", "results/whole", cwd=work)
