"""Who may ask the server, and for what: a browser on this machine, with the link's token, to read.

Other pages that the browser has open can send requests here too, and a name that they choose can be made to lead here
(DNS rebinding). So a request's Host must be this server's own, its Origin, where it has one, too, and it must bring the
token: in the link that the command prints, or in the cookie that this link sets.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlencode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""What every answer says of itself: nothing from elsewhere, no script but the page's own, in nobody's frame."""
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - only where the user says so
_PLAIN: Final = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
_LONGEST: Final = 4000
"""Bytes of an address: that of a clip of two hundred characters, each of twelve bytes, fits."""
_HTTP: Final = 80
"""The port that browsers do not name."""


@dataclass(frozen=True, slots=True)
class Access:
    """host, port : where the server listens. token : without it nothing is told."""

    host: str
    port: int
    token: str

    @classmethod
    def new(cls, host: str, port: int) -> Access:
        """With a token that nobody can guess."""
        return cls(host, port, secrets.token_urlsafe(24))

    def answers_to(self, host: str) -> bool:
        """Whether a Host header names this server.

        Where it listens on every address, any address is its own, since no page can choose where a number leads; of
        names only the machine's are.
        """
        name, port = _name_and_port(host.lower())
        if port != self.port:
            return False
        if name in {"127.0.0.1", "localhost", "::1", self.host.lower()}:
            return True
        return self.host in _EVERYWHERE and (_is_address(name) or name in _own_names())

    @property
    def link(self) -> str:
        """The address to open, token included."""
        host = _reached_as() if self.host in _EVERYWHERE else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}/?{urlencode({'token': self.token})}"

    @property
    def cookie(self) -> str:
        """The cookie's name: servers on other ports of this machine share its cookies."""
        return f"ghostbench_{self.port}"


class Guard:
    """Lets through what may be answered, and refuses the rest before any of it is read."""

    def __init__(self, app: ASGIApp, access: Access, *, changes: bool = False) -> None:
        """changes : whether the server's own page may send something; another's never may."""
        self._app = app
        self._access = access
        self._methods = ("GET", "HEAD", "POST") if changes else ("GET", "HEAD")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's start and end."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name for name, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in there]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        answer = self._objection(scope)
        if len(scope["path"]) + len(scope["query_string"]) > _LONGEST:
            answer = 414, _PLAIN, b"no page here has so long an address\n"
        if answer is None:
            await self._app(scope, receive, marked)
            return
        status, headers, words = answer
        await marked({"type": "http.response.start", "status": status, "headers": headers})
        await marked({"type": "http.response.body", "body": words})

    def _objection(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        """What to answer instead; None for a request that may be answered."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        hosts = [value.decode("latin-1") for value in headers.get(b"host", [])]
        if len(hosts) != 1 or not self._access.answers_to(hosts[0]):
            return 421, _PLAIN, b"this server answers under its own address alone\n"
        origins = [value.decode("latin-1") for value in headers.get(b"origin", [])]
        unsaid = scope["method"] == "POST" and "POST" in self._methods and not origins
        if unsaid or any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            return 403, _PLAIN, b"other pages are told nothing\n"
        if scope["method"] not in self._methods:
            return 405, [*_PLAIN, (b"allow", ", ".join(self._methods).encode())], b"this server only reads\n"
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if len(given) == 1 and secrets.compare_digest(given[0].encode(), self._access.token.encode()):
            value = f"{self._access.cookie}={self._access.token}; HttpOnly; SameSite=Lax; Path=/"
            return 303, [*_PLAIN, (b"location", b"/"), (b"set-cookie", value.encode())], b""
        if given or not self._holds_token(headers.get(b"cookie", [])):
            return 403, _PLAIN, b"open the link that was printed last: it holds a token\n"
        return None

    def _holds_token(self, cookies: list[bytes]) -> bool:
        """Whether the token is among the cookies. Those of this machine's other servers are sent along, and may be
        anything: they are not read."""
        held = [each.strip().partition(b"=") for value in cookies for each in value.split(b";")]
        name, token = self._access.cookie.encode(), self._access.token.encode()
        return any(own == name and secrets.compare_digest(value, token) for own, _, value in held)


def _name_and_port(host: str) -> tuple[str, int]:
    """A Host header's two parts; port -1 where it has none that is a number."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, str(_HTTP)
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= len("65535") else -1
    return name.removeprefix("[").removesuffix("]"), number


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _reached_as() -> str:
    """The machine's name, where it leads somewhere; else its own address for itself."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except (OSError, UnicodeError):
        return "127.0.0.1"
    return name


@cache
def _own_names() -> frozenset[str]:
    return frozenset(name.lower() for name in (socket.gethostname(), socket.getfqdn()))
