"""A known digest is used again as long as nothing suggests that the file has changed, and never longer."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from ghostbench_local.checkpoint import digests


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_LEAST_BYTES", 1000)
    monkeypatch.setattr(digests, "_QUIET_S", 0.05)
    path = tmp_path / "weights"
    path.write_bytes(b"a" * 2000)
    time.sleep(0.1)
    return path


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which files are really read."""
    read: list[str] = []
    real = hashlib.file_digest

    def watched(file: object, name: str) -> object:
        read.append(Path(file.name).name)  # type: ignore[attr-defined]
        return real(file, name)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", watched)
    return read


def test_a_file_is_hashed_once(file: Path, hashed: list[str]) -> None:
    assert digests.file_digest(file) == digests.file_digest(file) == (2000, sha(b"a" * 2000))
    assert hashed == ["weights"]


def test_another_content_with_the_same_size_and_time_is_hashed_again(file: Path, hashed: list[str]) -> None:
    digests.file_digest(file)
    was = file.stat()
    with file.open("r+b") as open_file:
        open_file.write(b"b")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert file.stat().st_mtime_ns == was.st_mtime_ns
    assert digests.file_digest(file) == (2000, sha(b"b" + b"a" * 1999))
    assert len(hashed) == 2


def test_another_file_under_the_same_name_is_hashed_again(file: Path, hashed: list[str]) -> None:
    digests.file_digest(file)
    other = file.with_name("other")
    other.write_bytes(b"c" * 2000)
    os.replace(other, file)
    assert digests.file_digest(file) == (2000, sha(b"c" * 2000))
    assert len(hashed) == 2


def test_a_file_that_was_changed_just_now_is_not_remembered(
    file: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_QUIET_S", 3600.0)
    assert digests.file_digest(file) == digests.file_digest(file)
    assert len(hashed) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"x": 3}', b"[" * 100_000])
def test_a_memory_that_cannot_be_read_is_no_memory(file: Path, hashed: list[str], content: bytes) -> None:
    digests.home().parent.mkdir(parents=True)
    digests.home().write_bytes(content)
    assert digests.file_digest(file) == digests.file_digest(file) == (2000, sha(b"a" * 2000))
    assert len(hashed) == 1
    assert list(digests.home().parent.iterdir()) == [digests.home()]


def test_without_a_place_to_write_files_are_hashed_each_time(
    file: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(file / "below-a-file"))
    assert digests.file_digest(file) == digests.file_digest(file)
    assert len(hashed) == 2


def test_many_files_leave_the_latest(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_MOST_FILES", 3)
    paths = []
    for number in range(5):
        paths.append(file.with_name(f"file{number}"))
        paths[-1].write_bytes(bytes([number]) * 1500)
        time.sleep(0.1)
        digests.file_digest(paths[-1])
    assert list(json.loads(digests.home().read_bytes())) == [str(path) for path in paths[2:]]


def test_small_files_are_not_remembered(file: Path) -> None:
    file.write_bytes(b"small")
    assert digests.file_digest(file) == (5, sha(b"small"))
    assert not digests.home().exists()
