"""An annotator's own file: appended to, never changed, whole after a kill; and what it comes to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.datasets.labels import read_labels
from ghostbench.errors import BadInput
from ghostbench.label import Label
from ghostbench.labelling.agree import agree, differ
from ghostbench.labelling.agree_tables import agreement_tables
from ghostbench.labelling.export import FORMS, write_labels
from ghostbench.labelling.log import Draft, LabelLog, begin, checked, read
from ghostbench.labelling.order import order_for
from ghostbench.labelling.raters import read_raters
from ghostbench.labelling.rating import Rating

CLIPS = [f"clip_{n}" for n in range(20)]


def started(path: Path, annotator: str = "anna", again: float = 0.1) -> LabelLog:
    return begin(path, annotator, "some", order_for(annotator, CLIPS, again=again))


def say(log: LabelLog, clip: str, truth: str, repeat: int = 0, **values: Any) -> None:
    for name, value in {"truth": truth, **values}.items():
        log.append((clip, repeat), set=name, value=value, frame=int(value * 30) if isinstance(value, float) else None)
    log.append((clip, repeat), done=True)


def test_every_annotator_has_an_order_of_his_own_and_is_asked_a_tenth_again() -> None:
    anna, ben = order_for("anna", CLIPS), order_for("ben", CLIPS)
    assert order_for("anna", CLIPS) == anna
    assert [clip for clip, _ in anna] != [clip for clip, _ in ben]
    for order in (anna, ben):
        assert sorted(clip for clip, repeat in order if repeat == 0) == sorted(CLIPS)
        again = [clip for clip, repeat in order if repeat == 1]
        assert len(again) == len(set(again)) == 2
        assert all(order.index((clip, 1)) - order.index((clip, 0)) >= 10 for clip in again)


def test_what_is_said_is_on_disk_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "anna.jsonl"
    log = started(path)
    say(log, "clip_3", "ghost_probing", event_s=2.5, occluder="van", doubt=True, note="hm")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["annotator"] == "anna"
    assert (lines[2]["set"], lines[2]["value"], lines[2]["frame"]) == ("event_s", 2.5, 75)
    again = started(path)
    assert again.items == log.items
    draft = again.drafts["clip_3", 0]
    assert draft.done
    assert draft.rating("anna") == Rating(
        truth="ghost_probing",
        event_s=2.5,
        labels=Label(occluder="van", doubt=True, annotator="anna"),
        doubted=True,
    )


words = st.sampled_from(["a", "b"])
changes = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(["occluder", "actor"]), st.none() | words), st.just(("undo", "", None))
)


@given(st.lists(changes, max_size=20))
def test_taking_back_leaves_what_was_said_before(drawn: list) -> None:
    draft, before = Draft(), [dict[str, Any]()]
    for kind, name, value in drawn:
        if kind == "set":
            draft.take({"set": name, "value": value})
            said = {**before[-1], name: value}
            before.append({key: each for key, each in said.items() if each is not None})
        else:
            draft.take({"undo": True})
            before = before[:-1] or before
        assert draft.values == before[-1]


@given(st.integers(0, 400))
def test_a_torn_last_line_costs_itself_alone(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "anna.jsonl"
        log = started(path, again=0)
        say(log, "clip_1", "normal")
        whole = path.read_bytes()
        say(log, "clip_2", "cut_in", actor="taxi")
        data = path.read_bytes()
        kept = min(len(whole) + cut, len(data))
        path.write_bytes(data[:kept])
        gone_on = started(path, again=0)
        assert gone_on.drafts["clip_1", 0].values == {"truth": "normal"}
        say(gone_on, "clip_4", "normal")
        assert read(path).drafts["clip_4", 0].done
        lines = data[:kept].count(b"\n")
        assert read(path).drafts.get(("clip_2", 0), Draft()).done == (lines == data.count(b"\n"))


def test_a_file_of_another_or_of_something_else_is_refused(tmp_path: Path) -> None:
    started(tmp_path / "anna.jsonl")
    with pytest.raises(BadInput, match="holds labels of some by anna; give another file with --out"):
        started(tmp_path / "anna.jsonl", "ben")
    (tmp_path / "x").write_text('{"format": "other"}\n')
    with pytest.raises(BadInput, match="no file of `bench label`"):
        read(tmp_path / "x")
    path = tmp_path / "anna.jsonl"
    with path.open("a") as file:
        file.write('{"clip": "clip_1", "repeat": 0, "set": "truth", "value": "perhaps"}\n')
    with pytest.raises(BadInput, match="line 2: 'perhaps' is none of ghost_probing, cut_in, normal"):
        read(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("truth", "maybe"), ("contact_s", -1), ("contact_s", float("nan")), ("contact_s", True), ("contact_s", "2"),
        ("doubt", "yes"), ("actor", "a" * 201), ("actor", 3), ("actor", "\u202e"), ("nonsense", 1), ("annotator", "me"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_not_kept(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        checked(name, value)


def test_labels_are_exported_with_every_column_and_read_again(tmp_path: Path) -> None:
    log = started(tmp_path / "anna.jsonl")
    say(log, "clip_1", "ghost_probing", event_s=2.533333, first_visible_s=2.5, actor="child, running", note='a "note"?')
    say(log, "clip_2", "normal", doubt=False)
    assert write_labels(log, tmp_path / "anna.csv") == 2
    one, two = read_labels((tmp_path / "anna.csv").read_bytes(), "anna.csv").clips
    assert (one.id, one.truth, one.truth_time_s, one.remark) == ("clip_1", "ghost_probing", 2.533333, 'a "note"?')
    assert one.labels == Label(first_visible_s=2.5, actor="child, running", annotator="anna")
    assert two.labels == Label(doubt=False, annotator="anna")
    with pytest.raises(BadInput, match="no clip is labelled yet"):
        write_labels(started(tmp_path / "ben.jsonl", "ben"), tmp_path / "ben.csv")


def test_annotators_are_held_against_each_other_and_against_themselves(tmp_path: Path) -> None:
    for name in ("anna", "ben"):
        log = started(tmp_path / f"{name}.jsonl", name)
        again = [clip for clip, repeat in log.items if repeat == 1]
        for number, clip in enumerate(CLIPS):
            say(log, clip, "ghost_probing" if number % 2 else "normal", **({"event_s": 2.0} if number % 2 else {}))
        for clip in again:
            say(log, clip, "cut_in", repeat=1, event_s=3.0)
    raters = read_raters([str(tmp_path / "anna.jsonl"), str(tmp_path / "ben.jsonl")])
    found = agree(raters)
    (pair,) = found.truth.pairs
    assert (pair.first, pair.second, pair.n) == ("anna", "ben", 20)
    assert pair.kappa is not None
    assert pair.kappa["value"] == 1.0
    assert [each.truth.pairs[0].second for each in found.again] == ["anna, asked again", "ben, asked again"]
    for each in found.again:
        assert each.truth.pairs[0].n == 2
        assert each.truth.pairs[0].same is not None
        assert each.truth.pairs[0].same["value"] == 0.0
    alone = agree(raters[:1])
    tables = {table.name: table for table in agreement_tables(alone)}
    assert [row[1:3] for row in tables["confusion"].rows if sum(map(int, row[3:]))] != []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "differs"),
    [
        ([("normal", None), ("normal", None)], False),
        ([("normal", None), ("cut_in", None)], True),
        ([("cut_in", 2.0), ("cut_in", 2.5)], False),
        ([("cut_in", 2.0), ("cut_in", 2.6)], True),
        ([("cut_in", 2.0), ("cut_in", None)], False),
        ([("cut_in", 2.0), None], False),
    ],
)
def test_a_disagreement_is_another_label_or_a_time_further_off_than_half_a_second(said: list, differs: bool) -> None:
    ratings = [one and Rating(truth=one[0], event_s=one[1], labels=Label()) for one in said]
    assert differ(ratings) is differs


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same_when_it_is_read_again(tmp_path: Path, form: str) -> None:
    log = started(tmp_path / "anna.jsonl")
    say(log, "clip_1", "ghost_probing", event_s=2.533333, first_visible_s=2.5, actor="child, “running”", note='a "b"')
    say(log, "clip_2", "normal", doubt=True)
    say(log, "clip_3", "cut_in", contact_s=0.0)
    path = tmp_path / f"anna.{form}"
    assert write_labels(log, path, form) == 3
    (rater,) = read_raters([str(path)])
    assert len(rater.ratings) == 3
    for clip, want in log.ratings(0).items():
        found = rater.ratings[clip]
        assert (found.truth, found.event_s, found.doubted) == (want.truth, want.event_s, want.doubted)
        assert replace(found.labels, annotator="anna") == want.labels


def test_the_forms_of_the_command_are_those_of_the_export() -> None:
    from ghostbench.cli import label

    assert label.FORMS == FORMS


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# Exported using VGG Image Annotator\n# ATTRIBUTE = {}\nx,y\n", "line 3: no row of VIA's CSV"),
        (
            '# Exported using VGG Image Annotator\n# ATTRIBUTE = {"1":{"aname":"truth"}}\n'
            '"1","[""a.mp4""]",0,"[]","[]","{""1"":""maybe""}"\n',
            "'maybe' is none of",
        ),
        (
            '[{"data": {"video": "a.mp4"}, "annotations": [{"result": [{"type": "timelinelabels", "value": '
            '{"ranges": [{"start": 31}], "timelinelabels": ["contact_s"]}}]}]}]',
            "task 1: .*how many a second: fps",
        ),
        ('[{"data": {}, "annotations": []}]', "task 1: no video"),
        ('[{"annotations": 1', "not JSON"),
        ('{"vid_list": [], "fid_list": 1}', "no project of VIA 3"),
        (
            '{"project": {"vid_list": ["1"]}, "attribute": {"1": {"aname": "truth"}}, '
            '"file": {"1": {"fname": "a.mp4"}}, '
            '"view": {"1": {"fid_list": ["1"]}}, "metadata": {"x": {"vid": "1", "z": [], "av": {"1": "maybe"}}}}',
            "entry 'x': cannot be read .*'maybe' is none of",
        ),
        ('{"behaviors_conf": {}, "observations": 3}', "no project of BORIS"),
        ('{"behaviors_conf": {}, "observations": {"a": {"events": [["x"]]}}}', "observation 'a': cannot be read"),
        (
            '{"behaviors_conf": {}, "observations": {"a": {"events": [], '
            '"independent_variables": {"truth": "maybe"}}}}',
            "'maybe' is none of",
        ),
    ],
)
def test_what_is_no_such_form_is_said_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(BadInput, match=why):
        read_raters([str(tmp_path / "x")])


def test_of_a_boris_project_the_first_event_of_a_code_counts_and_others_codes_are_passed_over(tmp_path: Path) -> None:
    events = [[3.5, "", "event_s", "", "", 105], [2.5, "", "event_s", "", "", 75], [1.0, "", "of others", "", "", 30]]
    observation = {
        "file": {"1": ["C:\\clips\\a.mp4"], "2": []}, "type": "MEDIA", "events": events,
        "independent_variables": {"truth": "cut_in", "weather": "rain", "doubt": ""},
    }  # fmt: skip
    project = {"behaviors_conf": {}, "observations": {"first look": observation}}
    (tmp_path / "x.boris").write_text(json.dumps(project))
    (rater,) = read_raters([str(tmp_path / "x.boris")])
    assert (rater.form, list(rater.ratings)) == ("BORIS", ["a"])
    assert (rater.ratings["a"].truth, rater.ratings["a"].event_s, rater.ratings["a"].doubted) == ("cut_in", 2.5, False)


def test_a_folder_of_videos_that_nobody_labelled_is_labelled(tmp_path: Path) -> None:
    from ghostbench.datasets.query import SplitQuery
    from ghostbench.viewer.labels import labelling_of

    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in ("b.MP4", "a.avi", "notes.txt"):
        (folder / name).write_bytes(b"not looked at yet")
    labelling = labelling_of([SplitQuery(dataset=str(folder))], "anna", tmp_path / "anna.jsonl")
    assert sorted(labelling.clips) == ["a", "b"]
    assert labelling.log.dataset == "recordings"
    only = labelling_of([SplitQuery(dataset=str(folder), clips="a*")], "anna", tmp_path / "other.jsonl")
    assert (sorted(only.clips), only.unasked) == (["a"], 0)
    del only
    # A clip that came since is not asked in silence, nor left out in silence.
    more = labelling_of([SplitQuery(dataset=str(folder))], "anna", tmp_path / "other.jsonl")
    assert ([clip for clip, _ in more.log.items], more.unasked) == (["a"], 1)
    (folder / "a.mkv").write_bytes(b"")
    for query, why in (
        (SplitQuery(dataset=str(folder)), "two files for the clip a"),
        (SplitQuery(dataset=str(folder), labels="x.csv"), "leave out --labels"),
        (SplitQuery(dataset=str(tmp_path)), "holds no video"),
    ):
        with pytest.raises(BadInput, match=why):
            labelling_of([query], "anna", tmp_path / "third.jsonl")


def test_frames_of_label_studio_are_counted_from_one(tmp_path: Path) -> None:
    results = [
        {"type": "choices", "from_name": "truth", "value": {"choices": ["ghost_probing"]}},
        {"type": "timelinelabels", "value": {"ranges": [{"start": 31, "end": 40}], "timelinelabels": ["event_s"]}},
        {"type": "choices", "from_name": "of others", "value": {"choices": ["x"]}},
    ]
    data = {"video": "/data/upload/a.mp4", "fps": 30}
    tasks = [{"data": data, "annotations": [{"completed_by": 7, "result": results}]}]
    (tmp_path / "x.json").write_text(json.dumps(tasks))
    (rater,) = read_raters([str(tmp_path / "x.json")])
    assert (rater.name, rater.ratings["a"].truth, rater.ratings["a"].event_s) == ("7", "ghost_probing", 1.0)


def test_a_clip_whose_times_contradict_each_other_is_named_by_its_number_on_the_page(tmp_path: Path) -> None:
    log = started(tmp_path / "anna.jsonl")
    clip = log.items[6][0]
    say(log, clip, "ghost_probing", contact_s=1.0, danger_s=2.0)
    with pytest.raises(BadInput, match=rf"clip 7, {clip}: danger_s \(2\) is after contact_s \(1\)"):
        write_labels(log, tmp_path / "anna.csv")


@pytest.mark.parametrize(
    ("video", "clip"),
    [
        ("images_5_004", "images_5_004"),
        ("C:\\clips\\images_5_004.avi", "images_5_004"),
        ("/data/upload/3/0f3a9c1e-images_5_004.mp4", "images_5_004"),
        ("http://localhost:8080/data/upload/3/0f3a9c1e-images_5_004.mp4", "images_5_004"),
        ("/data/local-files/?d=images_5_004.mp4", "images_5_004"),
        ("/data/local-files/?d=clips%2Fat%20night%2Fthe%20van.mp4", "the van"),
        ("s3://bucket/clips/images_5_004.mp4", "images_5_004"),
        ("https://host/clips/images_5_004.mp4?X-Amz-Signature=a/b.mp4", "images_5_004"),
        # What is no address of Label Studio's is a name as it is.
        ("0f3a9c1e-mine.mp4", "0f3a9c1e-mine"),
        ("100% sure? #3.mp4", "100% sure? #3"),
    ],
)
def test_a_task_of_label_studio_is_about_the_file_that_was_uploaded_or_served(
    tmp_path: Path, video: str, clip: str
) -> None:
    choice = {"type": "choices", "from_name": "truth", "value": {"choices": ["cut_in"]}}
    other = {"type": "choices", "from_name": "truth", "value": {"choices": ["normal"]}}
    annotations = [
        {"completed_by": 1, "result": [choice]},
        {"completed_by": 1, "was_cancelled": True, "result": [other]},
    ]
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"data": {"video": video}, "annotations": annotations}]))
    (rater,) = read_raters([str(path)])
    assert {name: rating.truth for name, rating in rater.ratings.items()} == {clip: "cut_in"}


def test_line_ends_in_texts_of_via_are_no_ends_of_its_rows(tmp_path: Path) -> None:
    log = started(tmp_path / "anna.jsonl")
    say(log, "clip_1", "ghost_probing", note="plain")
    write_labels(log, tmp_path / "anna.via.csv", "via")
    text = (tmp_path / "anna.via.csv").read_text().replace("plain", "a\u2028b\x85c")
    (tmp_path / "anna.via.csv").write_bytes(text.replace("\n", "\r\n").encode())
    (rater,) = read_raters([str(tmp_path / "anna.via.csv")])
    assert {name: rating.truth for name, rating in rater.ratings.items()} == {"clip_1": "ghost_probing"}
