"""Recorded responses as a model: the first row of a clip is its answer, and everything else is counted."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench import BadInput, Clip, NotRecorded, ReferenceModel, Reply, Request, Truths, Unparseable
from ghostbench.plugins.choose import parse_model
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench_replay import row_name
from ghostbench_replay.recording import RecordedResponse, Recording

WriteRecording = Callable[..., Path]
OpenReplay = Callable[[Path], ReferenceModel]
TASK = GhostProbing()
REQUEST = Request(
    id="r", prompt=TASK.build(None), frames=None, seed=0, level=0, level_settings={}, write_answer=TASK.write
)


def truths(*ids: str) -> Truths:
    return Truths(clips=tuple(Clip(id=id_, truth="normal") for id_ in ids), seed=0)


def ask(model: ReferenceModel, clip: str) -> Reply:
    return model.answer(Clip(id=clip, truth="normal"), REQUEST)


def test_a_clip_gets_the_text_that_was_recorded_unread(
    write_recording: WriteRecording, open_replay: OpenReplay
) -> None:
    raw = 'not json at all \x1b[31m [bold] {"grade"'
    model = open_replay(write_recording({"clip": "a", "raw": raw}, {"clip": "b", "raw": ""}))
    model.check()
    model.begin(truths("a", "b"))
    assert ask(model, "a") == Reply(text=raw)
    assert ask(model, "b") == Reply(text="")


def test_the_first_row_of_a_clip_wins_and_all_others_are_counted(
    write_recording: WriteRecording, open_replay: OpenReplay
) -> None:
    path = write_recording(
        {"clip": "a", "raw": "first"},
        {"clip": "other", "raw": "x"},
        {"clip": "a", "raw": "second"},
        {"clip": "b", "raw": None},
        {"clip": "a.avi", "raw": "third"},
        {"clip": "b", "raw": "too late"},
        {"clip": "other", "raw": "y"},
    )
    model = open_replay(path)
    assert model.begin(truths("a", "b", "c", "d")) == {
        "rows": 7,
        "duplicates": 3,
        "outside_split": 2,
        "recorded_errors": 1,
        "without_row": 2,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert ask(model, "a").text == "first"
    with pytest.raises(NotRecorded):
        ask(model, "b")
    with pytest.raises(NotRecorded):
        ask(model, "c")


def test_clip_ids_match_with_and_without_extension(write_recording: WriteRecording, open_replay: OpenReplay) -> None:
    path = write_recording(
        {"clip": "images_1_001.avi", "raw": "1"},
        {"clip": "v1.5", "raw": "exact"},
        {"clip": "../images_1_002.avi", "raw": "elsewhere"},
    )
    model = open_replay(path)
    assert model.begin(truths("images_1_001", "images_1_002", "v1.5", "v1"))["outside_split"] == 1
    assert ask(model, "images_1_001").text == "1"
    assert ask(model, "v1.5").text == "exact"
    for clip in ("images_1_002", "v1"):
        with pytest.raises(NotRecorded):
            ask(model, clip)


def test_a_recording_of_other_clips_alone_says_whose_it_has(
    write_recording: WriteRecording, open_replay: OpenReplay
) -> None:
    """Where ids are written otherwise than in the labels, no row is found, and one is shown."""
    model = open_replay(write_recording({"clip": "videos/images_1_001.avi", "raw": "1"}))
    model.begin(truths("images_1_001"))
    with pytest.raises(NotRecorded, match=r"no row for this clip, nor .* such as 'videos/images_1_001\.avi'$"):
        ask(model, "images_1_001")


def test_other_keys_are_ignored_but_for_the_served_model(
    write_recording: WriteRecording, open_replay: OpenReplay
) -> None:
    path = write_recording(
        {"clip": "a", "raw": "x", "wall_s": "?", "published_evaluation": {}, "served_model": "m-2025"},
        {"clip": "b", "raw": "x", "served_model": 3, "stated_model": "m", "model": "m"},
    )
    model = open_replay(path)
    model.begin(truths("a", "b"))
    assert ask(model, "a").served_model == "m-2025"
    assert ask(model, "b").served_model is None


def test_a_byte_order_mark_blank_lines_and_line_ends_do_not_count(tmp_path: Path, open_replay: OpenReplay) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"clip": "a", "raw": "x"}\r\n\r\n  \n{"clip": "b", "raw": "y"}')
    model = open_replay(path)
    model.check()
    assert model.begin(truths("a", "b"))["rows"] == 2


def test_a_line_of_many_megabytes_is_read(write_recording: WriteRecording, open_replay: OpenReplay) -> None:
    model = open_replay(write_recording({"clip": "a", "raw": "x" * 20_000_000}, {"clip": "b", "raw": "y"}))
    model.check()
    model.begin(truths("a", "b"))
    assert len(ask(model, "a").text) == 20_000_000
    assert ask(model, "b").text == "y"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"not json", "is not JSON"),
        (b'{"clip": "b", "raw": "x"', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"9" * 10_000, "is not JSON"),
        (b'{"clip": "\xff", "raw": "x"}', "is not UTF-8"),
        (b'["b", "x"]', "is not an object"),
        (b'{"raw": "x"}', 'has no "clip"'),
        (b'{"clip": 3, "raw": "x"}', 'has no "clip"'),
        (b'{"clip": " ", "raw": "x"}', 'has no "clip"'),
        (b'{"clip": "b"}', 'has no "raw"'),
        (b'{"clip": "b", "raw": {"grade": "normal"}}', '"raw" that is neither text nor null'),
    ],
)
def test_a_malformed_line_is_bad_input_named_by_its_number(
    tmp_path: Path, open_replay: OpenReplay, line: bytes, what: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"clip": "a", "raw": "x"}\n' + line + b"\n")
    message = refusal(open_replay(path))
    assert "line 2" in message
    assert what in message
    assert "bad.jsonl" in message


def test_responses_to_videos_and_to_frames_are_of_no_one_row(
    write_recording: WriteRecording, open_replay: OpenReplay
) -> None:
    film, still = {"clip": "a", "raw": "x", "video_sha256": "1" * 64}, {"clip": "b", "raw": "y"}
    for number, rows in enumerate(([film, still], [still, {**film, "clip": "b", "moment_s": 1.0}])):
        message = refusal(open_replay(write_recording(*rows, name=f"mixed-{number}.jsonl")))
        assert "video_sha256 ('b'): give each kind a file of its own" in message
    # An error is a response to nothing, and later rows of a clip are not used.
    open_replay(write_recording(film, {"clip": "b", "raw": None}, {"clip": "a.avi", "raw": "y"})).check()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_bad_input(tmp_path: Path, open_replay: OpenReplay, content: bytes) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    assert "empty" in refusal(open_replay(path))


def test_a_file_that_is_not_there_or_no_file_is_bad_input(tmp_path: Path, open_replay: OpenReplay) -> None:
    assert "absent.jsonl" in refusal(open_replay(tmp_path / "absent.jsonl"))
    assert str(tmp_path) in refusal(open_replay(tmp_path))


def test_a_hostile_file_name_stays_on_one_line(tmp_path: Path, open_replay: OpenReplay) -> None:
    folder = tmp_path / "a\nb\x1b[31m"
    assert "\x1b" not in refusal(open_replay(folder / "recorded.jsonl"))


def refusal(model: ReferenceModel) -> str:
    with pytest.raises(BadInput) as caught:
        model.check()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("file", "name"), [("a/gpt-4.1-balanced.jsonl", "gpt-4.1-balanced"), ("x.jsonl", "x"), ("plain", "plain")]
)
def test_the_row_is_named_after_the_file(file: str, name: str) -> None:
    assert row_name(file) == name


def test_the_row_is_marked_as_recorded_and_needs_no_frames() -> None:
    spec = parse_model("replay:x.jsonl").spec
    assert (spec.mark, spec.needs_frames, spec.kind) == ("recorded", False, "reference")


rows = st.lists(
    st.fixed_dictionaries(
        {"clip": st.text(min_size=1).filter(str.strip), "raw": st.none() | st.text()},
        optional={"served_model": st.none() | st.text(), "x": st.integers() | st.text() | st.lists(st.booleans())},
    ),
    min_size=1,
)


@given(rows=rows, escaped=st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], escaped: bool
) -> None:
    path = tmp_path_factory.mktemp("recording") / "rows.jsonl"
    lines = [json.dumps(row, ensure_ascii=escaped) for row in rows]
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass" if escaped else "strict"))
    assert list(Recording(str(path)).rows()) == [
        RecordedResponse(clip=row["clip"], raw=row["raw"], served_model=row.get("served_model")) for row in rows
    ]


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device", "a looping link"])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path, open_replay: OpenReplay, kind: str) -> None:
    path = Path("/dev/zero") if kind == "a device" else tmp_path / "answers.jsonl"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a looping link":
        path.symlink_to(path.name)
    with pytest.raises(BadInput, match=r"recording '.*' (is no file|cannot be read)"):
        open_replay(path).check()


GOOD = '{"grade": "normal", "event_time_s": null, "actor": null, "occluder": null, "evidence": "x"}'


@pytest.mark.parametrize(
    "raw",
    [
        "[" * 200_000 + "]" * 200_000,
        '{"grade":' * 50_000 + "1" + "}" * 50_000,
        "{" + ",".join(f'"k{number}":{number}' for number in range(100_000)) + ',"grade":"normal"}',
        GOOD.replace("null", "9" * 100_000, 1),
        GOOD.replace("null", "1e999", 1),
        GOOD.replace("null", "NaN", 1),
        GOOD.replace('"x"', '"\\ud800\\u0000"'),
        GOOD.replace('"x"', f'"{"y" * 3_000_000}"'),
        '{"grade": "ghost_probing", ' + GOOD[1:],
        "{" * 300_000,
        '{"' * 100_000,
        '{"grade":"' + "\\" * 200_000,
    ],
    ids=lambda raw: f"{raw[:12]}…{len(raw)}",
)
def test_a_hostile_response_is_unparseable_and_takes_no_time(
    write_recording: WriteRecording, open_replay: OpenReplay, raw: str
) -> None:
    model = open_replay(write_recording({"clip": "a", "raw": raw, "served_model": "\ud800\x1b[31m", "x": [[[]]]}))
    model.check()
    model.begin(truths("a"))
    began = time.process_time()
    with pytest.raises(Unparseable):
        TASK.parse(ask(model, "a").text)
    assert time.process_time() - began < 5
