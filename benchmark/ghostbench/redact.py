"""Secrets that the environment, the command line or a setting holds, taken out of every text written or shown.

What is secret is told by its name (`api_key`, `authHeader`, `connection_string`, …). Its value is then crossed out
wherever it stands, also as JSON, URLs, base64 and hex spell it.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import os
import re
import sys
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

CROSSED_OUT: Final = "[redacted]"

# fmt: off
_SECRET_WORDS = frozenset({
    "auth", "authorization", "authentication", "bearer", "cookie", "cookies", "cred", "creds", "dsn", "header",
    "headers", "jwt", "key", "keys", "oauth", "pass", "passcode", "passwords", "pat", "pin", "pwd", "sas", "secrets",
    "sig", "signature", "sshpass", "webhook",
})
_SECRET_ENDINGS = (
    "apikey", "accesskey", "accountkey", "authkey", "privatekey", "secretkey", "sharedkey", "subscriptionkey",
    "credential", "credentials", "passphrase", "passwd", "password", "secret", "token",
)
"""What also words end in that were written together: PGPASSWORD, authtoken."""
# fmt: on
_SECRET_PAIRS = frozenset({("connection", "string"), ("conn", "str"), ("access", "tokens"), ("api", "tokens")})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PUBLIC = frozenset(["bits", "count", "file", "frame", "frames", "limit", "method", "mode", "path", "sock", "type"])
"""Last words of names that hold where or how, not what: SSH_AUTH_SOCK, HF_TOKEN_PATH, auth_mode, key_frames."""
_FOLDERS = frozenset({"PWD", "OLDPWD"})
"""Variables in which every shell states where it is and was, and no password."""
_PAIR = re.compile(r"[\"']?([A-Za-z][\w.-]*)[\"']?\s*[=:]\s*[\"']?([^\"';,\r\n]+)")
"""One name with its value in a connection string, a list of headers or JSON."""
_URL_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@]+@")
_URL_QUERY = re.compile(r"(://[^\s?]*\?)\S+")
_QUERY = re.compile(r"(?<=[^\s?]\?)[\w.~%\[\]-]+=[^\s'\"<>`]*")
"""The query of a URL, or of a path in one, as libraries quote requests."""
_SET = re.compile(r"(?:--set=)?(?:[^=]*\.)?(?P<key>[^.=]+)=(?P<value>.+)", re.DOTALL)
_LOOKS_SECRET = re.compile(
    r"\b(?:sk|pk|rk|ghp|gho|hf|xox[abp])[-_][A-Za-z0-9_*.-]{8,}"
    r"|(?i:\bbearer)\s+[\w\-.~+/=*]{6,}"
    r"|(?i:\bbasic)\s+[A-Za-z0-9+/=]{12,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{5,}\.[\w-]*"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAIza[\w-]{30,}"
)
_SHORTEST = 8
"""Shorter values are left alone: crossing them out would garble ordinary text."""


def is_secret_name(name: str) -> bool:
    """Whether a variable, setting or header of this name holds a secret: it has a word such as KEY, TOKEN or COOKIE.

    Words are parted by case, digits and everything that is no letter: `apiKey`, `X-Api-Key` and `API_KEY2` are equal.

    >>> [is_secret_name(name) for name in ("openai.apiKey", "connection_string", "max_tokens", "monkey", "auth_mode")]
    [True, True, False, False, False]
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _PUBLIC:
        return False
    if not _SECRET_WORDS.isdisjoint(words) or any(word.endswith(_SECRET_ENDINGS) for word in words):
        return True
    return any(pair in _SECRET_PAIRS for pair in itertools.pairwise(words))


