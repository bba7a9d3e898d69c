"""How far an approximation is from its model: counted on the ledger's lines, shown beside the row, never made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, clip

from ghostbench import Compared, Crashed, Reply
from ghostbench.evidence.ledger_checks import check_comparisons
from ghostbench.folder.run_records import read_run_records
from ghostbench.report.account_tables import compared as table
from ghostbench.report.marks import marks
from ghostbench.running.rules.replies import checked
from ghostbench.scoring.compared import with_comparison
from ghostbench.scoring.score import compute_metrics

GRADES = ("ghost_probing", "potential_ghost_probing", "normal")


def chances(*numbers: float) -> dict[str, float]:
    return dict(zip(GRADES, numbers, strict=True))


def beside(given: tuple[float, ...], other: tuple[float, ...] | None) -> dict[str, Any]:
    """What a ledger's line says of an answer and of the other model's."""
    compared = None if other is None else {"against": "bfloat16", "grade_probabilities": chances(*other)}
    return {"grade_probabilities": chances(*given), "compared": compared}


def written(folder: Path, others: list[tuple[float, ...] | None], **facts: Any) -> Any:
    """A run of three clips by an approximation `m`; its own probabilities are .2, .3, .5 of every clip."""
    run = RunBuilder([clip(f"images_1_{place:03}") for place in range(3)])
    run.model("m", facts={"compared_with": "bfloat16", "dtype": "float8", **facts}, mark="rounded")
    run.model("plain")
    for place, other in enumerate(others):
        name = f"images_1_{place:03}"
        run.row("m", name, "normal", attempts=[beside((0.2, 0.3, 0.5), other)])
        run.row("plain", name, "normal", attempts=[{"grade_probabilities": chances(0.2, 0.3, 0.5)}])
    return read_run_records(run.write(folder))


def test_changed_grades_and_the_largest_change_are_those_of_the_lines_that_both_answered(tmp_path: Path) -> None:
    records = written(tmp_path / "r", [(0.2, 0.3, 0.5), (0.1, 0.6, 0.3), None])
    rows = compute_metrics(records)["models"]
    found = rows["m"]["compared"]
    assert (found["answers"], found["changed_grades"], found["changed_share"]["value"]) == (2, 1, 0.5)
    assert 0 < found["changed_share"]["low"] < 0.5 < found["changed_share"]["high"] < 1
    assert found["largest_change"] == pytest.approx(0.3)
    assert "compared" not in rows["plain"]
    assert "against bfloat16, of 2 answers 1 with another grade, a score changed by up to 0.3" in map(
        str, marks(rows["m"])
    )
    (line,) = table(rows).rows
    assert line[:4] == ("m", "bfloat16", 2, 1)


def test_an_attempt_in_whose_time_both_were_asked_is_in_no_latency(tmp_path: Path) -> None:
    rows = compute_metrics(written(tmp_path / "r", [(0.2, 0.3, 0.5), None, None]))["models"]
    assert rows["m"]["latency"]["wall_s"]["n"] == 2
    assert rows["m"]["latency"]["clip_s"]["n"] == 2
    assert rows["plain"]["latency"]["wall_s"]["n"] == 3


def test_what_was_not_measured_is_said_not_to_be(tmp_path: Path) -> None:
    records = written(tmp_path / "r", [None, None, None])
    row = compute_metrics(records)["models"]["m"]
    assert row["compared"] == {
        "against": "bfloat16", "answers": 0, "changed_grades": 0, "changed_share": None, "largest_change": None,
    }  # fmt: skip
    assert "how far from bfloat16: not measured" in map(str, marks(row))
    assert table({"m": row}).rows == (("m", "bfloat16", 0, None, None, None),)
    facts = with_comparison("m", records.manifest.models["m"].facts, records.attempts)
    assert (facts["changed_grade_rate"], facts["largest_score_change"]) == ("not measured", "not measured")


@pytest.mark.parametrize("other", [{}, {"yes": 1.0}])
def test_what_names_no_grade_is_no_answer_to_compare(tmp_path: Path, other: dict[str, float]) -> None:
    run = RunBuilder([clip("images_1_000")])
    run.model("m", facts={"compared_with": "bfloat16"})
    line = beside((0.2, 0.3, 0.5), None) | {"compared": {"against": "bfloat16", "grade_probabilities": other}}
    run.row("m", "images_1_000", "normal", attempts=[line])
    found = compute_metrics(read_run_records(run.write(tmp_path / "r")))["models"]["m"]["compared"]
    assert (found["answers"], found["changed_grades"], found["largest_change"]) == (0, 0, None)


def test_facts_that_the_ledger_does_not_come_to_are_a_finding(tmp_path: Path) -> None:
    others = [(0.2, 0.3, 0.5), (0.1, 0.6, 0.3), None]
    measured = {"compared_answers": 2, "changed_grade_rate": 0.5, "largest_score_change": 0.6 - 0.3}
    sound = written(tmp_path / "sound", others, **measured)
    assert check_comparisons(sound) == []
    for number, (name, value) in enumerate(measured.items()):
        found = check_comparisons(written(tmp_path / str(number), others, **{**measured, name: 0.0}))
        assert [str(one.file) for one in found] == ["manifest.json"], name
        assert value


def test_a_reply_is_compared_with_probabilities_of_grades_and_nothing_else() -> None:
    sound = Reply(
        text="{}",
        grade_probabilities=chances(0.2, 0.3, 0.5),
        compared=Compared(against="bfloat16", grade_probabilities=chances(0.2, 0.3, 0.5 + 1e-10)),
    )
    kept = checked(sound)
    assert isinstance(kept, Reply)
    assert kept.compared == replace(sound.compared, grade_probabilities=dict(sound.compared.grade_probabilities))
    for broken in (
        "bfloat16",
        Compared(against="", grade_probabilities=chances(0.2, 0.3, 0.5)),
        Compared(against="bfloat16", grade_probabilities={}),
        Compared(against="bfloat16", grade_probabilities=chances(0.2, 0.3, float("nan"))),
        Compared(against="bfloat16", grade_probabilities={"yes": 1.0}),
    ):
        assert isinstance(checked(replace(sound, compared=broken)), Crashed), broken
    assert isinstance(checked(replace(sound, grade_probabilities=None)), Crashed)


def test_facts_of_before_are_counted_anew_and_all_others_kept(tmp_path: Path) -> None:
    records = written(tmp_path / "r", [(0.2, 0.3, 0.5), (0.1, 0.6, 0.3), None], compared_answers=1, load_s=2.0)
    facts = with_comparison("m", records.manifest.models["m"].facts, records.attempts)
    assert facts["compared_answers"] == 2
    assert (facts["load_s"], facts["dtype"]) == (2.0, "float8")
