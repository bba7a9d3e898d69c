"""An annotator's own file: every key that was pressed, appended and on disk before the page shows it.

The first line says whose it is and which clips are asked in which order; each further line sets one thing of a clip,
takes the last one back, or says that the clip is done. Nothing is ever changed in it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from filelock import lock_descriptor

from ghostbench.datasets.cells import words
from ghostbench.errors import BadInput
from ghostbench.label import COLUMNS, ColumnKind, Label
from ghostbench.labelling.rating import Rating
from ghostbench.records import TRUTHS, Truth
from ghostbench.writing import open_to_append, open_to_change

FORMAT: Final = "ghostbench-labels"
VERSION: Final = 1
TRUTH, EVENT, NOTE = "truth", "event_s", "note"
FIELDS: Mapping[str, ColumnKind | str] = {
    TRUTH: "truth",
    EVENT: "seconds",
    **{name: kind for name, kind in COLUMNS.items() if name != "annotator"},
    NOTE: "words",
}
"""What can be said of a clip, and how each is written."""

FRAMES: Final = "frames"
"""What stands for the digest of media that is no one file."""
Item = tuple[str, int]
"""A clip, and whether it is asked for the first (0) or the second time (1)."""


@dataclass(slots=True)
class Draft:
    """What the annotator has said of an item so far.

    values : by field. frames : of times, the number of the frame that was shown. media : SHA-256 of what was looked at,
    hex, where it is a file. history : what each change replaced, for taking it back. done : whether it is finished.
    """

    values: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    media: str | None = None
    history: list[tuple[str, Any, int | None]] = field(default_factory=list)
    done: bool = False

    def take(self, line: Mapping[str, Any]) -> None:
        """Follow a line of the log."""
        if "set" in line:
            name = str(line["set"])
            self.history.append((name, self.values.get(name), self.frames.get(name)))
            self._put(name, line.get("value"), line.get("frame"))
        elif line.get("undo") and self.history:
            self._put(*self.history.pop())
        elif "media" in line:
            self.media = line["media"]
        elif "done" in line:
            self.done = bool(line["done"])

    def _put(self, name: str, value: Any, frame: int | None) -> None:
        self.values[name] = value
        self.frames.pop(name, None)
        if frame is not None:
            self.frames[name] = frame
        if value is None:
            del self.values[name]
        self.done = self.done and TRUTH in self.values

    def rating(self, annotator: str | None) -> Rating | None:
        """What it comes to; None where the annotator has not said what the clip shows."""
        truth: Truth | None = self.values.get(TRUTH)
        if truth is None:
            return None
        said = {name: value for name, value in self.values.items() if name in COLUMNS}
        labels = Label(**said, annotator=annotator)
        return Rating(truth=truth, event_s=self.values.get(EVENT), labels=labels, doubted=bool(labels.doubt))


@dataclass(slots=True)
class LabelLog:
    """The file, open or only read.

    items : every item in the order in which it is asked. drafts : those of which something is said.
    """

    path: Path
    annotator: str
    dataset: str
    items: tuple[Item, ...]
    drafts: dict[Item, Draft]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, item: Item, **line: Any) -> None:
        """Write one line, on disk before this returns, and follow it. Raises `BadInput` where it cannot be written."""
        stated = {"clip": item[0], "repeat": item[1], **line, "at": _now()}
        with self._lock:
            try:
                _write(self.path, stated)
            except OSError as error:
                raise BadInput(f"{self.path} cannot be written: {error.strerror}") from None
            self.drafts.setdefault(item, Draft()).take(stated)

    def ratings(self, repeat: int) -> dict[str, Rating]:
        """What is said of each clip when it is asked the first (0) or the second time (1)."""
        found = {clip: draft.rating(self.annotator) for (clip, again), draft in self.drafts.items() if again == repeat}
        return {clip: rating for clip, rating in found.items() if rating is not None}


def hold(path: Path) -> IO[bytes]:
    """Keep the file to this process while what is returned is open: two that write it would each take back what
    the other was told. Raises `BadInput` where another has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = open_to_append(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None
    if not lock_descriptor(held.fileno(), blocking=False):
        held.close()
        raise BadInput(f"{path} is being labelled by another `bench label`: go on there, or end that one first")
    return held


def begin(path: Path, annotator: str, dataset: str, items: tuple[Item, ...]) -> LabelLog:
    """A new file, or the annotator's own that is gone on with, whose order stays.

    Raises `BadInput` where the file is another's, of another data set, or no such file.
    """
    if path.exists() and path.stat().st_size:
        _cut_torn(path)
        log = read(path)
        if (log.annotator, log.dataset) != (annotator, dataset):
            raise BadInput(f"{path} holds labels of {log.dataset} by {log.annotator}; give another file with --out")
        return log
    header = {
        "format": FORMAT,
        "version": VERSION,
        "annotator": annotator,
        "dataset": dataset,
        "items": [list(item) for item in items],
        "at": _now(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, header)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None
    return LabelLog(path, annotator, dataset, items, {})


def read(path: Path) -> LabelLog:
    """The file as far as it goes; a torn last line does not count. Raises `BadInput` for what is no such file."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None


def is_log(data: bytes) -> bool:
    """Whether a file's bytes begin as such a file does."""
    head = data.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0][:200]
    return head.startswith(b"{") and f'"{FORMAT}"'.encode() in head


def parse(data: bytes, source: str) -> LabelLog:
    """The file of these bytes. Raises `BadInput` naming the line that is none."""
    lines = _lines(data, source)
    header = next(lines, (1, {}))[1]
    try:
        if header["format"] != FORMAT or header["version"] != VERSION:
            raise BadInput(f"{source}: labels of version {header['version']!r:.20}, and this reads {VERSION}")
        items = tuple((str(clip), int(repeat)) for clip, repeat in header["items"])
        log = LabelLog(Path(source), str(header["annotator"]), str(header["dataset"]), items, {})
    except (KeyError, TypeError, ValueError):
        raise BadInput(f"{source}: no file of `bench label`") from None
    for number, line in lines:
        try:
            _check(line)
            item = (str(line["clip"]), int(line["repeat"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{source}, line {number}: {error}; the file was changed after it was written") from None
        log.drafts.setdefault(item, Draft()).take(line)
    return log


def checked(name: str, value: Any) -> Any:
    """A field's value as it is kept, None for taking it away. Raises `ValueError`."""
    if name not in FIELDS:
        raise ValueError(f"there is no field {name[:40]!a}")
    if value is None:
        return None
    kind = FIELDS[name]
    if kind == "truth":
        if value not in TRUTHS:
            raise ValueError(f"{str(value)[:40]!a} is none of {', '.join(TRUTHS)}")
        return value
    if kind == "seconds":
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise ValueError(f"{name}: no number of seconds")
        return float(value)
    if kind == "yes_no":
        if not isinstance(value, bool):
            raise ValueError(f"{name}: neither true nor false")
        return value
    if not isinstance(value, str):
        raise ValueError(f"{name}: no text")
    return words(value) or None


def _check(line: Mapping[str, Any]) -> None:
    if "set" in line:
        checked(str(line["set"]), line.get("value"))
        if line.get("frame") is not None and not (isinstance(line["frame"], int) and line["frame"] >= 0):
            raise ValueError("frame is no number of one")


def _lines(data: bytes, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict):
            raise BadInput(f"{source}, line {number}: no JSON object; the file was changed after it was written")
        yield number, line


def _write(path: Path, line: Mapping[str, Any]) -> None:
    with open_to_append(path) as file:
        file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        os.fsync(file.fileno())


def _cut_torn(path: Path) -> None:
    """Cut off a last line that a kill has torn."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with open_to_change(path) as file:
            file.truncate(whole)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
