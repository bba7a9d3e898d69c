"""Reads files by path or URL, and lists folders: this machine's, and the stores of `ghostbench.datasets.schemes`.

Only what the user named is opened, with the credentials that came with it (`Location`); of what a dataset's own file
names, `within` is the folder that nothing may lead out of.
"""

from __future__ import annotations

import html
import io
import os
import re
import unicodedata
import urllib.parse
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, Final, Literal

from ghostbench.credentials import Credentials, without_credentials
from ghostbench.datasets.faults import failure_of, reason_of, storage_errors
from ghostbench.datasets.inside import lies_inside
from ghostbench.datasets.location import URL, Location
from ghostbench.datasets.schemes import LOCAL, check_scheme, filesystem
from ghostbench.errors import BadInput, DecodeFailed, MediaUnreachable, MissingMedia

__all__ = [
    "MAX_FETCH_BYTES",
    "EntryKind",
    "Location",
    "Media",
    "MediaKind",
    "accept",
    "list_folder",
    "open_media",
    "read_each",
    "read_whole",
    "reason_of",
    "storage_errors",
    "without_credentials",
]

MAX_FETCH_BYTES: Final = 2 << 30
"""The largest file that is fetched whole from remote storage into memory."""

_FETCHES: Final = 8
"""Frames of one clip that are fetched at the same time."""
_TAIL = re.compile(r"#((?:kind|fps|sha256|within)=[^#&]*(?:&(?:kind|fps|sha256|within)=[^#&]*)*)$")

_UNSHOWABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of which no character fits in a message of one line."""

MediaKind = Literal["file", "frames", "zip"]
EntryKind = Literal["file", "directory", "link out"]
"""What an entry of a folder is; a "link out" leads out of the folder that listing was to stay within."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What `Clip.media` says, as fields; `str` and `parse` go between the two.

    location : path or URL, without credentials: of a video file, a folder of frames, or a ZIP archive of frames.
    fps : frames per second of frames and archives; None for video files.
    sha256 : hex digest that the file must have, where the split states it.
    within : local folder that links must not lead out of; None where the user named the data root.
    """

    location: str
    kind: MediaKind = "file"
    fps: float | None = None
    sha256: str | None = None
    within: str | None = None

    def __str__(self) -> str:
        tail = [f"kind={self.kind}"] if self.kind != "file" or "#" in self.location else []
        if self.fps is not None:
            tail.append(f"fps={self.fps!r}")
        if self.sha256 is not None:
            tail.append(f"sha256={self.sha256}")
        if self.within is not None:
            tail.append(f"within={urllib.parse.quote(self.within)}")
        return self.location + ("#" + "&".join(tail) if tail else "")

    def opened_with(self, credentials: Credentials) -> Location:
        """Where it lies, for reading. credentials : those of the data root, `Split.credentials`."""
        return Location(self.location, credentials)

    @classmethod
    def parse(cls, text: str) -> Media:
        """The media that a string names. A plain path or URL is a video file, a plain local folder holds frames."""
        match = _TAIL.search(text)
        if match is None:
            frames = "://" not in text and os.path.isdir(text)
            return cls(location=text, kind="frames", fps=30.0) if frames else cls(location=text)
        fields = dict(part.split("=", 1) for part in match[1].split("&"))
        kind = fields.get("kind", "file")
        if kind not in {"file", "frames", "zip"}:
            raise ValueError(f"unknown kind of media {kind!r}")
        return cls(
            location=text[: match.start()],
            kind=kind,  # type: ignore[arg-type]
            fps=float(fields["fps"]) if "fps" in fields else None,
            sha256=fields.get("sha256"),
            within=urllib.parse.unquote(fields["within"]) if "within" in fields else None,
        )


def accept(given: str, option: str) -> Location:
    """A user's location, in a form that the rest of the program may hold and show.

    Local paths become absolute. Raises `BadInput`, naming `option`, if the URL is of no storage that is opened, a chain
    of several, or its package is not installed.
    """
    if not given.strip():
        raise BadInput(f"{option}: the path is empty; give a folder, a file or a URL")
    if any(unicodedata.category(character) in _UNSHOWABLE for character in given):
        raise BadInput(f"{option}: the path holds control characters; rename what it names")
    try:
        check_scheme(given)
    except ValueError as error:
        raise BadInput(f"{option} {without_credentials(given)}: {error}") from None
    match = URL.fullmatch(given)
    if match is None or match["scheme"].lower() in LOCAL:
        path = given if match is None else match["rest"]
        return Location(os.path.abspath(os.path.expanduser(path)))
    location = Location.given(given)
    hide = location.credentials.hide
    try:
        filesystem(location)
    except ImportError as error:
        raise BadInput(f"{option} {location}: {hide(str(error))}, then run again") from None
    except Exception as error:  # noqa: BLE001 - each storage package has exceptions of its own
        reason = hide(str(error)) or type(error).__name__
        raise BadInput(f"{option} {location}: {reason}; check the URL and the credentials") from None
    return location


def list_folder(location: Location, *, within: str | None = None) -> Mapping[str, EntryKind] | None:
    """What lies directly in a folder, by name; None if it is not there or is no folder.

    Of local entries, what is neither file nor folder (a broken link, a loop of links, a device) is left out. within :
    a local folder; links that lead out of it are said to.

    Raises whatever the storage raises for anything else (no permission, no network).
    """
    if location.is_local:
        if within is not None and not lies_inside(location.shown, [within]):
            return None
        try:
            with os.scandir(location.shown) as entries:
                kinds = {entry.name: _kind(entry, within) for entry in entries}
        except (FileNotFoundError, NotADirectoryError):
            return None
        return {name: kind for name, kind in kinds.items() if kind is not None}
    fs, path = filesystem(location)
    fs.invalidate_cache(path)
    try:
        found = fs.ls(path, detail=True)
    except Exception as error:
        if isinstance(failure_of(error, location.credentials), MissingMedia):
            return None
        raise
    here = path.rstrip("/")
    names = {entry["name"].rstrip("/"): entry["type"] for entry in found}
    if set(names) == {here} and names[here] == "file":
        return None
    kinds_of = {
        _linked(name) if location.is_web_address else name.rpartition("/")[2]: kind
        for name, kind in names.items()
        if name != here
    }
    return {name: "directory" if kind == "directory" else "file" for name, kind in kinds_of.items() if name}


def _linked(link: str) -> str:
    """The name of what a link on a server's page leads to, as a person reads it; "" for a link to no entry."""
    step = html.unescape(link.rpartition("/")[2])
    name = urllib.parse.unquote(re.split("[?#]", step, maxsplit=1)[0])
    return "" if name in {".", ".."} or "/" in name or "\0" in name else name


