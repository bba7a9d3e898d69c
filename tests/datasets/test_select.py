"""From a query to a split: datasets, labels, splits and filters, and every bad query on one line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ghostbench.datasets.embedded import embedded_folder
from ghostbench.datasets.location import Location
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.datasets.splits import read_ids
from ghostbench.datasets.storage import Media
from ghostbench.errors import BadInput, DecodeFailed
from ghostbench.media.decode import decode
from ghostbench.media.sampling import parse_sampling


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset file with six labelled clips, four of them with media, and two splits."""
    (tmp_path / "media").mkdir()
    for name in ("a1", "a2", "b1", "b3"):
        (tmp_path / "media" / f"{name}.mp4").write_bytes(b"x")
    rows = ["a1,none", "a2,2s: ghost probing", "a3,cut-in", "b1,none", "b2.mp4,none", "b3,ghost probing"]
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\n" + "\n".join(rows) + "\n")
    (tmp_path / "few.txt").write_text("# three\nb3\na3.mp4\n\na1\n")
    (tmp_path / "strange.txt").write_text("a1\nzz\n")
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nroot: media\nlayout: files\nlabels: labels.csv\n"
        "splits: {few: few.txt, strange: strange.txt, gone: gone.txt}\n"
    )
    return path


def ids(query: SplitQuery) -> list[str]:
    return [clip.id for clip in select(query).clips]


def test_the_split_all_is_every_labelled_clip_in_order(dataset: Path) -> None:
    split = select(SplitQuery(dataset=str(dataset)))
    assert [clip.id for clip in split.clips] == ["a1", "a2", "a3", "b1", "b2", "b3"]
    assert [clip.media is not None for clip in split.clips] == [True, True, False, True, False, True]
    assert (split.dataset, split.name, split.filters) == ("mine", "all", ())
    assert split.labels_sha256 == hashlib.sha256((dataset.parent / "labels.csv").read_bytes()).hexdigest()
    assert split.split_sha256 == hashlib.sha256(b"a1\na2\na3\nb1\nb2\nb3").hexdigest()
    assert split.data_root == str(dataset.parent / "media")


def test_a_named_split_is_its_list_in_the_list_s_order(dataset: Path) -> None:
    assert ids(SplitQuery(dataset=str(dataset), split="few")) == ["b3", "a3", "a1"]


def test_filters_apply_in_the_order_split_clips_available_limit(dataset: Path) -> None:
    query: dict[str, Any] = {"dataset": str(dataset)}
    assert ids(SplitQuery(**query, clips="b*", limit=1)) == ["b1"]
    assert ids(SplitQuery(**query, clips="b*", only_available=True, limit=2)) == ["b1", "b3"]
    assert ids(SplitQuery(**query, split="few", only_available=True, limit=1)) == ["b3"]
    split = select(SplitQuery(**query, clips="[ab]?", only_available=True, limit=3))
    assert [clip.id for clip in split.clips] == ["a1", "a2", "b1"]
    assert split.filters == ("clips=[ab]?", "only-available: 4 of 6", "limit=3")
    assert split.split_sha256 == hashlib.sha256(b"a1\na2\nb1").hexdigest()
    assert select(SplitQuery(**query, limit=100)).filters == ()


def test_clips_takes_a_file_of_ids(dataset: Path) -> None:
    listed = dataset.parent / "mine.txt"
    listed.write_bytes(b"\xef\xbb\xbfb2\r\na1.mp4\r\n")
    assert ids(SplitQuery(dataset=str(dataset), clips=f"@{listed}")) == ["a1", "b2"]
    listed.write_text("b2\nnot-there\n")
    with pytest.raises(BadInput, match="'not-there' is not in the split"):
        select(SplitQuery(dataset=str(dataset), clips=f"@{listed}"))


