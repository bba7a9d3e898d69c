"""What stands in settings and environment of the way to a server, looked at before anything is sent."""

from __future__ import annotations

import importlib.util
import os
import ssl
import urllib.parse
from collections.abc import Mapping

from ghostbench import BadInput

_CALLS = ("/chat/completions", "/completions", "/responses", "/v1/messages", "/messages")
"""What a base URL does not end in: the calls that are put behind it."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_PROXY_KINDS = frozenset({"http", "https", "socks5", "socks5h"})


def checked_url(url: str, name: str, key: str) -> str:
    """The URL without trailing slash. Raises `BadInput` without repeating one that may hold a secret.

    name : what the user calls it. key : the variable that the service's key stands in.
    """
    try:
        parts = urllib.parse.urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise BadInput(f"{name} is not a URL; write one such as http://127.0.0.1:8000/v1") from None
    if parts.username is not None or parts.password is not None:
        raise BadInput(f"{name} holds a user name or password; keys come from the environment alone ({key})")
    if parts.query or parts.fragment:
        raise BadInput(f"{name} has a query or fragment; leave out what follows the path")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput(f"{name} '{url}' is not a web address; write one such as http://127.0.0.1:8000/v1")
    base = url.strip().rstrip("/")
    call = next((call for call in _CALLS if parts.path.rstrip("/").lower().endswith(call)), None)
    if call is not None:
        raise BadInput(f"{name} ends in {call}, which is put behind it by itself; write {base[: -len(call)]}")
    return base


def named_url(setting: str | None, environ: Mapping[str, str], variable: str, key: str, default: str) -> str:
    """The server that the setting `base_url` names, or else the variable; else the default. Raises `BadInput`.

    key : the variable that the service's key stands in.
    """
    given = setting or environ.get(variable)
    return checked_url(given, "base_url" if setting else variable, key) if given else default


def is_at(base_url: str, service: str) -> bool:
    """Whether a URL is the service's own: its host, or one under that, such as the one of a region."""
    host, own = (urllib.parse.urlsplit(url).hostname or "" for url in (base_url, service))
    return host == own or host.endswith(f".{own}")


def key_for(base_url: str, service: str, environ: Mapping[str, str], *names: str) -> str | None:
    """The key in the first of the variables that has one; None for another server than the service's own.

    Raises `BadInput` where the service's own needs one and there is none.
    """
    key = next((environ[name] for name in names if environ.get(name)), None)
    if key is None and is_at(base_url, service):
        raise BadInput(f"{names[0]} is not set; export it, or name a server that needs no key with base_url")
    return key


def check_key(key: str | None) -> None:
    """Raise `BadInput` for a key that no header can carry: the transport would repeat it in its complaint."""
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise BadInput("the API key in the environment holds spaces, line ends or other characters that no key has")


def check_network(environ: Mapping[str, str]) -> None:
    """Raise `BadInput` for a proxy or a file of certificates in the environment that cannot be used."""
    for name in (form for proxy in _PROXIES for form in (proxy, proxy.lower())):
        value = environ.get(name, "").strip()
        kind, _, rest = value.partition("://")
        if not rest:
            continue
        if kind.lower() not in _PROXY_KINDS:
            raise BadInput(
                f"{name} names a proxy of the kind {kind}://; write http://, https:// or socks5://, or unset it"
            )
        if kind.lower().startswith("socks") and importlib.util.find_spec("socksio") is None:
            raise BadInput(f"{name} names a SOCKS proxy, which needs a package: pip install socksio, or unset it")
        try:
            parts = urllib.parse.urlsplit(value)
            sound = bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise BadInput(
                f"{name} is not the address of a proxy; write one such as http://127.0.0.1:3128, or unset it"
            )
    for name, there in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        path = environ.get(name)
        if path and not all(there(part) for part in (path.split(os.pathsep) if name == "SSL_CERT_DIR" else [path])):
            raise BadInput(f"{name} names {path}, which is not there; correct it, or unset it")
    authorities = environ.get("SSL_CERT_FILE")
    if authorities:
        try:
            ssl.create_default_context(cafile=authorities)
        except (OSError, ssl.SSLError):
            raise BadInput(
                f"SSL_CERT_FILE names {authorities}, which holds no certificates; correct it, or unset it"
            ) from None
