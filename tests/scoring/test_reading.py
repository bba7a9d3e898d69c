"""Run folders that are not what they should be, and lines that nobody should believe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, dash_clips

from ghostbench.errors import BadInput
from ghostbench.folder import ledger_text
from ghostbench.folder.run_records import read_run_records

G, N = "ghost_probing", "normal"


def whole(folder: Path, **manifest: Any) -> Path:
    run = RunBuilder(dash_clips(2, 0, 2))
    run.rows("m", [G, N, N, N])
    return run.write(folder / "run", **manifest)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no run folder"):
        read_run_records(tmp_path)


def test_what_lies_beside_a_run_folder_is_told_which_folder_is_meant(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    with pytest.raises(BadInput, match=rf"no run folder .*: give one below it, such as {re.escape(str(folder))}$"):
        read_run_records(tmp_path)
    with pytest.raises(BadInput, match=rf": give its folder, {re.escape(str(folder))}$"):
        read_run_records(folder / "clips.jsonl")
    whole(tmp_path / "my runs").rename(tmp_path / "another")
    with pytest.raises(BadInput, match=r"run \(of 2; see bench ls "):
        read_run_records(tmp_path)


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_an_unfinished_run_is_refused_with_the_command_that_resumes(tmp_path: Path, status: str) -> None:
    folder = whole(tmp_path, status=status, command=["bench", "run", "--models", "a b"])
    with pytest.raises(BadInput, match=r"`bench run --models 'a b' --run-id run --resume`"):
        read_run_records(folder)


@pytest.mark.parametrize("file", ["clips.jsonl", "attempts.jsonl", "predictions.jsonl"])
def test_a_line_that_is_no_json_is_named_by_file_and_line(tmp_path: Path, file: str) -> None:
    folder = whole(tmp_path)
    lines = (folder / file).read_text().splitlines(keepends=True)
    (folder / file).write_text(lines[0] + lines[1][:40])
    with pytest.raises(BadInput, match=rf"{file}, line 2: "):
        read_run_records(folder)


def change(folder: Path, file: str, edit: Callable[[dict[str, Any]], object]) -> None:
    lines = [json.loads(line) for line in (folder / file).read_text().splitlines()]
    edit(lines[2])
    (folder / file).write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("file", "field", "value"),
    [
        ("predictions.jsonl", "grade", "ghost"),
        ("predictions.jsonl", "score", 1.5),
        ("predictions.jsonl", "score", float("nan")),
        ("predictions.jsonl", "outcome", "fine"),
        ("predictions.jsonl", "clip", "unknown"),
        ("predictions.jsonl", "truth", "ghost_probing"),
        ("predictions.jsonl", "repeat", -1),
        ("attempts.jsonl", "attempt", 0),
        ("attempts.jsonl", "wall_s", -0.1),
        ("attempts.jsonl", "stages", {"generate_s": "long"}),
        ("clips.jsonl", "truth", None),
        ("clips.jsonl", "frame_times_s", [1e999]),
    ],
)
def test_a_value_out_of_its_range_is_refused_and_not_quoted(tmp_path: Path, file: str, field: str, value: Any) -> None:
    folder = whole(tmp_path)
    change(folder, file, lambda line: line.update({field: value}))
    with pytest.raises(BadInput, match=rf"{file}, line 3"):
        read_run_records(folder)


def test_a_clip_that_a_model_has_no_line_for_is_missed(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    lines = (folder / "predictions.jsonl").read_text().splitlines(keepends=True)
    (folder / "predictions.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(BadInput, match="has 3 lines for 'm', not one a clip and repeat"):
        read_run_records(folder)


def test_a_prediction_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    with (folder / "predictions.jsonl").open("a") as file:
        file.write((folder / "predictions.jsonl").read_text().splitlines()[0] + "\n")
    with pytest.raises(BadInput, match="line 5: this model, clip and repeat were there already"):
        read_run_records(folder)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    first = read_run_records(folder)
    assert read_run_records(folder) is first
    change(folder, "predictions.jsonl", lambda line: line.update(grade=G))
    assert read_run_records(folder).predictions["grade"].tolist() == [G, N, G, N]


def test_hostile_names_come_out_of_an_error_in_one_printable_line(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    change(folder, "attempts.jsonl", lambda line: line.update(grade_probabilities={"\x1b[31m\nrm -rf": 7}))
    with pytest.raises(BadInput) as error:
        read_run_records(folder)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("room", [0, 1 << 20])
def test_answers_of_a_large_ledger_are_read_where_they_are_wanted_and_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(ledger_text, "KEPT", room)
    run = RunBuilder(dash_clips(2, 0, 2))
    said = ["plain", "zwei\nZeilen, \u6c49\u5b57 \U0001f600", "", "{}"]
    for line, raw in zip(run.clips, said, strict=True):
        refused = {"outcome": "refused", "error": {"type": "No", "message": "w" * 5000}, "raw": None}
        run.row("m", line["clip"], G, raw=raw, attempts=[refused, {}])
    folder = run.write(tmp_path / "run")
    path = folder / "attempts.jsonl"
    path.write_text("\n" + path.read_text().replace("\n", "\n\n", 1))
    records = read_run_records(folder)
    attempts = records.attempts
    assert "raw" not in attempts.columns
    texts = list(records.texts.of([*attempts["starts_at"], -1]))
    assert [text.raw for text in texts] == [None, said[0], None, said[1], None, said[2], None, said[3], None]
    assert texts[0].error == "No: " + "w" * 5000
    assert attempts["error_message"].str.len().max() == 1001
    assert attempts["raw_length"].dropna().tolist() == [len(raw) for raw in said]
    path.write_text(path.read_text()[1:])
    if room:
        assert list(records.texts.of([*attempts["starts_at"], -1])) == texts
        return
    with pytest.raises(BadInput, match=r"attempts\.jsonl changed while it was read"):
        list(records.texts.of(attempts["starts_at"]))


@pytest.mark.parametrize("field", ["usage", "memory"])
def test_a_number_beyond_any_float_is_refused(tmp_path: Path, field: str) -> None:
    folder = whole(tmp_path)
    name = {"usage": "input_tokens", "memory": "process_bytes"}[field]
    change(folder, "attempts.jsonl", lambda line: line.update({field: {name: 10**400}}))
    with pytest.raises(
        BadInput, match=r"attempts\.jsonl, line 3: .*(larger than any measurement|less than or equal to)"
    ):
        read_run_records(folder)
