"""A run that asks in several wordings: a row for each, frames computed on once, and nothing mixed up."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from two_ways import TWO_WAYS
from warm_process import run_bench

from ghostbench.evidence.compare import SIDES, Comparison
from ghostbench.evidence.contenders import read_field
from ghostbench.scoring.views import VIEWS

CLIPS = [f"images_{c}_{i:03}" for c in (1, 2, 3) for i in (1, 2)]
EXAMPLE = {"clip": "images_3_002.avi", "shows": "An empty road in daylight.", "answer": {"ghost": "no"}}
TASK: dict[str, Any] = {
    **TWO_WAYS,
    "variants": {
        "bold": {"system": 'Be bold. Answer {"ghost": "yes"} or {"ghost": "no"}.'},
        "polite": {"question": "Would you please say whether there is ghost probing?"},
    },
}
FEW = {**TASK, "variants": {**TASK["variants"], "few": {"examples": [EXAMPLE]}}}


def write(folder: Path, task: dict[str, Any]) -> str:
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")
    return str(path)


def verified(bench: Any, run_id: str) -> str:
    done = run_bench(["verify", str(bench.folder / "results" / run_id)], cwd=bench.folder, env=bench.env)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.mark.slow
def test_every_wording_is_a_row_of_its_own_and_features_are_computed_once_a_clip(bench: Any, tmp_path: Path) -> None:
    task = write(tmp_path, TASK)
    given = ["--task", task, "--variants", "all", "--run-id", "r", "--quiet"]
    given += [f"--set=remote-wordy.log={tmp_path / 'log'}", "--set=wordy.shy=true", "--probe", "blank"]
    done = bench.run("--models", "remote-wordy,wordy,motion,always", *given)
    assert done.returncode == 0, done.stderr
    metrics = bench.metrics("r")
    rows = [f"{m}{w}" for m in ("remote-wordy", "wordy") for w in ("", "@bold", "@polite", "+blank")]
    assert list(metrics["models"]) == [*rows, "motion", "motion+blank", "always"]
    bold = metrics["models"]["wordy@bold"]
    assert (bold["variant"], bold["of"], bold["probe"]) == ("bold", "wordy", None)
    counted = Counter((tmp_path / "log").read_text().split())
    digests = {line["frames_sha256"] for line in bench.lines("r", "clips.jsonl")}
    assert {digest: counted[digest] for digest in digests} == dict.fromkeys(digests, 1)
    by_row: dict[str, dict[str, tuple[str, str]]] = {}
    for line in bench.lines("r", "attempts.jsonl"):
        by_row.setdefault(line["model"], {})[line["clip"]] = (line["frames_sha256"], line["prompt_sha256"])
    for clip in CLIPS:
        shown = [by_row[row][clip] for row in ("wordy", "wordy@bold", "wordy@polite")]
        assert len({frames for frames, _ in shown}) == 1
        assert len({prompt for _, prompt in shown}) == 3
    order = [line["clip"] for line in bench.lines("r", "attempts.jsonl") if line["model"].startswith("remote-wordy")]
    assert max(order[::-1].index(clip) + order.index(clip) for clip in CLIPS) < len(order), (
        "those of a clip lie together"
    )
    manifest = bench.manifest("r")
    assert list(manifest["task"]["variants"]) == ["bold", "polite"]
    held = {path.stem for path in (bench.folder / "results" / "r" / "prompts").iterdir()}
    assert held == {manifest["task"]["template_sha256"], *manifest["task"]["variants"].values()}
    assert "the prompt's words" in verified(bench, "r")
    order_of = metrics["wordings"]["views"]["strict"]["order"]
    assert [(pair["first"], pair["second"]) for pair in order_of] == [("remote-wordy", "wordy")]
    assert metrics["wordings"]["names"] == ["main", "bold", "polite"]
    report = (bench.folder / "results" / "r" / "report.md").read_text()
    assert "Spread over wordings" in report
    assert "Be bold." in report
    assert "Wording polite, where it differs" in report
    spoken = [word for word in given if word != "--quiet"]
    told = bench.run("--models", "remote-wordy,wordy,motion,always", *spoken, "--dry-run", "--json").stdout
    foretold = json.loads(told)
    said = {"models": foretold["_design"], **foretold["_designs_beside"]}
    field = read_field([bench.folder / "results" / "r"])
    changed = [(row["probe"], row["variant"]) for row in metrics["models"].values() if "change" in row]
    assert {what: design["comparisons"] for what, design in said.items()} == {
        "models": len(Comparison(field).pairs) // (len(VIEWS) * len(SIDES)),
        "models in each wording": sum(len(pair["by_wording"]) for pair in order_of),
        "wordings": sum(variant is not None for _, variant in changed),
        "probes": sum(probe is not None for probe, _ in changed),
    }, "the families that were really tested"
    assert [said[what]["comparisons"] for what in said] == [3, 3, 4, 3]


@pytest.mark.slow
def test_without_the_option_no_other_wording_is_asked_and_the_main_digest_is_the_same(
    bench: Any, tmp_path: Path
) -> None:
    with_others, alone = tmp_path / "a", tmp_path / "b"
    for folder, task in ((with_others, TASK), (alone, {k: v for k, v in TASK.items() if k != "variants"})):
        folder.mkdir()
        done = bench.run("--models", "blind-spy", "--task", write(folder, task), "--run-id", folder.name, "--quiet")
        assert done.returncode == 0, done.stderr
    assert list(bench.metrics("a")["models"]) == ["blind-spy"]
    assert "wordings" not in bench.metrics("a")
    digests = [bench.manifest(run)["task"]["template_sha256"] for run in "ab"]
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_a_clip_that_is_told_as_an_example_is_not_scored_and_is_named_with_the_reason(
    bench: Any, tmp_path: Path
) -> None:
    task = write(tmp_path, FEW)
    given = ["--task", task, "--models", "wordy", "--run-id", "r"]
    done = bench.run(*given, "--variants", "few,bold")
    assert done.returncode == 0, done.stderr
    assert "not scored, as examples are told with their answers: images_3_002" in done.stderr
    clips = [line["clip"] for line in bench.lines("r", "clips.jsonl")]
    assert clips == CLIPS[:-1]
    data = bench.manifest("r")["dataset"]
    assert data["left_out"] == {"images_3_002": "example of the wording few"}
    assert "left out: 1 of 6" in data["filters"]
    assert {row["n"] for row in bench.metrics("r")["models"].values()} == {5}
    told = {line["model"]: line["evidence"] for line in bench.lines("r", "predictions.jsonl")}
    assert list(told) == ["wordy", "wordy@bold", "wordy@few"]
    report = (bench.folder / "results" / "r" / "report.md").read_text()
    assert "(example of the wording few)" in report
    assert "An example, of another clip: An empty road in daylight." in report
    sent = json.loads(
        (
            bench.folder / "results" / "r" / "prompts" / f"{bench.manifest('r')['task']['variants']['few']}.json"
        ).read_text()
    )
    assert sent["form"]["examples"][0]["clip"] == "images_3_002.avi"
    verified(bench, "r")
    assert bench.run(*given, "--variants", "few,bold", "--resume", "--quiet").returncode == 0
    refused = bench.run(*given, "--variants", "few", "--resume")
    assert refused.returncode == 2
    assert "was started with" in refused.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--variants", "brave"], "choose from all, bold, polite"),
        (["--variants", "polit"], "did you mean polite?"),
        (["--variants", "bold,bold"], "bold twice"),
        (["--variants", "main"], "asked in any case"),
        (["--variants", ""], "is no variant"),
        (["--variants", "all", "--models", "motion,always"], "no model of this run reads the question"),
        (["--variants", "all", "--task", "ghost-warning"], "has no other wording"),
    ],
)
def test_what_is_no_wording_is_one_line(words: list[str], named: str, bench: Any, tmp_path: Path) -> None:
    refused = bench.run("--models", "wordy", "--task", write(tmp_path, TASK), *words)
    assert refused.returncode == 2
    assert named in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_a_wording_that_tells_of_a_scored_clip_is_refused(bench: Any, tmp_path: Path) -> None:
    for at, text in enumerate(("As in images_1_002.", "Category 5 clips show it.", "e.g. 2.5s: ghost probing")):
        folder = tmp_path / str(at)
        folder.mkdir()
        task = write(folder, {**TASK, "variants": {"leaky": {"system": f"{text} Answer."}}})
        refused = bench.run("--models", "wordy", "--task", task, "--variants", "all")
        assert refused.returncode == 2
        assert "no model may be told that" in refused.stderr
    example = {**EXAMPLE, "shows": "As in images_3_002, a van hides a child."}
    task = write(tmp_path, {**TASK, "variants": {"few": {"examples": [example]}}})
    refused = bench.run("--models", "wordy", "--task", task, "--variants", "all")
    assert "holds the id of a clip, 'images_3_002'" in refused.stderr
    for words in ({"shows": "A van.\n\timages_3_002 is one."}, {"clip": "Images_3_002"}):
        task = write(tmp_path, {**TASK, "variants": {"few": {"examples": [{**EXAMPLE, **words}]}}})
        unlike = bench.run("--models", "wordy", "--task", task, "--variants", "all")
        assert (unlike.returncode, unlike.stderr.count("\n")) == (2, 1), unlike.stderr
    assert refused.returncode == 2


@pytest.mark.slow
def test_a_run_killed_between_two_wordings_goes_on_and_asks_nothing_twice(bench: Any, tmp_path: Path) -> None:
    given = [
        "--task",
        write(tmp_path, TASK),
        "--variants",
        "all",
        "--models",
        "remote-wordy",
        "--run-id",
        "r",
        "--quiet",
    ]
    given += ["--set", "remote-wordy.sleep_s=0.1"]
    process = bench.start(*given)
    attempts = bench.folder / "results" / "r" / "attempts.jsonl"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not (attempts.exists() and attempts.read_bytes().count(b"\n") >= 4):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = attempts.read_bytes().count(b"\n")
    assert before < 18, "it was killed before it had asked all"
    assert bench.run(*given, "--resume").returncode == 0
    asked = Counter((line["model"], line["clip"]) for line in bench.lines("r", "attempts.jsonl"))
    rows = ("remote-wordy", "remote-wordy@bold", "remote-wordy@polite")
    assert asked == Counter({(row, clip): 1 for row in rows for clip in CLIPS})
    verified(bench, "r")


@pytest.mark.slow
def test_merged_shares_are_the_run_over_all(bench: Any, tmp_path: Path) -> None:
    given = ["--task", write(tmp_path, FEW), "--variants", "all", "--models", "wordy,remote-wordy", "--quiet"]
    given += ["--set", "wordy.shy=true"]
    assert bench.run(*given, "--run-id", "whole").returncode == 0
    shares = []
    for number in (1, 2):
        assert bench.run(*given, "--shard", f"{number}/2", "--run-id", f"s{number}").returncode == 0
        shares.append(str(bench.folder / "results" / f"s{number}"))
    merged = run_bench(["merge", *shares, "--out", "results", "--run-id", "m"], cwd=bench.folder, env=bench.env)
    assert merged.returncode == 0, merged.stderr
    whole, together = bench.metrics("whole"), bench.metrics("m")
    assert together["wordings"] == whole["wordings"]
    for name, row in whole["models"].items():
        for field in ("n", "views", "confusion", "variant", "of"):
            assert together["models"][name][field] == row[field]
    assert bench.manifest("m")["dataset"]["left_out"] == bench.manifest("whole")["dataset"]["left_out"]
    verified(bench, "m")


def test_recorded_responses_are_read_by_their_wording(bench: Any, tmp_path: Path) -> None:
    lines = [{"clip": clip, "raw": '{"ghost": "no"}'} for clip in CLIPS]
    lines += [{"clip": clip, "raw": '{"ghost": "yes"}', "variant": "bold"} for clip in CLIPS]
    record = tmp_path / "rec.jsonl"
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    given = ["--task", write(tmp_path, TASK), "--models", f"replay:{record}=old", "--variants", "bold", "--run-id", "r"]
    assert bench.run(*given, "--quiet").returncode == 0
    models = bench.metrics("r")["models"]
    assert models["old"]["views"]["strict"]["answered"]["tp"] == 0
    assert models["old@bold"]["views"]["strict"]["answered"]["tp"] == 2
    lines[-1]["variant"] = 3
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused = bench.run(*given[:-1], "q")
    assert refused.returncode == 2
    assert '"variant" that is neither text nor null' in refused.stderr


def test_a_dry_run_counts_every_wording_and_says_what_each_family_can_show(bench: Any, tmp_path: Path) -> None:
    given = ["--task", write(tmp_path, TASK), "--models", "wordy,remote-wordy,always", "--variants", "all"]
    told = json.loads(bench.run(*given, "--probe", "blank", "--dry-run", "--json").stdout)
    assert told["remote-wordy@bold"]["requests"] == 6
    assert told["_design"]["comparisons"] == 1
    families = {what: design["comparisons"] for what, design in told["_designs_beside"].items()}
    assert families == {"models in each wording": 3, "wordings": 4, "probes": 2}
    said = bench.run(*given, "--probe", "blank", "--dry-run").stdout
    assert "difference between models in each wording (3 comparisons, Holm-corrected)" in said


@pytest.mark.slow
def test_in_the_recorded_study_the_prompt_moves_f1_more_than_the_model(bench: Any, shared_data: Path) -> None:
    recorded = shared_data / "recorded"
    asked, files = [], []
    for model in ("gpt-4o", "gpt-4.1"):
        lines = []
        for prompt, variant in (("fewshot", None), ("balanced", "balanced")):
            text = (recorded / f"{model}-{prompt}.jsonl").read_text(encoding="utf-8")
            own = [json.loads(line) for line in text.splitlines()]
            asked.append({line["clip"].partition(".")[0] for line in own})
            lines += [json.dumps({**line, "variant": variant}) + "\n" for line in own]
        (bench.folder / f"{model}.jsonl").write_text("".join(lines), encoding="utf-8")
        files.append(f"replay:{model}.jsonl={model}")
    common = sorted(set.intersection(*asked))
    (bench.folder / "common.txt").write_text("\n".join(common) + "\n")
    given = [
        "--dataset",
        "dada2000",
        "--labels",
        str(shared_data / "dada2000" / "labels.csv"),
        "--clips",
        "@common.txt",
    ]
    given += ["--models", ",".join(files), "--task", "study", "--variants", "all", "--run-id", "r", "--quiet"]
    done = bench.run(*given, dataset=False)
    assert done.returncode == 0, done.stderr
    found = bench.metrics("r")["wordings"]["views"]["strict"]
    (pair,) = found["order"]
    between_models = abs(pair["by_wording"]["main"]["f1"]["value"])
    between_prompts = found["spread"]["gpt-4o"]["f1"]["range"]
    assert between_models < 0.05 < 0.3 < between_prompts
    assert pair["order"] == "depends"
    assert found["variance"]["shares"]["both"] > found["variance"]["shares"]["model"]
