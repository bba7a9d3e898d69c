"""SHA-256 of files; of those that this process wrote, or read whole, without reading them again.

Only who writes a folder may go by what it remembers. Whoever checks one reads it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

Signature = tuple[int, int, int]
_KNOWN: dict[Path, tuple[Signature, str]] = {}


def signature(path: Path) -> Signature:
    """What tells a file from the same file written anew: time of change, size and number; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def digest(path: Path) -> str:
    """SHA-256 of the file's bytes as they are on disk now, hex. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remember(path: Path, found: str, at: Signature | None = None) -> None:
    """This is the digest of the file as it has just been written, or was read whole when it had the signature `at`."""
    _KNOWN[path.absolute()] = (at or signature(path), found)


def own_digest(path: Path) -> str:
    """As `digest`, of a file that this process wrote: from memory, unless it has changed since. Raises `OSError`."""
    now, found = _KNOWN.get(path.absolute(), (None, ""))
    if now != signature(path):
        found = digest(path)
        remember(path, found)
    return found
