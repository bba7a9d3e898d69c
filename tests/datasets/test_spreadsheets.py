"""Label files as spreadsheets and input methods leave them: the same clips, or one line that names the real cause."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.datasets.labels import read_labels
from ghostbench.errors import BadInput

Clips = list[tuple[str, str, float | None, str | None]]
MEANT: Clips = [
    ("images_1_001", "ghost_probing", 3.2, "child, from behind a van"),
    ("images_1_002", "normal", None, None),
    ("images_2_003", "cut_in", 0.8, "taxi?"),
    ("images_2_004", "normal", None, "备注，雨天"),
]
LABELS = ["3.2s: ghost probing", "none", "0.8s: cut-in", "none"]
NAMES = ["video_id", "ground_truth_label", "remark"]
PLAIN = "video_id,ground_truth_label,remark\na.avi,3.2s: ghost probing,r\nb.avi,none,\n"


def clips(data: bytes) -> Clips:
    return [(c.id, c.truth, c.truth_time_s, c.remark) for c in read_labels(data, "labels.csv").clips]


def written(delimiter: str = ",", ends: str = "\r\n", quoting: int = csv.QUOTE_MINIMAL, more: int = 0) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ends, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow([*NAMES, *[""] * more])
    for (name, _, _, remark), label in zip(MEANT, LABELS, strict=True):
        writer.writerow([f"{name}.avi", label, remark or "", *[""] * more])
    return out.getvalue()


@given(
    delimiter=st.sampled_from([",", ";", "\t", "，", "；", "|"]),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030", "gbk"]),
    sep=st.sampled_from(["", "sep={}", '"sep={}"']),
    more=st.integers(0, 3),
    mark_within=st.booleans(),
)
def test_every_spreadsheets_way_of_writing_gives_the_same_clips(
    delimiter: str, ends: str, quoting: int, encoding: str, sep: str, more: int, mark_within: bool
) -> None:
    text = written(delimiter, ends, quoting, more)
    if sep:
        text = sep.format(delimiter) + ends + text
    if mark_within and encoding.startswith("utf"):
        text = text.replace("images_1_002", "\ufeffimages_1_002")
    assert clips(text.encode(encoding)) == MEANT


def typed(text: str) -> str:
    """ASCII as an input method writes it in full width."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else "\u3000" if c == " " else c for c in text)


@given(
    st.sampled_from(LABELS),
    st.sampled_from([str, typed, lambda t: t.replace(": ", "："), lambda t: t.replace(": ", "： "),
                     lambda t: t.replace(" ", "\u00a0"), lambda t: t.replace(" ", "\u3000"),
                     lambda t: t.replace("-", "–"), lambda t: t.replace("-", "\u2011"),
                     lambda t: f"\u200b{t}\u200e"]),
    st.sampled_from([str, lambda t: f"“{t}”", lambda t: f'=""{t}""',
                     lambda t: f"\u00a0{t}\u2003", lambda t: f"'{t}'", lambda t: f" {t} "]),
)  # fmt: skip
def test_what_input_methods_make_of_a_label_is_that_label(label: str, change: object, around: object) -> None:
    cell = around(change(label))  # type: ignore[operator]
    plain = clips(f"video_id,ground_truth_label\na,{label}\n".encode())
    assert clips(f'video_id,ground_truth_label\na,"{cell}"\n'.encode()) == plain


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("images_1_001.avi，none，雨天", ("images_1_001", "normal", None, "雨天")),
        ("ｉｍａｇｅｓ＿１＿００１．avi,none,", ("images_1_001", "normal", None, None)),
        ("“images_1_001.avi”,“none”,", ("images_1_001", "normal", None, None)),
        ("images_1_001.avi\u00a0,none,", ("images_1_001", "normal", None, None)),
        ("夜　１.avi,none,", ("夜 １", "normal", None, None)),
        ('images_1_001.avi,"3,2s: cut-in",', ("images_1_001", "cut_in", 3.2, None)),
        ("images_1_001.avi,none,,,,", ("images_1_001", "normal", None, None)),
        ('"=""images_1_001.avi""","=""none""",', ("images_1_001", "normal", None, None)),
        ('="夜 1.avi",none,', ("夜 1", "normal", None, None)),
    ],
)
def test_a_row_is_read_where_it_is_certain_what_is_meant(row: str, expected: tuple[object, ...]) -> None:
    assert clips(f"video_id,ground_truth_label,remark\n{row}\n".encode()) == [expected]


