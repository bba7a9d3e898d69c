"""The files of a run folder: where they are, how they are written whole, and who may write them."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from ghostbench.errors import BadInput
from ghostbench.folder.manifest import Manifest, has_manifest, read_manifest
from ghostbench.folder.names import (
    ATTEMPTS,
    BEGUN,
    CLIPS,
    JOURNALS,
    LOCK,
    LOG,
    MERGING,
    PAGE_ROWS,
    PREDICTIONS,
    SENT,
    TABLES,
)
from ghostbench.plugins.registry import printable
from ghostbench.writing import check_plain, remove_begun, write_each

PATIENCE_S = 3.0
"""How long a run that is gone on with waits for the process before it to be gone, seconds: a kill takes a moment."""
_GLANCE_S = 0.2
"""How long a new run waits for the lock, seconds: `bench status` holds it while it looks."""
_RUN_ID = re.compile(r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[^\W_][\w.+-]{0,127}", re.IGNORECASE)
"""No name of a device on Windows either, where a folder must be able to go."""


class RunFolder:
    """`<out>/<run-id>/`. Holds an exclusive lock from `create` or `reopen` until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clips = path / CLIPS
        self.attempts = path / ATTEMPTS
        self.predictions = path / PREDICTIONS
        self.sent = path / SENT
        self.begun = path / BEGUN
        self.log = path / LOG
        self._lock: FileLock | None = None

    @classmethod
    def at(cls, out: Path, run_id: str) -> RunFolder:
        """The folder of that run, which need not exist. Raises `BadInput` for an id that is no plain name."""
        if not _RUN_ID.fullmatch(run_id) or run_id.endswith("."):
            raise BadInput(
                f"--run-id '{printable(run_id)}' cannot name a folder on every system; use letters, digits, '.', '_', "
                "'+', '-', and no name that Windows keeps for itself, such as NUL or COM1"
            )
        return cls(out / run_id)

    def create(self) -> None:
        """Make the folder, or take one that a kill left before its manifest was written; empty one that a merge left.

        Raises `BadInput` if a run is there already, or nothing can be written there.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot write to {self.path}: {error.strerror}; choose another --out") from None
        check_plain(self.path)
        self._empty_what_a_merge_left()
        if any(not entry.name.startswith(".") for entry in self.path.iterdir()):
            raise BadInput(
                f"run '{self.path.name}' exists in {self.path.parent}; "
                "continue it with --resume, or choose another --run-id"
            )
        self._take_lock(_GLANCE_S)

    def _empty_what_a_merge_left(self) -> None:
        if has_manifest(self.path) or not (self.path / MERGING).is_file():
            return
        self._take_lock(_GLANCE_S)
        try:
            for entry in self.path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != LOCK:
                    entry.unlink()
        finally:
            self.close()

    def reopen(self) -> Manifest:
        """Open an existing run to go on with it; return its manifest. Raises `BadInput`."""
        if not has_manifest(self.path):
            raise BadInput(f"there is no run '{self.path.name}' in {self.path.parent} to resume; leave out --resume")
        check_plain(self.path)
        self._take_lock(PATIENCE_S)
        self._clear_away()
        return read_manifest(self.path)

    def close(self) -> None:
        """Let others write."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def journal_folder(self, row: str) -> Path:
        """A folder for one row's own files: no row's name leads out of the run, and no two rows share one.

        The digest tells names apart that read alike once they are made safe, or that a file system takes for the same
        (capitals, accents as one character or two).
        """
        readable = re.sub(r"[^A-Za-z0-9._-]+", "_", row).strip("._")[:60]
        return self.path / JOURNALS / f"{readable}-{hashlib.sha256(row.encode('utf-8', 'replace')).hexdigest()[:16]}"

    def _clear_away(self) -> None:
        """Remove what a kill left of files that were being written."""
        below = (self.path / TABLES, self.path / PAGE_ROWS, *(self.path / JOURNALS).glob("*"))
        for folder in (self.path, *below):
            remove_begun(folder)

    def _take_lock(self, patience_s: float) -> None:
        """Take the lock, waiting that long for a process that is about to end.

        It belongs to this process alone: one that a model's code forks off does not hold it (filelock closes what a
        fork inherits). Where a file system knows no locks, the file's being there is the lock.
        """
        lock = FileLock(self.path / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=patience_s, poll_interval=0.05)
        except Timeout:
            raise BadInput(f"run '{self.path.name}' is being written by another process; wait for it to end") from None
        except OSError as error:
            raise BadInput(f"cannot write to {self.path}: {error.strerror}; make the folder writable") from None
        self._lock = lock


def join_files(target: Path, folders: Iterable[Path], name: str) -> None:
    """Write a new file of a run that is one after the other of those that these runs have."""
    with (target / name).open("xb") as whole:
        for folder in folders:
            with contextlib.suppress(FileNotFoundError), (folder / name).open("rb") as part:
                shutil.copyfileobj(part, whole)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a JSON-lines file whole or not at all; one line is in memory at a time."""
    write_each(path, (line.encode("utf-8", "replace") + b"\n" for line in lines))
