"""What stands in settings and environment of the way to a server, looked at before anything is sent."""

from __future__ import annotations

import importlib.util
import os
import ssl
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ghostbench import BadInput

if TYPE_CHECKING:
    import httpx2

_CALLS = ("/chat/completions", "/completions", "/responses", "/v1/messages", "/messages")
"""What a base URL does not end in: the calls that are put behind it."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_SENT = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
"""What the SDKs send along as it stands in the environment."""
_ELSEWHERE = frozenset({404, 405})
"""What a server answers that knows no such address."""
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
    """Raise `BadInput` for a proxy, a header, or a file of certificates in the environment that cannot be used."""
    for name in _SENT:
        if not (environ.get(name, "").isascii() and environ.get(name, "").isprintable()):
            raise BadInput(f"{name} holds characters that no header can carry; correct it, or unset it")
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
    _check_certificates(environ)


def way_to(url: httpx2.URL, environ: Mapping[str, str]) -> str:
    """Where a request for this URL was sent, for a message: the server, and which variable names a proxy."""
    server = f"{url.host}:{url.port}" if url.port else url.host
    if urllib.request.proxy_bypass(server):
        return f"to {server}"
    names = (name for kind in (f"{url.scheme}_proxy", "all_proxy") for name in (kind, kind.upper()))
    proxy = next((name for name in names if environ.get(name)), None)
    return f"to {server}" if proxy is None else f"to {server}, by the proxy that {proxy} names"


def asked_elsewhere(response: httpx2.Response) -> str:
    """For a message: the address that was asked where there is nothing, or the one that a response leads to; ""
    where the address is not what is wrong."""
    if response.is_redirect:
        try:
            parts = urllib.parse.urlsplit(response.headers["location"])
            place = urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        except ValueError:
            return ""
        return f"leads to {place}"
    url = response.request.url
    return f"asked: {url.copy_with(query=None)}" if response.status_code in _ELSEWHERE else ""


def _check_certificates(environ: Mapping[str, str]) -> None:
    """Raise `BadInput` for certificates, or a log of keys, that are not where the environment says."""
    for name, there in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        path = environ.get(name)
        if path and not all(there(part) for part in (path.split(os.pathsep) if name == "SSL_CERT_DIR" else [path])):
            raise BadInput(f"{name} names {path}, which is not there; correct it, or unset it")
    log = environ.get("SSLKEYLOGFILE")
    if log and not os.access(os.path.dirname(os.path.abspath(log)), os.W_OK):
        raise BadInput(f"SSLKEYLOGFILE names {log}, which cannot be written; correct it, or unset it")
    authorities = environ.get("SSL_CERT_FILE")
    if authorities:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(authorities)
        except (OSError, ssl.SSLError):
            raise BadInput(
                f"SSL_CERT_FILE names {authorities}, which holds no certificates; correct it, or unset it"
            ) from None
