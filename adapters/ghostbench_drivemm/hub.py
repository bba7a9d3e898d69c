"""The public checkpoint from the Hugging Face hub, downloaded once, resumable to the byte, checked, and pinned.

The hub's library lists the files and speaks HTTP. Writing them is done here, because since version 1.31 the library
begins a file anew after an interruption, and the shards have up to 5 GB.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from ghostbench_drivemm.config import CheckpointError

REPOSITORY = "DriveMM/DriveMM"
"""The authors' repository on the hub."""

REVISION = "main"
"""Branch, tag or commit. A branch is resolved to a commit at the first download; that commit is then kept."""

SOURCE_FILE = "ghostbench-source.json"
"""Written into the folder when every file is whole: repository, revision, commit, and each file's size."""

_WANTED = re.compile(r"[\w.-]+\.safetensors|[\w.-]+\.json|chat_template\.jinja")
_SPARE_BYTES = 1 << 30
_CHUNK = 256 << 10
_WORKERS = 4
_TRIES = 5
_TIMEOUT_S = 30.0
_INSTEAD = "or give a local folder with --set drivemm.checkpoint=DIR"

Advance = Callable[[int], None]


class DownloadError(CheckpointError):
    """The checkpoint could not be had from the hub. The message is one line with the way out."""


@dataclass(frozen=True)
class Snapshot:
    """A whole downloaded checkpoint: its folder, and where it came from (`commit` has 40 hexadecimal digits)."""

    folder: Path
    repository: str
    revision: str
    commit: str


@dataclass(frozen=True)
class _RemoteFile:
    name: str
    size: int
    sha256: str | None


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/ghostbench/drivemm`, by default under `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "ghostbench" / "drivemm"


def find_checkpoint(
    repository: str = REPOSITORY, revision: str = REVISION, *, cache: Path | None = None
) -> Snapshot | None:
    """The checkpoint if it is already here, whole: from an earlier `fetch_checkpoint`, or in the hub library's cache.

    Nothing is asked of the network.
    """
    where = cache or default_cache()
    commit = _commit_of(where, repository, revision)
    if commit is not None:
        folder = _folder(where, repository, commit)
        if _is_whole(folder):
            return Snapshot(folder, repository, revision, commit)
    return _in_library_cache(repository, revision)


def fetch_checkpoint(
    repository: str = REPOSITORY,
    revision: str = REVISION,
    *,
    cache: Path | None = None,
    show_progress: bool = True,
) -> Snapshot:
    """Find the checkpoint here or download it (safetensors and JSON files alone).

    An interrupted download goes on where it stopped, byte for byte; sizes and SHA-256 are compared with the hub's.
    `HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` mean what they mean to the hub's library.

    Raises
    ------
    DownloadError
        No connection, offline mode, refused (401, 403), not found (404), too little disk space, or contents that
        are not what the hub lists.
    """
    where = cache or default_cache()
    found = find_checkpoint(repository, revision, cache=where)
    if found is not None:
        return found
    with _plain_errors(repository, revision):
        commit, files = _listing(repository, revision)
        folder = _folder(where, repository, commit)
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder):
            _require_space(folder, files)
            _download(repository, commit, files, folder, show_progress=show_progress)
    source = {
        "repository": repository,
        "revision": revision,
        "commit": commit,
        "files": {file.name: file.size for file in files},
    }
    _write_whole(folder / SOURCE_FILE, json.dumps(source, indent=1))
    _write_whole(_pin(where, repository, revision), commit)
    return Snapshot(folder, repository, revision, commit)


