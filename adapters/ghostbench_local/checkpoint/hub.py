"""A checkpoint of the Hugging Face hub: found on this machine or fetched once, and pinned to its commit."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ghostbench_local.checkpoint.download import TIMEOUT_S, RemoteFile, download, require_space
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import weight_files_in
from ghostbench_local.checkpoint.hub_errors import DownloadError, plain_errors

SOURCE_FILE = "ghostbench-source.json"
"""Written into the folder when every file is whole: repository, revision, commit, and each file's size."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a kind of model wants of a repository, and how it speaks of it.

    by : the model, whose folder in the cache it is. title : stands before the progress bar.
    files : names of the files that are fetched. needed : files without which a folder is no checkpoint.
    instead : another way to a checkpoint, at the end of every fault's line.
    """

    by: str
    title: str
    files: re.Pattern[str]
    needed: tuple[str, ...]
    instead: str


@dataclass(frozen=True)
class Snapshot:
    """A whole downloaded checkpoint: its folder, and where it came from (`commit` has 40 hexadecimal digits)."""

    folder: Path
    repository: str
    revision: str
    commit: str


def default_cache(wanted: Wanted) -> Path:
    """`$XDG_CACHE_HOME/ghostbench/` and the model's name, by default under `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "ghostbench" / wanted.by


def find_checkpoint(wanted: Wanted, repository: str, revision: str) -> Snapshot | None:
    """The checkpoint if it is already here, whole: from an earlier `fetch_checkpoint`, or in the hub library's cache.

    Nothing is asked of the network.
    """
    where = default_cache(wanted)
    commit = _commit_of(where, repository, revision)
    if commit is not None:
        folder = _folder(where, repository, commit)
        if _is_whole(folder):
            return Snapshot(folder, repository, revision, commit)
    return _in_library_cache(wanted, repository, revision)


def fetch_checkpoint(wanted: Wanted, repository: str, revision: str, *, show_progress: bool = True) -> Snapshot:
    """Find the checkpoint here or download the wanted files, never a pickle.

    An interrupted download goes on where it stopped, byte for byte; sizes and SHA-256 are compared with the hub's.
    `HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` mean what they mean to the hub's library.

    Raises
    ------
    DownloadError
        No connection, offline mode, refused (401, 403), not found (404), too little disk space, or contents that
        are not what the hub lists.
    """
    where = default_cache(wanted)
    found = find_checkpoint(wanted, repository, revision)
    if found is not None:
        return found
    with plain_errors(repository, revision, wanted.instead):
        commit, files = _listing(wanted, repository, revision)
        folder = _folder(where, repository, commit)
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder):
            require_space(folder, files, wanted.instead)
            download(repository, commit, files, folder, title=wanted.title if show_progress else None)
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
    return where / repository.replace("/", "--") / f"revision-{quote(revision, safe='')}"


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


def _in_library_cache(wanted: Wanted, repository: str, revision: str) -> Snapshot | None:
    """A snapshot that the hub's own tools downloaded, if it has all that a checkpoint needs."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
        weight_files_in(folder, wanted.needed)
    except (LocalEntryNotFoundError, CheckpointError):
        return None
    return Snapshot(folder, repository, revision, folder.name)


def _listing(wanted: Wanted, repository: str, revision: str) -> tuple[str, list[RemoteFile]]:
    from huggingface_hub import HfApi

    info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
    files = [
        RemoteFile(entry.rfilename, entry.size, entry.lfs.sha256 if entry.lfs else None)
        for entry in info.siblings or []
        if wanted.files.fullmatch(entry.rfilename) and entry.size is not None
    ]
    if info.sha is None or not _is_commit(info.sha):
        raise DownloadError(f"the hub names no commit for {repository}@{revision}")
    if not any(file.name.endswith(".safetensors") for file in files):
        raise DownloadError(f"{repository}@{revision} holds no safetensors file")
    return info.sha, files


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
