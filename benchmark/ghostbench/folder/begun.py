"""What has been begun with local models, so that a process that one of them ends leaves word of it: `begun.jsonl`.

A local model computes in the run's own process and can take it down. Each request is noted here before the model gets
it, each load before it begins, and the process that watches over the run adds how the run's process ended. What had
been begun then and is not in the ledger was lost with it: `--resume` writes it down as `worker_lost`. A run that is
killed from outside, its watcher with it, has no such end here, and nobody is blamed.

Lines need not be forced to the disk: they are there for the end of a process, not for that of the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ghostbench.writing import open_anew


@dataclass(frozen=True, slots=True)
class Lost:
    """What the end of a process took with it.

    how : how the process ended, in words. requests : lines of the requests that were under way. loading : rows of the
    models that were being loaded, one for each time, earlier ones too.
    """

    how: str = ""
    requests: tuple[Mapping[str, Any], ...] = ()
    loading: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows that had something under way, each once."""
        return tuple(dict.fromkeys([*self.loading, *(str(line.get("model")) for line in self.requests)]))


class Begun:
    """The journal of one process, which begins anew what an earlier one left.

    lost_loading : rows of models whose load took a process down, one for each time; they are kept.
    """

    def __init__(self, path: Path, lost_loading: Iterable[str] = ()) -> None:
        self._path = path
        self._file: IO[bytes] = open_anew(path)
        for row in lost_loading:
            self._write({"lost_loading": row})

    def request(self, **line: Any) -> None:
        """A request is handed to its model: `model` (row), `clip`, `repeat`, `request_id` and what the ledger needs."""
        self._write(line)

    def taken_back(self, request_id: str) -> None:
        """The request was not handed over after all."""
        self._write({"taken_back": request_id})

    def loading(self, row: str) -> None:
        """A model begins to load."""
        self._write({"loading": row})

    def loaded(self, row: str) -> None:
        """It has ended, well or not."""
        self._write({"loaded": row})

    def close(self, *, remove: bool) -> None:
        """Close the file; remove it where the run has ended."""
        self._file.close()
        if remove:
            self._path.unlink(missing_ok=True)

    def _write(self, line: Mapping[str, Any]) -> None:
        # A full disk ends the run by way of the ledger, not here.
        with contextlib.suppress(OSError):
            self._file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")


def note_end(path: Path, how: str) -> None:
    """Add how the process of the run ended by itself, to be called by whoever watched it."""
    with contextlib.suppress(OSError):
        number = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(number, "ab", buffering=0) as file:
            # The line before may be torn.
            file.write(b"\n" + json.dumps({"ended": how}).encode() + b"\n")


def read_lost(path: Path, ledger: Path) -> Lost:
    """What was under way when the process ended; nothing but earlier loads where its end is not told of.

    ledger : requests that it names have ended.
    """
    requests: dict[str, Mapping[str, Any]] = {}
    loading: Counter[str] = Counter()
    earlier: list[str] = []
    how = None
    for line in _lines(path):
        if isinstance(line.get("request_id"), str):
            requests[line["request_id"]] = line
        elif "taken_back" in line:
            requests.pop(str(line["taken_back"]), None)
        elif "loading" in line:
            loading[str(line["loading"])] += 1
        elif "loaded" in line:
            loading[str(line["loaded"])] -= 1
        elif "lost_loading" in line:
            earlier.append(str(line["lost_loading"]))
        elif "ended" in line:
            how = str(line["ended"])
    if how is None:
        return Lost(loading=tuple(earlier))
    written = ledger.read_bytes() if requests and ledger.is_file() else b""
    under_way = (line for name, line in requests.items() if name.encode("utf-8", "replace") not in written)
    return Lost(how, tuple(under_way), (*earlier, *loading.elements()))


def _lines(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    for data in content.splitlines():
        try:
            line = json.loads(data)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            yield line
