"""Bounds under doubted labels, against every way of deciding them; and what a lead hangs on, against every flip."""

from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from evidence_data import RunBuilder, clip
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.report.data import read_run
from ghostbench.report.tables import run_tables
from ghostbench.scoring import label_doubt
from ghostbench.scoring.label_doubt import lead, rate_bounds
from ghostbench.scoring.rates import RATES, rates
from ghostbench.scoring.score import score_run
from ghostbench.scoring.views import BASES, Basis, by_clip, cells

G, N = "ghost_probing", "normal"

clips = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.lists(st.sampled_from("aqm"), min_size=1, max_size=3)),
    min_size=1,
    max_size=9,
)
"""Per clip: its truth, whether that is doubted, and each repeat: an alarm, a quiet answer, or a missing one."""


def table_of(truths: np.ndarray, rows: list[list[str]], basis: Basis) -> np.ndarray:
    at = np.array([place for place, each in enumerate(rows) for _ in each])
    said = np.array([row for each in rows for row in each])
    return by_clip(cells(truths[at], said == "a", said != "m", basis), at, len(rows))


with_one_row_each = clips.map(lambda drawn: [(truth, doubted, rows[:1]) for truth, doubted, rows in drawn])


@given(clips | with_one_row_each, st.sampled_from(BASES))
def test_rates_are_bounded_as_by_trying_every_way_of_deciding(drawn: list, basis: Basis) -> None:
    truths, doubted = (np.array([each[k] for each in drawn]) for k in (0, 1))
    rows = [each[2] for each in drawn]
    said = np.array([[each.count(kind) for kind in "aqm"] for each in rows])
    found = rate_bounds(table_of(truths, rows, basis), said, doubted, basis)
    ways = []
    for decided in itertools.product([False, True], repeat=int(doubted.sum())):
        other = truths.copy()
        other[doubted] = decided
        ways.append(rates(*table_of(other, rows, basis).sum(axis=0)))
    stands = rates(*table_of(truths, rows, basis).sum(axis=0))
    for name in RATES:
        if np.isnan(stands[name]):
            assert found[name] is None
            continue
        every = [float(way[name]) for way in ways if not np.isnan(way[name])]
        assert found[name] == pytest.approx(
            {"value": float(stands[name]), "low": min(every), "high": max(every)}, abs=1e-12
        )


def merit(ahead: np.ndarray, positive: np.ndarray) -> float:
    """Balanced accuracy of the one minus the other's, from the definition: recall and specificity apart."""
    return float((ahead[positive].mean() - ahead[~positive].mean()) / 2)


@given(
    st.lists(st.tuples(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), st.booleans(), st.booleans()), max_size=9),
)
def test_a_lead_hangs_on_as_few_labels_as_trying_every_flip_finds(drawn: list) -> None:
    ahead, positive, doubted = (np.array([each[k] for each in drawn]) for k in range(3))
    if not drawn or positive.astype(bool).all() or not positive.astype(bool).any():
        assert lead(np.asarray(ahead, float), positive.astype(bool), doubted.astype(bool)) is None
        return
    found = lead(ahead, positive, doubted)
    assert found is not None
    assert found.value == pytest.approx(merit(ahead, positive))
    fewest: dict[bool, int | None] = {False: None, True: None}
    bounds = []
    for flips in itertools.product([False, True], repeat=len(drawn)):
        turned = np.array(flips)
        other = positive ^ turned
        if other.all() or not other.any():
            continue
        value = merit(ahead, other)
        for only_doubted in (False, True):
            if only_doubted and (turned & ~doubted).any():
                continue
            if only_doubted:
                bounds.append(value)
            before = fewest[only_doubted]
            if value < -1e-9 and (before is None or turned.sum() < before):
                fewest[only_doubted] = int(turned.sum())
    assert (found.flips, found.doubted_flips) == (fewest[False], fewest[True])
    assert (found.low, found.high) == pytest.approx((min(bounds), max(bounds)))


def test_many_doubted_labels_are_bounded_in_no_time() -> None:
    rng = np.random.default_rng(1)
    n = 1500
    truths, said = rng.random(n) < 0.4, rng.random(n) < 0.5
    kinds = np.stack([said, ~said, np.zeros(n, bool)], axis=1).astype(np.int64)
    table = by_clip(cells(truths, said, np.ones(n, bool), "answered"), np.arange(n), n)
    found = rate_bounds(table, kinds, np.ones(n, dtype=bool), "answered")
    assert found["accuracy"] == {"value": pytest.approx((truths == said).mean()), "low": 0.0, "high": 1.0}


