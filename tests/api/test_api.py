"""Runs from Python: made, read, scored and changed without a process of their own."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ghostbench
from ghostbench.evidence.verify import verify

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two baselines on the embedded clips, made once: read it, and change nothing."""
    out = tmp_path_factory.mktemp("made")
    ghostbench.run("always,never", out=out, run_id="r", limit=4, clips="*", repeats=2)
    return out / "r"


def test_a_run_is_what_the_command_makes(made: Path) -> None:
    run = ghostbench.read_run(made)
    assert len(run.clips) == 4
    assert len(run.predictions) == len(run.attempts) == 16
    assert set(run.predictions["model"]) == {"always", "never"}
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["command"][:2] == ["bench", "run"]
    assert manifest["command"][2:8] == ["--out", str(made.parent), "--run-id", "r", "--limit", "4"]
    assert manifest["start_up_s"] is None
    assert (made / "report.html").is_file()


def test_scores_follow_from_the_frames_and_leave_the_folder_alone(made: Path) -> None:
    stated = json.loads((made / "metrics.json").read_text())
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    run = ghostbench.read_run(made)
    assert json.loads(json.dumps(ghostbench.score(run))) == stated
    assert json.loads(json.dumps(ghostbench.score(made))) == stated
    run.predictions["grade"] = "normal"
    changed = ghostbench.score(run)["models"]["always"]["views"]["strict"]["worst_case"]
    assert (changed["tp"], changed["fp"]) == (0, 0)
    assert ghostbench.score(made)["models"] == stated["models"], "frames are the caller's own"
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_what_is_changed_of_a_run_is_changed_for_nobody_else(made: Path) -> None:
    before = json.loads((made / "metrics.json").read_text())
    mine = ghostbench.read_run(made)
    mine.metrics["models"]["always"]["n"] = 999
    mine.manifest.run_id = "another"
    mine.manifest.models["always"].facts["made"] = "up"
    mine.clips["parameters"].iloc[0]["made"] = "up"
    mine.clips.loc[0, "truth"] = mine.attempts.loc[0, "clip"] = mine.predictions.loc[0, "clip"] = None
    again = ghostbench.read_run(made)
    assert again.metrics == json.loads(json.dumps(ghostbench.score(made))) == before
    assert again.manifest.run_id == made.name
    assert "made" not in again.manifest.models["always"].facts
    assert not any("made" in each for each in again.clips["parameters"])
    assert verify(made).findings == ()


def test_a_run_can_be_made_where_an_event_loop_runs(tmp_path: Path) -> None:
    async def notebook() -> ghostbench.RunData:
        return ghostbench.run(["always"], out=tmp_path, limit=1)

    run = asyncio.run(notebook())
    assert run.folder.parent == tmp_path
    assert len(run.predictions) == 1


def test_runs_of_several_threads_follow_one_another(tmp_path: Path) -> None:
    """Side by side they drew in each other's charts, imported halves of libraries, and waited for each other."""
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda name: ghostbench.run("always", out=tmp_path, run_id=name, limit=2), "abc"))
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in "abc"]
    times = sorted((each["started_at"], each["finished_at"]) for each in manifests)
    assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(times)), times


def test_a_run_goes_on_and_is_named_anew_each_time(tmp_path: Path) -> None:
    first = ghostbench.run("always", out=tmp_path, run_id="r")
    again = ghostbench.run("always", out=tmp_path, run_id="r", resume=True)
    assert len(again.attempts) == len(first.attempts)
    names = {ghostbench.run("always", out=tmp_path, limit=1).folder.name for _ in range(2)}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"models": "alwys"}, "alwys"),
        ({"models": ["always"], "limit": "many"}, "many"),
        ({"models": ["always"], "settings": {"never": {"x": 1}}}, "never"),
        ({"models": "motion", "settings": {"motion": {"threshold": 2}}}, "from 0 to 1"),
        ({"models": "always", "clips": "nothing*"}, "nothing"),
    ],
)
def test_what_the_command_refuses_is_bad_input(tmp_path: Path, options: dict[str, object], told: str) -> None:
    with pytest.raises(ghostbench.BadInput, match=re.escape(told)):
        ghostbench.run(out=tmp_path, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_an_option_that_is_none_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no option 'limmit'; it has annotations, cache, clips, "):
        ghostbench.run("always", limmit=3)
    with pytest.raises(TypeError, match="no option 'quiet'"):
        ghostbench.run("always", quiet=True)
    with pytest.raises(ghostbench.BadInput, match="/nowhere"):
        ghostbench.read_run("/nowhere")


def test_the_pages_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "0 attempts gave no answer" in printed
    assert "ghost5_01" in printed


def test_importing_ghostbench_imports_none_of_it() -> None:
    code = "import sys, ghostbench; print([m for m in ('pandas', 'click', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
