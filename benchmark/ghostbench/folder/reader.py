"""A run folder opened to be read, finished or not: its head alone, one clip, whole files, or a ledger as it grows."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from filelock import lock_descriptor

from ghostbench.errors import BadInput
from ghostbench.folder.lines import AttemptLine, ClipLine, PredictionLine, adapter_of
from ghostbench.folder.manifest import Manifest, has_manifest, read_manifest
from ghostbench.folder.names import ATTEMPTS, CLIPS, LOCK, MANIFEST, METRICS, PREDICTIONS
from ghostbench.folder.reading import read_records
from ghostbench.plugins.text import printable

L = TypeVar("L", ClipLine, AttemptLine, PredictionLine)
State = Literal["running", "complete", "stopped"]
"""running : a process holds the run's lock. stopped : it has begun and not ended, and nobody writes it."""
_GLANCE_S = 0.01
_MOST_AT_ONCE = 8 << 20
"""Bytes of a ledger that `new_attempts` reads in one call, if a line is not longer."""


@dataclass(frozen=True, slots=True)
class NewAttempts:
    """What a ledger holds from some byte on.

    lines : each with its first byte. end : where the next call goes on. odd : lines that do not fit, which are passed
    over. more : whether there is more already. anew : the ledger is not the one that was read before: all of it is new.
    """

    lines: tuple[tuple[int, AttemptLine], ...]
    end: int
    odd: int
    more: bool
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Folder:
    """A run. header : its manifest, as it was when the folder was opened."""

    path: Path
    header: Manifest

    @classmethod
    def open(cls, path: Path) -> Folder:
        """Read the head of a run, and nothing else. Raises `BadInput` for a folder that is no run."""
        return cls(path, read_manifest(path))

    @property
    def state(self) -> State:
        """How the run stands at this moment."""
        if is_locked(self.path):
            return "running"
        return "complete" if self.header.status == "complete" else "stopped"

    def clips(self) -> Iterator[ClipLine]:
        """Every clip's line as far as written; in a run that goes on a clip may come twice, and the last counts.

        This and the next two raise `BadInput` for a line that does not fit; a torn last line is left out.
        """
        return read_records(self.path / CLIPS, ClipLine, torn=self._unfinished)

    def attempts(self) -> Iterator[AttemptLine]:
        """Every line of the ledger."""
        return read_records(self.path / ATTEMPTS, AttemptLine, torn=self._unfinished)

    def predictions(self) -> Iterator[PredictionLine]:
        """Every prediction; none before the run has ended."""
        return read_records(self.path / PREDICTIONS, PredictionLine, torn=self._unfinished)

    def clip(self, name: str) -> ClipLine:
        """One clip's line. Raises `BadInput` for a clip that has none."""
        found = self._of_clip(CLIPS, ClipLine, name)
        if not found:
            so_far = " so far" if self._unfinished else ""
            raise BadInput(f"{self.path} has no clip '{printable(name)}'{so_far}: see the names in its {CLIPS}")
        return found[-1]

    def attempts_at(self, clip: str) -> list[AttemptLine]:
        """One clip's lines of the ledger; those of others are not parsed."""
        return self._of_clip(ATTEMPTS, AttemptLine, clip)

    def predictions_for(self, clip: str) -> list[PredictionLine]:
        """One clip's predictions."""
        return self._of_clip(PREDICTIONS, PredictionLine, clip)

    def new_attempts(self, start: int = 0) -> NewAttempts:
        """The whole lines that a ledger, which may be growing, holds from a byte on.

        start : 0, or `end` of the call before. A ledger that has become shorter is read anew.
        """
        path, adapter = self.path / ATTEMPTS, adapter_of(AttemptLine)
        lines, odd = [], 0
        try:
            size = path.stat().st_size
            anew = size < start
            begin = at = 0 if anew else start
            with path.open("rb") as file:
                file.seek(at)
                while at - begin < _MOST_AT_ONCE and (data := file.readline()).endswith(b"\n"):
                    try:
                        lines.append((at, adapter.validate_json(data, strict=True)))
                    except ValueError:
                        odd += bool(data.strip())
                    at += len(data)
        except FileNotFoundError:
            return NewAttempts((), 0, 0, more=False, anew=start > 0)
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}") from None
        return NewAttempts(tuple(lines), at, odd, more=at - begin >= _MOST_AT_ONCE, anew=anew)

    @property
    def _unfinished(self) -> bool:
        return self.header.status != "complete"

    def _of_clip(self, name: str, kind: type[L], clip: str) -> list[L]:
        """Lines that may be the clip's are parsed alone, and compared then."""
        path, adapter = self.path / name, adapter_of(kind)
        wanted = {json.dumps(clip, ensure_ascii=plain).encode("utf-8", "replace") for plain in (True, False)}
        found = []
        try:
            with path.open("rb") as file:
                for data in file:
                    if any(each in data for each in wanted) and data.endswith(b"\n"):
                        line = adapter.validate_json(data, strict=True)
                        if line.clip == clip:
                            found.append(line)
        except FileNotFoundError:
            return []
        except (OSError, ValueError):
            raise BadInput(f"{path} cannot be read, or holds a line that no run writes: see `bench verify`") from None
        return found


def runs_in(place: Path) -> list[Path]:
    """The folders of runs directly in a folder, newest begun last by name; links are passed over."""
    try:
        with os.scandir(place) as entries:
            paths = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(path for path in paths if has_manifest(path))


def changed_at(path: Path) -> tuple[int, ...]:
    """What changes whenever a run's manifest, lines or metrics do: times of change in ns and sizes; 0 where none is."""
    found: list[int] = []
    for name in (MANIFEST, CLIPS, ATTEMPTS, PREDICTIONS, METRICS):
        try:
            status = (path / name).stat()
            found += (status.st_mtime_ns, status.st_size)
        except OSError:
            found += (0, 0)
    return tuple(found)


def is_locked(path: Path) -> bool:
    """Whether another process writes the run. The file is opened for reading alone, and the lock let go at once.

    It is tried thrice, since another that only looks holds it for a moment too.
    """
    try:
        number = os.open(path / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        for _ in range(3):
            if lock_descriptor(number, blocking=False):
                return False
            time.sleep(_GLANCE_S)
        return True
    except OSError:  # a file system without locks, where the file itself is the lock
        return True
    finally:
        os.close(number)
