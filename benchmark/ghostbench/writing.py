"""How files of a run folder are opened for writing: whole or not at all, and never through a link.

A run folder may be a stranger's. A link in it that bears one of the run's names (`.lock`, `tables`, `attempts.jsonl`)
would have the user's own files truncated, replaced or added to. Files get the mode that the user's umask says.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from filelock import lock_descriptor

from ghostbench import digests
from ghostbench.errors import BadInput
from ghostbench.folder.names import JOURNALS, LOCK, PAGE_ROWS, PROMPTS, SUMS, TABLES

_BEGUN: Final = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
"""Names of files that are being written, or that a kill left behind."""
_FOLDERS: Final = {JOURNALS, TABLES, PROMPTS, PAGE_ROWS}
_A_FILE: Final = re.compile(rf"{re.escape(LOCK)}|{SUMS}|.+\.(?:jsonl?|md|html|txt|csv|tex|js)")
"""Names that files of a run have."""
_SYNCED_AT_ONCE: Final = 16


def write_text(path: Path, text: str) -> None:
    """Replace a file by this text (UTF-8): on disk before the old one goes, so that a crash leaves one or the other.

    A link of that name is itself replaced. Raises `OSError` that names the file.
    """
    write_bytes(path, text.encode("utf-8", "replace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by these bytes, as `write_text` does."""
    write_each(path, (content,))


def write_each(path: Path, parts: Iterable[bytes]) -> None:
    """Replace a file by these parts one after the other, as `write_text` does; what getting them raises is raised."""
    _replace([(path, parts)])


def write_texts(texts: Mapping[Path, str]) -> None:
    """Replace files by these texts, each as `write_text` does; they are brought to the disk together, which takes
    little longer than one of them. All are held open at that: a few hundred at most."""
    _replace([(path, (text.encode("utf-8", "replace"),)) for path, text in texts.items()])


def _replace(contents: Sequence[tuple[Path, Iterable[bytes]]]) -> None:
    """Replace files by these parts: all on disk before the first old one goes."""
    with contextlib.ExitStack() as left:
        begun = [_write(path, parts, left) for path, parts in contents]
        _bring_to_disk(begun)
        for each in begun:
            with _naming(each.path):
                os.replace(each.beside, each.path)
                digests.remember(each.path, each.digest)
    for folder in dict.fromkeys(path.parent for path, _ in contents):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A file that is to be called `path`, as it stands beside it. number : its descriptor, open and locked."""

    path: Path
    beside: Path
    number: int
    digest: str


def _write(path: Path, parts: Iterable[bytes], left: contextlib.ExitStack) -> _Begun:
    """Write a file beside `path`; `left` closes it, and removes it unless it has its name then."""
    written = hashlib.sha256()
    with _naming(path):
        beside, file = _begin(path)
        left.callback(beside.unlink, missing_ok=True)
        left.enter_context(file)
        for part in parts:
            file.write(part)
            written.update(part)
        file.flush()
    return _Begun(path, beside, file.fileno(), written.hexdigest())


def _bring_to_disk(begun: Sequence[_Begun]) -> None:
    """Those that wait at the same time share what the disk does for them."""

    def sync(each: _Begun) -> None:
        with _naming(each.path):
            os.fsync(each.number)

    if len(begun) == 1:
        sync(begun[0])
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        deque(pool.map(sync, begun), maxlen=0)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have an error of the system name this file: that of a full disk names nothing, and others one that is gone."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, indented, in the mapping's own order. Raises ValueError for NaN or infinity."""
    write_text(path, json_text(value))


def json_text(value: Mapping[str, Any]) -> str:
    """The text that `write_json` writes. Raises ValueError for NaN or infinity."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def open_to_append(path: Path) -> IO[bytes]:
    """A file, made if need be, to which lines are added, unbuffered. Raises `BadInput` for a link, and `OSError`."""
    return os.fdopen(_open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab", buffering=0)


def open_to_change(path: Path) -> IO[bytes]:
    """A file that is there, to be changed in its place. Raises `BadInput` for a link, and `OSError`."""
    return os.fdopen(_open(path, os.O_RDWR), "r+b")


def open_anew(path: Path) -> IO[bytes]:
    """A file that begins empty, unbuffered, whatever it held. Raises `BadInput` for a link, and `OSError`."""
    return os.fdopen(_open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb", buffering=0)


def open_new(path: Path) -> IO[bytes]:
    """A file that must not be there yet. Raises `OSError`."""
    return os.fdopen(_open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")


def make_folder(path: Path) -> None:
    """Make a folder inside a run folder, unless it is there. Raises `BadInput` for a link or a file, and `OSError`."""
    try:
        path.mkdir()
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise BadInput(f"{path} is no folder of its own; {_WAY_OUT}") from None


def check_plain(folder: Path) -> None:
    """Raise `BadInput` if a run folder holds anything but plain files and folders (links, pipes, devices), or one of
    the two under the name of the other.

    Whoever reads or writes the folder calls this first; what it names elsewhere is then never reached.
    """
    _check_plain(folder, named=True)


def _check_plain(folder: Path, *, named: bool) -> None:
    """named : whether a name says what is a file and what a folder; models' journals are named as they like."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    if named and _A_FILE.fullmatch(entry.name):
                        raise BadInput(f"{entry.path} is a folder, where a run has a file of that name: remove it")
                    _check_plain(Path(entry.path), named=named and entry.name != JOURNALS)
                elif not stat.S_ISREG(mode):
                    what = "a link" if stat.S_ISLNK(mode) else "a pipe or a device"
                    raise BadInput(f"{entry.path} is {what}; {_WAY_OUT}")
                elif named and entry.name in _FOLDERS:
                    raise BadInput(f"{entry.path} is a file, where a run has a folder of that name: remove it")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error.strerror}") from None


def remove_begun(folder: Path) -> None:
    """Remove files that a killed process began to write in this folder; those of one that still writes stay."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _BEGUN.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError), open_to_change(Path(entry.path)) as file:
                    if lock_descriptor(file.fileno(), blocking=False):
                        os.unlink(entry.path)


_WAY_OUT: Final = "a run folder holds plain files and folders alone, and nothing is opened through others: remove it"


def _begin(path: Path) -> tuple[Path, IO[bytes]]:
    """A new file beside `path`, locked: that says to `remove_begun` that somebody is still writing it."""
    while True:
        begun = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
        file = open_new(begun)
        with contextlib.suppress(OSError):  # a file system without locks
            lock_descriptor(file.fileno())
        if os.fstat(file.fileno()).st_nlink:
            return begun, file
        file.close()  # removed between the two steps: once more


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENXIO}:
            raise
        raise BadInput(f"{path} is a link or a pipe; {_WAY_OUT}") from None
