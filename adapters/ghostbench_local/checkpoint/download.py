"""Files of a repository on the hub, fetched side by side, each taken up at the byte where it stopped, and checked.

The hub's library speaks HTTP. Writing the files is done here, because since version 1.31 the library begins a file anew
after an interruption, and the shards have up to 5 GB.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from ghostbench_local.checkpoint.hub_errors import DownloadError, http_error

if TYPE_CHECKING:
    from tenacity import RetryCallState

TIMEOUT_S = 30.0
"""Longest wait for the hub's next bytes, seconds."""

_SPARE_BYTES = 1 << 30
_CHUNK = 256 << 10
_WORKERS = 4
_TRIES = 5
"""Connections that may break one after the other without a byte between; 1, 2, 4, then 8 seconds pass between them."""
_FIRST_PAUSE_S = 1.0

Advance = Callable[[int], None]
"""Told how many bytes have come; a negative number takes them back."""


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it: its size in bytes, and its SHA-256 in hexadecimal where the hub states one."""

    name: str
    size: int
    sha256: str | None


def require_space(folder: Path, files: Sequence[RemoteFile], instead: str) -> None:
    """Hold what is still to be fetched, and a spare gigabyte, against the free space of the folder's disk.

    instead : another way to a checkpoint, at the end of the line that says so.

    Raises
    ------
    DownloadError
        There is less space than that.
    """
    missing = sum(file.size - _have(folder, file) for file in files)
    free = shutil.disk_usage(folder).free
    if missing and missing + _SPARE_BYTES > free:
        raise DownloadError(
            f"{folder} has {free / 1e9:.1f} GB free, the download needs {(missing + _SPARE_BYTES) / 1e9:.1f} GB: "
            f"free some, set XDG_CACHE_HOME to another disk, {instead}"
        )


def _have(folder: Path, file: RemoteFile) -> int:
    """Bytes of the file that are already on disk, whole or in part."""
    for path in (folder / file.name, _part(folder, file)):
        if path.is_file():
            return min(path.stat().st_size, file.size)
    return 0


def _part(folder: Path, file: RemoteFile) -> Path:
    return folder / f"{file.name}.part"


def download(repository: str, commit: str, files: Sequence[RemoteFile], folder: Path, *, title: str | None) -> None:
    """Bring all these files of one commit into the folder; those that are there are left as they are.

    title : stands before the progress bar; None shows no bar.

    A file has its own name only once it is whole and its SHA-256 is the hub's; until then it ends in `.part`. The first
    fault stops the other files too.

    Raises
    ------
    DownloadError
        The hub sent other contents than it lists.
    Exception
        What the HTTP library or the disk raises; see `plain_errors`.
    """
    from huggingface_hub import hf_hub_url

    stop = Event()
    with _progress(sum(file.size for file in files), title) as bar:

        def advance(count: int) -> None:
            # A fault or an interrupt must not wait for the gigabytes that the other threads have still to fetch.
            if stop.is_set():
                raise DownloadError("the download was stopped")
            bar(count)

        def fetch(file: RemoteFile) -> None:
            if (folder / file.name).is_file():
                advance(file.size)
                return
            _fetch(hf_hub_url(repository, file.name, revision=commit), file, folder, advance, stop)

        with ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="download") as pool:
            pending = [pool.submit(fetch, file) for file in sorted(files, key=lambda file: file.size)]
            try:
                for future in wait(pending, return_when=FIRST_EXCEPTION).done:
                    future.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _fetch(url: str, file: RemoteFile, folder: Path, advance: Advance, stop: Event) -> None:
    """Fetch what is missing of one file, check it, and give it its name."""
    from tenacity import Retrying, retry_if_exception, sleep_using_event, stop_when_event_set

    part = _part(folder, file)
    advance(_have(folder, file))
    row = _FruitlessRow(part)
    trying = Retrying(
        retry=retry_if_exception(_is_broken_connection),
        before=row.begin,
        after=row.count,
        wait=row.pause_s,
        stop=lambda state: row.is_over(state) or stop_when_event_set(stop)(state),
        sleep=sleep_using_event(stop),
        reraise=True,
    )
    for attempt in trying:
        with attempt:
            # Raises where another file's fault has stopped this one while it waited.
            advance(0)
            _append(url, part, file.size, advance)
    _check(part, file)
    part.replace(folder / file.name)


def _is_broken_connection(error: BaseException) -> bool:
    """Whether the connection failed; an answer of the hub's, a refusal say, is final."""
    return isinstance(error, http_error()) and getattr(error, "response", None) is None


class _FruitlessRow:
    """Connections in a row that broke without a byte: one that brings some begins the row, and its pauses, anew."""

    def __init__(self, part: Path) -> None:
        self._part = part
        self._had = 0
        self._length = 0

    def begin(self, state: RetryCallState) -> None:
        """Note what is there before a connection."""
        self._had = self._size()

    def count(self, state: RetryCallState) -> None:
        """Count a connection that has broken."""
        self._length = 1 if self._size() > self._had else self._length + 1

    def pause_s(self, state: RetryCallState) -> float:
        """How long to wait before the next, seconds."""
        return _FIRST_PAUSE_S * 2.0 ** (self._length - 1)

    def is_over(self, state: RetryCallState) -> bool:
        """Whether no further connection is tried."""
        return self._length >= _TRIES

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0


def _append(url: str, part: Path, size: int, advance: Advance) -> None:
    """Ask for the bytes that are missing and add them to what is there; nothing where all are there."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
    )

    have = part.stat().st_size if part.is_file() else 0
    if have >= size:
        return
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    stream = get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT_S)
    with stream as response, part.open("ab") as target:
        hf_raise_for_status(response)
        if have and response.status_code != 206:
            target.truncate(0)
            advance(-have)
            have = 0
        for chunk in response.iter_bytes(_CHUNK):
            if have + len(chunk) > size:
                raise DownloadError(f"the hub sent more than the {size} bytes that it lists for {part.stem}")
            target.write(chunk)
            have += len(chunk)
            advance(len(chunk))


def _check(part: Path, file: RemoteFile) -> None:
    if file.sha256 is None:
        return
    with part.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    if digest != file.sha256:
        part.unlink()
        raise DownloadError(f"{file.name} arrived with another SHA-256 than the hub lists; run again to fetch it anew")


@contextmanager
def _progress(total: int, title: str | None) -> Iterator[Advance]:
    """A bar on standard error with bytes and speed; nothing where that is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn(title or ""), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=title is None or not console.is_terminal) as bar:
        task = bar.add_task("download", total=total)
        yield lambda count: bar.advance(task, count)
