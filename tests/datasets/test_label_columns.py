"""The optional columns of a label file: read by one list, checked cell by cell, never dropped without a word."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.datasets.labels import read_labels
from ghostbench.errors import BadInput
from ghostbench.label import COLUMNS, Label

CELLS = {"seconds": ("2.5", 2.5), "words": ("parked van", "parked van"), "yes_no": ("yes", True)}
"""A cell of each kind of column, and what it says."""


def read(text: str, **options: bool) -> list[Label]:
    return [clip.labels for clip in read_labels(text.encode(), "labels.csv", **options).clips]


def row(**cells: str) -> str:
    return f"video_id,ground_truth_label,{','.join(cells)}\na,ghost probing,{','.join(cells.values())}\n"


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_is_read_and_blank_where_nobody_says(name: str) -> None:
    cell, value = CELLS[COLUMNS[name]]
    (label,) = read(row(**{name: cell}))
    assert label == Label(**{name: value})
    assert label.stated() == {name: value}
    assert read(row(**{name: "", "remark": "x"})) == [Label()]


def test_the_columns_are_the_fields_of_the_label() -> None:
    assert list(COLUMNS) == [field.name for field in dataclasses.fields(Label)]
    assert set(COLUMNS) >= {"first_visible_s", "danger_s", "contact_s", "occluder", "actor", "annotator", "doubt"}


@given(st.decimals(0, 9999, places=3), st.sampled_from(["{}", "{}s", " {} s"]))
def test_seconds_are_read_as_they_stand(number: object, form: str) -> None:
    (label,) = read(row(contact_s=form.format(number)))
    assert label.contact_s == float(str(number))


@pytest.mark.parametrize(
    ("cell", "value"),
    [("yes", True), ("Y", True), ("?", True), ("1", True), ("TRUE", True), ("no", False), ("0", False), ("N", False)],
)
def test_doubt_is_said_with_yes_or_no(cell: str, value: bool) -> None:
    assert read(row(doubt=cell)) == [Label(doubt=value)]


def test_spreadsheets_ways_of_writing_a_number_are_read() -> None:
    assert read("video_id;ground_truth_label;danger_s\na;none;2,5\n") == [Label(danger_s=2.5)]
    assert read("video_id\tground_truth_label\tdanger_s\na\tnone\t２．５\n") == [Label(danger_s=2.5)]


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"contact_s": "-1"}, "contact_s '-1' is not seconds from the clip's start, such as 2.5"),
        ({"contact_s": "nan"}, "contact_s 'nan' is not seconds"),
        ({"contact_s": "1e3"}, "contact_s '1e3' is not seconds"),
        ({"contact_s": "00:02.5"}, "contact_s '00:02.5' is not seconds"),
        ({"doubt": "perhaps"}, "doubt 'perhaps' is not yes or no"),
        ({"actor": "a" * 201}, "actor 'aaa"),
        ({"occluder": "van\u202e"}, "is not printable text of at most 200 characters"),
        ({"first_visible_s": "3", "contact_s": "2"}, "first_visible_s (3) is after contact_s (2)"),
        ({"danger_s": "2.1", "contact_s": "2"}, "danger_s (2.1) is after contact_s (2)"),
    ],
)
def test_a_cell_that_is_none_of_its_column_is_named_with_its_line(cells: dict[str, str], why: str) -> None:
    text = row(**cells)
    with pytest.raises(BadInput) as caught:
        read(text)
    message = str(caught.value)
    assert message.startswith("labels.csv, line 2: ")
    assert why in message
    assert "--skip-bad-labels" in message
    assert message.isprintable()
    found = read_labels((text + "b,none\n").encode(), "labels.csv", skip_bad=True)
    assert [clip.id for clip in found.clips] == ["b"]
    assert found.skipped[0].startswith("line 2: ")


@pytest.mark.parametrize("name", ["contact", "Contact_s", "contact (s)", "occluders", "first visible s", "Doubt"])
def test_a_name_that_is_nearly_a_columns_is_not_dropped_in_silence(name: str) -> None:
    with pytest.raises(BadInput, match=r"line 1: the column .* is not read; call it "):
        read(row(**{name: "1"}))


def test_other_columns_are_no_error_and_a_column_twice_is_one() -> None:
    assert read(row(weather="rain", note="x")) == [Label()]
    with pytest.raises(BadInput, match="the column actor is twice"):
        read("video_id,ground_truth_label,actor,actor\na,none,x,y\n")


def test_doubt_goes_by_the_column_and_without_it_by_the_remark() -> None:
    text = "video_id,ground_truth_label,remark,doubt\na,none,??,\nb,none,??,no\nc,none,,yes\nd,none,sure,\n"
    clips = read_labels(text.encode(), "labels.csv").clips
    assert [clip.doubted for clip in clips] == [True, False, True, False]


def test_a_label_is_filled_with_what_only_another_says() -> None:
    assert Label(actor="child", contact_s=3.0).filled(Label(actor="car", danger_s=1.0)) == Label(
        actor="child", contact_s=3.0, danger_s=1.0
    )
