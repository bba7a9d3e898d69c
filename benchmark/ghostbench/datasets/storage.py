"""Reads files by path or fsspec URL, and keeps credentials out of everything that is shown.

A location is a local path or any URL that fsspec understands (`memory://`, `s3://`, `az://`, `https://`, …), the
protocol's package being the user's to install. Credentials belong in the environment; where a URL carries them
(`scheme://user:password@host/…?signature`), only this module knows them: every other part of the program holds the
location without them, and `_Secrets` puts them back for reading.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import unicodedata
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final, Literal

from ghostbench.errors import BadInput, DecodeFailed, MissingMedia

MAX_FETCH_BYTES: Final = 2 << 30
"""The largest file that is fetched whole from remote storage into memory."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.:-]*)://(?P<rest>.*)", re.DOTALL)
_USERINFO = re.compile(r"://[^/?#\s]*@")
_QUERY = re.compile(r"(://[^\s?]*)\?[^\s'\"]*")
_SHORTEST_SECRET = 4
"""Shorter parts of a URL are left in messages, which would be unreadable without every "a"."""
_TAIL = re.compile(r"#((?:kind|fps|sha256)=[^#&]*(?:&(?:kind|fps|sha256)=[^#&]*)*)$")

_UNSHOWABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of which no character fits in a message of one line."""

MediaKind = Literal["file", "frames", "zip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What `Clip.media` says, as fields; `str` and `parse` go between the two.

    location : path or URL, without credentials: of a video file, a folder of frames, or a ZIP archive of frames.
    fps : frames per second of frames and archives; None for video files.
    sha256 : hex digest that the file must have, where the split states it.
    """

    location: str
    kind: MediaKind = "file"
    fps: float | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        tail = [f"kind={self.kind}"] if self.kind != "file" or "#" in self.location else []
        if self.fps is not None:
            tail.append(f"fps={self.fps!r}")
        if self.sha256 is not None:
            tail.append(f"sha256={self.sha256}")
        return self.location + ("#" + "&".join(tail) if tail else "")

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
        )


def without_credentials(text: str) -> str:
    """A URL, or a message that quotes URLs, without user names, passwords and query strings."""
    return _QUERY.sub(r"\1", _USERINFO.sub("://", text))


class _Secrets:
    """The full form of each location that was given with credentials, for as long as the process lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full: dict[str, tuple[str, str]] = {}

    def keep(self, given: str) -> str:
        """The location without credentials, having remembered the full form."""
        shown = without_credentials(given)
        if shown != given:
            base, mark, query = given.partition("?")
            with self._lock:
                self._full[shown.rstrip("/")] = (base.rstrip("/"), mark + query)
        return shown

    def full(self, location: str) -> str:
        """The location with the credentials that belong to it."""
        with self._lock:
            known = sorted(self._full.items(), key=lambda item: -len(item[0]))
        for shown, (base, query) in known:
            if location == shown or location.startswith(shown + "/"):
                return base + location[len(shown) :] + query
        return location

    def hide(self, message: str) -> str:
        """A storage's message without anything secret, on one line."""
        with self._lock:
            known = list(self._full.values())
        for base, query in known:
            for secret in _secret_parts(base, query):
                message = message.replace(secret, "***")
        return " ".join(without_credentials(message).split())


