"""SHA-256 of large files, remembered from run to run for as long as nothing suggests that a file has changed.

A digest is used again only for the same size, inode and times: of the content's last change, and of the last change of
anything about the file, which no program can set. A file that was changed just before it was hashed is not remembered,
since another change within the clock's step would leave no trace.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ghostbench_local.checkpoint.errors import CheckpointError

_LEAST_BYTES = 16 << 20
"""Smaller files are hashed in no time."""
_QUIET_S = 2.0
"""A file has to have been left alone for so long."""
_MOST_FILES = 256


def file_digest(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 in hexadecimal. Raises `OSError` for a file that cannot be read."""
    state = _state(path)
    name = str(path.resolve())
    if state["size"] >= _LEAST_BYTES:
        entry = _remembered().get(name)
        if isinstance(entry, dict) and {key: entry.get(key) for key in state} == state:
            return state["size"], str(entry["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    latest = max(state["mtime_ns"], state["ctime_ns"]) / 1e9
    if size >= _LEAST_BYTES and state == _state(path) and time.time() - latest >= _QUIET_S:
        _remember(name, {**state, "sha256": digest})
    return size, digest


class Unchanged:
    """Files, by name, that are to stay as they are: what was read of them and their digests are of one state then.

    A file whose rights or names alone changed is the same: by size, inode and the time of its content's last change.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)
        self._states = {name: _content_state(path) for name, path in files.items()}

    def check(self) -> None:
        """Raise `CheckpointError` where one is no longer as it was."""
        for name, path in self._files.items():
            try:
                same = _content_state(path) == self._states[name]
            except OSError:
                same = False
            if not same:
                raise CheckpointError(f"{name} was changed while the model was in use: begin anew")


def home() -> Path:
    """The file that digests are remembered in."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ghostbench" / "file-digests.json"


def _state(path: Path) -> dict[str, int]:
    found = path.stat()
    return {
        "size": found.st_size,
        "device": found.st_dev,
        "inode": found.st_ino,
        "mtime_ns": found.st_mtime_ns,
        "ctime_ns": found.st_ctime_ns,
    }


def _content_state(path: Path) -> dict[str, int]:
    return {key: value for key, value in _state(path).items() if key != "ctime_ns"}


def _remembered() -> dict[str, Any]:
    try:
        read = json.loads(home().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _remember(name: str, entry: dict[str, Any]) -> None:
    """Add an entry. What two processes write at once may lose one of theirs, which is then hashed again."""
    kept = {key: value for key, value in _remembered().items() if key != name}
    kept = {**dict(list(kept.items())[-_MOST_FILES + 1 :]), name: entry}
    try:
        home().parent.mkdir(parents=True, exist_ok=True)
        handle, written = tempfile.mkstemp(dir=home().parent, prefix="digests-")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(kept, file)
            os.replace(written, home())
        except BaseException:
            Path(written).unlink(missing_ok=True)
            raise
    except OSError:
        # A machine without a place for it hashes every time.
        return