def source_of(folder: Path) -> dict[str, Any] | None:
    """Repository, revision and commit of a folder that `fetch_checkpoint` made; None for any other folder."""
    try:
        source = json.loads((folder / SOURCE_FILE).read_text(encoding="utf-8"))
        return {key: source[key] for key in ("repository", "revision", "commit")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _folder(where: Path, repository: str, commit: str) -> Path:
    return where / repository.replace("/", "--") / commit


def _pin(where: Path, repository: str, revision: str) -> Path:
    return where / repository.replace("/", "--") / f"revision-{re.sub(r'[^A-Za-z0-9._-]', '_', revision)}"


def _commit_of(where: Path, repository: str, revision: str) -> str | None:
    if _is_commit(revision):
        return revision
    pin = _pin(where, repository, revision)
    commit = pin.read_text(encoding="ascii").strip() if pin.is_file() else ""
    return commit if _is_commit(commit) else None


def _is_commit(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}", text) is not None


def _is_whole(folder: Path) -> bool:
    try:
        files = json.loads((folder / SOURCE_FILE).read_text(encoding="utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _in_library_cache(repository: str, revision: str) -> Snapshot | None:
    """A snapshot that the hub's own tools downloaded, if it has all that a checkpoint needs."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    from ghostbench_drivemm.checkpoint import weight_files_in

    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
        weight_files_in(folder)
    except (LocalEntryNotFoundError, CheckpointError):
        return None
    return Snapshot(folder, repository, revision, folder.name)


def _listing(repository: str, revision: str) -> tuple[str, list[_RemoteFile]]:
    from huggingface_hub import HfApi

    info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=_TIMEOUT_S)
    files = [
        _RemoteFile(entry.rfilename, entry.size, entry.lfs.sha256 if entry.lfs else None)
        for entry in info.siblings or []
        if _WANTED.fullmatch(entry.rfilename) and entry.size is not None
    ]
    if info.sha is None or not _is_commit(info.sha):
        raise DownloadError(f"the hub names no commit for {repository}@{revision}")
    if not any(file.name.endswith(".safetensors") for file in files):
        raise DownloadError(f"{repository}@{revision} holds no safetensors file")
    return info.sha, files


def _require_space(folder: Path, files: list[_RemoteFile]) -> None:
    missing = sum(file.size - _have(folder, file) for file in files)
    free = shutil.disk_usage(folder).free
    if missing and missing + _SPARE_BYTES > free:
        raise DownloadError(
            f"{folder} has {free / 1e9:.1f} GB free, the download needs {(missing + _SPARE_BYTES) / 1e9:.1f} GB: "
            f"free some, set XDG_CACHE_HOME to another disk, {_INSTEAD}"
        )


def _have(folder: Path, file: _RemoteFile) -> int:
    """Bytes of the file that are already on disk, whole or in part."""
    for path in (folder / file.name, _part(folder, file)):
        if path.is_file():
            return min(path.stat().st_size, file.size)
    return 0


def _part(folder: Path, file: _RemoteFile) -> Path:
    return folder / f"{file.name}.part"


def _download(repository: str, commit: str, files: list[_RemoteFile], folder: Path, *, show_progress: bool) -> None:
    from huggingface_hub import hf_hub_url

    stop = Event()
    with _progress(sum(file.size for file in files), show_progress) as bar:

        def advance(count: int) -> None:
            # An interrupt must not wait for the gigabytes that the other threads have still to fetch.
            if stop.is_set():
                raise DownloadError("the download was stopped")
            bar(count)

        def fetch(file: _RemoteFile) -> None:
            if (folder / file.name).is_file():
                advance(file.size)
                return
            _fetch(hf_hub_url(repository, file.name, revision=commit), file, folder, advance)

        with ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="download") as pool:
            pending = [pool.submit(fetch, file) for file in sorted(files, key=lambda file: file.size)]
            try:
                for future in pending:
                    future.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _fetch(url: str, file: _RemoteFile, folder: Path, advance: Advance) -> None:
    """Fetch what is missing of one file, check it, and give it its name."""
    part = _part(folder, file)
    advance(_have(folder, file))
    tries = 0
    while (have := part.stat().st_size if part.is_file() else 0) < file.size:
        try:
            _append(url, part, have, file.size, advance)
        except _http_error() as error:
            # A refusal is final; a broken connection is tried again as long as bytes keep coming.
            tries = 1 if part.is_file() and part.stat().st_size > have else tries + 1
            if getattr(error, "response", None) is not None or tries >= _TRIES:
                raise
    _check(part, file)
    part.replace(folder / file.name)


def _append(url: str, part: Path, have: int, size: int, advance: Advance) -> None:
    from huggingface_hub import get_session
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
    )

    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    stream = get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT_S)
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


def _check(part: Path, file: _RemoteFile) -> None:
    if file.sha256 is None:
        return
    with part.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    if digest != file.sha256:
        part.unlink()
        raise DownloadError(f"{file.name} arrived with another SHA-256 than the hub lists; run again to fetch it anew")


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise DownloadError(f"another process is downloading into {folder}; wait for it") from error


@contextmanager
def _progress(total: int, show: bool) -> Iterator[Advance]:
    """A bar on standard error with bytes and speed; nothing where that is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("DriveMM"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (show and console.is_terminal)) as bar:
        task = bar.add_task("download", total=total)
        yield lambda count: bar.advance(task, count)


def _http_error() -> type[Exception]:
    """The base error of whichever HTTP library the hub's library uses (httpx in version 1, httpx2 in version 2)."""
    from huggingface_hub.errors import HfHubHTTPError

    return HfHubHTTPError.__bases__[0]


@contextmanager
def _plain_errors(repository: str, revision: str) -> Iterator[None]:
    """Say what went wrong with the hub in one line that holds no URL and no token."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled, RevisionNotFoundError

    what = f"{repository}@{revision}"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise DownloadError(f"HF_HUB_OFFLINE is set and {what} is not on this machine: unset it, {_INSTEAD}") from error
    except HFValidationError as error:
        raise DownloadError(f"{repository!r} is not the name of a repository on the hub") from error
    except RevisionNotFoundError as error:
        raise DownloadError(f"{repository} has no revision {revision!r} (404): name another, {_INSTEAD}") from error
    except _http_error() as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None:
            told = f"cannot reach {constants.ENDPOINT} for {what} ({type(error).__name__}): go online, {_INSTEAD}"
        elif status in (401, 403):
            told = f"the hub refuses {what} ({status}): set HF_TOKEN to a token that may read it, {_INSTEAD}"
        elif status == 404:
            told = f"the hub has no {what} (404): check the name, {_INSTEAD}"
        else:
            told = f"the hub answered {status} for {what}: try again later, {_INSTEAD}"
        raise DownloadError(told) from error
    except OSError as error:
        raise DownloadError(f"{what} cannot be stored: {error.strerror or error}") from error
