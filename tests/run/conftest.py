"""A small dataset of drawn clips, the spy plugin on the path, and `bench` as a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from drawn_data import moving_square, write_dataset, write_video
from warm_process import run_bench

sys.path.insert(0, str(Path(__file__).parents[1] / "evidence_builder"))

SPIES = Path(__file__).parent / "spies"
BENCH = [sys.executable, "-m", "ghostbench"]


@dataclass
class Bench:
    """Runs `bench` in a folder of its own, with the spies on the path."""

    folder: Path
    dataset: Path

    @property
    def env(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.folder / "site"), str(SPIES)])
        return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}

    def words(self, *words: str, dataset: bool = True) -> list[str]:
        chosen = ["--dataset", str(self.dataset)] if dataset else []
        return [*BENCH, "run", *chosen, *words]

    def start(self, *words: str, dataset: bool = True, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*words, dataset=dataset),
            cwd=self.folder,
            env={**self.env, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, dataset: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        _, _, _, *given = self.words(*words, dataset=dataset)
        return run_bench(given, cwd=self.folder, env={**self.env, **more})

    def hurry(self, first_s: float = 0.02, longest_s: float = 0.1) -> None:
        """From here on, what is away is looked at again after such pauses; how often is as it was."""
        (self.folder / "site" / "sitecustomize.py").write_text(
            "from ghostbench.running.rules.patience import Patience\n"
            f"Patience.__init__.__kwdefaults__.update(first_s={first_s}, longest_s={longest_s})\n",
            encoding="utf-8",
        )

    def lines(self, run_id: str, name: str) -> list[dict[str, Any]]:
        path = self.folder / "results" / run_id / name
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def manifest(self, run_id: str) -> dict[str, Any]:
        return json.loads((self.folder / "results" / run_id / "manifest.json").read_text(encoding="utf-8"))

    def metrics(self, run_id: str) -> dict[str, Any]:
        return json.loads((self.folder / "results" / run_id / "metrics.json").read_text(encoding="utf-8"))


CLIPS = {
    "images_1_001": "1.0s: ghost probing",
    "images_1_002": "none",
    "images_2_001": "ghost probing",
    "images_2_002": "0.5s: cut-in",
    "images_3_001": "none",
    "images_3_002": "none",
}


@pytest.fixture(scope="session")
def drawn_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of 24 frames, 64 x 48 pixels, each of another brightness; labels; a YAML file."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "clips").mkdir()
    for number, clip in enumerate(CLIPS):
        write_video(root / "clips" / f"{clip}.avi", moving_square(30 + 35 * number))
    return write_dataset(root, CLIPS)


def install_spies(folder: Path) -> Path:
    """Put the spies' distribution into a folder; return it."""
    info = folder / "site" / "spies-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spies\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ghostbench]\nspies = spies\n")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, drawn_dataset: Path) -> Bench:
    """A whole run `r` of one model, made once for a module: read it, and change nothing."""
    bench = Bench(install_spies(tmp_path_factory.mktemp("finished")), drawn_dataset)
    assert bench.run("--models", "blind-spy", "--run-id", "r").returncode == 0
    return bench


@pytest.fixture(scope="module")
def module_bench(tmp_path_factory: pytest.TempPathFactory, drawn_dataset: Path) -> Bench:
    """`bench` in a folder of the module's own, with the spies installed."""
    return Bench(install_spies(tmp_path_factory.mktemp("module")), drawn_dataset)


@pytest.fixture
def bench(tmp_path: Path, drawn_dataset: Path) -> Bench:
    """`bench` in an empty folder, with the spies installed."""
    return Bench(install_spies(tmp_path), drawn_dataset)
