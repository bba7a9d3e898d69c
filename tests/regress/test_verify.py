"""`bench verify`: every edited file and every number that the ledger does not give is named."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tracemalloc
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from evidence_data import RunBuilder, clip, raw_answer

from ghostbench.cli.verify import command
from ghostbench.datasets.granted import Granted
from ghostbench.errors import BadInput
from ghostbench.evidence.differences import differences
from ghostbench.evidence.ledger_checks import check_predictions
from ghostbench.evidence.sensitivity import sensitivity, write_sensitivity
from ghostbench.evidence.verify import verify
from ghostbench.folder.run_records import read_run_records
from ghostbench.folder.seal import write_sealed
from ghostbench.folder.sums import write_sums
from ghostbench.report.write import write_report
from ghostbench.scoring.score import score_run
from ghostbench.tasks.ghost_probing import GhostProbing

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"
LABELS = "video_id,ground_truth_label\na,2s: ghost probing\nb,none\nc,cut-in\nd,ghost probing\n"


def made(folder: Path) -> Path:
    """A whole run whose label file and task are the real ones."""
    labels = folder / "labels.csv"
    labels.write_text(LABELS)
    run = RunBuilder([clip("a", G, time_s=2.0, category=None), clip("b"), clip("c", "cut_in"), clip("d", G)])
    run.model("m", ladder=["plain"])
    run.row("m", "a", G, event_time_s=2.5)
    run.row("m", "b", N, attempts=[{"outcome": "timed_out", "raw": None}, {}])
    run.row("m", "c", P, attempts=[{"outcome": "unparseable", "raw": "?"}, {"fallback_level": 1}])
    run.row("m", "d", None, outcome="refused", raw="no")
    task = GhostProbing()
    dataset = {
        "name": "test", "split": "all", "data_root": None, "labels": str(labels),
        "labels_sha256": hashlib.sha256(LABELS.encode()).hexdigest(),
        "split_sha256": hashlib.sha256(b"a\nb\nc\nd").hexdigest(),
    }  # fmt: skip
    template = {"name": task.name, "version": task.version, "template_sha256": task.template_sha256()}
    target = run.write(folder / "run", dataset=dataset, task=template, versions={"ghostbench": version("ghostbench")})
    score_run(target)
    write_report(target)
    return target


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("template"))


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A copy of it, beside a copy of its label file, which is not where the run had it."""
    shutil.copy(template.parent / "labels.csv", tmp_path)
    return Path(shutil.copytree(template, tmp_path / "run"))


def said(folder: Path) -> list[str]:
    return [str(finding) for finding in verify(folder).findings]


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text()
    after = change(before)
    assert after != before
    path.write_text(after)


