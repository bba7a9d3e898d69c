"""`bench agree`: agreement as independent packages and tables made by hand have it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from ghostbench.cli.main import bench
from ghostbench.errors import BadInput
from ghostbench.labelling.agree import agree
from ghostbench.labelling.log import begin
from ghostbench.labelling.raters import read_raters
from ghostbench.scoring.reliability import cohen_kappa, interval_alpha, nominal_alpha

category = st.integers(0, 2)


@given(st.lists(st.tuples(category, category), min_size=1, max_size=40))
def test_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    table = np.zeros((3, 3))
    for one, other in pairs:
        table[one, other] += 1
    found = cohen_kappa(table)
    one, other = zip(*pairs, strict=True)
    if set(one) == set(other) and len(set(one)) == 1:
        assert found is None
        return
    assert found is not None
    assert found["value"] == pytest.approx(cohen_kappa_score(one, other, labels=[0, 1, 2]))
    assert found["low"] <= found["value"] <= found["high"]  # type: ignore[operator]
    assert found["low"] < found["high"]  # type: ignore[operator]


def gaps(value: st.SearchStrategy[object]) -> st.SearchStrategy[list[list[object]]]:
    return st.integers(2, 5).flatmap(
        lambda raters: st.lists(st.lists(st.none() | value, min_size=raters, max_size=raters), min_size=1, max_size=15)
    )


def reference(units: list[list[float | None]], level: str) -> float | None:
    """Alpha by the package `krippendorff`; None where it has none."""
    kept = [unit for unit in units if sum(value is not None for value in unit) > 1]
    values = {value for unit in kept for value in unit if value is not None}
    if len(values) < 2:
        return None
    data = np.array([[np.nan if v is None else float(v) for v in unit] for unit in kept]).T
    return float(krippendorff.alpha(reliability_data=data, level_of_measurement=level))


@given(gaps(category))
def test_alpha_of_categories_is_the_packages(units: list) -> None:
    found, want = nominal_alpha(units, 3), reference(units, "nominal")
    if want is None:
        assert found is None
    else:
        assert found is not None
        assert found["value"] == pytest.approx(want)
        assert found["low"] <= found["value"] <= found["high"]  # type: ignore[operator]
        assert found["low"] < found["high"]  # type: ignore[operator]


@given(gaps(st.floats(0, 20).map(lambda value: round(value, 2))))
def test_alpha_of_times_is_the_packages(units: list) -> None:
    found, want = interval_alpha(units), reference(units, "interval")
    if want is None:
        assert found is None
    else:
        assert found is not None
        assert found["value"] == pytest.approx(want, abs=1e-9)


@pytest.mark.slow
@given(st.lists(st.tuples(category, category), min_size=2, max_size=30))
def test_for_two_raters_without_gaps_alpha_and_kappa_nearly_agree(pairs: list) -> None:
    alpha, table = nominal_alpha(pairs, 3), np.zeros((3, 3))
    for one, other in pairs:
        table[one, other] += 1
    kappa = cohen_kappa(table)
    assume(alpha is not None and kappa is not None)
    both = [value for pair in pairs for value in pair]
    assume(min(both.count(k) for k in set(both)) > 1)
    # Scott's pi corrected for small samples: alpha = 1 - (1 - pi)(2n - 1)/(2n), and pi <= kappa.
    n = len(pairs)
    pi = 1 - (1 - alpha["value"]) * 2 * n / (2 * n - 1)  # type: ignore[index]
    assert pi <= kappa["value"] + 1e-9 or math.isclose(pi, kappa["value"])  # type: ignore[index]


def written(folder: Path, name: str, *rows: str, header: str = "video_id,ground_truth_label,first_visible_s") -> str:
    path = folder / name
    path.write_text("\n".join((header, *rows)) + "\n")
    return str(path)


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    """Ten clips. Anna and Ben agree on 4 ghost probings and 3 others, and differ on three; 9 and 10 only Anna has."""
    anna = ["2s: ghost probing"] * 5 + ["none"] * 4 + ["cut-in"]
    ben = ["2.2s: ghost probing"] * 4 + ["none"] + ["ghost probing", "none", "none"]
    seen = ["1.0", "1.5", "2.0", "2.5", "", "", "", "", "3", "3"]
    says = ["1.2", "1.9", "3.5", "", "1.0", "", "", ""]
    return [
        written(tmp_path, "anna.csv", *(f"c{n},{t},{s}" for n, (t, s) in enumerate(zip(anna, seen, strict=True)))),
        written(tmp_path, "ben.csv", *(f"c{n},{t},{s}" for n, (t, s) in enumerate(zip(ben, says, strict=True)))),
    ]


def test_two_annotators_are_compared_as_a_table_by_hand_says(two: list[str]) -> None:
    found = agree(read_raters(two))
    (pair,) = found.truth.pairs
    assert (pair.first, pair.second, pair.n, found.clips, found.truth.clips) == ("anna.csv", "ben.csv", 8, 10, 8)
    assert pair.confusion["ghost_probing"] == {"ghost_probing": 4, "cut_in": 0, "normal": 1}
    assert pair.confusion["normal"] == {"ghost_probing": 1, "cut_in": 0, "normal": 2}
    assert pair.same is not None
    assert pair.same["value"] == 6 / 8
    assert pair.kappa is not None
    assert pair.kappa["value"] == pytest.approx((6 / 8 - (25 + 9) / 64) / (1 - (25 + 9) / 64))
    (event,), (visible,) = found.times["event_s"].pairs, found.times["first_visible_s"].pairs
    assert event.n == 4
    assert (event.median_s, event.earlier_s) == pytest.approx((0.2, -0.2))
    assert (visible.n, visible.median_s) == (3, pytest.approx(0.4))
    assert [each and round(each["value"], 3) for each in visible.within.values()] == [0.333, 0.667, 0.667]


def test_a_file_is_as_many_raters_as_it_names_annotators(tmp_path: Path) -> None:
    header = "video_id,ground_truth_label,annotator,occluder"
    one = written(tmp_path, "both.csv", "a,none,Anna,Bus", "b,ghost probing,Anna,van", "c,none,Ben,", header=header)
    two = written(tmp_path, "more.csv", "a,none,Ben,bus", "b,none,Ben,wall", "c,none,,", header=header)
    raters = read_raters([one, two])
    assert [(rater.name, len(rater.ratings)) for rater in raters] == [
        ("Anna", 2), ("Ben", 1), ("Ben (2)", 2), ("more.csv", 1)
    ]  # fmt: skip
    found = agree(raters)
    (words,) = found.words["occluder"].pairs
    assert (words.first, words.second, words.n) == ("Anna", "Ben (2)", 2)
    assert words.same is not None
    assert words.same["value"] == 0.5


def test_an_annotation_file_is_a_rater_that_only_says_when(tmp_path: Path, two: list[str]) -> None:
    rows = ["c0,2.5,1.1,x", "c1,2.5,1.4,x", "c7,9,8,x"]
    when = written(tmp_path, "when.csv", *rows, header="video_id,contact_s,first_visible_s,weather")
    raters = read_raters([two[0], when, two[1]])
    assert [rater.name for rater in raters] == ["anna.csv", "when.csv", "ben.csv"]
    assert [rater.silent for rater in raters] == [False, True, False]
    found = agree(raters)
    assert {(pair.first, pair.second) for pair in found.truth.pairs} == {("anna.csv", "ben.csv")}
    first = {(pair.first, pair.second): pair for pair in found.times["first_visible_s"].pairs}
    assert first["anna.csv", "when.csv"].n == 2
    assert first["anna.csv", "when.csv"].median_s == pytest.approx(0.1)
    assert "contact_s" not in found.times


def test_all_who_always_say_the_same_one_thing_have_no_kappa(tmp_path: Path) -> None:
    files = [written(tmp_path, f"{name}.csv", "a,none,", "b,none,") for name in "xy"]
    found = agree(read_raters(files))
    assert found.truth.alpha is None
    assert found.truth.pairs[0].kappa is None
    assert found.truth.pairs[0].same == pytest.approx({"value": 1.0, "low": 0.342, "high": 1.0}, abs=1e-3)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (["a.csv"], "one annotator agrees with nobody"),
        (["a.csv", "other.csv"], "no clip is labelled twice"),
        (["a.csv", "bad.csv"], "bad.csv, line 2: the label 'maybe'"),
        (["a.csv", "strange.csv"], "no annotation that is known"),
        (["a.csv", "elsewhere.csv"], "says nothing of these clips"),
        (["a.csv", "none.csv"], "none.csv"),
        (["a.csv", "./a.csv"], "a.csv is named twice"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(tmp_path: Path, files: list[str], why: str) -> None:
    written(tmp_path, "a.csv", "a,none,1")
    written(tmp_path, "other.csv", "b,none,1")
    written(tmp_path, "bad.csv", "a,maybe,1")
    written(tmp_path, "strange.csv", "a,b", header="x,y")
    written(tmp_path, "elsewhere.csv", "z,1", header="video_id,contact_s")
    with pytest.raises(BadInput) as caught:
        agree(read_raters([str(tmp_path / name) for name in files]))
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def call(*words: str) -> Result:
    return CliRunner().invoke(bench, ["agree", *words])


def test_the_command_prints_in_short_by_table_and_as_json(two: list[str]) -> None:
    short = call(*two)
    assert short.exit_code == 0, short.output
    lines = short.output.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    stated = json.loads(call(*two, "--json").output)
    assert stated["truth"]["pairs"][0]["kappa"]["value"] == pytest.approx(0.4666667)
    assert [rater["clips"] for rater in stated["raters"]] == [10, 8]
    assert "anna.csv" in call(*two, "--table", "confusion").output
    assert "Within 0.5 s" in " ".join(call(*two, "--all").output.split())
    assert isinstance(call(*two, "--table", "nonsense").exception, BadInput)
    assert call(*two, "--quiet").output == ""


def test_the_official_annotation_and_the_consensus_are_silent_raters_of_real_clips(shared_data: Path) -> None:
    files = [
        shared_data / "dada2000" / "labels.csv",
        shared_data / "annotations" / "dada_text_annotations.xlsx",
        shared_data / "annotations" / "badas_dada2000_consensus.csv",
    ]
    if not all(file.is_file() for file in files):
        pytest.skip("the annotations are not there")
    places = [str(file) for file in files]
    with pytest.raises(BadInput, match="say where the clips are with --data-root"):
        read_raters(places)
    raters = read_raters(places, data_root=str(shared_data / "dada2000" / "clips"))
    found = agree(raters)
    (contact,) = [pair for pair in found.times["contact_s"].pairs if pair.second.startswith("badas")]
    assert contact.n >= 8
    assert contact.within["0.5"] is not None
    assert contact.within["0.5"]["value"] >= 0.8
    assert found.times["contact_s"].alpha is not None
    assert found.times["contact_s"].alpha["value"] > 0.9


def test_raters_who_looked_at_different_files_of_a_clip_are_told(tmp_path: Path) -> None:
    seen = {"anna": {"a": "1" * 64, "b": "2" * 64, "c": "frames"}, "ben": {"a": "1" * 64, "b": "3" * 64}}
    for name, digests in seen.items():
        log = begin(tmp_path / f"{name}.jsonl", name, "some", tuple((clip, 0) for clip in "abc"))
        for clip in "abc":
            if clip in digests:
                log.append((clip, 0), media=digests[clip])
            log.append((clip, 0), set="truth", value="normal")
    files = [str(tmp_path / f"{name}.jsonl") for name in ("anna", "ben")]
    told = "1 clip was labelled by two of them in different files"
    shown = CliRunner().invoke(bench, ["agree", *files])
    assert told in shown.stderr
    assert told not in CliRunner().invoke(bench, ["agree", *files, "--quiet"]).stderr
    assert json.loads(CliRunner().invoke(bench, ["agree", *files, "--json"]).stdout)["other_media"] == 1
