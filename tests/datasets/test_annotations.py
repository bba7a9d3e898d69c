"""Annotation files: each form read by its content, each row joined with its own clip or with none."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.datasets.annotations.dada import BY_LENGTH, BY_NUMBER, ROW_BEFORE, UNVERIFIED, DadaRow, DadaRows
from ghostbench.datasets.annotations.join import Source, joined, read_annotations
from ghostbench.datasets.annotations.rows import Annotation
from ghostbench.datasets.location import Location
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.errors import BadInput, DecodeFailed, MediaUnreachable
from ghostbench.label import Label
from ghostbench.records import Clip, Split

HEADER = (
    "video", "weather(sunny,rainy,snowy,foggy)1-4", "light(day,night)1-2",
    "scenes(highway,tunnel,mountain,urban,rural)1-5", "linear(arterials,curve,intersection,T-junction,ramp) 1-5",
    "type", "whether an accident occurred (1/0)", "abnormal start frame", "accident frame", "abnormal end frame",
    "total frames", "texts", "causes", "measures",
)  # fmt: skip


def workbook(*sheets: Sequence[Sequence[object]]) -> bytes:
    """An .xlsx file: text cells are text, numbers are numbers."""

    def cell(value: object) -> str:
        if isinstance(value, int | float):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'

    main, rel = "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "application/vnd.openxmlformats-"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    numbers = range(1, len(sheets) + 1)
    kind = f"{rel}officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        f'<Default Extension="rels" ContentType="{rel}package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>' for n in numbers
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        + "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
        )
        + "</Relationships>",
    }
    for number, rows in zip(numbers, sheets, strict=True):
        lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return buffer.getvalue()


def dada_line(category: int, number: int, total: int, **cells: object) -> list[object]:
    values: dict[str, object] = {
        **dict(zip(HEADER, (f"{number:03}", "1", "2", "4", "3", str(category), "1", 31, 46, 61, total), strict=False)),
        "texts": "[CLS]a\xa0child runs out[SEP]  ",
        "causes": "vision is blocked",
        "measures": "",
    }
    return [{**values, **cells}[name] for name in HEADER]


def row(category: int, number: int, total: int) -> DadaRow:
    return DadaRow(category=category, number=number, total=total, start=1, accident=1, end=None, parameters={})


def rows(*each: DadaRow) -> DadaRows:
    return DadaRows({(one.category, one.number): one for one in each})


def dada_clip(name: str, frames: int | None) -> Clip:
    return Clip(id=f"images_{name}", truth="normal", media=None if frames is None else str(frames))


def at_30(media: str) -> tuple[float, ...]:
    """The frame times of a "clip" whose place is its number of frames."""
    return tuple(index / 30 for index in range(int(media)))


def matches(found: Mapping[str, Annotation | str]) -> dict[str, Any]:
    return {
        clip.removeprefix("images_"): each
        if isinstance(each, str)
        else (each.parameters["dada_row"], each.parameters["dada_match"])
        for clip, each in found.items()
    }


def test_the_workbook_is_read_by_the_names_of_its_columns_whatever_their_order() -> None:
    order = list(reversed(range(len(HEADER))))
    line = dada_line(5, 7, 90)
    for places in (range(len(HEADER)), order):
        data = workbook([["a", "template"]], [[HEADER[p] for p in places], [line[p] for p in places]])
        file = read_annotations(data, "dada.xlsx")
        (found,) = file.join([dada_clip("5_007", 90)], at_30).values()
        assert isinstance(found, Annotation)
        assert found.labels == Label(danger_s=1.0, contact_s=1.5)
        assert found.parameters == {
            "weather": "sunny", "light": "night", "scene": "urban", "road": "intersection", "accident": True,
            "text": "a child runs out", "cause": "vision is blocked", "dada_row": "5/007", "dada_match": BY_NUMBER,
            "abnormal_end_s": 2.0,
        }  # fmt: skip


def test_a_row_without_an_accident_states_no_contact() -> None:
    line = dada_line(1, 21, 90, **{"accident frame": -1, "whether an accident occurred (1/0)": "0"})
    file = read_annotations(workbook([HEADER, line]), "dada.xlsx")
    (found,) = file.join([dada_clip("1_021", 90)], at_30).values()
    assert isinstance(found, Annotation)
    assert found.labels == Label(danger_s=1.0)
    assert found.parameters["accident"] is False


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"total frames": "many"}, "row 3: total frames is 'many', no number"),
        ({"total frames": 0}, "row 3: total frames is 0"),
        ({"video": "12.5"}, "row 3: video is 12.5, no whole number"),
        ({"video": "001"}, "row 3: 1/001 is there twice"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(cells: dict[str, object], why: str) -> None:
    lines = [dada_line(1, 1, 90), dada_line(1, 2, 80, **cells)]
    with pytest.raises(BadInput) as caught:
        read_annotations(workbook([HEADER, *lines]), "dada.xlsx")
    assert f"dada.xlsx, {why}" in str(caught.value)


def test_a_workbook_of_something_else_is_said_to_be_that() -> None:
    with pytest.raises(BadInput, match="no sheet with the columns video, type"):
        read_annotations(workbook([["a", "b"]]), "other.xlsx")
    with pytest.raises(BadInput, match="not a workbook that can be read"):
        read_annotations(b"PK\x03\x04 and no archive", "broken.xlsx")


def test_without_the_reader_of_workbooks_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(BadInput, match=r"pip install 'ghostbench\[annotations\]'"):
        read_annotations(workbook([HEADER]), "dada.xlsx")


def test_a_row_goes_by_its_number_then_by_the_one_before_then_by_the_only_length() -> None:
    file = rows(row(5, 1, 100), row(5, 2, 110), row(5, 3, 120), row(5, 4, 120), row(4, 9, 130))
    clips = [
        dada_clip("5_001", 100),  # its own
        dada_clip("5_003", 110),  # the one before
        dada_clip("5_009", 120),  # two of that length, neither by number
        dada_clip("5_010", 130),  # that length, but of another category
        dada_clip("4_001", 130),  # the only one of its length
    ]
    found = matches(file.join(clips, at_30))
    assert found["5_001"] == ("5/001", BY_NUMBER)
    assert found["5_003"] == ("5/002", ROW_BEFORE)
    assert found["5_009"] == "each of 2 rows of category 5 has its 120 frames, and there is none of its number"
    assert found["5_010"] == "no row of category 5 has its 130 frames, and there is none of its number"
    assert found["4_001"] == ("4/009", BY_LENGTH)
    assert file.join(clips, at_30)["images_4_001"].flag == f"{BY_LENGTH}, 4/009"  # type: ignore[union-attr]


def test_a_row_that_another_clip_has_by_its_number_goes_to_nobody_else() -> None:
    file = rows(row(4, 3, 261), row(4, 6, 216))
    assert matches(file.join([dada_clip("4_006", 261)], at_30)) == {"4_006": ("4/003", BY_LENGTH)}
    both = matches(file.join([dada_clip("4_006", 261), dada_clip("4_003", 261)], at_30))
    assert both["4_003"] == ("4/003", BY_NUMBER)
    assert both["4_006"] == "row 4/003 is the only one of its length, and another clip has it"


def test_a_row_that_may_as_well_be_another_clips_is_flagged() -> None:
    # As the sheet has it: 5_113 and 5_114 are rows 112 and 113, and rows 112 and 113 are equally long.
    file = rows(row(5, 112, 230), row(5, 113, 230), row(5, 114, 90), row(1, 1, 50), row(1, 2, 50))
    found = file.join([dada_clip("5_113", 230), dada_clip("5_114", 230), dada_clip("1_002", 50)], at_30)
    flags = {clip: each.flag for clip, each in found.items() if not isinstance(each, str)}
    assert flags == {
        "images_5_113": f"{BY_NUMBER}, 5/113; 5/112 is as long, and rows hereabouts are other clips'",
        "images_5_114": f"{ROW_BEFORE}, 5/113; another clip has it too",
        "images_1_002": None,
    }


counts = st.dictionaries(st.tuples(st.integers(4, 6), st.integers(1, 12)), st.integers(1, 6), min_size=1)


@given(counts, counts)
def test_no_row_is_taken_whose_frames_are_not_the_clips(sheet: dict[tuple[int, int], int], media: Any) -> None:
    file = rows(*(row(category, number, total) for (category, number), total in sheet.items()))
    clips = [dada_clip(f"{category}_{number:03}", frames) for (category, number), frames in media.items()]
    for (category, number), each in zip(media, file.join(clips, at_30).values(), strict=True):
        if isinstance(each, str):
            continue
        taken = tuple(map(int, str(each.parameters["dada_row"]).split("/")))
        frames = media[category, number]
        assert sheet[taken] == frames  # type: ignore[index]
        if sheet.get((category, number)) == frames:
            assert taken == (category, number)
        elif sheet.get((category, number - 1)) == frames:
            assert taken == (category, number - 1)
        else:
            alike = [key for key, total in sheet.items() if key[0] == category and total == frames]
            assert alike == [taken]
            assert each.flag is not None


def test_without_media_attributes_are_unverified_without_times_and_shifted_rows_are_refused() -> None:
    numbers = [(5, 65), (5, 66), (5, 67), (6, 42), (6, 43), (4, 6), (5, 49), (6, 29), (1, 1)]
    file = rows(*(row(*key, 90) for key in numbers))
    for frame_times in (at_30, None):
        found = file.join([dada_clip(f"{c}_{n:03}", None) for c, n in [*numbers, (1, 2)]], frame_times)
        accepted = {clip for clip, each in found.items() if isinstance(each, Annotation)}
        assert accepted == {"images_5_065", "images_6_042", "images_1_001"}
        for clip in accepted:
            each = found[clip]
            assert isinstance(each, Annotation)
            assert each.labels == Label()
            assert each.parameters["dada_match"] == UNVERIFIED
            assert each.flag is not None


def test_a_clip_that_cannot_be_decoded_has_no_row_and_a_storage_that_fails_ends_it() -> None:
    def torn(media: str) -> tuple[float, ...]:
        raise DecodeFailed("torn at frame 7")

    def unreachable(media: str) -> tuple[float, ...]:
        raise MediaUnreachable("reset by peer")

    file, clips = rows(row(1, 1, 90)), [dada_clip("1_001", 90)]
    assert file.join(clips, torn) == {"images_1_001": "its frames cannot be counted: torn at frame 7"}
    with pytest.raises(BadInput, match=r"the storage does not give it: reset by peer; try again"):
        file.join(clips, unreachable)


def test_badas_consensus_names_dada_clips_and_contradictions_cost_their_row_alone() -> None:
    text = (
        "id,batch,Event-type,Nexar-vehicle-involved,min_support,Time-of-alert,Time-of-collision,Diff,article_category\n"
        "10_068.mp4,,Collision,yes,10,5.116666666666667,7.233333333333333,2.1,pos-ego\n"
        "5_001.mp4,,Near-collision,no,7,3.0,2.0,-1,less2s\n"
        "b001/vid_7.mp4,,Collision,no,9,1.5,2.5,1,pos-ego\n"
    )
    found = read_annotations(text.encode(), "badas.csv").join(
        [Clip(id=name, truth="normal") for name in ("images_10_068", "images_5_001", "vid_7", "images_1_001")], None
    )
    assert found["images_10_068"] == Annotation(
        labels=Label(danger_s=5.116666666666667, contact_s=7.233333333333333),
        parameters={
            "event_type": "Collision", "ego_involved": True, "annotators_in_support": 10, "badas_category": "pos-ego"
        },
    )  # fmt: skip
    assert found["images_5_001"] == "line 3 of the file: danger_s (3) is after contact_s (2)"
    assert found["vid_7"].labels == Label(danger_s=1.5, contact_s=2.5)  # type: ignore[union-attr]
    assert found["images_1_001"] == "the file does not name it"


@pytest.mark.parametrize(
    "text",
    [
        "id,time_of_event,time_of_alert,target\n00822,19.5,18.633,1\n01924,,,0\n",
        "id,time_of_event,time_of_alert,target\n822,19.5,18.633,1\n1924,nan,nan,0\n",
        "file_name,time_of_event,time_of_alert,target\npositive/00822.mp4,19.5,18.633,1\nnegative/01924.mp4,,,0\n",
    ],
)
def test_nexars_tables_are_read_in_either_form(text: str) -> None:
    clips = [Clip(id="00822", truth="normal"), Clip(id="01924", truth="normal")]
    found = read_annotations(text.encode(), "train.csv").join(clips, None)
    assert found["00822"] == Annotation(labels=Label(danger_s=18.633, contact_s=19.5), parameters={"target": 1})
    assert found["01924"] == Annotation(parameters={"target": 0})


def test_json_by_clip_fills_labels_and_parameters() -> None:
    content = {
        "a": {"first_visible_s": 2, "actor": "child", "doubt": True, "occluder": None, "speed": 9.5, "hedge": False,
              "comes_from": "7", "label": "2s: ghost probing", "pixels_sha256": "00"},
        "b.mp4": {"gap": 3},
    }  # fmt: skip
    clips = [Clip(id="a", truth="ghost_probing"), Clip(id="b", truth="normal")]
    found = read_annotations(json.dumps(content).encode(), "x.json").join(clips, None)
    assert found["a"] == Annotation(
        labels=Label(first_visible_s=2.0, actor="child", doubt=True),
        parameters={"speed": 9.5, "hedge": False, "comes_from": "7"},
        truth="ghost_probing",
    )
    assert found["b"] == Annotation(parameters={"gap": 3})


def test_a_table_by_clip_fills_labels_and_parameters() -> None:
    text = "video_id;contact_s;weather;lanes;remark\na.avi;2,5;rain;2;hm\nb;;;;\n"
    found = read_annotations(text.encode(), "x.csv").join([Clip(id=c, truth="normal") for c in "ab"], None)
    assert found == {
        "a": Annotation(labels=Label(contact_s=2.5), parameters={"weather": "rain", "lanes": 2}),
        "b": Annotation(),
    }


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a": {"x": [1]}}', "x.txt: 'a': x: '[1]' is not text, a number, or true or false"),
        (b'{"a": {"contact_s": -1}}', "x.txt: 'a': contact_s '-1' is not seconds"),
        (b'{"a": {"contact_s": NaN}}', "x.txt: 'a': contact_s 'nan' is not seconds"),
        (b'{"a": {"x": 1e999}}', "x.txt: 'a': x: 'inf' is not"),
        (b'{"a": {"label": "ghost"}}', "x.txt: 'a': the label 'ghost' is not none |"),
        (b'{"a": {"<b>": 1}}', "x.txt: 'a': the name '<b>' is not one of letters"),
        (b'{"a": {}, "a.mp4": {}}', "x.txt: 'a.mp4': the clip is there twice"),
        (b'{"a": 1}', "x.txt: not one object for each clip"),
        (b'["a"]', "x.txt: not one object for each clip"),
        (b"{", "x.txt: not JSON"),
        (b"[" * 100_000, "x.txt: not JSON"),
        (b"video_id,danger_s\na,soon\n", "x.txt, line 2: danger_s 'soon' is not seconds"),
        (b"video_id,x\na,1\na,2\n", "x.txt, line 3: the video id 'a' is there twice"),
        (b"video_id,contact\na,1\n", "x.txt, line 1: the column 'contact' is not read; call it contact_s"),
        (b"video_id,x\n,1\n", "x.txt, line 2: the video id is blank"),
        (b"clip,weather\na,rain\n", "x.txt: no annotation that is known; give a table with the column video_id"),
        (b"", "x.txt: no annotation that is known"),
        (b"\x00\xff\xfe\x00", "x.txt"),
    ],
)
def test_what_is_no_annotation_is_refused_in_one_line(data: bytes, why: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_annotations(data, "x.txt")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def written(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_what_is_labelled_stays_and_rows_that_contradict_it_are_not_taken(tmp_path: Path) -> None:
    clips = [
        Clip(id="a", truth="ghost_probing", labels=Label(actor="child"), parameters={"weather": "rain"}),
        Clip(id="b", truth="normal"),
        Clip(id="c", truth="normal", labels=Label(first_visible_s=3.0)),
    ]
    table = (
        "video_id,ground_truth_label,actor,contact_s,weather\na,ghost probing,car,2,sun\nb,cut-in,x,1,sun\nc,none,,2,\n"
    )
    source = Source.read(Location(written(tmp_path, "more.csv", table)))
    (a, b, c), account = joined(clips, source, None)
    assert a.labels == Label(actor="child", contact_s=2.0)
    assert a.parameters == {"weather": "rain"}
    assert (b, c) == (clips[1], clips[2])
    assert account.matched == 1
    assert account.unmatched == {
        "b": "it says cut_in where the label says normal",
        "c": "beside what is labelled, first_visible_s (3) is after contact_s (2)",
    }


def dataset(folder: Path, more: str = "") -> str:
    (folder / "labels.csv").write_text("video_id,ground_truth_label\nimages_1_001,none\nimages_1_002,none\n")
    return written(folder, "dataset.yaml", f"name: some\nlabels: labels.csv\n{more}")


def chosen(folder: Path, more: str = "", **query: Any) -> Split:
    return select(SplitQuery(dataset=dataset(folder, more), **query), media=False)


def test_a_dataset_names_annotations_and_those_of_the_user_go_first(tmp_path: Path) -> None:
    written(tmp_path, "own.json", '{"images_1_001": {"actor": "own", "x": 1}, "images_1_002": {"x": 2}}')
    given = written(tmp_path, "given.csv", "video_id,actor\nimages_1_001,given\n")
    alone = chosen(tmp_path, "annotations: own.json\n")
    assert [clip.labels.actor for clip in alone.clips] == ["own", None]
    both = chosen(tmp_path, "annotations: [own.json]\n", annotations=(given,))
    assert [clip.labels.actor for clip in both.clips] == ["given", None]
    assert [dict(clip.parameters) for clip in both.clips] == [{"x": 1}, {"x": 2}]
    assert [account.form for account in both.annotations] == ["table by clip", "JSON by clip"]
    assert both.annotations[0].unmatched == {"images_1_002": "the file does not name it"}


def test_a_strangers_dataset_names_no_annotations_outside_its_folder(tmp_path: Path, canary: Path) -> None:
    for place in (str(canary), "../private/labels.csv", "https://example.org/x.csv"):
        (tmp_path / "set").mkdir(exist_ok=True)
        with pytest.raises(BadInput, match="give the file with --annotations"):
            chosen(tmp_path / "set", f"annotations: {place}\n")


def test_ghost5_has_its_annotations() -> None:
    split = select(SplitQuery())
    by_id = {clip.id: clip for clip in split.clips}
    for clip in split.clips:
        if clip.truth == "ghost_probing":
            assert clip.labels.first_visible_s == clip.truth_time_s
            assert clip.labels.occluder is not None
    assert by_id["ghost5_02"].labels == Label(first_visible_s=2.8, actor="child", occluder="parked van")
    assert by_id["ghost5_02"].parameters["distance_at_first_visible_m"] == 19.1
    assert by_id["ghost5_03"].labels == Label()
    assert split.annotations[0].matched == 5
    assert not any("sha256" in name for clip in split.clips for name in clip.parameters)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Split:
    """The 32 clips at hand, each decoded, with the official annotation."""
    from ghostbench.media.count import frame_times

    sheet = shared_data / "annotations" / "dada_text_annotations.xlsx"
    if not sheet.is_file():
        pytest.skip("the official annotation is not there")
    query = SplitQuery(
        dataset="dada2000",
        data_root=str(shared_data / "dada2000" / "clips"),
        labels=str(shared_data / "dada2000" / "labels.csv"),
        only_available=True,
        annotations=(str(sheet),),
    )
    return select(query, frame_times=frame_times)


@pytest.mark.slow
def test_every_row_that_is_taken_has_the_clips_frames(real: Split, shared_data: Path) -> None:
    import av
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(str(shared_data / "annotations" / "dada_text_annotations.xlsx"))
    header, *lines = book.get_sheet_by_name("Sheet1").to_python()
    columns = [header.index(name) for name in ("type", "video", "total frames")]
    totals = {tuple(int(float(str(line[at]))) for at in columns[:2]): int(line[columns[2]]) for line in lines}
    taken = {clip: clip.parameters["dada_row"] for clip in real.clips if "dada_row" in clip.parameters}
    assert len(real.clips) == 32
    assert len(taken) == real.annotations[0].matched == 30
    for clip, name in taken.items():
        with av.open(str(clip.media)) as container:
            decoded = sum(1 for _ in container.decode(video=0))
        assert totals[tuple(map(int, str(name).split("/")))] == decoded, clip.id  # type: ignore[index]


def test_the_clips_that_the_join_by_number_gets_wrong_are_right(real: Split) -> None:
    by_id = {clip.id.removeprefix("images_"): clip for clip in real.clips}
    row_of = {name: clip.parameters.get("dada_row") for name, clip in by_id.items()}
    assert row_of["4_006"] == "4/003"
    assert real.annotations[0].flagged == {"images_4_006": "only row of this length, 4/003"}
    assert row_of["5_049"] is row_of["6_043"] is None
    assert set(real.annotations[0].unmatched) == {"images_5_049", "images_6_043"}
    shifted = {name: row for name, row in row_of.items() if by_id[name].parameters.get("dada_match") == ROW_BEFORE}
    assert shifted == {
        "5_068": "5/067", "5_074": "5/073", "5_077": "5/076", "5_078": "5/077", "6_060": "6/059"
    }  # fmt: skip
    others = {name for name in row_of if name not in {*shifted, "4_006", "5_049", "6_043"}}
    assert {name: row_of[name] for name in others} == {name: name.replace("_", "/") for name in others}


def test_ten_independent_annotators_saw_the_collision_when_the_joined_rows_say(real: Split, shared_data: Path) -> None:
    consensus = Source.read(Location(str(shared_data / "annotations" / "badas_dada2000_consensus.csv")))
    bare = [Clip(id=clip.id, truth=clip.truth) for clip in real.clips]
    seen = {clip.id: clip.labels.contact_s for clip in joined(bare, consensus, None)[0]}
    pairs = [(clip.labels.contact_s, seen[clip.id]) for clip in real.clips]
    both = [abs(mine - theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
    assert len(both) >= 8
    assert sum(apart <= 0.5 for apart in both) >= len(both) - 1


def test_the_sister_files_columns_stand_in_another_order_and_are_read_all_the_same(shared_data: Path) -> None:
    sheet = shared_data / "annotations" / "cap_text_annotations.xls"
    if not sheet.is_file():
        pytest.skip("the sister file is not there")
    file = Source.read(Location(str(sheet))).file
    assert isinstance(file, DadaRows)
    assert len(file.rows) > 9000
    first = file.rows[10, 1]
    assert (first.start, first.accident, first.end, first.total) == (18, 34, 50, 50)
