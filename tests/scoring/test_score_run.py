"""metrics.json from a run folder: the contract's fields, and counts that can be checked by eye."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, clip, dash_clips

from ghostbench.scoring.score import score_run

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"
RATE_NAMES = {"accuracy", "precision", "recall", "specificity", "fpr", "f1", "balanced_accuracy", "mcc"}


def small(folder: Path) -> dict[str, Any]:
    """Five clips of every truth and a model that retries, falls back and fails."""
    run = RunBuilder(
        [
            clip("a", G, time_s=2.0, duration_s=1800),
            clip("b", G, time_s=4.0, duration_s=1800),
            clip("c", "cut_in", duration_s=1800),
            clip("d", N, duration_s=900),
            clip("e", N, duration_s=900),
        ]
    )
    run.model("m", ladder=["plain text"])
    run.row("m", "a", G, event_time_s=2.5, attempts=[{"outcome": "timed_out"}, {"wait_s": 2.0}])
    run.row("m", "b", P, attempts=[{"outcome": "unparseable"}, {"fallback_level": 1, "served_model": "m-2"}])
    run.row("m", "c", G)
    run.row("m", "d", N)
    run.row("m", "e", None, outcome="unparseable", attempts=[{}, {"fallback_level": 1}])
    return score_run(run.write(folder / "run"))


def test_metrics_hold_what_the_contract_names(tmp_path: Path) -> None:
    metrics = small(tmp_path)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    row = metrics["models"]["m"]
    for field in (
        "n", "answered", "coverage", "outcomes", "attempts", "retries", "fallbacks", "served_models", "confusion",
        "detection_rates", "false_alarms_per_hour", "prevalence", "views",
    ):  # fmt: skip
        assert field in row
    for view in ("strict", "lenient"):
        for basis in ("answered", "worst_case", "best_case"):
            assert set(row["views"][view][basis]) == {"tp", "fp", "fn", "tn"} | RATE_NAMES
            for name in RATE_NAMES:
                value = row["views"][view][basis][name]
                assert value is None or set(value) == {"value", "low", "high"}
    assert set(metrics["reference"]) == {"always", "never", "random", "category-prior"}
    assert all(row["attempts"] is None for row in metrics["reference"].values())


def test_counts_are_those_one_reads_from_the_ledger(tmp_path: Path) -> None:
    row = small(tmp_path)["models"]["m"]
    assert (row["n"], row["rows"], row["answered"], row["coverage"]) == (5, 5, 4, 0.8)
    assert row["outcomes"] == {"answered": 4, "unparseable": 1}
    assert row["attempts"] == 8
    assert row["retries"] == 1
    assert row["fallbacks"] == {"1": 2}
    assert row["served_models"] == ["m-2"]
    assert row["confusion"] == {
        G: {G: 1, P: 1, N: 0, "no_answer": 0},
        "cut_in": {G: 1, P: 0, N: 0, "no_answer": 0},
        N: {G: 0, P: 0, N: 1, "no_answer": 1},
    }
    assert row["detection_rates"] == {G: 0.4, P: 0.2, N: 0.2, "no_answer": 0.2}
    assert row["prevalence"] == 0.4


def test_every_attempt_is_a_first_a_retry_or_a_fallback(tmp_path: Path) -> None:
    row = small(tmp_path)["models"]["m"]
    assert row["attempts"] == row["rows"] + row["retries"] + sum(row["fallbacks"].values())


def test_views_differ_by_the_grade_potential_and_worst_case_by_the_non_answer(tmp_path: Path) -> None:
    views = small(tmp_path)["models"]["m"]["views"]

    def cells(view: str, basis: str) -> tuple[int, ...]:
        return tuple(views[view][basis][cell] for cell in ("tp", "fp", "fn", "tn"))

    assert cells("strict", "answered") == (1, 1, 1, 1)
    assert cells("lenient", "answered") == (2, 1, 0, 1)
    assert cells("strict", "worst_case") == (1, 2, 1, 1)
    assert cells("lenient", "worst_case") == (2, 2, 0, 1)
    assert cells("strict", "best_case") == (1, 1, 1, 2)
    assert cells("lenient", "best_case") == (2, 1, 0, 2)


def test_a_positive_without_an_answer_is_a_miss_in_the_worst_case(tmp_path: Path) -> None:
    run = RunBuilder([clip("a", G), clip("b", N)])
    run.row("m", "a", None, outcome="refused")
    run.row("m", "b", N)
    row = score_run(run.write(tmp_path / "run"))["models"]["m"]
    assert row["views"]["strict"]["worst_case"]["fn"] == 1
    assert row["views"]["strict"]["worst_case"]["recall"]["value"] == 0.0
    assert row["views"]["strict"]["answered"]["recall"] is None


def test_false_alarms_are_per_hour_of_negative_footage_that_was_answered_for(tmp_path: Path) -> None:
    row = small(tmp_path)["models"]["m"]
    assert row["false_alarms_per_hour"] == pytest.approx(1 / 0.75)


def test_a_model_is_held_against_the_best_baseline_on_the_clips_it_answered(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(54, 0, 45))
    grades: list[str | None] = [G] * 52 + [N] * 2 + [G] * 40 + [N] * 5
    run.rows("better", grades)
    run.rows("worse", [G] * 40 + [N] * 14 + [G] * 40 + [N] * 5)
    metrics = score_run(run.write(tmp_path / "run"))
    better, worse = metrics["models"]["better"]["beats_trivial"], metrics["models"]["worse"]["beats_trivial"]
    assert better["strict"]["f1"] == pytest.approx(0.7123, abs=1e-4)
    assert better["strict"]["best_f1"] == pytest.approx(0.7059, abs=1e-4)
    assert better["strict"]["verdict"] == "undecided"
    assert better["verdict"] == "undecided"
    assert worse["strict"]["verdict"] == "does_not_beat"
    assert worse["verdict"] == "does_not_beat"
    assert metrics["reference"]["always"]["views"]["strict"]["answered"]["tp"] == 54


def test_answering_like_the_best_baseline_leaves_it_undecided(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(60, 0, 40))
    run.rows("same", [G] * 100)
    bar = score_run(run.write(tmp_path / "run"))["models"]["same"]["beats_trivial"]["strict"]
    assert bar["f1"] == bar["best_f1"]
    assert bar["baselines"]["always"]["difference"]["value"] == 0.0
    assert bar["verdict"] == "undecided"


def test_a_model_that_is_right_on_a_hundred_clips_beats_every_baseline(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(60, 0, 40))
    run.rows("right", [G] * 55 + [N] * 45)
    bar = score_run(run.write(tmp_path / "run"))["models"]["right"]["beats_trivial"]
    assert bar["verdict"] == "beats"
    assert set(bar["strict"]["baselines"]) == {"always", "never", "random", "category-prior"}
    assert all(each["difference"]["low"] > 0 for each in bar["strict"]["baselines"].values())


@pytest.mark.parametrize("answered", [2, 19])
def test_few_answers_of_many_beat_nothing_however_right_they_are(tmp_path: Path, answered: int) -> None:
    run = RunBuilder(dash_clips(100, 0, 100))
    yes = (answered + 1) // 2
    run.rows("lucky", [G] * yes + [None] * (100 - yes) + [N] * (answered - yes) + [None] * (100 - answered + yes))
    bar = score_run(run.write(tmp_path / "run"))["models"]["lucky"]["beats_trivial"]
    assert bar["clips"] == answered
    assert bar["verdict"] == "undecided"
    assert bar["strict"]["f1"] == 1.0
    assert bar["strict"]["baselines"]["always"]["f1"] == pytest.approx(2 * yes / (yes + answered))


def test_baselines_are_held_to_the_rows_that_the_model_answered_in_every_repeat(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(12, 0, 12), repeats=2)
    for line in run.clips:
        grade = G if line["truth"] == G else N
        run.row("m", line["clip"], grade, repeat=0)
        run.row("m", line["clip"], None if grade == N else grade, repeat=1)
    bar = score_run(run.write(tmp_path / "run"))["models"]["m"]["beats_trivial"]
    assert bar["clips"] == 24
    assert bar["strict"]["baselines"]["always"]["f1"] == pytest.approx(2 * 24 / (2 * 24 + 12))


def test_baselines_that_the_run_named_are_rows_of_the_run_and_not_computed_again(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(3, 0, 3))
    run.rows("m", [G, G, N, N, N, G])
    run.model("always", kind="reference", reference=True, needs_frames=False, mark="trivial baseline")
    run.rows("always", [G] * 6)
    metrics = score_run(run.write(tmp_path / "run"))
    assert set(metrics["reference"]) == {"never", "random", "category-prior"}
    assert metrics["models"]["always"]["beats_trivial"] is None
    assert metrics["models"]["m"]["beats_trivial"]["strict"]["best"] in ("always", "category-prior", "random")


def test_recorded_responses_are_held_against_the_baselines_like_any_model(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(3, 0, 3))
    run.model("recorded", spec="replay", kind="reference", reference=True, mark="recorded")
    run.rows("recorded", [G, G, G, N, N, N])
    row = score_run(run.write(tmp_path / "run"))["models"]["recorded"]
    assert row["baseline"] is False
    assert row["beats_trivial"]["strict"]["f1"] == 1.0
    assert row["beats_trivial"]["strict"]["verdict"] == "undecided"


def test_a_substitutes_answers_count_in_its_own_row_and_nowhere_else(tmp_path: Path) -> None:
    run = RunBuilder([clip("a", G), clip("b", G)])
    run.row("m", "a", G)
    run.row("m", "b", None, outcome="refused")
    run.model("m>motion", of="m", substitute=True)
    run.row("m>motion", "a", G, attempts=[])
    run.row("m>motion", "b", G, answered_by="substitute")
    metrics = score_run(run.write(tmp_path / "run"))["models"]
    assert metrics["m"]["answered"] == 1
    assert metrics["m"]["confusion"][G] == {G: 1, P: 0, N: 0, "no_answer": 1}
    assert metrics["m>motion"]["answered"] == 2


def test_an_answer_by_a_substitute_is_never_the_models_own(tmp_path: Path) -> None:
    run = RunBuilder([clip("a", G), clip("b", N)])
    run.row("m", "a", G, answered_by="substitute")
    run.row("m", "b", N)
    row = score_run(run.write(tmp_path / "run"))["models"]["m"]
    assert row["answered"] == 1
    assert row["views"]["strict"]["answered"]["tp"] == 0


def test_repeats_count_rows_cluster_intervals_and_state_their_agreement(tmp_path: Path) -> None:
    clips = dash_clips(10, 0, 10)
    once, thrice = RunBuilder(clips), RunBuilder(clips, repeats=3)
    for place, line in enumerate(clips):
        grade = G if place % 3 else N
        once.row("m", line["clip"], grade)
        for repeat in range(3):
            thrice.row("m", line["clip"], grade, repeat=repeat)
    one = score_run(once.write(tmp_path / "once"))["models"]["m"]
    three = score_run(thrice.write(tmp_path / "thrice"))["models"]["m"]
    assert (three["n"], three["rows"]) == (20, 60)
    assert three["views"]["strict"]["answered"]["tp"] == 3 * one["views"]["strict"]["answered"]["tp"]
    assert three["views"]["strict"]["answered"]["f1"] == pytest.approx(one["views"]["strict"]["answered"]["f1"])
    assert three["views"]["strict"]["answered"]["recall"] == pytest.approx(one["views"]["strict"]["answered"]["recall"])
    assert three["agreement"]["rate"] == 1.0
    assert three["agreement"]["kappa"] == pytest.approx(1.0)
    assert one["agreement"] is None


def test_agreement_is_fleiss_kappa_by_hand(tmp_path: Path) -> None:
    """Two repeats of four clips: G G, G N, N N, N N. Agreement 3/4, chance (3/8)^2 + (5/8)^2."""
    run = RunBuilder(dash_clips(2, 0, 2), repeats=2)
    for line, (first, second) in zip(run.clips, [(G, G), (G, N), (N, N), (N, N)], strict=True):
        run.row("m", line["clip"], first, repeat=0)
        run.row("m", line["clip"], second, repeat=1)
    found = score_run(run.write(tmp_path / "run"))["models"]["m"]["agreement"]
    chance = (3 / 8) ** 2 + (5 / 8) ** 2
    assert found["rate"] == 0.75
    assert found["kappa"] == pytest.approx((0.75 - chance) / (1 - chance))
    assert (found["unanimous"], found["clips"]) == (3, 4)


def test_a_model_that_never_answers_agrees_with_nobody_not_with_itself_either(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(1, 0, 1), repeats=2)
    for line in run.clips:
        run.row("m", line["clip"], None, repeat=0)
        run.row("m", line["clip"], None, repeat=1)
    found = score_run(run.write(tmp_path / "run"))["models"]["m"]["agreement"]
    assert found == {"rate": None, "kappa": None, "unanimous": None, "clips": 2}


def test_event_times_are_judged_on_true_positives_with_both_times_stated(tmp_path: Path) -> None:
    run = RunBuilder([clip(name, G, time_s=3.0) for name in "abcde"] + [clip("f", G), clip("g", N)])
    for name, grade, time in (
        ("a", G, 3.0),
        ("b", G, 4.0),
        ("c", P, 5.0),
        ("d", G, 9.0),
        ("e", N, None),
        ("f", G, 1.0),
    ):
        run.row("m", name, grade, event_time_s=time)
    run.row("m", "g", G, event_time_s=3.0)
    row = score_run(run.write(tmp_path / "run"))["models"]["m"]["event_time"]
    lenient = row["lenient"]
    assert (lenient["true_positives"], lenient["stated"]) == (5, 4)
    assert lenient["median_abs_error_s"] == 1.5
    assert lenient["within_1s"]["value"] == 0.5
    assert lenient["within_2s"]["value"] == 0.75
    assert row["strict"]["stated"] == 3
    assert row["strict"]["median_abs_error_s"] == 1.0


def test_a_time_that_is_said_of_every_clip_stands_beside_the_models(tmp_path: Path) -> None:
    """Labels at 1, 2, 4, 4 and 9 s; the median of the other four is 4, 4, 3, 3 and 3."""
    run = RunBuilder(
        [clip(name, G, time_s=time) for name, time in zip("abcde", (1.0, 2.0, 4.0, 4.0, 9.0), strict=True)]
    )
    for name, time in zip("abcde", (1.0, 2.5, None, 4.0, 4.0), strict=True):
        run.row("m", name, G, event_time_s=time)
    found = score_run(run.write(tmp_path / "run"))["models"]["m"]["event_time"]["strict"]
    assert found["stated"] == 4
    assert found["within_2s"]["value"] == 0.75
    constant = found["constant"]
    assert constant["time_s"] == 3.5
    assert constant["within_1s"]["value"] == 0.25
    assert constant["within_2s"]["value"] == 0.5
    assert constant["median_abs_error_s"] == 2.5
    assert constant["gain_2s"]["value"] == 0.25
    assert constant["gain_2s"]["low"] < 0 < constant["gain_2s"]["high"]


def test_precision_is_stated_for_rarer_positives(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(50, 0, 50))
    run.rows("m", [G] * 40 + [N] * 10 + [G] * 5 + [N] * 45)
    run.rows("silent", [N] * 100)
    models = score_run(run.write(tmp_path / "run"))["models"]
    found = models["m"]["precision_at"]["strict"]["prevalences"]
    assert list(found) == ["0.5", "0.1", "0.01", "0.001"]
    assert found["0.5"]["value"] == pytest.approx(8 / 9)
    assert found["0.001"]["value"] == pytest.approx(0.8 * 0.001 / (0.8 * 0.001 + 0.1 * 0.999))
    assert all(each["low"] < each["value"] < each["high"] for each in found.values())
    assert set(models["silent"]["precision_at"]["strict"]["prevalences"].values()) == {None}


def test_misses_are_split_by_whether_a_frame_could_have_shown_the_event(tmp_path: Path) -> None:
    run = RunBuilder(
        [
            clip("sampled", G, time_s=1.0, frames=(0.5, 2.0)),
            clip("between", G, time_s=0.6, frames=(0.5, 1.7)),
            clip("after", G, time_s=2.5, frames=(0.5, 2.0)),
            clip("unstated", G, frames=(0.5, 2.0)),
            clip("no frames", G, time_s=1.0, frames=None),
            clip("negative", N),
        ]
    )
    run.rows("m", [N] * 6)
    metrics = score_run(run.write(tmp_path / "run"))
    assert metrics["models"]["m"]["event_time"]["strict"]["misses"] == {
        "event_not_sampled": 2,
        "sampled_but_missed": 1,
        "unknown": 2,
    }
    covered = metrics["event_coverage"]
    assert (covered["positives"], covered["with_time"], covered["with_frames"], covered["covered"]) == (5, 4, 3, 1)


def test_slices_show_counts_and_rates_only_where_there_are_enough_clips(tmp_path: Path) -> None:
    clips = [clip(f"a{i}", G if i < 10 else N, category=1, duration_s=4.0) for i in range(25)]
    clips += [clip(f"b{i}", G, category=2, duration_s=12.0, remark="夜里?" if i else "真的？") for i in range(3)]
    run = RunBuilder(clips)
    run.rows("m", [G] * 8 + [N] * 17 + [G] * 3)
    slices = score_run(run.write(tmp_path / "run"))["models"]["m"]["slices"]
    assert slices["category"]["1"]["n"] == 25
    assert slices["category"]["1"]["lenient"]["recall"]["value"] == 0.8
    assert slices["category"]["2"]["lenient"] == {
        "tp": 3, "fp": 0, "fn": 0, "tn": 0, "accuracy": None, "recall": None, "specificity": None,
    }  # fmt: skip
    assert slices["label"]["doubted"]["n"] == 3
    assert list(slices["duration"]) == ["under 5 s", "10 to 15 s"]


def test_latency_leaves_out_warm_up_and_lines_for_which_no_model_was_asked(tmp_path: Path) -> None:
    run = RunBuilder([clip(name, G) for name in "abcd"])
    run.row("m", "a", G, attempts=[{"wall_s": 90.0, "notes": ["warm-up"]}])
    run.row("m", "b", G, attempts=[{"wall_s": 1.0, "batch_size": 4}])
    run.row("m", "c", G, attempts=[{"wall_s": 3.0, "batch_size": 4}])
    run.row("m", "d", None, outcome="missing_media", attempts=[{"wall_s": None}])
    row = score_run(run.write(tmp_path / "run"))["models"]["m"]
    assert row["latency"]["wall_s"]["n"] == 2
    assert row["latency"]["wall_s"]["p50"] == 2.0
    assert row["latency"]["batch_share_s"]["max"] == 0.75


def test_throughput_counts_only_the_time_in_which_an_attempt_was_under_way(tmp_path: Path) -> None:
    run = RunBuilder([clip(name, G) for name in "abc"])
    for name, start in (("a", "00:00"), ("b", "00:01"), ("c", "50:00")):
        run.row("m", name, G, attempts=[{"started_at": f"2026-01-01T00:{start}.000Z", "wall_s": 2.0}])
    row = score_run(run.write(tmp_path / "run"))["models"]["m"]
    assert row["throughput_clips_per_s"] == pytest.approx(3 / 5)


def test_a_worker_is_credited_with_clips_and_not_with_their_moments(tmp_path: Path) -> None:
    def asked(worker: str, at: int, moment_s: float, outcome: str = "answered") -> dict[str, object]:
        begun = f"2026-01-01T00:00:{at:02}.000Z"
        return {"worker": worker, "started_at": begun, "wall_s": 1.0, "stages": {}, "moment_s": moment_s, "attempt": 1,
                "outcome": outcome}  # fmt: skip

    run = RunBuilder([clip(name, G) for name in "abcd"])
    run.row("m", "a", G, attempts=[asked("m#1", at, float(at)) for at in range(4)])
    run.row("m", "b", G, attempts=[asked("m#1", 4, 0.0), *(asked("m#2", at, at + 1.0) for at in range(3))])
    run.row("m", "c", None, outcome="refused", attempts=[asked("m#2", 3, 0.0), asked("m#2", 4, 1.0, "refused")])
    again = [asked("m#2", 5, 0.0, "rate_limited"), {**asked("m#2", 9, 0.0), "attempt": 2}]
    run.row("m", "d", G, attempts=again)
    found = score_run(run.write(tmp_path / "run"))["models"]["m"]["workers"]["by_name"]
    assert {name: each["answered"] for name, each in found.items()} == {"m#1": 5, "m#2": 5}
    # "a" and a quarter of "b" in five seconds; the rest of "b", and "d", in seven, as nothing was under way before the
    # last attempt: "c" has no answer at one moment.
    assert found["m#1"]["clips_per_s"] == pytest.approx(1.25 / 5)
    assert found["m#2"]["clips_per_s"] == pytest.approx(1.75 / 7)


def test_the_cost_is_the_sum_of_what_is_known_and_says_what_is_not(tmp_path: Path) -> None:
    run = RunBuilder([clip(name, G) for name in "ab"])
    tokens = {"input_tokens": 10, "cached_tokens": 0, "output_tokens": 5}
    run.row("m", "a", G, attempts=[{"usage": {**tokens, "cost_usd": 0.25}}])
    run.row("m", "b", G, attempts=[{"usage": {**tokens, "cost_usd": None}}])
    usage = score_run(run.write(tmp_path / "run"))["models"]["m"]["usage"]
    assert usage == {
        "input_tokens": 20, "cached_tokens": 0, "output_tokens": 10, "cost_usd": 0.25, "attempts_without_price": 1,
    }  # fmt: skip


def test_scoring_twice_gives_the_same_file_to_the_byte(tmp_path: Path) -> None:
    small(tmp_path)
    path = tmp_path / "run" / "metrics.json"
    first = path.read_bytes()
    score_run(tmp_path / "run")
    assert path.read_bytes() == first
