"""The builder of run folders as `evidence_data`, a run with something of everything, and a headless browser."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evidence_builder"))

from evidence_data import RunBuilder, clip, raw_answer

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"
HOSTILE = (
    "</script><script>document.title='run';window.ran=1</script><img src=x onerror=\"window.ran=1\">"
    "`|*_[link](javascript:ran)\x1b[31m\u202e=1+1"
)


@pytest.fixture(scope="session")
def rich_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models and a baseline on six clips: hits, misses, false alarms, a refusal, a retry, hostile text."""
    from ghostbench.report.write import write_report
    from ghostbench.scoring.score import score_run

    run = RunBuilder(
        [
            clip("images_1_001", G, time_s=2.0, remark="???"),
            clip("images_1_002", G, time_s=4.0),
            clip("images_2_003", "cut_in", category=2),
            clip("images_2_004", N, category=2, remark=HOSTILE),
            clip("images_3_005", N, category=3, duration_s=14.0),
            clip("images_3_006", N, category=3, frames=None, duration_s=None),
        ]
    )
    run.model("gpt-4.1", kind="remote", asked_model="gpt-4.1", ladder=["json_object"])
    answers = [(G, 2.5, 0.9), (N, None, 0.2), (G, 1.0, 0.7), (N, None, 0.1), (P, 3.0, 0.6), (None, None, None)]
    for line, (grade, time, score) in zip(run.clips, answers, strict=True):
        first = {"served_model": "gpt-4o-2024-11-20"}
        lines = [{"outcome": "rate_limited", "raw": None}, first] if line["clip"] == "images_1_001" else [first]
        run.row(
            "gpt-4.1", line["clip"], grade, event_time_s=time, score=score, attempts=lines,
            outcome=None if grade else "refused",
            raw=raw_answer(grade, event_time_s=time, evidence="a child runs out") if grade else HOSTILE,
        )  # fmt: skip
    for line, grade in zip(run.clips, [G, G, N, G, P, N], strict=True):
        memory = {"peak_allocated_bytes": 2 << 30, "peak_reserved_bytes": 3 << 30, "process_bytes": 4 << 30}
        run.row("local", line["clip"], grade, attempts=[{"memory": memory, "wall_s": 0.2}], raw=HOSTILE)
    run.model("always", kind="reference", reference=True, needs_frames=False, mark="trivial baseline")
    run.rows("always", [G] * 6)
    folder = run.write(tmp_path_factory.mktemp("rich") / "run")
    score_run(folder)
    write_report(folder)
    return folder
