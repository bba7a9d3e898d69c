"""`bench compare`: only common clips, only runs made alike, corrected tests."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from evidence_data import RunBuilder, clip, dash_clips

from ghostbench.cli.compare import command
from ghostbench.errors import BadInput
from ghostbench.evidence.compare import compare, differing_clips
from ghostbench.evidence.compare_files import comparison_json
from ghostbench.evidence.compare_tables import comparison_tables
from ghostbench.evidence.contenders import read_field
from ghostbench.scoring.significance import mcnemar_exact

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"


def pair(folder: Path) -> Path:
    """Twenty clips: `good` is right on all, `bad` wrong on nine; `partly` answered the first half, all right."""
    run = RunBuilder(dash_clips(10, 0, 10))
    truth: list[str | None] = [G] * 10 + [N] * 10
    run.rows("good", truth)
    run.rows("bad", [N] * 9 + [G] + [N] * 10)
    run.rows("partly", [G] * 10 + [None] * 10)
    return run.write(folder / "run")


def test_a_pair_is_compared_on_the_clips_that_both_answered(tmp_path: Path) -> None:
    found = compare(read_field([pair(tmp_path)]))
    pairs = {(p.first, p.second, p.view, p.side): p for p in found.pairs}
    one = pairs["good", "bad", "strict", "answered"]
    assert (one.n, one.first_only, one.second_only) == (20, 9, 0)
    assert one.p == pytest.approx(mcnemar_exact(9, 0))
    accuracy = found.accuracy(one)
    assert accuracy is not None
    assert accuracy["value"] == pytest.approx(0.45)
    other = pairs["good", "partly", "strict", "answered"]
    assert (other.n, other.first_only, other.second_only) == (10, 0, 0)
    assert other.p == 1.0
    worst = pairs["good", "partly", "strict", "worst_case"]
    assert (worst.n, worst.first_only) == (20, 10)
    least, most = pairs["good", "partly", "strict", "against_first"], pairs["good", "partly", "strict", "for_first"]
    assert (least.first_only, least.second_only) == (0, 0)
    assert (most.first_only, most.second_only) == (10, 0)


def test_the_rates_of_a_model_are_computed_once_for_all_pairs_in_which_it_has_the_same_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghostbench.evidence import compare as module
    from ghostbench.scoring.intervals import estimate_rates

    tables = []
    monkeypatch.setattr(module, "estimate_rates", lambda table: tables.append(table) or estimate_rates(table))
    found = compare(read_field([pair(tmp_path)]))
    worst = [p for p in found.pairs if p.side == "worst_case" and p.view == "strict"]
    rates = {(p.first, p.second): found.rates(p) for p in worst}
    assert len(rates) == 3
    assert len(tables) == 3
    assert rates["good", "bad"].first is rates["good", "partly"].first
    assert rates["good", "bad"].first == estimate_rates(found.table(found.field.contenders[0], "strict", "worst_case"))
    assert all(found.rates(p) is rates[p.first, p.second] for p in worst)


def test_holm_is_over_all_pairs_of_a_view(tmp_path: Path) -> None:
    found = compare(read_field([pair(tmp_path)]))
    strict = [p for p in found.pairs if p.view == "strict" and p.side == "answered"]
    assert len(strict) == 3
    smallest = min(strict, key=lambda p: p.p)
    assert smallest.p_holm == pytest.approx(min(1.0, 3 * smallest.p))


def test_models_that_do_not_differ_share_their_place(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(10, 0, 10))
    run.rows("a", [G] * 10 + [N] * 10)
    run.rows("b", [G] * 9 + [N] * 11)
    run.rows("c", [N] * 10 + [G] * 10)
    ranking = compare(read_field([run.write(tmp_path / "run")])).rankings[0]
    assert ranking.n == 20
    assert [(line.name, line.place, line.group) for line in ranking.lines if not line.baseline] == [
        ("a", "1–2", "a"), ("b", "1–2", "a"), ("c", "3", "b"),
    ]  # fmt: skip


def test_models_are_ranked_by_balanced_accuracy_so_that_saying_no_always_is_worth_half(tmp_path: Path) -> None:
    """Five positives of fifty: `never` has accuracy .9, the model .8 and balanced accuracy .8."""
    run = RunBuilder(dash_clips(5, 0, 45))
    run.rows("model", [G] * 4 + [N] + [G] * 9 + [N] * 36)
    run.rows("silent", [N] * 50)
    ranking = compare(read_field([run.write(tmp_path / "run")])).rankings[0]
    order = [line.name for line in ranking.lines]
    assert order[0] == "model"
    assert {"always", "never"} <= set(order)
    never = next(line for line in ranking.lines if line.name == "never")
    assert never.baseline
    assert never.rates["balanced_accuracy"]["value"] == 0.5  # type: ignore[index]
    assert never.rates["accuracy"]["value"] == 0.9  # type: ignore[index]


def test_models_that_trade_positives_for_negatives_differ_and_neither_stands_before_the_other(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(20, 0, 20))
    run.rows("bold", [G] * 40)
    run.rows("shy", [N] * 40)
    ranking = compare(read_field([run.write(tmp_path / "run")])).rankings[0]
    lines = {line.name: line for line in ranking.lines}
    assert (lines["bold"].place, lines["shy"].place) == ("1–2", "1–2")
    assert set(lines["bold"].group).isdisjoint(lines["shy"].group)


def test_a_model_with_two_answers_does_not_take_the_others_clips_away(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(10, 0, 10))
    run.rows("a", [G] * 10 + [N] * 10)
    run.rows("b", [G] * 9 + [None] + [N] * 10)
    run.rows("two", [G, *[None] * 18, N])
    folder = run.write(tmp_path / "run")
    ranking = compare(read_field([folder])).rankings[0]
    assert ranking.n == 19
    assert ranking.left_out == {"two": 2}
    assert "two" not in {line.name for line in ranking.lines}
    named = compare(read_field([folder], models=["a", "two"])).rankings[0]
    assert (named.n, named.left_out) == (2, {})
    done = CliRunner().invoke(command, [str(folder)], standalone_mode=False)
    assert "Not ranked, too few answers: two (2 clips answered). --models" in " ".join(done.output.split())


def test_a_model_that_no_run_has_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the runs have no model 'goood'; did you mean good"):
        read_field([pair(tmp_path)], models=["goood"])


def test_every_model_stands_beside_the_baselines_as_in_its_own_report(tmp_path: Path) -> None:
    from ghostbench.scoring.score import score_run

    folder = pair(tmp_path)
    metrics = score_run(folder)["models"]
    comparison = compare(read_field([folder]))
    assert {name: row["beats_trivial"] for name, row in metrics.items()} == comparison.against
    assert comparison.against["good"]["verdict"] == "beats"
    assert comparison.against["partly"]["verdict"] == "undecided"


def test_report_and_comparison_give_the_same_interval_for_the_same_clips(tmp_path: Path) -> None:
    from ghostbench.scoring.score import score_run

    folder = pair(tmp_path)
    metrics = score_run(folder)["models"]
    comparison = compare(read_field([folder], models=["good", "bad"]))
    one = next(p for p in comparison.pairs if p.view == "lenient" and p.side == "answered")
    found = comparison.rates(one)
    for name, rates in (("good", found.first), ("bad", found.second)):
        assert rates == {rate: metrics[name]["views"]["lenient"]["answered"][rate] for rate in rates}


def test_clips_that_a_recording_does_not_hold_are_no_wrong_answers(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(10, 0, 10))
    run.rows("whole", [G] * 10 + [N] * 10)
    for place, line in enumerate(run.clips):
        asked = place < 10
        run.row("half", line["clip"], G if asked else None, outcome="answered" if asked else "not_recorded")
    found = compare(read_field([run.write(tmp_path / "run")]))
    for one in found.pairs:
        assert one.n == 10
        assert one.p_holm == 1.0


def test_runs_are_compared_on_their_common_clips_and_like_names_are_told_apart(tmp_path: Path) -> None:
    first, second = RunBuilder(dash_clips(6, 0, 6)), RunBuilder(dash_clips(6, 0, 6)[2:])
    first.rows("m", [G] * 6 + [N] * 6)
    second.rows("m", [G] * 4 + [N] * 6)
    folders = [first.write(tmp_path / "one"), second.write(tmp_path / "two")]
    with pytest.raises(BadInput, match=r"the runs differ in split .*--allow split"):
        read_field(folders)
    field = read_field(folders, ["split"])
    assert len(field.clips) == 10
    assert [contender.name for contender in field.contenders] == ["m (one)", "m (two)"]
    assert "split" in field.differences[0]


def test_runs_of_one_id_are_told_apart_and_none_of_their_models_is_lost(tmp_path: Path) -> None:
    for place, grade in (("here", G), ("there", N)):
        run = RunBuilder([clip("a", G), clip("b", N)])
        run.rows("m", [grade, N])
        run.write(tmp_path / place / "same")
    field = read_field([tmp_path / "here" / "same", tmp_path / "there" / "same"])
    assert [one.name for one in field.contenders] == ["m (same #1)", "m (same #2)"]
    assert comparison_json(compare(field))["runs"] == ["same #1", "same #2"]
    assert differing_clips(field) == {"a": {"m (same #1)": "ghost probing", "m (same #2)": "normal"}}
    run.model("m (same #1)")
    run.rows("m (same #1)", [G, N])
    run.write(tmp_path / "there" / "same")
    with pytest.raises(BadInput, match=r"two models would be called 'm \(same #1\)'"):
        read_field([tmp_path / "here" / "same", tmp_path / "there" / "same"])


@pytest.mark.parametrize(
    ("key", "manifest"),
    [
        ("sampling", {"sampling": "fps:2"}),
        ("task", {"task": {"name": "ghost-probing", "version": "2", "template_sha256": "d" * 64}}),
        ("repeats", {"repeats": 2}),
    ],
)
def test_runs_made_otherwise_are_refused_unless_that_is_allowed(tmp_path: Path, key: str, manifest: dict) -> None:
    folders = []
    for name, more in (("one", {}), ("two", manifest)):
        run = RunBuilder(dash_clips(3, 0, 3))
        run.rows(name, [G] * 3 + [N] * 3)
        folders.append(run.write(tmp_path / name, **more))
    with pytest.raises(BadInput, match=rf"the runs differ in {key} .*--allow {key}"):
        read_field(folders)
    assert len(read_field(folders, [key]).contenders) == 2


def test_other_labels_are_refused_and_when_allowed_the_first_runs_count(tmp_path: Path) -> None:
    clips = dash_clips(3, 0, 3)
    relabelled = [dict(line) for line in clips]
    relabelled[0]["truth"], relabelled[0]["truth_time_s"] = N, None
    first, second = RunBuilder(clips), RunBuilder(relabelled)
    first.rows("a", [G] * 3 + [N] * 3)
    second.rows("b", [G] * 3 + [N] * 3)
    dataset = {"name": "test", "split": "all", "labels_sha256": "f" * 64}
    one = first.write(tmp_path / "one")
    dataset["split_sha256"] = first.manifest["dataset"]["split_sha256"]
    two = second.write(tmp_path / "two", dataset=dataset)
    with pytest.raises(BadInput, match="--allow labels"):
        read_field([one, two])
    field = read_field([one, two], ["labels"])
    assert field.relabelled == (clips[0]["clip"],)
    assert field.positive.sum() == 3


def test_baselines_that_a_run_named_are_taken_from_it_and_once(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        run = RunBuilder(dash_clips(3, 0, 3))
        run.rows(name, [G] * 3 + [N] * 3)
        run.model("always", kind="reference", reference=True)
        run.rows("always", [G] * 6)
        folders.append(run.write(tmp_path / name))
    field = read_field(folders)
    assert [c.name for c in field.contenders] == ["one", "two"]
    assert [c.name for c in field.baselines] == ["always", "never", "random", "category-prior"]


def test_one_model_alone_is_compared_with_the_baselines(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(12, 0, 12))
    run.rows("m", [G] * 12 + [N] * 12)
    comparison = compare(read_field([run.write(tmp_path / "run")]))
    assert comparison.pairs == ()
    assert comparison.against["m"]["verdict"] == "beats"


def test_a_run_of_baselines_alone_compares_those(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(3, 0, 3))
    for name, grades in (("always", [G] * 6), ("never", [N] * 6)):
        run.model(name, kind="reference", reference=True)
        run.rows(name, grades)
    field = read_field([run.write(tmp_path / "run")])
    assert [c.name for c in field.contenders] == ["always", "never"]
    assert compare(field).rankings[0].n == 6


def test_with_repeats_a_clip_counts_once_for_the_model_that_was_right_more_often(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(2, 0, 0), repeats=3)
    for repeat in range(3):
        for line in run.clips:
            run.row("a", line["clip"], G, repeat=repeat)
            run.row("b", line["clip"], G if repeat else N, repeat=repeat)
    one = compare(read_field([run.write(tmp_path / "run")])).pairs[0]
    assert (one.n, one.first_only, one.second_only) == (2, 2, 0)
    assert one.p == 0.5


def test_the_clips_on_which_models_differ_are_named(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(2, 0, 2))
    run.rows("a", [G, P, N, None])
    run.rows("b", [G, G, N, N])
    field = read_field([run.write(tmp_path / "run")])
    ids = [line["clip"] for line in run.clips]
    assert differing_clips(field) == {
        ids[1]: {"a": "potential", "b": "ghost probing"},
        ids[3]: {"a": "no answer", "b": "normal"},
    }


def test_with_repeats_it_is_said_how_often_a_model_says_what(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(1, 0, 0), repeats=3)
    for repeat, grade in enumerate((G, N, G)):
        run.row("a", run.clips[0]["clip"], grade, repeat=repeat)
        run.row("b", run.clips[0]["clip"], G, repeat=repeat)
    field = read_field([run.write(tmp_path / "run")])
    (words,) = differing_clips(field).values()
    assert words == {"a": "ghost probing ×2, normal ×1", "b": "ghost probing"}


def test_the_comparison_is_written_in_four_forms(tmp_path: Path) -> None:
    folder, out = pair(tmp_path), tmp_path / "new" / "out"
    done = CliRunner().invoke(command, [str(folder), "--out", str(out), "--quiet"], standalone_mode=False)
    assert done.exception is None
    assert done.output == ""
    whole = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert whole["models"] == ["good", "bad", "partly"]
    assert whole["baselines"] == ["always", "never", "random", "category-prior"]
    differ = {(each["first"], each["second"]): each["clips"] for each in whole["differing_pairs"]}
    assert len(differ["good", "bad"]) == 9
    assert set(differ["good", "bad"]) <= set(whole["differing_clips"])
    rows = list(csv.DictReader((out / "tables" / "pairs_strict_answered.csv").open(encoding="utf-8")))
    assert [(row["first"], row["second"]) for row in rows] == [("good", "bad"), ("good", "partly"), ("bad", "partly")]
    assert "always" in (out / "tables" / "ranking_strict.csv").read_text(encoding="utf-8")
    assert r"\begin{tabular}" in (out / "tables" / "ranking_strict.tex").read_text(encoding="utf-8")
    page = (out / "comparison.html").read_text(encoding="utf-8")
    assert "Ranking, strict view" in page
    assert "<script" not in page
    first = whole["pairs"][0]
    assert (first["first"], first["second"], first["n"]) == ("good", "bad", 20)
    assert first["first_rates"]["accuracy"]["value"] == 1.0
    assert first["differences"]["accuracy"] == pytest.approx(first["accuracy"])
    again = CliRunner().invoke(command, [str(folder), "--json"], standalone_mode=False)
    assert json.loads(again.output) == whole


def test_nothing_is_written_into_a_run(tmp_path: Path) -> None:
    folder = pair(tmp_path)
    before = sorted(folder.rglob("*"))
    done = CliRunner().invoke(command, [str(folder), "--out", str(folder)], standalone_mode=False)
    assert isinstance(done.exception, BadInput)
    assert "is a run folder" in str(done.exception)
    assert sorted(folder.rglob("*")) == before


def test_names_of_models_are_text_on_the_page(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(3, 0, 3))
    run.rows("<b>bold</b>", [G] * 3 + [N] * 3)
    run.rows("m", [G] * 6)
    out = tmp_path / "out"
    CliRunner().invoke(command, [str(run.write(tmp_path / "run")), "--out", str(out)], standalone_mode=False)
    page = (out / "comparison.html").read_text(encoding="utf-8")
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page


@pytest.mark.parametrize("models", [1, 3, 30])
def test_what_is_printed_fits_thirty_lines_of_eighty_columns(
    tmp_path: Path, models: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run = RunBuilder(dash_clips(10, 0, 10))
    for number in range(models):
        grades: list[str | None] = [G] * 10 + [N] * 10
        grades[number % 20] = None
        run.rows(f"a model with a long name, number {number}", grades)
    done = CliRunner().invoke(command, [str(run.write(tmp_path / "run"))], standalone_mode=False)
    assert done.exception is None
    lines = done.output.rstrip("\n").split("\n")
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("always ") for line in lines)


@pytest.mark.slow
def test_recorded_studies_compare_and_none_differs_significantly(shared_data: Path, tmp_path: Path) -> None:
    from warm_process import run_bench

    files = sorted((shared_data / "recorded").glob("*.jsonl"))
    models = ",".join(f"replay:{path}={path.stem}" for path in files)
    ran = run_bench(
        [
            "run", "--models", models, "--task", "ghost-probing-summary", "--dataset", "dada2000",
            "--labels", str(shared_data / "dada2000" / "labels.csv"), "--out", str(tmp_path), "--run-id", "recorded",
            "--quiet",
        ],
        cwd=tmp_path,
        env=os.environ,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    out = tmp_path / "comparison"
    words = ["compare", str(tmp_path / "recorded"), "--out", str(out)]
    done = run_bench(words, cwd=tmp_path, env={**os.environ, "COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) <= 30
    assert "Answers differ on 102 clips" in done.stdout
    whole = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert "always" in {line["name"] for line in whole["rankings"]["strict"]["lines"]}
    assert len(whole["pairs"]) == 2 * 4 * len(files) * (len(files) - 1) / 2
    assert all(one["n"] <= 120 for one in whole["pairs"])
    assert min(one["p_holm"] for one in whole["pairs"] if one["side"] == "answered") > 0.05
    assert all(found["verdict"] != "beats" for found in whole["beats_trivial"].values())
    assert (out / "comparison.html").is_file()
    assert len(list((out / "tables").glob("*.tex"))) == len(list((out / "tables").glob("*.csv"))) > 10


def test_it_is_said_how_many_labels_each_lead_hangs_on_and_which_places_doubt_leaves(tmp_path: Path) -> None:
    clips = [clip(f"p{n}", G, remark="?" if n < 2 else None) for n in range(4)] + [clip(f"n{n}", N) for n in range(4)]
    builder = RunBuilder(clips)
    builder.rows("good", [G] * 4 + [N] * 4)
    builder.rows("fair", [N] * 2 + [G] * 2 + [N] * 4)
    builder.rows("poor", [N] * 4 + [N] * 4)
    comparison = compare(read_field([builder.write(tmp_path / "run")]))
    leads = {(each.first, each.second): each for each in comparison.leads if each.view == "strict"}
    assert set(leads) == {("good", "fair"), ("good", "poor"), ("fair", "poor")}
    found = leads["good", "fair"]
    assert (found.n, found.doubted) == (8, 2)
    assert found.lead is not None
    # Were both doubted clips negatives, `good` would have two false alarms of six, and `fair` none.
    assert found.lead.low == pytest.approx(-1 / 6)
    assert (found.lead.value, found.lead.flips, found.lead.doubted_flips) == (0.25, 2, 2)
    places = {each.name: (each.best, each.worst) for each in comparison.places if each.view == "strict"}
    assert places == {"good": (1, 2), "fair": (1, 2), "poor": (3, 3)}
    names = {table.name for table in comparison_tables(comparison)}
    assert {"label_flips", "places_under_doubt"} <= names
