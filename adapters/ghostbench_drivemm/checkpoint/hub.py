"""The public checkpoint: found on this machine or fetched from the Hugging Face hub once, and pinned to its commit."""

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

from ghostbench_drivemm.checkpoint.config import CheckpointError
from ghostbench_drivemm.checkpoint.download import TIMEOUT_S, RemoteFile, download, require_space
from ghostbench_drivemm.checkpoint.hub_errors import DownloadError, plain_errors

REPOSITORY = "DriveMM/DriveMM"
"""The authors' repository on the hub."""

REVISION = "main"
"""Branch, tag or commit. A branch is resolved to a commit at the first download; that commit is then kept."""

SOURCE_FILE = "ghostbench-source.json"
"""Written into the folder when every file is whole: repository, revision, commit, and each file's size."""

_WANTED = re.compile(r"[\w.-]+\.safetensors|[\w.-]+\.json|chat_template\.jinja")


@dataclass(frozen=True)
class Snapshot:
    """A whole downloaded checkpoint: its folder, and where it came from (`commit` has 40 hexadecimal digits)."""

    folder: Path
    repository: str
    revision: str
    commit: str


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
    with plain_errors(repository, revision):
        commit, files = _listing(repository, revision)
        folder = _folder(where, repository, commit)
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder):
            require_space(folder, files)
            download(repository, commit, files, folder, show_progress=show_progress)
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


def _in_library_cache(repository: str, revision: str) -> Snapshot | None:
    """A snapshot that the hub's own tools downloaded, if it has all that a checkpoint needs."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    from ghostbench_drivemm.checkpoint.inventory import weight_files_in

    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
        weight_files_in(folder)
    except (LocalEntryNotFoundError, CheckpointError):
        return None
    return Snapshot(folder, repository, revision, folder.name)


def _listing(repository: str, revision: str) -> tuple[str, list[RemoteFile]]:
    from huggingface_hub import HfApi

    info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
    files = [
        RemoteFile(entry.rfilename, entry.size, entry.lfs.sha256 if entry.lfs else None)
        for entry in info.siblings or []
        if _WANTED.fullmatch(entry.rfilename) and entry.size is not None
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
