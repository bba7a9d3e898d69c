"""What watches over the files and the network while others' files are read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ghostbench.datasets import schemes

_WATCHED: list[set[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _WATCHED and isinstance(arguments[0], (str, bytes)):
        name = arguments[0] if isinstance(arguments[0], str) else arguments[0].decode("utf-8", "replace")
        for opened in _WATCHED:
            opened.add(name)


@pytest.fixture
def opened() -> Iterator[set[str]]:
    """The path of everything that Python opens during the test."""
    if not hasattr(sys, "_ghostbench_watched"):
        sys.addaudithook(_note)  # stays for the process, and does nothing while no test watches
        sys._ghostbench_watched = True  # type: ignore[attr-defined]
    paths: set[str] = set()
    _WATCHED.append(paths)
    yield paths
    _WATCHED.remove(paths)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file of the user's, outside of every folder that a test hands over."""
    path = tmp_path / "private" / "labels.csv"
    path.parent.mkdir()
    path.write_text("video_id,ground_truth_label\na,none\n")
    return path


class GuardedStorage(MemoryFileSystem):  # type: ignore[misc]
    """A storage that wants credentials, as they come in a URL, and quotes them in its errors."""

    protocol = "guarded"
    store: ClassVar[dict[str, Any]] = {}
    cachable = False

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        return {"login": path.partition("://")[2].rpartition("@")[0]}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("guarded://").rpartition("@")[2].strip("/")

    def __init__(self, login: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.login = login

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "rb" and self.login != "anna:pa55word":
            password = self.login.partition(":")[2]
            raise PermissionError(f"guarded://{self.login}@{path}?token=s3cr3t was refused: '{password}' is wrong")
        return super()._open(path, mode, **options)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The storage of `guarded://anna:pa55word@…`, which is opened in the test, too."""
    fsspec.register_implementation("guarded", GuardedStorage, clobber=True)
    monkeypatch.setitem(schemes.STORES, "guarded", schemes.Store(None))
    GuardedStorage.store.clear()
    return fsspec.filesystem("guarded", login="anna:pa55word")
