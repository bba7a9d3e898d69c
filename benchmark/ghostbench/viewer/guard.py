"""Who may ask the server, and for what: a browser on this machine, with the link's token, to read.

Other pages that the browser has open can send requests here too, and a name that they choose can be made to lead here
(DNS rebinding). So a request's Host must be this server's own, its Origin, where it has one, too, and it must bring the
token: in the link that the command prints, or in the cookie that this link sets.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
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

    @property
    def names(self) -> frozenset[str]:
        """The Host headers under which the server answers."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]", shown))

    @property
    def link(self) -> str:
        """The address to open, token included."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
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
        if answer is None:
            await self._app(scope, receive, marked)
            return
        status, headers, words = answer
        await marked({"type": "http.response.start", "status": status, "headers": headers})
        await marked({"type": "http.response.body", "body": words})

    def _objection(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        """What to answer instead; None for a request that may be answered."""
        plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        hosts = [value.decode("latin-1") for value in headers.get(b"host", [])]
        if len(hosts) != 1 or hosts[0] not in self._access.names:
            return 421, plain, b"this server answers under its own address alone\n"
        origins = [value.decode("latin-1") for value in headers.get(b"origin", [])]
        unsaid = scope["method"] == "POST" and "POST" in self._methods and not origins
        if unsaid or any(origin not in {f"http://{name}" for name in self._access.names} for origin in origins):
            return 403, plain, b"other pages are told nothing\n"
        if scope["method"] not in self._methods:
            return 405, [*plain, (b"allow", ", ".join(self._methods).encode())], b"this server only reads\n"
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if len(given) == 1 and secrets.compare_digest(given[0].encode(), self._access.token.encode()):
            value = f"{self._access.cookie}={self._access.token}; HttpOnly; SameSite=Strict; Path=/"
            return 303, [*plain, (b"location", b"/"), (b"set-cookie", value.encode())], b""
        if given or not self._holds_token(headers.get(b"cookie", [])):
            return 403, plain, b"open the link that was printed last: it holds a token\n"
        return None

    def _holds_token(self, cookies: list[bytes]) -> bool:
        for value in cookies:
            try:
                held = SimpleCookie(value.decode("latin-1")).get(self._access.cookie)
            except CookieError:
                continue
            if held is not None and secrets.compare_digest(held.value.encode(), self._access.token.encode()):
                return True
        return False
