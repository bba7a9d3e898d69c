"""Digests of the code that answers rest on: a checkout's version stays the same when its sources change."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ghostbench import imported
from ghostbench.plugins.installed import OWN

_IMPORT = re.compile(rb"^[ \t]*(?:from[ \t]+([A-Za-z_]\w*)|import[ \t]+([A-Za-z_][\w., \t]*))", re.MULTILINE)
_INSTALLED = {"site-packages", "dist-packages"}
_LARGE_BYTES = 1 << 20
"""A larger file that is no Python, such as weights, counts by its size and the time of its last change."""
_first_seen: dict[str, str] = {}
"""Of each package, the digest that its sources had when this process looked first."""
_CLOCK_NS = 10_000_000
"""The step of the clock that file systems go by."""
State = tuple[int, int, int, int]
"""Size, inode, and the times of the last change of a file's content and of anything about it, which nobody can set."""


class SourcesUnknown(Exception):
    """Nobody can say which code runs here. The message says of which package, and why."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The code that a model rests on. digests : SHA-256 by package. files : of which, each as it was looked at."""

    digests: Mapping[str, str]
    files: Mapping[str, State]

    def changed(self) -> str | None:
        """The first file that is no longer as it was looked at; None where all are."""
        return next((path for path, state in self.files.items() if _state(path) != state), None)


def sources_of(package: str) -> Sources:
    """The sources of ghostbench, of a top-level package, and of those that it imports.

    Of imported ones, those of this project, and those that lie outside the folders for installed packages; what is
    installed has a version. By content: the same sources elsewhere are the same. Raises `SourcesUnknown` for a package
    that is not there or cannot be read, and for one that has changed since this process could import it, or first
    looked: what was imported may then be of before or after.
    """
    digests: dict[str, str] = {}
    files: dict[str, State] = {}
    waiting = [OWN, package]
    while waiting:
        name = waiting.pop()
        if name in digests:
            continue
        try:
            own: dict[str, State] = {}
            digests[name], imports = _digest(name, _roots(name), own)
        except (OSError, ImportError, ValueError, AttributeError) as error:
            raise SourcesUnknown(f"the sources of {name} cannot be read ({type(error).__name__}: {error})") from None
        _require_older(name, own)
        files |= own
        waiting += [found for found in sorted(imports - digests.keys()) if _counts(found)]
    for name, digest in digests.items():
        if _first_seen.setdefault(name, digest) != digest:
            raise SourcesUnknown(f"the sources of {name} have changed since this process first looked at them")
    return Sources(dict(sorted(digests.items())), files)


def _require_older(name: str, files: Mapping[str, State]) -> None:
    """Raise `SourcesUnknown` where a file is younger than the moment from which its package can have been imported."""
    since = _importable_since(name)
    young = next((path for path, state in files.items() if state[3] > since), None)
    if young is not None:
        raise SourcesUnknown(f"{young} was changed after this process began, and may have been imported before")


def _importable_since(name: str) -> int:
    """Nothing of a package was imported before, nanoseconds since 1970.

    That is when ghostbench was, for what was not there by then; else when the process began.
    """
    if name not in imported.BEFORE or name == OWN:
        return imported.AT_NS - _CLOCK_NS
    import psutil

    return int(psutil.Process().create_time() * 1e9)


def _roots(name: str) -> list[Path]:
    """The folders of a package, or the file of a module."""
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError("there is no such package")
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    return [Path(place) for place in places]


def _counts(name: str) -> bool:
    """Whether an imported package has no version that tells its state, or is of this project."""
    if name in sys.stdlib_module_names:
        return False
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return False
    # Built in, or any folder of that name that lies on the path by chance.
    if spec is None or not spec.has_location or spec.origin is None:
        return False
    return name.startswith(f"{OWN}_") or not _INSTALLED.intersection(Path(spec.origin).parts)


def _digest(name: str, roots: Iterable[Path], files: dict[str, State]) -> tuple[str, set[str]]:
    """The digest of all files of a package, and the top-level packages that its code imports.

    files : gets each file's state as it was before it was read.
    """
    total, imports = hashlib.sha256(), set[str]()
    for root in roots:
        for path in [root] if root.is_file() else _files(root):
            inner = path.relative_to(root).as_posix() if path != root else path.name
            files[str(path)] = _state(str(path)) or (0, 0, 0, 0)
            content = _content(path)
            total.update(f"{inner}\0{hashlib.sha256(content).hexdigest()}\n".encode(errors="surrogateescape"))
            if path.suffix == ".py":
                imports.update(_imported(content))
    return total.hexdigest(), imports - {name}


def _files(folder: Path) -> Iterator[Path]:
    def give_up(error: OSError) -> None:
        raise error

    been = set[str]()
    for place, folders, names in os.walk(folder, onerror=give_up, followlinks=True):
        real = os.path.realpath(place)
        if real in been:  # by a link, which may lead round in a circle
            folders.clear()
            continue
        been.add(real)
        folders[:] = sorted(each for each in folders if each != "__pycache__" and not each.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _state(path: str) -> State | None:
    """None for a file that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _content(path: Path) -> bytes:
    state = path.stat()
    if state.st_size > _LARGE_BYTES and path.suffix != ".py":
        return f"{state.st_size} bytes, changed at {state.st_mtime_ns}".encode()
    return path.read_bytes()


def _imported(source: bytes) -> Iterator[str]:
    for package, several in _IMPORT.findall(source):
        for name in [package] if package else several.split(b","):
            words = name.split(b".")[0].split()
            if words:
                yield words[0].decode()
