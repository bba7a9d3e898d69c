"""The kinds of storage that are opened at all, and the fsspec filesystem behind a URL.

fsspec knows some forty protocols, and chains of them: a URL can name a file that names others (`reference://`), hold
its own content (`data:`), unpack archives, run git, or put one behind another (`a::b`). None of these is a place where
media lies. What is opened is a short list of stores, each by itself, found by its scheme alone: no text of a URL is
ever read as a chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ghostbench.datasets.credentials import secrets
from ghostbench.plugins.text import printable

URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.:-]*)://(?P<rest>.*)", re.DOTALL)
LOCAL: Final = ("file", "local")
"""Schemes of this machine's own files; their URLs are turned into paths."""
_ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]+\]")
"""An IPv6 address as URLs write it: the one place where two colons are no chain."""


@dataclass(frozen=True, slots=True)
class Store:
    """A kind of storage. extra : the extra of ghostbench that brings its package, None where none is needed."""

    extra: str | None


STORES: Final[dict[str, Store]] = {
    "http": Store("http"),
    "https": Store("http"),
    "s3": Store("s3"),
    "s3a": Store("s3"),
    "az": Store("azure"),
    "abfs": Store("azure"),
    "abfss": Store("azure"),
    "gs": Store("gs"),
    "gcs": Store("gs"),
    "memory": Store(None),
}
"""What is opened, by scheme. `memory` reaches nothing but what this process itself put there."""


def check_scheme(location: str) -> None:
    """Raise `ValueError`, with the way out, for a URL that is a chain or of a scheme that is not opened."""
    match = URL.fullmatch(location)
    if match is None:
        return
    if "::" in _ADDRESS.sub("", location):
        raise ValueError("chains of protocols ('::') are not opened; give the storage's own URL")
    scheme = match["scheme"].lower()
    if scheme not in STORES and scheme not in LOCAL:
        known = ", ".join(f"{name}://" for name in STORES if name != "memory")
        raise ValueError(f"'{printable(scheme)}://' is no storage that is opened; give a local path, or one of {known}")


def filesystem(location: str) -> tuple[Any, str]:
    """The fsspec filesystem of a URL, with the user's credentials, and the path within it.

    Raises `ValueError` as `check_scheme` does, `ImportError` naming what to install, and what the storage's package
    raises for missing or malformed credentials.
    """
    import fsspec

    check_scheme(location)
    url = secrets.full(location)
    scheme = url.partition("://")[0].lower()
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        extra = STORES[scheme].extra
        package = f" ({error})" if extra is None else f": pip install 'ghostbench[{extra}]' ({error})"
        raise ImportError(f"{scheme}:// needs a package that is not installed{package}") from None
    options = {**kind._get_kwargs_from_urls(url)}
    prepare = _PREPARE.get(scheme)
    if prepare is not None:
        options |= prepare(fsspec.config.conf.get(scheme, {}))
    return kind(**options), str(kind._strip_protocol(url))


def _http(configured: Mapping[str, Any]) -> dict[str, Any]:
    """A server that says nothing for a minute is away; how long a whole clip takes is its size's affair."""
    import aiohttp

    given = configured.get("client_kwargs", {})
    return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60), **given}}


def _s3(configured: Mapping[str, Any]) -> dict[str, Any]:
    """One request a reading: whether to try again is the run's policy to decide."""
    given = configured.get("config_kwargs", {})
    waits = {"connect_timeout": 15, "read_timeout": 60, "retries": {"total_max_attempts": 1}}
    return {"config_kwargs": {**waits, **given}}


_PREPARE: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "http": _http,
    "https": _http,
    "s3": _s3,
    "s3a": _s3,
}
