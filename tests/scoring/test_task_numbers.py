"""What only a task can measure and say: under its own name, from frames of its own, and never missing by mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, dash_clips

from ghostbench.errors import BadInput
from ghostbench.report.data import read_run
from ghostbench.report.write import report_markdown
from ghostbench.scoring.score import score_run
from ghostbench.tasks.ghost_probing import GhostProbing

G, N = "ghost_probing", "normal"


def run_of(folder: Path) -> Path:
    run = RunBuilder(dash_clips(2, 0, 2))
    for name, said in (("one", [G, G, N, N]), ("other", [N, N, N, None])):
        run.model(name)
        run.rows(name, said)
    return run.write(folder / "run")


def of(task: GhostProbing, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ghostbench.scoring.task_numbers.load_task", "ghostbench.tasks.load.load_task"):
        monkeypatch.setattr(module, lambda name: task)


class Counts(GhostProbing):
    def measure(self, predictions: Any, clips: Any) -> dict[str, Any]:
        found = {"alarms": int((predictions["grade"] == G).sum()), "clips": len(clips), "none": None}
        predictions["grade"] = G
        clips["truth"] = N
        for each in clips["parameters"]:
            each["made"] = "up"
        return found

    def section(self, run: Any) -> str:
        numbers = {name: row["task"].get("alarms") for name, row in run.rows.items()}
        return f"Alarms: {numbers['one']} and {numbers['other']}."


def test_numbers_of_a_task_stand_under_task_and_change_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_of(tmp_path)
    before = score_run(folder)["models"]
    of(Counts(), monkeypatch)
    score_run(folder)
    after = json.loads((folder / "metrics.json").read_text())["models"]
    assert after["one"].pop("task") == {"alarms": 2, "clips": 4, "none": None}
    assert after["other"].pop("task") == {"alarms": 0, "clips": 4, "none": None}
    for row in before.values():
        assert row.pop("task") == {}  # type: ignore[misc]
    assert after == json.loads(json.dumps(before))
    assert "Alarms: 2 and 0." in report_markdown(read_run(folder))


@pytest.mark.parametrize("measured", [{"share": float("nan")}, {"a": object()}, None, {"a": 1 + 1j}])
def test_what_is_no_json_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: Any) -> None:
    class Odd(GhostProbing):
        def measure(self, predictions: Any, clips: Any) -> Any:
            return measured

    folder = run_of(tmp_path)
    of(Odd(), monkeypatch)
    with pytest.raises(BadInput, match=r"task 'ghost-probing' cannot measure this run \(\w+: .*\); repair it"):
        score_run(folder)
    assert not (folder / "metrics.json").exists()
