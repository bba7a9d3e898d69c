"""Label files: the grammar, and everything that must be refused with its line."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.datasets.labels import parse_label, read_labels
from ghostbench.errors import BadInput

HEADER = "video_id,ground_truth_label,remark\n"
seconds = st.integers(0, 999_999).map(str) | st.decimals(0, 9999, places=2).map(str)


def labels_of(text: str, **options: bool) -> list[tuple[str, str, float | None, str | None]]:
    found = read_labels(text.encode(), "labels.csv", **options)
    return [(c.id, c.truth, c.truth_time_s, c.remark) for c in found.clips]


@given(seconds)
def test_every_form_of_the_grammar_is_read(time: str) -> None:
    assert parse_label("none") == ("normal", None)
    assert parse_label("ghost probing") == ("ghost_probing", None)
    assert parse_label("cut-in") == ("cut_in", None)
    assert parse_label(f"{time}s: ghost probing") == ("ghost_probing", float(time))
    assert parse_label(f" {time}s: cut-in ") == ("cut_in", float(time))


@given(st.text(max_size=30) | st.from_regex(r"[0-9.]{0,4}s?:? ?(ghost probing|cut-in|none)", fullmatch=True))
def test_nothing_else_is_a_label(text: str) -> None:
    try:
        truth, time = parse_label(text)
    except ValueError:
        return
    words = {"ghost_probing": "ghost probing", "cut_in": "cut-in", "normal": "none"}
    rest = text.strip(" ").removesuffix(words[truth])
    assert rest == "" if time is None else float(rest.removesuffix("s: ")) == time
    assert rest == "" or truth != "normal"


@pytest.mark.parametrize(
    "text",
    [
        *("", "None", "NONE", "Ghost probing", "ghost  probing", "ghost-probing", "cut in", "cutin", "normal"),
        *("13: cut-in", "5s ghost probing", "5s:ghost probing", "5 s: ghost probing", "-1s: ghost probing"),
        *("1e3s: cut-in", "nans: cut-in", "infs: cut-in", ".5s: cut-in", "5.s: cut-in", "٥s: cut-in", "5s: none"),
        *(
            "no ghost probing",
            "ghost probing?",
            "5s: ghost probing, cut-in",
            "none\n",
            "1234567s: cut-in",
            "none\u200b",
        ),
    ],
)
def test_near_misses_are_refused_and_named_on_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="is not none") as caught:
        parse_label(text)
    assert str(caught.value).isprintable()


rows = st.lists(
    st.tuples(
        st.from_regex(r"images_[1-9][0-9]?_[0-9]{3}", fullmatch=True),
        st.sampled_from(["none", "ghost probing", "cut-in", "3s: ghost probing", "2.5s: cut-in"]),
        # A mark of the byte order says nothing, wherever in a file it stands.
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff"), max_size=20),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row[0],
)


@given(
    rows, st.sampled_from(["", "\ufeff"]), st.sampled_from(["\n", "\r\n"]), st.sampled_from([",", "\t"]), st.booleans()
)
def test_what_was_written_is_what_is_read(
    content: list[tuple[str, str, str]], mark: str, ends: str, delimiter: str, quoted: bool
) -> None:
    out = io.StringIO()
    writer = csv.writer(
        out, delimiter=delimiter, lineterminator=ends, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    )
    writer.writerow(["video_id", "ground_truth_label", "remark"])
    writer.writerows((f"{name}.avi", label, remark) for name, label, remark in content)
    data = (mark + out.getvalue()).encode()
    found = read_labels(data, "labels")
    assert [(c.id, c.remark) for c in found.clips] == [(n, r.strip() or None) for n, _, r in content]
    assert [(c.truth, c.truth_time_s) for c in found.clips] == [parse_label(label) for _, label, _ in content]
    assert [c.category for c in found.clips] == [int(n.split("_")[1]) for n, _, _ in content]
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.skipped == ()


def test_columns_may_stand_in_any_order_beside_others() -> None:
    text = "actor,ground_truth_label,video_id\nchild,4s: ghost probing,a\n,none,b.mp4\n"
    assert labels_of(text) == [("a", "ghost_probing", 4.0, None), ("b", "normal", None, None)]


def test_empty_lines_and_a_missing_last_remark_do_not_matter() -> None:
    assert labels_of(HEADER + "\na,none\n\nb,none,\n\n") == [("a", "normal", None, None), ("b", "normal", None, None)]


def test_an_id_in_dada_form_has_its_category_and_another_has_none() -> None:
    found = read_labels((HEADER + "images_12_034.avi,none,\nfront_door.mp4,none,\nimages_0_1,none,\n").encode(), "x")
    assert [(c.id, c.category) for c in found.clips] == [
        ("images_12_034", 12),
        ("front_door", None),
        ("images_0_1", None),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEADER + "a,none,\n,none,\n", 3, "blank"),
        (HEADER + "a,none,\n  .avi,none,\n", 3, "blank"),
        (HEADER + "a,none,\nb,none,\na.avi,none,\n", 4, "'a' is there twice"),
        (HEADER + "a,none,\n\n\nb,ghost,\n", 5, "'ghost' is not none"),
        (HEADER + 'a,none,"two\nlines"\nb,ghost,\n', 4, "'ghost' is not none"),
        (HEADER + "a\n", 2, "ends before its label"),
        (HEADER + "a,none,one, two\n", 2, "4 cells where the header has 3"),
        (HEADER + "../a,none,\n", 2, "not a plain name"),
        (HEADER + "a/b,none,\n", 2, "not a plain name"),
        (HEADER + "a\\b,none,\n", 2, "not a plain name"),
        (HEADER + "..,none,\n", 2, "not a plain name"),
        (HEADER + "...mp4,none,\n", 2, "not a plain name"),
        (HEADER + "a\x1b[31m,none,\n", 2, "do not print"),
        (HEADER + "a\u202eb,none,\n", 2, "do not print"),
        (HEADER + "a\0b,none,\n", 2, ""),
        (HEADER + "x" * 201 + ",none,\n", 2, "longer than 200"),
        (HEADER + 'a,"none\n', 2, "not readable as CSV"),
    ],
)
def test_a_bad_row_is_an_error_that_names_file_and_line(text: str, line: int, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_labels(text.encode(), "my labels.csv")
    message = str(caught.value)
    assert f"my labels.csv, line {line}: " in message
    assert words in message
    assert message.isprintable()


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\n\n", b"\xef\xbb\xbf", b"video_id,ground_truth_label\n", b"a,none\nb,none\n", b"video_id\na\n"),
        *(b"video_id,ground_truth_label,video_id\na,none,b\n", b"Video_ID,ground_truth_label\na,none\n"),
        *("é,none\n".encode("latin-1"), b"video_id,ground_truth_label\n\xff\xfe,none\n"),
        *(b"video_id,ground_truth_label,remark,remark\na,none,,\n", b"\x89PNG\r\n\x1a\n\0\0\0"),
    ],
)
def test_what_is_no_label_table_is_bad_input_on_one_line(data: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        read_labels(data, "labels.csv")
    assert str(caught.value).startswith("labels.csv")
    assert str(caught.value).isprintable()


def outcome(data: bytes, skip_bad: bool) -> str:
    """The ids that were read, or the message; any other exception goes up."""
    try:
        clips = read_labels(data, "labels.csv", skip_bad=skip_bad).clips
    except BadInput as error:
        return str(error)
    assert clips
    return " ".join(clip.id for clip in clips)


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_labels_or_bad_input(data: bytes) -> None:
    for skip_bad in (False, True):
        assert outcome(data, skip_bad).isprintable()


@given(st.text(max_size=120))
def test_no_rows_make_anything_but_labels_or_bad_input(text: str) -> None:
    data = (HEADER + text).encode("utf-8", "replace")
    for skip_bad in (False, True):
        assert outcome(data, skip_bad).isprintable()


def test_bad_rows_are_left_out_and_listed_on_request() -> None:
    text = HEADER + "a,none,\n,cut-in,\nb,what,\na,cut-in,\nc,2s: cut-in,\n"
    found = read_labels(text.encode(), "labels.csv", skip_bad=True)
    assert [(c.id, c.truth) for c in found.clips] == [("a", "normal"), ("c", "cut_in")]
    assert [entry.split(":")[0] for entry in found.skipped] == ["line 3", "line 4", "line 5"]
    assert found.skipped_ids == {"b"}


def test_a_file_of_bad_rows_alone_is_bad_input_even_so() -> None:
    with pytest.raises(BadInput, match="no usable label rows"):
        read_labels((HEADER + "a,what,\n").encode(), "labels.csv", skip_bad=True)


def test_the_published_labels_are_read(shared_data: Path) -> None:
    found = read_labels((shared_data / "dada2000" / "labels.csv").read_bytes(), "labels.csv")
    truths = [clip.truth for clip in found.clips]
    assert len(found.clips) == 200
    assert {t: truths.count(t) for t in set(truths)} == {"ghost_probing": 84, "cut_in": 18, "normal": 98}
    assert sum(clip.remark is not None for clip in found.clips) == 14
    assert sum(clip.truth_time_s is None and clip.truth != "normal" for clip in found.clips) == 1


def test_two_rows_of_the_published_labels_first_version_are_bad(shared_data: Path) -> None:
    data = (shared_data / "dada2000" / "labels_first_version.tsv").read_bytes()
    with pytest.raises(BadInput, match="line 86: "):
        read_labels(data, "labels.tsv")
    found = read_labels(data, "labels.tsv", skip_bad=True)
    assert [entry.split(":")[0] for entry in found.skipped] == ["line 86", "line 87"]
    assert "blank" in found.skipped[1]
    assert len(found.clips) == 99
