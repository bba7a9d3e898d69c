"""A round's folder: the file of encoded requests, the index saying whose attempt each is, the model's journal."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from typing_extensions import override

from ghostbench.models import Journal
from ghostbench.writing import make_folder, open_new, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request of a sealed round: the unit (model, clip, repeat, moment), its attempt, level and price.

    standing : what the level does not say of where the unit stands, as `Standing.notes` has it.
    """

    request_id: str
    model: str
    clip: str
    repeat: int
    attempt: int
    level: int
    frames_sha256: str | None
    prompt_sha256: str
    most_usd: float
    decode_s: float | None
    standing: Sequence[str] = ()
    moment_s: float | None = None


class FileJournal(Journal):
    """A journal in the round's folder. heard_at : when the model let hear of itself last, by `time.monotonic`; in the
    future where it said that nothing is to be expected until then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "journal.json"
        self.heard_at = time.monotonic()

    @override
    def read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        state: dict[str, Any] = json.loads(self._path.read_bytes())
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
        self.lines = folder / "requests.jsonl"
        self._index = folder / "index.json"

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
        write_json(self._index, {"sealed_at": time.time(), "entries": [asdict(entry) for entry in entries]})

    def entries(self) -> tuple[float, dict[str, Entry]]:
        """When it was sealed (seconds since the epoch), and its requests by id."""
        index = json.loads(self._index.read_bytes())
        return index["sealed_at"], {entry["request_id"]: Entry(**entry) for entry in index["entries"]}

    def close(self) -> None:
        """Remove the round; the index first, so that a kill in between leaves nothing that looks sealed."""
        self._index.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()