class Redactor:
    """Takes secrets and URL credentials out of text.

    environment : variables by name; default `os.environ`. arguments : a command line whose `--set` values of secret
    names are secrets too; default `sys.argv` where `environment` is the process's own.

    Values under 8 characters are left alone in texts, since crossing them out would garble ordinary words; under their
    own name (`settings`, `command`) they are crossed out whatever their length.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, arguments: Sequence[str] | None = None) -> None:
        own = environment is None
        self._secrets: list[str] = []
        self._known: set[str] = set()
        for name, value in (os.environ if environment is None else environment).items():
            if is_secret_name(name) and name not in _FOLDERS:
                self.learn(value)
        for word in sys.argv if own and arguments is None else arguments or ():
            setting = _SET.fullmatch(word)
            if setting is not None and is_secret_name(setting["key"]):
                self.learn(setting["value"])

    def learn(self, value: object) -> None:
        """Cross this value out from now on: a text, or the texts in a list or mapping."""
        found = {text for whole in _texts(value) for text in (whole, *_parts(whole))}
        new = {text.strip() for text in found if len(text.strip()) >= _SHORTEST} - self._known
        if new:
            self._known |= new
            spelled = {form for secret in self._known for form in _spellings(secret)}
            self._secrets = sorted(spelled, key=len, reverse=True)

    def learn_location(self, url: str) -> None:
        """Cross out a URL's password and signature from now on, by themselves too: libraries quote parts of URLs."""
        self.learn([*_in_url(url)])

    def learn_settings(self, values: Mapping[str, Any]) -> None:
        """Cross out the values of secret-looking names from now on."""
        for name, value in values.items():
            if is_secret_name(name):
                self.learn(value)

    def text(self, text: str) -> str:
        """The text with every known secret and every URL's user part crossed out, and else as it is."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, CROSSED_OUT)
        return _URL_USER.sub(rf"\g<scheme>{CROSSED_OUT}@", text) if "@" in text else text

    def message(self, text: str) -> str:
        """As `text`, and whatever else looks like a key, a token or a header that holds one, and every query of a URL,
        which may be a signature: for messages of others."""
        return _QUERY.sub(CROSSED_OUT, _LOOKS_SECRET.sub(CROSSED_OUT, self.text(text)))

    def location(self, text: str) -> str:
        """A path or URL without its user part and its query, which may be a signature."""
        return _URL_QUERY.sub(rf"\g<1>{CROSSED_OUT}", self.text(text))

    def command(self, words: Sequence[str]) -> list[str]:
        """A command line as it may be written: locations as above, `--set` of secret-looking names without values."""
        return [self.location(without_value(word)) for word in words]

    def settings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A model's settings as they may be written: values of secret-looking names crossed out, too.

        Numbers, truth values and null are never secrets.
        """
        shown: dict[str, Any] = {}
        for key, value in values.items():
            if is_secret_name(key) and not (value is None or isinstance(value, bool | int | float)):
                shown[key] = CROSSED_OUT if value else value
            else:
                shown[key] = self.message(value) if isinstance(value, str) else value
        return shown


def without_value(word: str) -> str:
    """A `--set` word as it may be shown: without its value where its name looks secret.

    >>> without_value("gpt-4.1.apikey=sk-123"), without_value("motion.threshold=2")
    ('gpt-4.1.apikey=[redacted]', 'motion.threshold=2')
    """
    setting = _SET.fullmatch(word)
    if setting is None or not is_secret_name(setting["key"]):
        return word
    return word[: setting.start("value")] + CROSSED_OUT


def _texts(value: object) -> Iterator[str]:
    """The texts in a setting's value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, Iterable):
        for part in value:
            yield from _texts(part)


def _parts(text: str) -> Iterator[str]:
    """The secrets within a connection string, a list of headers, a header's value or a URL."""
    for name, value in _PAIR.findall(text):
        if is_secret_name(name):
            yield value
            yield value.rpartition(" ")[2]
    yield from _in_url(text)
    scheme, _, rest = text.partition(" ")
    if scheme.lower() in {"bearer", "basic", "token"}:
        yield rest


def _in_url(text: str) -> Iterator[str]:
    """The password before a URL's host, and the values of secret names in its query, or in a query alone."""
    found = [login.partition(":")[2] for login in re.findall(r"://([^/?#\s]*)@", text)]
    for pair in re.split(r"[?&#\s]", text):
        name, _, value = pair.partition("=")
        if is_secret_name(name):
            found.append(value)
    for value in found:
        yield value
        yield urllib.parse.unquote(value)
        yield urllib.parse.unquote_plus(value)


def _spellings(secret: str) -> Iterator[str]:
    """A secret as it is, and as formats and protocols spell it."""
    yield secret
    if len(secret.rstrip("=")) >= _SHORTEST:
        yield secret.rstrip("=")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote_plus(secret)
    yield html.escape(secret)
    data = secret.encode("utf-8", "surrogatepass")
    yield data.hex()
    yield data.hex().upper()
    for shift in range(3):
        yield from _in_base64(data, shift)


def _in_base64(data: bytes, shift: int) -> Iterator[str]:
    """What of a text in base64 depends on `data` alone where it begins `shift` bytes after a group of three."""
    first, last = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(bytes(shift) + data).decode()[first:last]
