"""Files that are written together: each whole, all on disk before the first old one goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ghostbench.digests import digest, own_digest
from ghostbench.writing import write_texts


def test_each_file_has_its_text_and_its_digest_is_known_unread(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    texts = {tmp_path / "below" / f"{number}.csv": f"{number}é\n" * number for number in range(40)}
    texts[tmp_path / "a.md"] = "page"
    (tmp_path / "a.md").write_text("before")
    write_texts(texts)
    for path, text in texts.items():
        assert path.read_text(encoding="utf-8") == text
        assert own_digest(path) == digest(path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(path.name for path in texts)


def test_nothing_is_replaced_where_one_of_them_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("before")
    with pytest.raises(FileNotFoundError) as raised:
        write_texts({tmp_path / "a.md": "after", tmp_path / "gone" / "b.md": "after"})
    assert raised.value.filename == str(tmp_path / "gone" / "b.md")
    assert (tmp_path / "a.md").read_text() == "before"
    assert os.listdir(tmp_path) == ["a.md"]


def test_nothing_is_replaced_where_the_disk_does_not_take_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.md").write_text("before")
    sync = os.fsync

    def full(number: int) -> None:
        if os.fstat(number).st_size == 3:
            raise OSError(28, "No space left on device")
        sync(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_texts({tmp_path / "a.md": "after", tmp_path / "b.md": "new", tmp_path / "c.md": "after"})
    assert raised.value.filename == str(tmp_path / "b.md")
    assert (tmp_path / "a.md").read_text() == "before"
    assert os.listdir(tmp_path) == ["a.md"]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "a.md").symlink_to(tmp_path / "mine.txt")
    write_texts({tmp_path / "a.md": "after", tmp_path / "b.md": "after"})
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "a.md").is_symlink()
