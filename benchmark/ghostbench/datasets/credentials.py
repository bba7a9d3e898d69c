"""Keeps the credentials of a user's URLs out of everything that is held or shown, and puts them back for reading.

Credentials belong in the environment. Where a URL carries them (`scheme://user:password@host/…?signature`), only this
module knows them: every other part of the program holds the location without them.
"""

from __future__ import annotations

import re
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

_USERINFO = re.compile(r"(?<!\baz)(?<!\babfs)(?<!\babfss)://[^/?#\s]*@|://[^/?#\s:@]*:[^/?#\s]*@")
"""What stands before the host; of Azure's URLs (`abfs://container@account…`) only where it holds a password."""
_QUERY = re.compile(r"(://[^\s?]*)\?[^\s'\"]*")
_SHORTEST_SECRET = 4
"""Shorter parts of a URL are left in messages, which would be unreadable without every "a"."""


def without_credentials(text: str) -> str:
    """A URL, or a message that quotes URLs, without user names, passwords and query strings."""
    return _QUERY.sub(r"\1", _USERINFO.sub("://", text))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one process hands to another that is to read the same locations. It is never written down or shown.

    full : of each location without credentials, what stands before its query and the query.
    environment : variables that say where a store is and who asks, with their values.
    """

    full: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Credentials({len(self.full)} locations, {len(self.environment)} variables)"


class _Secrets:
    """The full form of each location that was given with credentials, for as long as the process lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full: dict[str, tuple[str, str]] = {}

    def handed_over(self) -> Credentials:
        """All of them, for a process that is to read the same locations."""
        with self._lock:
            return Credentials(dict(self._full))

    def take_over(self, credentials: Credentials) -> None:
        """Know what another process handed over."""
        with self._lock:
            self._full.update(credentials.full)

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


secrets = _Secrets()
"""What this process was given."""
