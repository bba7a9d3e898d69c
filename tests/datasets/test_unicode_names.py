"""Names as a Mac writes them, accents apart from their letters, and its companions beside every file."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import pytest

from ghostbench.datasets.layouts import find_media
from ghostbench.datasets.location import Location
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.errors import BadInput
from ghostbench.media.decode import decode
from ghostbench.media.sampling import parse_sampling

CLIPS = ["Café_Zürich_01", "ひなげし_がぎぐ", "각본_3"]


def in_form(form: str, text: str) -> str:
    return unicodedata.normalize(form, text)  # type: ignore[arg-type]


def dataset(root: Path, *, files: str, labels: str, split: str) -> Path:
    (root / "clips").mkdir(parents=True)
    for clip in CLIPS:
        (root / "clips" / in_form(files, f"{clip}.avi")).write_bytes(b"x")
        (root / "clips" / in_form(files, f"._{clip}.avi")).write_bytes(b"\0\5\x16\7")
    rows = "".join(f"{in_form(labels, clip)},none\n" for clip in CLIPS)
    (root / "labels.csv").write_text("video_id,ground_truth_label\n" + rows, encoding="utf-8")
    (root / "two.txt").write_text("".join(f"{in_form(split, clip)}\n" for clip in CLIPS[:2]), encoding="utf-8")
    (root / "set.yaml").write_text("name: set\nroot: clips\nlabels: labels.csv\nsplits: {two: two.txt}\n")
    return root / "set.yaml"


@pytest.mark.parametrize("files", ["NFC", "NFD"])
@pytest.mark.parametrize("labels", ["NFC", "NFD"])
@pytest.mark.parametrize("split", ["NFC", "NFD"])
def test_names_are_found_in_either_form_of_unicode(tmp_path: Path, files: str, labels: str, split: str) -> None:
    path = str(dataset(tmp_path / "d", files=files, labels=labels, split=split))
    chosen = select(SplitQuery(dataset=path, split="two", only_available=True))
    assert [clip.id for clip in chosen.clips] == [in_form("NFC", clip) for clip in CLIPS[:2]]
    for clip in chosen.clips:
        assert clip.media is not None
        assert in_form(files, f"/{clip.id}.avi") in clip.media
    globbed = select(SplitQuery(dataset=path, clips=in_form(split, "Café*")))
    assert [clip.id for clip in globbed.clips] == [in_form("NFC", CLIPS[0])]
    listed = select(SplitQuery(dataset=path, clips=f"@{tmp_path}/d/two.txt"))
    assert len(listed.clips) == 2


def test_a_clip_in_both_forms_is_there_twice(tmp_path: Path) -> None:
    one, other = in_form("NFC", CLIPS[0]), in_form("NFD", CLIPS[0])
    for name in (one, other):
        (tmp_path / f"{name}.avi").write_bytes(b"x")
    with pytest.raises(BadInput, match="are there for one clip"):
        find_media(Location(str(tmp_path)), [one], layout="files", fps=30.0)
    labels = tmp_path / "labels.csv"
    labels.write_text(f"video_id,ground_truth_label\n{one},none\n{other},none\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"line 3: the video id .* is there twice"):
        select(SplitQuery(labels=str(labels)))


def test_a_data_set_that_was_copied_by_a_mac_gives_its_own_frames(shared_data: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(shared_data / "faults" / "apple-double", root)
    for folder in (root / "DADA-DATA").rglob("images"):
        (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    query = SplitQuery(dataset="dada2000", data_root=str(root), labels=str(root / "labels.csv"), only_available=True)
    clips = select(query).clips
    assert [clip.id for clip in clips] == ["images_1_001", "images_1_002", "images_1_003"]
    sampling = parse_sampling("uniform:10")
    with_companions, zipped, without = (decode(clip.media or "", sampling) for clip in clips)
    for frames in (with_companions, zipped, without):
        assert frames.pixels.shape[0] == 10
    for path in root.rglob("._*"):
        path.unlink()
    assert decode(clips[0].media or "", sampling).sha256 == with_companions.sha256