def _secret_parts(base: str, query: str) -> list[str]:
    """What must not be shown of a URL's user information and query, longest first, however a message quotes it."""
    parts = {query, query.lstrip("?")}
    parts.update(value for _, value in urllib.parse.parse_qsl(query.lstrip("?")))
    parts.update(pair.partition("=")[2] for pair in query.lstrip("?").split("&"))
    for login in re.findall(r"://([^/?#]*)@", base):
        password = login.partition(":")[2]
        parts.update({login, password, urllib.parse.unquote(password)})
    return sorted((part for part in parts if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)


_secrets = _Secrets()


def accept(location: str, option: str) -> str:
    """The form of a user's location that the rest of the program may hold and show.

    Local paths become absolute. Raises `BadInput`, naming `option`, if the URL's protocol is unknown or its package is
    not installed.
    """
    if not location.strip():
        raise BadInput(f"{option}: the path is empty; give a folder, a file or an fsspec URL")
    if any(unicodedata.category(character) in _UNSHOWABLE for character in location):
        raise BadInput(f"{option}: the path holds control characters; rename what it names")
    match = _URL.fullmatch(location)
    if match is None or match["scheme"] in {"file", "local"}:
        path = location if match is None else match["rest"]
        return os.path.abspath(os.path.expanduser(path))
    shown = _secrets.keep(location)
    try:
        _filesystem(shown)
    except ImportError as error:
        raise BadInput(f"{option} {shown}: {_secrets.hide(str(error))}, then run again") from None
    except Exception as error:  # noqa: BLE001 - each storage package has exceptions of its own
        reason = _secrets.hide(str(error)) or type(error).__name__
        raise BadInput(f"{option} {shown}: {reason}; check the URL and the credentials") from None
    return shown


def is_local(location: str) -> bool:
    """Whether a location is a path on this machine."""
    return _URL.fullmatch(location) is None


def join(location: str, *names: str) -> str:
    """The location of something inside a folder. The names must be plain names."""
    for name in names:
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise ValueError(f"{name!r} is not a plain name")
    return "/".join((location.rstrip("/") if location != "/" else "", *names))


def list_folder(location: str) -> Mapping[str, Literal["file", "directory"]] | None:
    """What lies directly in a folder, by name; None if it is not there or is no folder.

    Raises whatever the storage raises for anything else (no permission, no network).
    """
    if is_local(location):
        try:
            with os.scandir(location) as entries:
                return {e.name: "directory" if e.is_dir() else "file" for e in entries if e.is_dir() or e.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return None
    fs, path = _filesystem(location)
    fs.invalidate_cache(path)
    try:
        found = fs.ls(path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    here = path.rstrip("/")
    names = {entry["name"].rstrip("/"): entry["type"] for entry in found}
    if set(names) == {here} and names[here] == "file":
        return None
    return {
        name.rpartition("/")[2]: "directory" if kind == "directory" else "file"
        for name, kind in names.items()
        if name != here
    }


def read_whole(location: str, option: str, *, limit_bytes: int = 64 << 20) -> bytes:
    """The bytes of a small file that the user named. Raises `BadInput`, naming `option`, for anything in the way."""
    try:
        if is_local(location):
            with open(location, "rb") as file:
                data = file.read(limit_bytes + 1)
        else:
            fs, path = _filesystem(location)
            with fs.open(path, "rb") as file:
                data = file.read(limit_bytes + 1)
    except Exception as error:  # noqa: BLE001 - each storage package has exceptions of its own
        raise BadInput(f"{option} {location}: {reason_of(error)}; give a readable file") from None
    if len(data) > limit_bytes:
        raise BadInput(f"{option} {location}: larger than {limit_bytes >> 20} MiB; give the right file")
    return bytes(data)


@contextmanager
def open_media(location: str) -> Iterator[IO[bytes]]:
    """A clip's file, or one of its frames, open for random access; a remote one is fetched whole, once.

    Raises `MissingMedia` if it is not there, and `DecodeFailed`, with the storage's own words, if it cannot be read or
    is remote and larger than `MAX_FETCH_BYTES`.
    """
    import io

    with storage_errors():
        if is_local(location):
            file: IO[bytes] = open(location, "rb")  # noqa: SIM115 - closed below
        else:
            file = io.BytesIO(_fetch(location))
    with file:
        yield file


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what a storage raises into `MissingMedia` or `DecodeFailed`, without credentials."""
    try:
        yield
    except (MissingMedia, DecodeFailed):
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise MissingMedia("the media is no longer where it was when the clips were listed") from None
    except Exception as error:  # noqa: BLE001 - each storage package has exceptions of its own
        raise DecodeFailed(f"reading the media failed: {reason_of(error)}") from None


def reason_of(error: BaseException) -> str:
    """What went wrong in a storage, in its own words, on one line, without credentials."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        words = "it is a folder" if error.errno == errno.EISDIR else error.strerror
    else:
        words = str(error)
    return f"{type(error).__name__}: {_secrets.hide(words)}" if words else type(error).__name__


def _fetch(location: str) -> bytes:
    fs, path = _filesystem(location)
    with fs.open(path, "rb", cache_type="none") as file:
        size = getattr(file, "size", None)
        if size is not None and size > MAX_FETCH_BYTES:
            raise DecodeFailed(
                f"the file is {size} bytes, more than the {MAX_FETCH_BYTES} that are fetched into memory"
            )
        data = file.read(MAX_FETCH_BYTES + 1)
    if len(data) > MAX_FETCH_BYTES:
        raise DecodeFailed(f"the file is more than the {MAX_FETCH_BYTES} bytes that are fetched into memory")
    return bytes(data)


def _filesystem(location: str) -> tuple[Any, str]:
    import fsspec.core

    fs, path = fsspec.core.url_to_fs(_secrets.full(location))
    return fs, str(path)
