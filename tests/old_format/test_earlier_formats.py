"""Run folders of earlier formats: still reported, verified, compared and replayed, and never taken for today's."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ghostbench.cli.main import bench
from ghostbench.evidence.verify import verify
from ghostbench.folder.manifest import read_manifest
from ghostbench.folder.run_records import read_run_records

FORMATS = ("first-format", "before-the-format-number")
"""`bench run --models motion,always,never --repeats 2 --probe blank` on the embedded clips, as the harness was early in
version 0.1.0, and as it was last before manifests stated their format."""


def unpacked(name: str, place: Path) -> Path:
    with tarfile.open(Path(__file__).parent / f"{name}.tar.gz") as archive:
        archive.extractall(place, filter="data")
        return place / archive.getnames()[0]


@pytest.fixture(params=FORMATS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpacked(request.param, tmp_path)


def call(*words: str) -> Result:
    return CliRunner().invoke(bench, words, catch_exceptions=True)


def test_scores_by_other_rules_are_said_to_be_of_another_version_in_one_line(tmp_path: Path) -> None:
    folder = unpacked("first-format", tmp_path)
    verdict = verify(folder)
    (finding,) = verdict.findings
    assert finding.file == "metrics.json"
    assert f"bench report {folder}" in finding.message
    assert "predictions from the attempts" in verdict.checked


def test_a_changed_ledger_is_noticed_all_the_same(folder: Path) -> None:
    path = folder / "attempts.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"outcome":"answered"', b'"outcome":"refused"', 1))
    assert "attempts.jsonl" in {finding.file for finding in verify(folder).findings}


@pytest.mark.slow
def test_scored_anew_it_holds_and_says_what_it_said(folder: Path) -> None:
    before = json.loads((folder / "metrics.json").read_text())["models"]
    done = call("report", str(folder))
    assert done.exit_code == 0, done.output
    assert verify(folder).findings == ()
    after = json.loads((folder / "metrics.json").read_text())["models"]
    assert {name: row["confusion"] for name, row in after.items()} == {
        name: row["confusion"] for name, row in before.items()
    }
    for name, row in after.items():
        now, then = (entry["views"]["strict"]["answered"] for entry in (row, before[name]))
        assert all(now[key] == then[key] for key in ("tp", "fp", "fn", "tn"))


def test_it_is_compared_with_another_run(folder: Path, tmp_path: Path) -> None:
    other = unpacked(FORMATS[folder.name == FORMATS[0]], tmp_path / "again")
    done = call("compare", str(folder), str(other))
    assert done.exit_code == 0, done.output
    assert "motion" in done.output


def test_its_answers_are_replayed(folder: Path, tmp_path: Path) -> None:
    """The ledger of an earlier run is a recording: every answer in it is scored again as it was."""
    words = ["run", "--models", f"replay:{tmp_path / 'recorded.jsonl'}=again", "--out", str(tmp_path), "--run-id", "r"]
    lines = [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]
    one = [line for line in lines if line["model"] == "motion" and line["repeat"] == 0]
    (tmp_path / "recorded.jsonl").write_text("".join(json.dumps(line) + "\n" for line in one))
    done = call(*words, "--quiet")
    assert done.exit_code == 0, done.output
    grades = {line["clip"]: line["grade"] for line in read(tmp_path / "r") if line["model"] == "again"}
    assert grades == {
        line["clip"]: line["grade"] for line in read(folder) if line["model"] == "motion" and line["repeat"] == 0
    }


def test_it_says_what_format_it_is_of(folder: Path) -> None:
    assert read_manifest(folder).format == 1


@pytest.mark.parametrize(
    "otherwise",
    [{}, {"status": "paused"}, {"models": []}, {"dataset": None}, {"task": "ghost-probing", "repeats": 0}],
    ids=lambda otherwise: "+".join(otherwise) or "the same",
)
def test_a_folder_of_a_format_to_come_is_refused_in_one_line(tmp_path: Path, otherwise: dict[str, Any]) -> None:
    """Whatever that format says otherwise: the number tells, and not the first field that does not fit."""
    folder = unpacked("first-format", tmp_path)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "format": 3, "versions": {"ghostbench": "9.9"}, **otherwise}))
    # Not even by verify: it may be sealed otherwise, and nobody has edited it.
    for words in (["report", str(folder)], ["status", str(folder)], ["verify", str(folder)]):
        done = call(*words)
        assert (
            "is of format 3, and this version reads 1 and 2: use the version of ghostbench that wrote it, 9.9"
            in str(done.exception)
        )


def test_what_its_answers_name_is_read_from_the_ledger_by_the_task(folder: Path) -> None:
    said = {}
    for line in (json.loads(text) for text in (folder / "attempts.jsonl").read_text().splitlines()):
        said[line["model"], line["clip"], line["repeat"]] = json.loads(line["raw"])
    rows = read_run_records(folder).predictions
    assert len(rows) == len(said)
    assert any(answer["evidence"] for answer in said.values())
    for row in rows.to_dict("records"):
        answer = said[row["model"], row["clip"], row["repeat"]]
        for name in ("actor", "occluder", "evidence"):
            assert (row[name] if isinstance(row[name], str) else None) == answer[name]


def read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