def test_the_user_s_labels_and_root_come_before_the_dataset_s(dataset: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a3.avi").write_bytes(b"x")
    (other / "l.tsv").write_text("video_id\tground_truth_label\na3\tnone\n")
    split = select(SplitQuery(dataset=str(dataset), data_root=str(other), labels=str(other / "l.tsv")))
    assert [(clip.id, clip.truth, clip.media) for clip in split.clips] == [("a3", "normal", str(other / "a3.avi"))]
    assert split.data_root == str(other)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"dataset": "ghost"}, "did you mean ghost5"),
        ({"dataset": "nothing-like-it"}, "known: "),
        ({"dataset": "absent.yaml"}, "No such file"),
        ({"split": "feww"}, "known: all, few"),
        ({"split": "strange"}, "1 of its 2 clips have no label (first: zz)"),
        ({"split": "gone"}, "No such file"),
        ({"clips": "zz*"}, "ids look like 'a1'"),
        ({"clips": ""}, "no clips are left"),
        ({"clips": "@absent.txt"}, "No such file"),
        ({"clips": "@"}, "the path is empty"),
        ({"limit": 0}, "must be 1 or more"),
        ({"limit": -3}, "must be 1 or more"),
        ({"labels": "absent.csv"}, "No such file"),
        ({"labels": "/"}, "it is a folder"),
        ({"data_root": "absent"}, "no such folder"),
        ({"data_root": "memory://absent"}, "no such folder"),
        ({"clips": "a3", "only_available": True}, "holds no media of these clips"),
    ],
)
def test_every_bad_query_is_bad_input_on_one_line(dataset: Path, query: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        select(SplitQuery(**({"dataset": str(dataset)} | query)))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file"),
        ("name: [", "not YAML"),
        ("- a\n- b\n", "the file"),
        ("name: mine\nlable: x.csv\n", "lable"),
        ("name: mine\nlayout: pictures\n", "layout"),
        ("name: ../x\n", "name"),
        ("name: mine\nfps: 0\n", "fps"),
        ("name: mine\nfps: .nan\n", "fps"),
        ("name: mine\nsplits: [a]\n", "splits"),
        ("name: mine\nroot: 5\n", "root"),
        ("name: !!python/object/apply:os.getcwd []\n", "not YAML"),
        ("labels: x.csv\n", "name"),
        ("\x00", "not YAML"),
        ("name: 2024\nroot: m\nlayout: files\nlabels: l.csv\nsplits: {}\n", "name: it must be a text: quote it"),
    ],
)
def test_a_dataset_file_with_a_mistake_is_bad_input_that_names_it(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(BadInput) as caught:
        select(SplitQuery(dataset=str(path)))
    assert "bad.yaml" in str(caught.value)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "holds no clip ids"), ("a1\na1.mp4\n", "line 2: 'a1' is there twice"), ("a1\n../a2\n", "line 2: ")],
)
def test_a_bad_split_list_is_bad_input_that_names_the_line(dataset: Path, content: str, words: str) -> None:
    (dataset.parent / "few.txt").write_text(content)
    with pytest.raises(BadInput) as caught:
        select(SplitQuery(dataset=str(dataset), split="few"))
    assert words in str(caught.value)


def test_rows_left_out_by_request_leave_a_split_smaller_and_say_so(dataset: Path) -> None:
    labels = dataset.parent / "labels.csv"
    labels.write_text(labels.read_text().replace("a3,cut-in", "a3,cutin"))
    with pytest.raises(BadInput, match="line 4"):
        select(SplitQuery(dataset=str(dataset), split="few"))
    split = select(SplitQuery(dataset=str(dataset), split="few", skip_bad_labels=True))
    assert [clip.id for clip in split.clips] == ["b3", "a1"]
    assert split.filters == ("bad labels: 1 of 3 left out",)
    assert len(split.skipped_labels) == 1


def test_no_media_is_looked_for_without_a_root(tmp_path: Path) -> None:
    labels = tmp_path / "l.csv"
    labels.write_text("video_id,ground_truth_label\nimages_1_001,none\n")
    split = select(SplitQuery(dataset="dada2000", labels=str(labels)))
    assert split.data_root is None
    assert split.clips[0].media is None
    with pytest.raises(BadInput, match="give the media's folder with --data-root"):
        select(SplitQuery(dataset="dada2000", labels=str(labels), only_available=True))


def test_dada2000_without_labels_says_how_to_give_them(tmp_path: Path) -> None:
    for root in (None, str(tmp_path)):
        with pytest.raises(BadInput, match="--labels"):
            select(SplitQuery(dataset="dada2000", data_root=root))


def test_labels_beside_the_media_are_found(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "images_1_001.avi").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\nimages_1_001.avi,none\n")
    for root in (tmp_path, tmp_path / "clips", f"{tmp_path}/clips/"):
        split = select(SplitQuery(dataset="dada2000", data_root=str(root)))
        assert split.clips[0].media == str(tmp_path / "clips" / "images_1_001.avi")


def test_labels_of_a_folder_that_only_contains_the_root_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\nimages_1_001.avi,none\n")
    with pytest.raises(BadInput, match="--labels"):
        select(SplitQuery(dataset="dada2000", data_root=str(tmp_path / "elsewhere")))


def test_seed99_is_the_earlier_study_s_99_clips() -> None:
    listed = list(read_ids(Location(str(embedded_folder() / "dada2000" / "splits" / "seed99.txt")), "split"))
    assert len(listed) == 99
    parts = [(int(c), int(n)) for _, c, n in (name.split("_") for name in listed)]
    assert parts == sorted(parts)
    assert {category for category, _ in parts} == {1, 2, 3, 4, 5}
    assert max(parts) == (5, 54)
    assert "images_5_039" not in listed