def reseal(folder: Path, **fields: Any) -> None:
    """What someone would do who edits files, or fields of the manifest, and then every digest."""
    manifest = {**json.loads((folder / "manifest.json").read_text()), **fields}
    for name in manifest["digests"]:
        manifest["digests"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    write_sealed(folder / "manifest.json", manifest)
    write_sums(folder)


def test_an_untouched_run_holds(folder: Path) -> None:
    verdict = verify(folder)
    assert verdict.findings == ()
    assert len(verdict.checked) == 10
    done = CliRunner().invoke(command, [str(folder)], standalone_mode=False)
    assert done.return_value == 0
    *told, last = done.output.splitlines()
    assert last == f"{folder} holds"
    parts = [f"checked: {part}" for part in verdict.checked]
    assert told == [*parts, *(f"note: {note}" for note in verdict.notes)]
    assert max(map(len, parts)) <= 80


@pytest.mark.parametrize("name", ["clips.jsonl", "attempts.jsonl", "predictions.jsonl"])
def test_an_edited_ledger_is_found_by_its_digest(folder: Path, name: str) -> None:
    edit(folder / name, lambda text: text.replace('": ', '":  ', 1))
    assert said(folder) == [f"{name}: was edited after the run: its SHA-256 is not the manifest's"]
    done = CliRunner().invoke(command, [str(folder)], standalone_mode=False)
    assert done.return_value == 1
    assert name in done.output


def test_an_edited_ledger_that_no_longer_reads_is_named_and_not_a_crash(folder: Path) -> None:
    edit(folder / "predictions.jsonl", lambda text: text[:-20])
    assert "nothing else can be checked" in said(folder)[-1]


def test_a_grade_changed_with_its_digest_is_found_by_reading_the_answer_again(folder: Path) -> None:
    edit(
        folder / "predictions.jsonl",
        lambda text: text.replace('"grade": "potential_ghost_probing"', '"grade": "normal"'),
    )
    reseal(folder)
    found = said(folder)
    assert "predictions.jsonl: m, c, repeat 0: grade is 'normal', the ledger gives 'potential_ghost_probing'" in found
    assert any(line.startswith("metrics.json: models.m.confusion.cut_in") for line in found)


def test_an_outcome_changed_with_its_digest_is_found_in_the_attempts(folder: Path) -> None:
    edit(folder / "predictions.jsonl", lambda text: text.replace('"outcome": "refused"', '"outcome": "crashed"'))
    reseal(folder)
    assert any("m, d, repeat 0: outcome is 'crashed'" in line for line in said(folder))


def test_a_number_changed_in_the_metrics_is_named_by_its_path(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["models"]["m"]["views"]["strict"]["answered"]["tp"] = 9
    metrics["models"]["m"]["coverage"] += 1e-6
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert said(folder) == [
        "metrics.json: models.m.coverage is 0.750001, the ledger gives 0.75",
        "metrics.json: models.m.views.strict.answered.tp is 9, the ledger gives 1",
    ]


@pytest.mark.parametrize("name", ["report.md", "report.html", "tables/summary.csv", "tables/rates_strict_answered.tex"])
def test_a_number_changed_in_a_report_is_named_by_file_and_line(folder: Path, name: str) -> None:
    edit(
        folder / name,
        lambda text: (
            text.replace("0.75", "0.95", 1)
            if name.endswith("csv")
            else text.replace("75.0", "95.0", 1).replace(r"75.0\%", r"95.0\%", 1)
        ),
    )
    found = said(folder)
    assert len(found) == 1
    assert found[0].startswith(f"{name}: line ")


def test_pages_of_another_version_are_not_compared_word_for_word(folder: Path) -> None:
    edit(folder / "report.html", lambda text: text.replace("Summary", "Overview"))
    edit(folder / "tables" / "summary.csv", lambda text: text.replace("0.75", "0.95", 1))
    reseal(folder, versions={"ghostbench": "0.0.1"})
    verdict = verify(folder)
    assert [str(finding) for finding in verdict.findings] == ["tables/summary.csv: line 2 is not what the ledger gives"]
    assert any("only the CSV tables were compared" in note for note in verdict.notes)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 200_000, b'<script type="application/json" id="data">[[</script>']
)
@pytest.mark.parametrize("name", ["metrics.json", "report.html", "report.md", "SHA256SUMS", "manifest.json"])
def test_rubbish_in_a_files_place_is_a_finding_and_not_a_crash(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    done = CliRunner().invoke(command, [str(folder)], standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 1
    assert name in done.output


def test_missing_and_foreign_files_are_named(folder: Path) -> None:
    (folder / "tables" / "summary.csv").unlink()
    (folder / "tables" / "better.csv").write_text("model,f1\nm,1\n")
    (folder / "SHA256SUMS").unlink()
    assert said(folder) == [
        "tables/summary.csv: is missing: `bench report` writes it",
        "tables/better.csv: is no table of this run",
        "SHA256SUMS: is missing: `bench report` writes it",
    ]


LEFT_OUT = -1.0
Priced = Callable[..., Path]


@pytest.fixture(scope="module")
def priced_templates() -> dict[tuple[tuple[str, float], ...], Path]:
    return {}


@pytest.fixture
def priced(
    template: Path,
    priced_templates: dict[tuple[tuple[str, float], ...], Path],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Priced:
    """`priced(*sent)`: a copy of that run by a model with a price, with these lines of sent.jsonl too."""

    def copy(*sent: tuple[str, float]) -> Path:
        if sent not in priced_templates:
            into = tmp_path_factory.mktemp("priced") / "run"
            priced_templates[sent] = with_prices(Path(shutil.copytree(template, into)), sent)
        return Path(shutil.copytree(priced_templates[sent], tmp_path / f"run-{len(list(tmp_path.iterdir()))}"))

    return copy


def with_prices(run: Path, sent: tuple[tuple[str, float], ...]) -> Path:
    """The run with a cost of each attempt, and with these lines of sent.jsonl beside one for each attempt."""
    ids = []
    lines = [json.loads(line) for line in (run / "attempts.jsonl").read_text().splitlines()]
    for number, line in enumerate(lines):
        line["request_id"] = f"q{number}"
        line["usage"]["cost_usd"] = 0.25 if line["outcome"] != "timed_out" else None
        ids.append(line["request_id"])
    (run / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    noted = {**dict.fromkeys(ids, 0.5), **dict(sent)}
    account = [{"request_id": name, "most_usd": most} for name, most in noted.items() if most >= 0]
    (run / "sent.jsonl").write_text("".join(json.dumps(line) + "\n" for line in account))
    reseal(run, digests=dict.fromkeys(["clips.jsonl", "attempts.jsonl", "predictions.jsonl", "sent.jsonl"]))
    score_run(run)
    write_report(run)
    return run


def test_the_account_of_sent_requests_holds_and_what_is_not_checked_of_it_is_said(priced: Priced) -> None:
    verdict = verify(priced(("never-sent", 0.0)))
    assert verdict.findings == ()
    assert any("sent.jsonl with the attempts" in words for words in verdict.checked)
    assert [note for note in verdict.notes if "sent.jsonl" in note] == [
        "the amounts of sent.jsonl were not computed again: the run does not hold the requests"
    ]


@pytest.mark.slow
def test_an_edited_account_of_sent_requests_is_found_by_its_digest(priced: Priced) -> None:
    folder = priced()
    edit(folder / "sent.jsonl", lambda text: text.replace("0.5", "0.1", 1))
    score_run(folder)
    write_report(folder)
    assert said(folder) == ["sent.jsonl: was edited after the run: its SHA-256 is not the manifest's"]
    (folder / "sent.jsonl").unlink()
    assert said(folder)[0] == "sent.jsonl: is missing"


def test_an_attempt_that_the_account_leaves_out_or_denies_is_named(priced: Priced) -> None:
    folder = priced(("q0", LEFT_OUT), ("q2", 0.0))
    assert said(folder) == [
        "sent.jsonl: m, a, repeat 0, attempt 1 was sent and has no line",
        "sent.jsonl: says that m, b, repeat 0, attempt 2 was not sent",
    ]


@pytest.mark.slow
def test_of_a_model_that_is_asked_by_the_file_only_unstated_costs_need_a_line(priced: Priced) -> None:
    noted = [(f"q{number}", LEFT_OUT) for number in (0, 2, 3, 4, 5)]
    assert verify(priced(*noted)).findings == ()
    verdict = verify(priced(*noted, ("q1", LEFT_OUT)))
    assert verdict.findings == ()
    assert any("whether the requests of m were noted" in note for note in verdict.notes)


def test_requests_of_no_attempt_are_counted_and_said_not_to_be_checked(priced: Priced) -> None:
    verdict = verify(priced(("in-flight", 0.75)))
    assert verdict.findings == ()
    assert any("1 requests, of $0.7500 at most, that are in no attempt" in note for note in verdict.notes)


@pytest.mark.parametrize("line", ['{"request_id": "x", "most_usd": "1"}', '{"most_usd": 1}', "nothing", "[]"])
def test_a_line_that_is_no_account_is_a_finding(priced: Priced, line: str) -> None:
    folder = priced()
    with (folder / "sent.jsonl").open("a") as file:
        file.write(line + "\n")
    reseal(folder)
    assert said(folder) == ["sent.jsonl: holds a line that is no account of a request"]


def test_labels_edited_after_the_run_are_found_by_digest_and_by_clip(folder: Path, tmp_path: Path) -> None:
    edit(tmp_path / "labels.csv", lambda text: text.replace("b,none", "b,3s: ghost probing"))
    labels = Granted.of(labels=str(tmp_path / "labels.csv"))
    assert [str(finding) for finding in verify(folder, labels).findings] == [
        "labels.csv: the label file is not the one of the run: its SHA-256 differs",
        "clips.jsonl: b is normal at None s, the label file says ghost_probing at 3.0 s",
    ]


def test_labels_that_are_gone_are_said_not_to_be_compared(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").unlink()
    verdict = verify(folder, Granted.of(labels=str(tmp_path / "labels.csv")))
    assert verdict.findings == ()
    assert any("labels were not compared" in note for note in verdict.notes)
    assert [each for each in verdict.checked if "label" in each or "split" in each] == ["split"]


def test_predictions_that_cannot_be_read_again_are_not_said_to_be_checked(tmp_path: Path) -> None:
    run = RunBuilder([clip("a", G), clip("b")])
    run.rows("m", [G, N])
    # The digest of the task's words is of no task that is here.
    verdict = verify(run.write(tmp_path / "run"))
    assert any("predictions were not read from the answers again" in note for note in verdict.notes)
    assert not [each for each in verdict.checked if "prediction" in each and "digests" not in each]


@pytest.mark.slow
def test_labels_are_opened_where_the_user_says_and_their_place_is_asked_for_otherwise(tmp_path: Path) -> None:
    folder = made(tmp_path)
    edit(tmp_path / "labels.csv", lambda text: text.replace("b,none", "b,3s: ghost probing"))
    verdict = verify(folder)
    assert verdict.findings == ()
    (note,) = [note for note in verdict.notes if "labels were not compared" in note]
    assert f"say where the label file is with --labels (the run had {tmp_path / 'labels.csv'})" in note
    for granted in (Granted.of(labels=str(tmp_path / "labels.csv")), Granted.of(data_root=str(tmp_path))):
        assert len(verify(folder, granted).findings) == 2
    assert verify(folder, Granted.of(data_root=str(folder))).findings == ()


def test_attempts_of_a_model_that_the_run_does_not_have_are_found(folder: Path) -> None:
    first = (folder / "attempts.jsonl").read_text().splitlines()[0]
    with (folder / "attempts.jsonl").open("a") as file:
        file.write(first.replace('"model": "m"', '"model": "other"').replace('"r-m-', '"r-other-') + "\n")
    reseal(folder)
    assert said(folder) == ["attempts.jsonl: line 7 is of other, a: the run has no such model or clip"]


def test_frames_that_one_model_alone_saw_are_found(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]
    lines[0]["frames_sha256"] = "0" * 64
    (folder / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    reseal(folder)
    assert "attempts.jsonl: m saw other frames of a than clips.jsonl names" in said(folder)


def test_an_unfinished_run_is_bad_input(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "status": "interrupted", "seal": None}))
    with pytest.raises(BadInput, match="--resume"):
        verify(folder)


@pytest.mark.parametrize("words", ['"status": "complete"', '"run_id"', '"seal"', '"repeats": 1', '"format"', "\n}\n"])
def test_an_edited_manifest_is_found_whether_it_still_reads_or_not(folder: Path, words: str) -> None:
    edit(folder / "manifest.json", lambda text: text.replace(words, words[:-1] + "~", 1))
    assert said(folder)[0].startswith("manifest.json: ")
    done = CliRunner().invoke(command, [str(folder)], standalone_mode=False)
    assert done.return_value == 1
    assert "manifest.json" in done.output


def test_writing_the_report_again_does_not_hide_an_edited_manifest_or_ledger(folder: Path) -> None:
    edit(folder / "manifest.json", lambda text: text.replace('"load_s": 0.1', '"load_s": 0.2', 1))
    edit(folder / "attempts.jsonl", lambda text: text.replace('"wall_s": 0.5', '"wall_s": 0.4', 1))
    score_run(folder)
    write_report(folder)
    assert said(folder) == [
        "manifest.json: was edited after the run: its seal is not that of its contents",
        "attempts.jsonl: was edited after the run: its SHA-256 is not the manifest's",
    ]


def test_writing_the_report_again_alarms_nobody(folder: Path) -> None:
    score_run(folder)
    write_report(folder)
    assert verify(folder).findings == ()


def test_a_second_label_files_tables_are_held_against_their_digests(folder: Path, tmp_path: Path) -> None:
    write_sensitivity(folder, sensitivity(folder, str(tmp_path / "labels.csv"), skip_bad=False))
    verdict = verify(folder)
    assert verdict.findings == ()
    assert any("does not hold the second label file" in note for note in verdict.notes)
    edit(folder / "tables" / "sensitivity_strict.csv", lambda text: text.replace("1", "2", 1))
    assert said(folder)[0].startswith("tables/sensitivity_strict.csv: its SHA-256 is not the one in SHA256SUMS")


def test_a_moved_point_of_a_chart_is_found_though_every_digest_was_written_anew(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    mark = re.search(r'<use xlink:href="#forest-strict-\d+" x="([\d.]+)"', page)
    assert mark is not None
    edit(folder / "report.html", lambda text: text.replace(mark[0], mark[0].replace(mark[1], "99.5")))
    write_sums(folder)
    (finding,) = said(folder)
    assert finding.startswith("report.html: a chart is not what the ledger gives: F1 in the strict view")


def test_a_chart_that_another_machine_measured_a_little_otherwise_is_the_same_chart(folder: Path) -> None:
    move = r' x="([\d.]+)" y="'
    edit(folder / "report.html", lambda text: re.sub(move, lambda at: f' x="{float(at[1]) + 0.2:.6f}" y="', text))
    write_sums(folder)
    assert said(folder) == []


def test_charts_of_another_matplotlib_are_said_not_to_be_compared(folder: Path) -> None:
    edit(
        folder / "report.html",
        lambda text: re.sub(r"matplotlib [\d.]+", "matplotlib 1.0", text).replace("#d55e00", "red"),
    )
    write_sums(folder)
    verdict = verify(folder)
    assert verdict.findings == ()
    assert any("the charts of report.html were not compared" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("stated", "again", "words"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, []),
        ({"a": 1}, {"a": True}, ["a is 1, the ledger gives true"]),
        ({"a": None}, {"a": 0}, ["a is null, the ledger gives 0"]),
        ({}, {"a": {"b": 1}}, ["a is missing"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a[1] is 2, the ledger gives 3"]),
        ({"x": 1}, {}, ["x does not come from the ledger"]),
    ],
)
def test_differences_name_the_path_and_both_values(stated: Any, again: Any, words: list[str]) -> None:
    assert list(differences(stated, again)) == words


def test_long_answers_are_read_one_after_the_other_and_never_held_together(tmp_path: Path) -> None:
    """Forty answers of a megabyte each."""
    task = {"name": "ghost-probing", "version": "1", "template_sha256": GhostProbing().template_sha256()}
    run = RunBuilder([clip(str(number), G if number % 2 else N) for number in range(40)])
    for line in run.clips:
        run.row("m", line["clip"], G, raw="I see a road. " * 75_000 + raw_answer(G))
    records = read_run_records(run.write(tmp_path / "large", task=task))
    del run
    tracemalloc.start()
    try:
        found = check_predictions(records)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == ([], "")
    assert peak < 10 << 20
