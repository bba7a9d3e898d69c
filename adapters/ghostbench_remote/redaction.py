"""Taking secrets out of text: the one place through which everything a server or library says must pass."""

from __future__ import annotations

import dataclasses
import logging
import re
import urllib.parse
from collections.abc import Iterable, Mapping

from ghostbench import Reply

REDACTED = "[redacted]"

_KEYS = (
    "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN",
    "OPENAI_ADMIN_KEY",
    "OPENAI_WEBHOOK_SECRET",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
)
_HEADERS = ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_SHORTEST = 8
"""Shorter values are placeholders such as "none" or "EMPTY"; taking those out would change a model's own words."""
_RECOGNISABLE = 16
"""From this length on, a key's first eight characters are taken as the key itself, cut short."""

_LOOKS_SECRET = re.compile(
    r"sk-[\w*.\-]{6,}"
    r"|\bAIza[\w*\-]{20,}"
    r"|(?i:bearer)\s+[\w\-.~+/=*]{6,}"
    r"|(?i:\b(?:authorization|api[-_ ]?key)\b[\"']?\s*[:=]\s*[\"']?)(?!\[redacted\])[^\s\"',;}]+"
)


_LOGGERS = frozenset(
    {
        *("openai", "anthropic", "google", "google_genai"),
        *("httpx", "httpx2", "httpcore", "httpcore2", "h11", "h2", "hpack"),
    }
)


class Secrets:
    """The secrets of this process's environment, and how to take them out of text."""

    def __init__(self, values: Iterable[str]) -> None:
        secrets = sorted({value.strip() for value in values if len(value.strip()) >= _SHORTEST}, key=len, reverse=True)
        patterns = [re.escape(form) for secret in secrets for form in (secret, urllib.parse.quote(secret, safe=""))]
        beginnings = [secret[:_SHORTEST] for secret in secrets if len(secret) >= _RECOGNISABLE]
        patterns += [re.escape(beginning) + r"[\w*.…\-]*" for beginning in beginnings]
        self._known = re.compile("|".join(patterns)) if patterns else None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Secrets:
        """Those of an environment: keys, tokens, values of headers that are sent along, passwords of proxies."""
        values = [environ[name] for name in _KEYS if environ.get(name)]
        for name in _HEADERS:
            values += [line.partition(":")[2] for line in environ.get(name, "").splitlines()]
        for name in _PROXIES:
            password = _password(environ.get(name, ""))
            if password:
                values += [password, urllib.parse.unquote(password)]
        return cls(values)

    def out_of(self, text: str) -> str:
        """The text without this process's secrets: for a model's own words, which are otherwise left as they are."""
        return self._known.sub(REDACTED, text) if self._known else text

    def out_of_message(self, text: str) -> str:
        """The text without this process's secrets, nor anything else that looks like a key or a header with one."""
        return _LOOKS_SECRET.sub(REDACTED, self.out_of(text))

    def out_of_reply(self, reply: Reply) -> Reply:
        """The reply with every text in it cleaned."""

        def clean(text: str | None) -> str | None:
            return None if text is None else self.out_of(text)

        return dataclasses.replace(
            reply,
            text=self.out_of(reply.text),
            finish_reason=clean(reply.finish_reason),
            served_model=clean(reply.served_model),
            system_fingerprint=clean(reply.system_fingerprint),
            server_request_id=clean(reply.server_request_id),
            notes=tuple(self.out_of(note) for note in reply.notes),
        )

    def out_of_logs(self) -> None:
        """Clean what the SDK and its transport log, at any level, from now on."""
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] in _LOGGERS:
                logger = logging.getLogger(name)
                for old in [f for f in logger.filters if isinstance(f, _Filter)]:
                    logger.removeFilter(old)
                logger.addFilter(_Filter(self))


class _Filter(logging.Filter):
    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._secrets.out_of_message(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = self._secrets.out_of_message(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


def _password(url: str) -> str | None:
    try:
        return urllib.parse.urlsplit(url).password
    except ValueError:
        return None
