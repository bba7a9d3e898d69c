"""Keeps the credentials of a user's URLs out of everything that is held or shown, and puts them back for reading.

Credentials belong in the environment. Where a URL carries them (`scheme://user:password@host/…?signature`), they are a
value of their own, handed to whoever is to read what lies under that URL and to nobody else: every other part of the
program holds the location without them.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

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
    """What opens the locations under one URL. It is never written down or shown; it can be handed to other processes.

    under : the URL without them, "" where there are none. base, query : what stands before its query, and the query.
    environment : variables that say where a store is and who asks, with their values, for another machine.
    """

    under: str = ""
    base: str = field(default="", repr=False)
    query: str = field(default="", repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    @classmethod
    def of(cls, given: str) -> Credentials:
        """Those that a URL carries."""
        shown = without_credentials(given)
        if shown == given:
            return NO_CREDENTIALS
        base, mark, query = given.partition("?")
        return cls(shown.rstrip("/"), base.rstrip("/"), mark + query)

    def full(self, location: str) -> str:
        """The location with the credentials, where they are for it."""
        if self.under and (location == self.under or location.startswith(self.under + "/")):
            return self.base + location[len(self.under) :] + self.query
        return location

    def hide(self, message: str) -> str:
        """A storage's message without anything secret, on one line."""
        for secret in _secret_parts(self.base, self.query):
            message = message.replace(secret, "***")
        return " ".join(without_credentials(message).split())


NO_CREDENTIALS: Final = Credentials()
"""What opens local paths, and URLs whose credentials the environment holds."""


def _secret_parts(base: str, query: str) -> list[str]:
    """What must not be shown of a URL's user information and query, longest first, however a message quotes it."""
    parts = {query, query.lstrip("?")}
    parts.update(value for _, value in urllib.parse.parse_qsl(query.lstrip("?")))
    parts.update(pair.partition("=")[2] for pair in query.lstrip("?").split("&"))
    for login in re.findall(r"://([^/?#]*)@", base):
        password = login.partition(":")[2]
        parts.update({login, password, urllib.parse.unquote(password)})
    return sorted((part for part in parts if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)
