"""Several wordings of one question: spread, components of variance, and orders that hang on the wording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from evidence_data import RunBuilder, dash_clips
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ghostbench.errors import BadInput
from ghostbench.evidence.contenders import read_field
from ghostbench.evidence.prompt_checks import check_words
from ghostbench.folder.run_records import read_run_records
from ghostbench.report.data import read_run
from ghostbench.report.html import table_cell
from ghostbench.report.marks import marks
from ghostbench.report.overview import overview
from ghostbench.report.tables import run_tables
from ghostbench.scoring.paired import paired_differences
from ghostbench.scoring.score import score_run
from ghostbench.scoring.significance import holm, mcnemar_exact
from ghostbench.scoring.variance import components

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"


def test_the_mean_squares_are_those_of_statsmodels() -> None:
    import statsmodels.api as sm
    from statsmodels.formula.api import ols

    draw = np.random.default_rng(5)
    right = draw.integers(0, 2, size=(3, 4, 6)).astype(float)
    m, w, c = (axis.ravel() for axis in np.indices(right.shape))
    frame = pd.DataFrame({"y": right.ravel(), "m": m, "w": w, "c": c})
    fitted = ols("y ~ C(m) + C(w) + C(c) + C(m):C(w) + C(m):C(c) + C(w):C(c)", frame).fit()
    table = sm.stats.anova_lm(fitted)
    found = components(right).mean_squares
    names = {"C(m)": "m", "C(w)": "w", "C(c)": "c", "C(m):C(w)": "mw", "C(m):C(c)": "mc", "C(w):C(c)": "wc"}
    for theirs, ours in {**names, "Residual": "mwc"}.items():
        assert found[ours] == pytest.approx(table.loc[theirs, "mean_sq"])


def test_the_components_are_those_that_scores_were_drawn_with() -> None:
    draw = np.random.default_rng(1)
    models, wordings, clips = 40, 40, 60
    variances = {"m": 0.04, "w": 0.01, "c": 0.05, "mw": 0.02, "mc": 0.03, "wc": 0.01, "mwc": 0.06}
    shapes = {
        "m": (models, 1, 1), "w": (1, wordings, 1), "c": (1, 1, clips), "mw": (models, wordings, 1),
        "mc": (models, 1, clips), "wc": (1, wordings, clips), "mwc": (models, wordings, clips),
    }  # fmt: skip
    found = [
        components(sum(draw.normal(0, variances[name] ** 0.5, shape) for name, shape in shapes.items()))
        for _ in range(30)
    ]
    assert np.mean([each.model for each in found]) == pytest.approx(0.04, rel=0.15)
    assert np.mean([each.wording for each in found]) == pytest.approx(0.01, rel=0.2)
    assert np.mean([each.both for each in found]) == pytest.approx(0.02, rel=0.05)


def test_by_hand() -> None:
    """Two models, two wordings, two clips: the mean squares worked out on paper."""
    right = np.array([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    found = components(right)
    expected = {"m": 0.5, "w": 0.0, "c": 0.5, "mw": 0.5, "mc": 0.0, "wc": 0.5, "mwc": 0.0}
    assert found.mean_squares == pytest.approx(expected)
    assert (found.model, found.wording, found.both) == pytest.approx((0.0, 0.0, 0.25))


@given(
    right=arrays.arrays(
        np.float64,
        st.tuples(st.integers(2, 4), st.integers(2, 4), st.integers(2, 6)),
        elements=st.sampled_from([0.0, 0.5, 1.0]),
    )
)
def test_components_are_no_less_than_nothing_and_know_no_order(right: Any) -> None:
    found = components(right)
    assert min(found.model, found.wording, found.both, found.clips) >= 0
    turned = components(right[::-1, ::-1, ::-1])
    assert (turned.model, turned.wording, turned.both) == pytest.approx((found.model, found.wording, found.both))
    swapped = components(right.transpose(1, 0, 2))
    assert (swapped.model, swapped.wording) == pytest.approx((found.wording, found.model))
    shares = [share for share in found.shares.values() if share is not None]
    assert not shares or sum(shares) == pytest.approx(1)
    assert components(np.ones_like(right)).shares == {"model": None, "wording": None, "both": None}


def worded(folder: Path) -> Path:
    """Two models in three wordings on ten positives and ten negatives: `a` is ahead in two, `b` in one."""
    run = RunBuilder(dash_clips(10, 0, 10))
    said = {
        "a": [G] * 10 + [N] * 10,
        "a@terse": [G] * 9 + [N] * 11,
        "a@bold": [N] * 10 + [G] * 10,
        "b": [G] * 5 + [N] * 15,
        "b@terse": [G] * 5 + [N] * 15,
        "b@bold": [G] * 10 + [N] * 9 + [None],
    }
    for name, grades in said.items():
        model, _, variant = name.partition("@")
        run.model(name, variant=variant or None, of=model if variant else None)
        run.rows(name, grades)
    run.model("c")
    run.rows("c", [G] * 20)
    task = {"name": "ghost-probing", "version": "1", "template_sha256": "c" * 64}
    task |= {"variants": {"terse": "d" * 64, "bold": "e" * 64}}
    run.write(folder, task=task)
    score_run(folder)
    return folder


def test_spread_and_order_are_told_with_the_main_wording_first(tmp_path: Path) -> None:
    run = read_run(worded(tmp_path / "r"))
    found = run.metrics["wordings"]
    assert found["names"] == ["main", "terse", "bold"]
    assert found["models"] == ["a", "b"], "c was asked in one wording alone"
    spread = found["views"]["strict"]["spread"]
    assert spread["a"]["f1"]["by_wording"]["main"]["value"] == 1.0
    assert spread["a"]["f1"]["lowest"] == "bold"
    assert spread["a"]["f1"]["range"] == 1.0
    worst = 2 * 10 / (2 * 10 + 1)
    assert spread["b"]["f1"]["by_wording"]["bold"]["value"] == pytest.approx(worst), "a missing answer is wrong"
    values = [each["value"] for each in spread["b"]["f1"]["by_wording"].values()]
    assert spread["b"]["f1"]["sd"] == pytest.approx(np.std(values, ddof=1))
    assert spread["b"]["same_verdict"]["value"] == pytest.approx(14 / 20)
    (pair,) = found["views"]["strict"]["order"]
    assert pair["order"] == "depends"
    assert pair["ahead"] == {"first": ["main", "terse"], "second": ["bold"]}
    assert pair["shown"] == {"first": 0, "second": 1}
    p = [mcnemar_exact(5, 0), mcnemar_exact(4, 0), mcnemar_exact(0, 19)]
    assert [each["p"] for each in pair["by_wording"].values()] == pytest.approx(p)
    assert [each["p_holm"] for each in pair["by_wording"].values()] == pytest.approx(holm(p))


def ordered(folder: Path, positives: int, **terse: list[str]) -> tuple[Any, Any]:
    """The order of two models that say no to four clips but for what is given of the wording `terse`, and its words."""
    run = RunBuilder(dash_clips(positives, 0, 4 - positives))
    for name in ("a", "a@terse", "b", "b@terse"):
        model, _, variant = name.partition("@")
        run.model(name, variant=variant or None, of=model if variant else None)
        run.rows(name, terse.get(model, [N] * 4) if variant else [N] * 4)
    task = {"name": "ghost-probing", "version": "1", "template_sha256": "c" * 64, "variants": {"terse": "d" * 64}}
    score_run(run.write(folder, task=task))
    read = read_run(folder)
    (table,) = (each for each in run_tables(read) if each.name == "wording_order")
    (pair,) = read.metrics["wordings"]["views"]["strict"]["order"]
    at = [column.key for column in table.columns].index("order")
    return pair["order"], table.rows[0][at]


def test_two_models_whose_f1_is_undefined_are_not_equal(tmp_path: Path) -> None:
    once = [G, N, N, N]
    assert ordered(tmp_path / "none", 0) == (None, "undefined")
    assert ordered(tmp_path / "one", 0, b=once) == (None, "undefined")
    # Without a positive F1 is 0 for who says yes, and undefined for who does not.
    assert ordered(tmp_path / "both", 0, a=once, b=once) == ("equal", "neither (F1 undefined in 1 of 2)")
    assert ordered(tmp_path / "zero", 2) == ("equal", "neither")
    assert ordered(tmp_path / "found", 2, b=once) == ("second", "b, or equal")


def test_the_variance_is_that_of_right_answers_with_missing_ones_wrong(tmp_path: Path) -> None:
    run = read_run(worded(tmp_path / "r"))
    variance = run.metrics["wordings"]["views"]["strict"]["variance"]
    assert variance["of"] == {"models": 2, "wordings": 3, "clips": 20}
    a = [[1] * 20, [1] * 9 + [0] + [1] * 10, [0] * 20]
    b = [[1] * 5 + [0] * 5 + [1] * 10] * 2 + [[1] * 19 + [0]]
    expected = components(np.array([a, b], dtype=float))
    assert variance["variances"]["both"] == pytest.approx(expected.both)
    assert variance["shares"] == pytest.approx(expected.shares)


def test_tables_say_what_is_what_and_a_wording_is_marked(tmp_path: Path) -> None:
    run = read_run(worded(tmp_path / "r"))
    tables = {table.name: table for table in run_tables(run)}
    assert "wording terse of a" in map(str, marks(run.rows["a@terse"]))
    first = tables["wordings"].rows[0]
    assert (first[0], first[5], first[7]) == ("a", "bold", "main")
    strict, _ = tables["wording_order"].rows
    assert strict[:6] == ("a", "b", "strict", "depends on the wording", "main, terse", "bold")
    changes = {(row[0], row[1], row[2]): row for row in tables["wording_changes"].rows}
    assert len(changes) == 8
    table = np.zeros((20, 4), dtype=int)
    table[:9, 0] = table[9, 2] = table[10:, 3] = 1
    main = np.zeros((20, 4), dtype=int)
    main[:10, 0] = main[10:, 3] = 1
    f1 = paired_differences(table, main)["f1"]
    assert changes["a", "terse", "strict"][5] == f1
    assert "probes" not in tables
    cell = table_cell(strict[6], tables["wording_order"], 6)
    assert cell["bounds"]
    assert cell["bar"] is None, "a difference is no share"


def test_the_best_of_a_run_is_never_another_wording_or_a_probe(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(4, 0, 4))
    run.model("m")
    run.rows("m", [G] + [N] * 7)
    run.model("m@bold", variant="bold", of="m")
    run.rows("m@bold", [G] * 4 + [N] * 4)
    run.model("m+dark", probe="dark", of="m")
    run.rows("m+dark", [G] * 4 + [N] * 4)
    run.write(tmp_path / "r", task={"name": "ghost-probing", "version": "1", "variants": {"bold": "d" * 64}})
    score_run(tmp_path / "r")
    (line,) = overview(tmp_path)
    assert line["best"]["model"] == "m"
    assert line["best"]["f1_lenient"]["value"] == pytest.approx(0.4)
    field = read_field([tmp_path / "r"])
    assert [one.name for one in field.contenders] == ["m"]
    named = read_field([tmp_path / "r"], models=["m", "m@bold"])
    assert [one.name for one in named.contenders] == ["m", "m@bold"]


def test_runs_that_have_a_wording_of_one_name_in_other_words_are_not_compared(tmp_path: Path) -> None:
    for folder, digest in (("x", "d" * 64), ("y", "e" * 64)):
        run = RunBuilder(dash_clips(2, 0, 2))
        run.rows("m", [G, G, N, N])
        task = {"name": "ghost-probing", "version": "1", "template_sha256": "c" * 64, "variants": {"bold": digest}}
        run.write(tmp_path / folder, task=task)
        score_run(tmp_path / folder)
    with pytest.raises(BadInput, match="the wording bold is not the same"):
        read_field([tmp_path / "x", tmp_path / "y"])
    assert read_field([tmp_path / "x", tmp_path / "y"], allow=["task"]).differences


def test_runs_whose_wordings_show_other_frames_of_an_example_are_not_compared(tmp_path: Path) -> None:
    def written(folder: str, digest: str, sampling: str = "uniform:2") -> Path:
        run = RunBuilder(dash_clips(2, 0, 2))
        run.rows("m", [G, G, N, N])
        task = {"name": "ghost-probing", "version": "1", "template_sha256": "c" * 64, "variants": {"few": "d" * 64}}
        entry = {"frames_sha256": digest * 64, "frame_indices": [0], "frame_times_s": [0.0], "duration_s": 1.0}
        shown = {"images_9_001": {**entry, "decoder": "drawn"}}
        run.write(tmp_path / folder, task=task, sampling=sampling, examples=shown)
        score_run(tmp_path / folder)
        return tmp_path / folder

    runs = [written("x", "a"), written("y", "b")]
    with pytest.raises(BadInput, match=r"the example images_9_001 has not the same frames .* --allow task"):
        read_field(runs)
    assert read_field(runs, allow=["task"]).differences
    assert read_field([runs[0], written("same", "a")]).differences == ()
    # Sampled otherwise, it has other frames as every clip has, and that is what is told.
    with pytest.raises(BadInput, match=r"differ in sampling .* --allow sampling$"):
        read_field([runs[0], written("z", "c", "uniform:3")])


def test_an_attempt_in_the_main_words_is_none_in_others(tmp_path: Path) -> None:
    """The builder's attempts at a clip all have one prompt."""
    found, _ = check_words(read_run_records(worded(tmp_path / "r")))
    said = {finding.message for finding in found}
    assert "a@bold was asked about images_1_0000 in the words of a" in said
    assert len(said) == 4 * 20
