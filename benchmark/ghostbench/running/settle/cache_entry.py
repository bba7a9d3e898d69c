"""One entry of a reply cache: a file with an answer and all that decides it, read as a stranger's file is.

Entries lie under `FIRST/KEY/SERVED.json`: the key's first two hexadecimal digits, the key, and a digest of the name
that the server gave for the model. Each is written whole under another name and then moved to its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from ghostbench.endings import how_it_ended
from ghostbench.errors import BadInput
from ghostbench.question import json_sha256
from ghostbench.records import Reply
from ghostbench.running.rules.replies import checked
from ghostbench.running.rules.standing import is_the_harness_own
from ghostbench.writing import make_folder, write_text

MOST_BYTES = 4 * 1024 * 1024
_MOST_SERVED = 64
"""Files of one key that are looked at: a model is served under few names."""
FROM_THE_CACHE = "from the cache: "
"""How the ledger's note of an answer from a cache begins."""
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)", re.ASCII)
_MOST_NOTES = 32
_LONGEST = 1000
"""Characters of a note or a name."""
_NO_ANSWER = frozenset({"refused", "filtered", "cut", "broken"})


class Unsound(Exception):
    """A file of the cache is no entry, or not the one that its name says. The message says which, and why."""


class Entry(BaseModel):
    """What a file holds.

    key : what decided the answer. run : of the run that asked, a digest. asked_at : UTC, ISO 8601.
    notes : the adapter's, of one line each. sha256 : of the rest.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: Literal[1] = 1
    key: dict[str, JsonValue]
    run: str
    asked_at: str
    text: str
    finish_reason: str | None
    served_model: str | None
    system_fingerprint: str | None
    grade_probabilities: dict[str, float] | None
    notes: list[str]
    sha256: str = ""

    def sealed(self) -> Entry:
        """The entry with its digest."""
        return self.model_copy(update={"sha256": json_sha256(self.model_dump(exclude={"sha256"}))})

    def objection(self) -> str | None:
        """Why this is nothing that a run keeps, or that may stand in a ledger; None where it is sound."""
        names = (self.finish_reason, self.served_model, self.system_fingerprint)
        said = [*(name for name in names if name is not None), *self.notes]
        if not _is_utc(self.asked_at):
            return "when it was asked is no time in UTC"
        if how_it_ended(self.finish_reason) in _NO_ANSWER:
            return f"it ended as {self.finish_reason}: that is no answer"
        if len(self.notes) > _MOST_NOTES:
            return f"it has more than {_MOST_NOTES} notes"
        if any(len(words) > _LONGEST or not words.isprintable() for words in said):
            return f"a name or note in it is longer than {_LONGEST} characters or has control characters"
        if any(is_the_harness_own(note) or note.lstrip().startswith(FROM_THE_CACHE.strip()) for note in self.notes):
            return "a note in it is one that the ledger alone may have"
        return None

    def reply(self) -> Reply:
        """The answer, without times and costs. Raises `Unsound` for one that no model may give."""
        reply = checked(
            Reply(
                text=self.text,
                finish_reason=self.finish_reason,
                served_model=self.served_model,
                system_fingerprint=self.system_fingerprint,
                grade_probabilities=self.grade_probabilities,
                notes=tuple(self.notes),
            )
        )
        if not isinstance(reply, Reply):
            raise Unsound(str(reply))
        return reply


def _is_utc(text: str) -> bool:
    if not _UTC.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def path_of(root: Path, key: Mapping[str, JsonValue], served: str | None) -> Path:
    """Where the entry of a key and a served model lies."""
    name = json_sha256(key)
    return root / name[:2] / name / f"{json_sha256(served)[:32]}.json"


def read_entries(root: Path, key: Mapping[str, JsonValue]) -> Iterator[Entry | Unsound]:
    """The entries of a key, one for each name that the model was served under; `Unsound` for a file that is none."""
    folder = path_of(root, key, None).parent
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".json"))
    except OSError:
        return
    for name in names[:_MOST_SERVED]:
        if not name.startswith("."):
            try:
                yield _read(folder / name, key)
            except FileNotFoundError:
                continue
            except Unsound as why:
                yield why


def keep(root: Path, entry: Entry) -> None:
    """Put the entry there, unless a sound one of its key and model is, or it is none that would be taken again.

    Raises `BadInput` and `OSError`.
    """
    if entry.objection() is not None:
        return
    path = path_of(root, entry.key, entry.served_model)
    with contextlib.suppress(Unsound, FileNotFoundError):
        _read(path, entry.key)
        return
    make_folder(path.parent.parent)
    make_folder(path.parent)
    write_text(path, json.dumps(entry.model_dump(), ensure_ascii=False, allow_nan=False) + "\n")


def open_root(root: Path) -> Path:
    """The cache's folder, made if need be. Raises `BadInput` for one that cannot be written."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--cache {root} cannot be made: {error.strerror}; name a folder") from None
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise BadInput(f"--cache {root} cannot be written; name a folder of yours")
    return root.absolute()


def _read(path: Path, key: Mapping[str, Any]) -> Entry:
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unsound(f"{path}: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise Unsound(f"{path} is no file")
        with os.fdopen(number, "rb", closefd=False) as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unsound(f"{path}: {error.strerror}") from None
    finally:
        os.close(number)
    if len(content) > MOST_BYTES:
        raise Unsound(f"{path} is larger than an entry can be")
    try:
        entry = Entry.model_validate_json(content)
        sound = entry.sha256 == entry.sealed().sha256
    except (ValidationError, ValueError, RecursionError):
        raise Unsound(f"{path} is no entry") from None
    if not sound:
        raise Unsound(f"{path} is damaged: its SHA-256 is not the one that it states")
    if entry.key != key or path.name != path_of(Path(), key, entry.served_model).name:
        raise Unsound(f"{path} is the entry of another request")
    objection = entry.objection()
    if objection is not None:
        raise Unsound(f"{path} is no entry: {objection}")
    entry.reply()
    return entry