def test_what_tens_of_thousands_of_clips_hang_on_takes_little_memory() -> None:
    """The ways to turn labels grow with the square of the clips; what is held must not."""
    rng = np.random.default_rng(2)
    n = 30_000
    positive, doubted = rng.random(n) < 0.4, rng.random(n) < 0.5
    one, other = (np.where(positive, rng.random(n) < right, rng.random(n) > right) for right in (0.7, 0.6))
    kinds = np.eye(3, dtype=np.int64)[np.where(rng.random(n) < 0.1, 2, np.where(one, 0, 1))]
    table = by_clip(cells(positive, kinds[:, 0] > 0, kinds[:, 2] == 0, "worst_case"), np.arange(n), n)
    tracemalloc.start()
    try:
        found = lead(one.astype(float) - other, positive, doubted)
        bounds = rate_bounds(table, kinds, doubted, "worst_case")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert found.low < 0 < found.value == pytest.approx(0.1, abs=0.02)
    # Each label turned where the two differ moves recall or specificity, and their sums are about .1 n apart.
    assert found.flips == found.doubted_flips
    assert 500 < (found.flips or 0) < 3000
    recall = bounds["recall"]
    assert recall is not None
    assert recall["low"] < recall["value"] < recall["high"]
    assert peak < 100 << 20


@pytest.mark.parametrize("basis", BASES)
def test_with_repeats_the_ways_that_are_looked_at_do_not_grow_with_the_square_of_the_clips(
    monkeypatch: pytest.MonkeyPatch, basis: Basis
) -> None:
    rng = np.random.default_rng(4)
    n, repeats = 4000, 3
    truths, alarms = rng.random(n) < 0.4, rng.integers(0, repeats + 1, n)
    said = np.stack([alarms, repeats - alarms, 0 * alarms], axis=1)
    said[:20] = (1, 1, 1)
    table = table_of(truths, [["a"] * a + ["q"] * q + ["m"] * m for a, q, m in said], basis)
    looked_at = []

    def counted(*cells: np.ndarray) -> dict[str, np.ndarray]:
        looked_at.append(cells[0].size)
        return rates(*cells)

    monkeypatch.setattr(label_doubt, "rates", counted)
    bounds = rate_bounds(table, said, np.ones(n, dtype=bool), basis)
    # The most that are right are of clips that are called what most of their answers say.
    right = np.maximum(said[:, 0], said[:, 1]) + (said[:, 2] if basis == "best_case" else 0)
    counts = table.sum()
    assert bounds["accuracy"] is not None
    assert bounds["accuracy"]["high"] == pytest.approx(right.sum() / counts)
    assert sum(looked_at) < 50 * n * repeats


def test_a_run_says_what_hangs_on_its_doubted_labels(tmp_path: Path) -> None:
    run = RunBuilder(
        [
            clip("a", G),
            clip("b", G, remark="really??"),
            clip("c", N),
            clip("d", N) | {"labels": {"doubt": True}},
            clip("e", N, remark="sure?") | {"labels": {"doubt": False}},
        ]
    )
    run.rows("m", [G, N, N, G, N])
    found = score_run(run.write(tmp_path / "run"))["models"]["m"]["label_doubt"]
    assert found["clips"] == 2
    # b turns a miss into a right silence, d a false alarm into a hit.
    assert found["views"]["strict"]["answered"]["accuracy"] == {"value": 0.6, "low": 0.6, "high": 1.0}
    assert found["views"]["strict"]["answered"]["recall"] == {"value": 0.5, "low": 0.5, "high": 1.0}
    (table,) = [each for each in run_tables(read_run(tmp_path / "run")) if each.name == "label_doubt"]
    assert [row[:3] for row in table.rows if row[0] == "m"] == [("m", "strict", 2), ("m", "lenient", 2)]
    assert "not a 95% interval" in table.note


def test_without_doubt_nothing_is_said_of_it(tmp_path: Path) -> None:
    run = RunBuilder([clip("a", G), clip("b", N)])
    run.rows("m", [G, N])
    assert score_run(run.write(tmp_path / "run"))["models"]["m"]["label_doubt"] is None
    assert "label_doubt" not in {table.name for table in run_tables(read_run(tmp_path / "run"))}


@pytest.mark.parametrize("basis", ["answered", "worst_case"])
def test_bounds_are_the_same_however_many_ways_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch, basis: Basis
) -> None:
    rng = np.random.default_rng(3)
    said = np.eye(3, dtype=np.int64)[rng.integers(0, 3, (30, 2))].sum(axis=1)
    truths = rng.integers(0, 2, 30)
    table = np.stack([said[:, 0] * truths, said[:, 0] * (1 - truths), (2 - said[:, 0]) * truths,
                      (2 - said[:, 0]) * (1 - truths)], axis=1)  # fmt: skip
    doubted = rng.random(30) < 0.6
    whole = rate_bounds(table, said, doubted, basis)
    monkeypatch.setattr(label_doubt, "_BLOCK", 1)
    assert rate_bounds(table, said, doubted, basis) == whole
    assert any(bound is not None and bound["low"] < bound["high"] for bound in whole.values())