def test_the_published_labels_cover_every_split(shared_data: Path) -> None:
    root = shared_data / "dada2000"
    split = select(SplitQuery(dataset="dada2000", data_root=str(root)))
    assert len(split.clips) == 200
    assert sum(clip.media is not None for clip in split.clips) == 32
    seed = select(SplitQuery(dataset="dada2000", data_root=str(root / "clips"), split="seed99"))
    labelled = [c.id for c in split.clips if tuple(map(int, c.id.split("_")[1:])) <= (5, 54) and c.id != "images_5_039"]
    assert [clip.id for clip in seed.clips] == labelled
    available = select(SplitQuery(dataset="dada2000", data_root=str(root), only_available=True))
    assert len(available.clips) == 32
    assert available.filters == ("only-available: 32 of 200",)


def test_dada5_is_five_real_clips_known_by_their_digests(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "dada2000"
    split = select(SplitQuery(dataset="dada2000", data_root=str(root), split="dada5"))
    assert len(split.clips) == 5
    assert {clip.truth for clip in split.clips} == {"ghost_probing", "cut_in", "normal"}
    for clip in split.clips:
        assert clip.media is not None
        media = Media.parse(clip.media)
        assert hashlib.sha256(Path(media.location).read_bytes()).hexdigest() == media.sha256
    first = split.clips[0]
    other = next((root / "clips").glob("images_5_05*.avi"))
    (tmp_path / f"{first.id}.avi").symlink_to(other)
    query = SplitQuery(dataset="dada2000", data_root=str(tmp_path), labels=str(root / "labels.csv"), split="dada5")
    wrong = select(query).clips[0].media
    assert wrong is not None
    with pytest.raises(DecodeFailed, match="not the file that the split names"):
        decode(wrong, parse_sampling("uniform:1"))


def test_selecting_imports_nothing_heavy(dataset: Path) -> None:
    code = (
        "import sys; from ghostbench.datasets.query import SplitQuery; from ghostbench.datasets.select import select; "
        f"select(SplitQuery(dataset={str(dataset)!r})); "
        "print([m for m in ('torch', 'transformers', 'numpy', 'pandas', 'cv2', 'av', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_two_ids_of_one_clip_are_refused(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / "1" / "003" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:04}.png").write_bytes(b"")
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\nimages_1_003,none\nimages_1_03,ghost probing\n")
    with pytest.raises(BadInput, match="images_1_003 and images_1_03"):
        select(SplitQuery(dataset="dada2000", data_root=str(tmp_path), labels=str(tmp_path / "labels.csv")))


def test_a_pipe_is_no_clip(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "images_1_003.avi")
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\nimages_1_003,none\n")
    split = select(SplitQuery(dataset="dada2000", data_root=str(tmp_path), labels=str(tmp_path / "labels.csv")))
    assert split.clips[0].media is None


def test_the_twins_of_an_example_are_left_out_with_it(tmp_path: Path) -> None:
    """They show its scene: a model that has seen the one with its answer has seen most of the others."""
    grid = SplitQuery(dataset="ghost-grid")
    whole = select(grid, media=False).clips
    example = next(clip for clip in whole if clip.truth == "ghost_probing")
    twins = [clip.id for clip in whole if clip.parameters["scene"] == example.parameters["scene"] and clip != example]
    assert len(twins) > 1
    told = {f"{example.id}.mp4": "example of the wording few"}
    split = select(grid, media=False, leave_out=told, without_twins=tuple(told))
    assert split.left_out == {
        example.id: "example of the wording few",
        **dict.fromkeys(twins, f"twin of the example {example.id}"),
    }
    assert [clip.id for clip in split.clips] == [clip.id for clip in whole if clip.id not in split.left_out]
    assert split.filters == (f"left out: {1 + len(twins)} of {len(whole)}",)
    # An example that the filters leave out has its twins left out all the same.
    beside = next(clip.id for clip in split.clips)
    (tmp_path / "some.txt").write_text("\n".join([*twins, beside]) + "\n", encoding="utf-8")
    some = SplitQuery(dataset="ghost-grid", clips=f"@{tmp_path / 'some.txt'}")
    found = select(some, media=False, without_twins=[example.id])
    assert [clip.id for clip in found.clips] == [beside]
    assert sorted(found.left_out) == sorted(twins)


def test_a_scene_without_twins_is_a_word_that_many_clips_share(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\na1.avi,none\na2.avi,none\n")
    (tmp_path / "more.csv").write_text("video_id,scene\na1,urban\na2,urban\n")
    (tmp_path / "set.yaml").write_text("name: s\nroot: clips\nlayout: files\nlabels: labels.csv\n")
    (tmp_path / "clips").mkdir()
    query = SplitQuery(dataset=str(tmp_path / "set.yaml"), annotations=(str(tmp_path / "more.csv"),))
    split = select(query, media=False, leave_out={"a1": "x"}, without_twins=["a1"])
    assert [clip.id for clip in split.clips] == ["a2"]
    assert split.clips[0].parameters["scene"] == "urban"