def test_columns_of_other_uses_are_no_error() -> None:
    names = "video_id;ground_truth_label;first_visible_s;danger_s;contact_s;occluder;actor;annotator;doubt"
    assert clips(f"{names}\na;2s: ghost probing;1,5;1,8;2,6;bus;child;anna;?\n".encode()) == [
        ("a", "ghost_probing", 2.0, None)
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + b"\0" * 40, "an Excel workbook (.xlsx)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 40, "an Excel workbook (.xls)"),
        (b"<html><table><tr><td>video_id", "an HTML or XML file"),
        (b"\r\n<?xml version='1.0'?><Workbook>", "an HTML or XML file"),
        (b"{\\rtf1 video_id", "an RTF document"),
        (b"%PDF-1.7", "a PDF"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (PLAIN.replace(",r\n", ",d\xe9j\xe0 vu\n").encode("latin-1"), "line 2: not UTF-8 text, nor Chinese in GBK"),
        (PLAIN.replace(",r\n", ",こども\n").encode("shift-jis"), "line 2: not UTF-8 text"),
        (PLAIN.replace(",r\n", ",снег\n").encode("cp1251"), "line 2: not UTF-8 text"),
        (PLAIN.replace(",r\n", ",jäätie pää\n").encode("cp1252"), "line 2: not UTF-8 text"),
        (PLAIN.replace(",r\n", ",보행자 갑자기 뛰어듦 주의\n").encode("euc-kr"), "line 2: not UTF-8 text"),
        (b"BZh91AY&SY", "compressed with bzip2"),
        (b"\xfd7zXZ\x00\x00", "compressed with xz"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git lfs pull"),
        (b'[{"video_id": "a", "ground_truth_label": "none"}]', "a JSON file"),
        (b'\n{"message": "Not Found"}', "a JSON file"),
        (PLAIN.replace("video_id", "Video ID").encode(), "the column 'Video ID' is not read; call it video_id"),
        (b"Labels of 2024,,\n" + PLAIN.encode(), "line 1: the column video_id is not there, only 'Labels of 2024'"),
        (PLAIN.replace(",", " ").encode(), "only 'video_id ground_truth_label remark'"),
        (b"\xff\xfe" + PLAIN.encode("utf-16-le") + b"a", "not the UTF-16 text that its first bytes announce"),
        (PLAIN.replace("none,", "none，").encode(), "line 3: "),
        (PLAIN.replace("3.2s: ghost", "1,200s: ghost").encode(), "line 2: "),
    ],
)
def test_what_cannot_be_read_for_certain_is_named_for_what_it_is(data: bytes, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_labels(data, "labels.csv")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_line_is_counted_from_the_files_first(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"line 4: .*'ghost' is not"):
        read_labels(b"sep=;\r\nvideo_id;ground_truth_label\r\na;none\r\nb;ghost\r\n", "labels.csv")


@pytest.mark.parametrize("name", ["05_semicolon", "06_sep_line", "10_fullwidth_colon", "12_nbsp"])
def test_files_that_people_had_are_read(shared_data: Path, name: str) -> None:
    found = clips((shared_data / "faults" / "labels" / f"{name}.csv").read_bytes())
    assert [clip[:3] for clip in found] == [clip[:3] for clip in MEANT]
    assert found[3][3] == "备注，雨天"


def test_a_workbook_under_another_name_is_named(shared_data: Path) -> None:
    with pytest.raises(BadInput, match="an Excel workbook"):
        clips((shared_data / "faults" / "labels" / "33_xlsx_renamed.csv").read_bytes())
