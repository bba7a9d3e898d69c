"""Secrets that the environment or the command line holds, taken out of every text that is written or shown."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

_SECRET_NAME = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|SAS)(_|$)", re.IGNORECASE)
_URL_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@]+@")
_URL_QUERY = re.compile(r"(://[^\s?]*\?)\S+")
_SETTING = re.compile(r"((?:--set=)?[^=]+\.(?P<key>[^.=]+)=)(.+)", re.DOTALL)
_SHORTEST = 8
_CROSSED_OUT = "[redacted]"


class Redactor:
    """Takes the values of secret-looking environment variables, and URL credentials, out of text.

    A variable is secret-looking when its name has KEY, TOKEN, SECRET, PASSWORD, CREDENTIAL or SAS as a word; values
    under 8 characters are left alone, since crossing them out would garble ordinary text.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        source = os.environ if environment is None else environment
        secrets = {v for k, v in source.items() if _SECRET_NAME.search(k) and len(v) >= _SHORTEST}
        spelled = (
            secrets
            | {json.dumps(s)[1:-1] for s in secrets}
            | {json.dumps(s, ensure_ascii=False)[1:-1] for s in secrets}
        )
        self._secrets = sorted(spelled, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text with every secret and every URL's user part crossed out."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, _CROSSED_OUT)
        return _URL_USER.sub(rf"\g<scheme>{_CROSSED_OUT}@", text) if "@" in text else text

    def location(self, text: str) -> str:
        """A path or URL with its user part and its query, which may be a signature, crossed out."""
        return _URL_QUERY.sub(rf"\g<1>{_CROSSED_OUT}", self.text(text))

    def command(self, words: Sequence[str]) -> list[str]:
        """A command line as it may be written: locations as above, `--set` of secret-looking names without values."""
        shown = []
        for word in words:
            setting = _SETTING.fullmatch(word)
            secret = setting is not None and _SECRET_NAME.search(setting["key"])
            shown.append(f"{setting[1]}{_CROSSED_OUT}" if setting is not None and secret else self.location(word))
        return shown

    def settings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A model's settings as they may be written: values of secret-looking names crossed out, too."""
        shown: dict[str, Any] = {}
        for key, value in values.items():
            if value is not None and _SECRET_NAME.search(key) and isinstance(value, str):
                shown[key] = _CROSSED_OUT
            else:
                shown[key] = self.text(value) if isinstance(value, str) else value
        return shown
