"""A row that saw the video is set against no row that saw the frames, on twins either."""

from __future__ import annotations

from pathlib import Path

from evidence_data import RunBuilder, clip

from ghostbench.folder.run_records import read_run_records
from ghostbench.report.data import RunData
from ghostbench.report.twin_tables import models
from ghostbench.scoring.score import compute_metrics

G, N = "ghost_probing", "normal"


def test_models_are_set_against_each_other_where_they_saw_the_same(tmp_path: Path) -> None:
    twins = [clip(f"{scene}-{twin}", G if twin == "as_is" else N) for scene in "ab" for twin in ("as_is", "no_actor")]
    for line in twins:
        line["parameters"] = dict(zip(("scene", "twin"), line["clip"].split("-"), strict=True))
    builder = RunBuilder(twins)
    for name in ("film-1", "still-1", "film-2", "still-2"):
        builder.model(name, sees_video=name.startswith("film"), needs_frames=name.startswith("still"))
        builder.rows(name, [G, N, G, G])
    records = read_run_records(builder.write(tmp_path / "r"))
    table = models(RunData(records.folder, records, compute_metrics(records)))
    assert [row[:2] for row in table.rows] == [("film-1", "film-2"), ("still-1", "still-2")]
    assert "Not set against the others: film-1, film-2 (sees the video, not the frames)." in table.note