def _kind(entry: os.DirEntry[str], within: str | None) -> EntryKind | None:
    try:
        if within is not None and entry.is_symlink() and not lies_inside(entry.path, [within]):
            return "link out"
        return "directory" if entry.is_dir() else "file" if entry.is_file() else None
    except OSError:  # a loop of links, or one into a place that is away
        return None


def read_whole(location: Location, option: str, *, limit_bytes: int = 64 << 20) -> bytes:
    """The bytes of a small file that the user named. Raises `BadInput`, naming `option`, for anything in the way."""
    try:
        if location.is_local:
            with open(location.shown, "rb") as file:
                data = file.read(limit_bytes + 1)
        else:
            fs, path = filesystem(location)
            with fs.open(path, "rb") as file:
                data = file.read(limit_bytes + 1)
    except Exception as error:  # noqa: BLE001 - each storage package has exceptions of its own
        raise BadInput(f"{option} {location}: {reason_of(error, location.credentials)}; give a readable file") from None
    if len(data) > limit_bytes:
        raise BadInput(f"{option} {location}: larger than {limit_bytes >> 20} MiB; give the right file")
    return bytes(data)


@contextmanager
def open_media(location: Location, *, within: str | None = None) -> Iterator[IO[bytes]]:
    """A clip's file, or one of its frames, open for random access; a remote one is fetched whole, once.

    within : local folder that links must not lead out of, None for any place.

    Raises `MissingMedia` if it is not there, `MediaUnreachable`, with the storage's own words, if the storage does not
    give it this time, and `DecodeFailed` if it is remote and larger than `MAX_FETCH_BYTES`.
    """
    with storage_errors(location.credentials):
        if not location.is_local:
            file: IO[bytes] = io.BytesIO(_fetch(location))
        elif within is None or lies_inside(location.shown, [within]):
            file = open(location.shown, "rb")  # noqa: SIM115 - closed below
        else:
            raise MissingMedia(f"the media is a link that leads out of {within}")
    with file:
        yield file


def read_each(locations: Sequence[Location], *, limit_bytes: int, within: str | None = None) -> Iterator[bytes]:
    """The bytes of each of these files, in their order; a longer one's first `limit_bytes` + 1.

    Remote files are fetched eight at a time, and no more than eight are held. Raises as `open_media` does, when it is
    the failed file's turn.
    """

    def read(location: Location) -> bytes:
        with storage_errors(location.credentials), open_media(location, within=within) as file:
            return file.read(limit_bytes + 1)

    if all(location.is_local for location in locations):
        yield from map(read, locations)
        return
    pool = ThreadPoolExecutor(_FETCHES)
    waiting: deque[Future[bytes]] = deque()
    rest = iter(locations)
    try:
        waiting.extend(pool.submit(read, location) for location in islice(rest, _FETCHES))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(read, location) for location in islice(rest, 1))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetch(location: Location) -> bytes:
    fs, path = filesystem(location)
    with fs.open(path, "rb", cache_type="none") as file:
        size = getattr(file, "size", None)
        if size is not None and size > MAX_FETCH_BYTES:
            raise DecodeFailed(
                f"the file is {size} bytes, more than the {MAX_FETCH_BYTES} that are fetched into memory"
            )
        data = file.read(MAX_FETCH_BYTES + 1)
    if len(data) > MAX_FETCH_BYTES:
        raise DecodeFailed(f"the file is more than the {MAX_FETCH_BYTES} bytes that are fetched into memory")
    if size is not None and len(data) < size:
        raise MediaUnreachable(f"the storage broke off after {len(data)} of {size} bytes")
    return bytes(data)
