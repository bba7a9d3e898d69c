"""The kinds of storage that are opened at all, and the fsspec filesystem behind a URL.

fsspec knows some forty protocols, and chains of them: a URL can name a file that names others (`reference://`), hold
its own content (`data:`), unpack archives, run git, or put one behind another (`a::b`). None of these is a place where
media lies. What is opened is a short list of stores, each by itself, found by its scheme alone: no text of a URL is
ever read as a chain.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ghostbench.credentials import Credentials
from ghostbench.datasets.location import URL, Location
from ghostbench.plugins.text import printable

LOCAL: Final = ("file", "local")
"""Schemes of this machine's own files; their URLs are turned into paths."""
_ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]+\]")
"""An IPv6 address as URLs write it: the one place where two colons are no chain."""


@dataclass(frozen=True, slots=True)
class Store:
    """A kind of storage. extra : the extra of ghostbench that brings its package, None where none is needed.

    where, who : the variables by which its package is told where the store is, and who asks. Those that name files of
    one machine are not among them.
    """

    extra: str | None
    where: tuple[str, ...] = ()
    who: tuple[str, ...] = ()


_S3: Final = Store(
    "s3",
    where=("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"),
    who=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)
_AZURE: Final = Store(
    "azure",
    where=("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_TENANT_ID", "AZURE_TENANT_ID"),
    who=(
        *("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
        *("AZURE_STORAGE_CLIENT_ID", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_ANON"),
        *("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
    ),
)
STORES: Final[dict[str, Store]] = {
    "http": Store("http"),
    "https": Store("http"),
    "s3": _S3,
    "s3a": _S3,
    "az": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "gs": Store("gs"),
    "gcs": Store("gs"),
    "memory": Store(None),
}
"""What is opened, by scheme. `memory` reaches nothing but what this process itself put there."""

CONNECT_S: Final = 15
SILENCE_S: Final = 60
"""A store that takes longer to let itself be connected to, or says nothing for longer, is away; seconds."""


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


def handed_over(location: str | None, credentials: Credentials) -> Credentials:
    """What another machine needs to read what lies at this location as this one does: the credentials of its URL, and
    of the environment what speaks of the location's store."""
    match = URL.fullmatch(location or "")
    store = STORES.get(match["scheme"].lower()) if match is not None else None
    names = (*store.where, *store.who) if store is not None else ()
    return replace(credentials, environment={name: os.environ[name] for name in names if name in os.environ})


def take_over(credentials: Credentials) -> None:
    """Have the stores' packages, which look into the environment themselves, find there what was handed over. A machine
    that has an account of its own for the store keeps all that it has: halves of two accounts are none. That it says
    where a store of that kind is, such as its region, is no account."""
    given = {*credentials.environment}
    spoken_of = [store for store in STORES.values() if given & {*store.where, *store.who}]
    if not any(name in os.environ for store in spoken_of for name in store.who):
        os.environ.update(credentials.environment)


def filesystem(location: Location) -> tuple[Any, str]:
    """The fsspec filesystem of a URL, opened with its credentials, and the path within it.

    Raises `ValueError` as `check_scheme` does, `ImportError` naming what to install, and what the storage's package
    raises for missing or malformed credentials.
    """
    import fsspec

    check_scheme(location.shown)
    url = location.full
    scheme = url.partition("://")[0].lower()
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        extra = STORES[scheme].extra
        package = f" ({error})" if extra is None else f": pip install 'ghostbench[{extra}]' ({error})"
        raise ImportError(f"{scheme}:// needs a package that is not installed{package}") from None
    options = {**kind._get_kwargs_from_urls(url), **_options(scheme, fsspec.config.conf.get(scheme, {}))}
    fs = kind(**options)
    _ask_once(scheme, fs)
    return fs, str(kind._strip_protocol(url))


def _options(scheme: str, configured: Mapping[str, Any]) -> dict[str, Any]:
    """How long a store may be silent; how long a whole clip takes is its size's affair.

    configured : what the user told fsspec of the scheme; it stays. Azure's package has the same limits of its own.
    """
    match STORES[scheme].extra:
        case "http":
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
            return {"client_kwargs": {"timeout": timeout, **configured.get("client_kwargs", {})}}
        case "s3":
            limits = {"connect_timeout": CONNECT_S, "read_timeout": SILENCE_S, "retries": {"total_max_attempts": 1}}
            return {"config_kwargs": {**limits, **configured.get("config_kwargs", {})}}
        case _:
            return {}


def _ask_once(scheme: str, fs: Any) -> None:
    """One request a reading: whether to try again is the run's policy to decide, where it is counted and told."""
    match STORES[scheme].extra:
        case "s3":
            fs.retries = 1
        case "azure":
            policy = getattr(getattr(fs.service_client, "_config", None), "retry_policy", None)
            if policy is not None:
                policy.total_retries = 0
