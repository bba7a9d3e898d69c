"""Alarms by the actor that an answer names."""

from __future__ import annotations

from pathlib import Path

import pytest
from evidence_data import RunBuilder, dash_clips, raw_answer

from ghostbench.scoring.actors import actor_kind
from ghostbench.scoring.score import score_run

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("child on foot", "pedestrian"),
        ("Two women", "pedestrian"),
        ("man on a bicycle", "cyclist"),
        ("boy riding a scooter", "motorbike"),
        ("motorcyclist", "motorbike"),
        ("electric bike", "motorbike"),
        ("white van", "vehicle"),
        ("pedestrian next to a bus", "pedestrian"),
        ("scarlet carpet", "other"),
        ("dog", "other"),
        ("", "unstated"),
        (None, "unstated"),
    ],
)
def test_words_are_read_as_a_kind_of_road_user(words: str | None, kind: str) -> None:
    assert actor_kind(words) == kind


def test_alarms_are_counted_by_actor_and_rated_only_where_there_are_enough(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(24, 0, 6))
    for place, line in enumerate(run.clips):
        text = raw_answer(G, actor="a child" if place < 25 else "van")
        run.row(
            "m", line["clip"], P if place % 2 else G, raw=text if place % 3 else f"Here it is:\n```json\n{text}\n```"
        )
    found = score_run(run.write(tmp_path / "run"))["models"]["m"]["actors"]
    assert found["vehicle"] == {"alarms": 5, "tp": 0, "fp": 5, "precision": None}
    assert (found["pedestrian"]["alarms"], found["pedestrian"]["tp"]) == (25, 24)
    assert found["pedestrian"]["precision"]["value"] == 0.96


def test_answers_that_raise_no_alarm_are_not_counted(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(1, 0, 1))
    run.row("m", run.clips[0]["clip"], G, raw="the words of another format")
    run.row("m", run.clips[1]["clip"], N, raw=raw_answer(N, actor="car"))
    found = score_run(run.write(tmp_path / "run"))["models"]["m"]["actors"]
    assert found == {"unstated": {"alarms": 1, "tp": 1, "fp": 0, "precision": None}}
