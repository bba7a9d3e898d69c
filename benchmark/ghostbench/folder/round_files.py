"""A round's folder: the file of encoded requests, the index saying whose attempt each is, the model's journal."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from typing_extensions import override

from ghostbench.errors import BadInput
from ghostbench.folder.lines import Finite, adapter_of, as_mapping
from ghostbench.folder.misfit import first_misfit
from ghostbench.folder.names import ROUND_INDEX, ROUND_JOURNAL, ROUND_REQUESTS
from ghostbench.models import Journal
from ghostbench.records import Count, Dollars, Seconds
from ghostbench.writing import make_folder, open_new, write_json

_CHANGED = (
    "was changed after the run wrote it: put it back as it was, or remove its folder to have what it asked for asked "
    "again, which may be billed again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request of a sealed round: the unit (model, clip, repeat, moment), its attempt, level and price.

    standing : what the level does not say of where the unit stands, as `Standing.notes` has it.
    """

    request_id: str
    model: str
    clip: str
    repeat: Count
    attempt: Count
    level: Count
    frames_sha256: str | None
    prompt_sha256: str
    most_usd: Dollars
    decode_s: Seconds | None
    standing: tuple[str, ...] = ()
    moment_s: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What a sealed round holds. sealed_at : when it was sealed, seconds since the epoch."""

    sealed_at: Finite
    entries: tuple[Entry, ...]


class FileJournal(Journal):
    """A journal in the round's folder. heard_at : when the model let hear of itself last, by `time.monotonic`; in the
    future where it said that nothing is to be expected until then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / ROUND_JOURNAL
        self.heard_at = time.monotonic()

    @override
    def read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        try:
            state = json.loads(self._path.read_bytes())
        except (ValueError, RecursionError):
            state = None
        if not isinstance(state, dict):
            raise BadInput(f"{self._path} {_CHANGED}")
        return state

    @override
    def write(self, state: Mapping[str, Any]) -> None:
        write_json(self._path, state)
        self.hear()

    @override
    def expect_silence(self, seconds: float) -> None:
        self.heard_at = time.monotonic() + max(0.0, seconds)

    def hear(self) -> None:
        """Take note that the model let hear of itself; a silence that it has announced is not cut short by that."""
        self.heard_at = max(self.heard_at, time.monotonic())


class Round:
    """The folder of one model's current round."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines = folder / ROUND_REQUESTS
        self._index = folder / ROUND_INDEX

    @property
    def sealed(self) -> bool:
        """Whether a whole round is there."""
        return self._index.exists()

    def start(self) -> IO[bytes]:
        """An empty file of requests, open for writing; an unsealed one of before is thrown away."""
        shutil.rmtree(self.folder, ignore_errors=True)
        make_folder(self.folder.parent)
        make_folder(self.folder)
        return open_new(self.lines)

    def seal(self, entries: Sequence[Entry]) -> None:
        """From here on, this is the round."""
        write_json(self._index, as_mapping(Index(sealed_at=time.time(), entries=tuple(entries))))

    def entries(self) -> tuple[float, dict[str, Entry]]:
        """When it was sealed (seconds since the epoch), and its requests by id. Raises `BadInput`."""
        from pydantic import ValidationError

        try:
            index = adapter_of(Index).validate_json(self._index.read_bytes(), strict=True)
        except ValidationError as error:
            raise BadInput(f"{self._index}: {first_misfit(error)}; it {_CHANGED}") from None
        return index.sealed_at, {entry.request_id: entry for entry in index.entries}

    def close(self) -> None:
        """Remove the round; the index first, so that a kill in between leaves nothing that looks sealed."""
        self._index.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()
