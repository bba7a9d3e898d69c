"""Where a file or a folder lies, as it may be shown, with what opens it."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass, field
from typing import Final

from ghostbench.credentials import NO_CREDENTIALS, Credentials, without_credentials

URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.:-]*)://(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Location:
    """A local path or the URL of a store. Its `str` is what may be held and shown.

    shown : without credentials. credentials : what the user gave with it, or with a folder above it.
    """

    shown: str
    credentials: Credentials = field(default=NO_CREDENTIALS, repr=False)

    def __str__(self) -> str:
        return self.shown

    @classmethod
    def given(cls, text: str) -> Location:
        """The location of a user's words, which may carry credentials."""
        return cls(without_credentials(text), Credentials.of(text))

    @property
    def is_local(self) -> bool:
        """Whether it is a path on this machine."""
        return URL.fullmatch(self.shown) is None

    @property
    def is_web_address(self) -> bool:
        """Whether its parts are written as URLs have them, and not as they are read."""
        match = URL.fullmatch(self.shown)
        return match is not None and match["scheme"].lower() in {"http", "https"}

    @property
    def full(self) -> str:
        """It with its credentials, for the package that opens it and nobody else."""
        return self.credentials.full(self.shown)

    def join(self, *names: str) -> Location:
        """The location of something inside this folder. The names must be plain names, as a person reads them: in a web
        address they stand in the characters that it may have."""
        for name in names:
            if name in {"", ".", ".."} or "/" in name or "\0" in name:
                raise ValueError(f"{name!r} is not a plain name")
        top = self.shown.rstrip("/") if self.shown != "/" else ""
        steps = [urllib.parse.quote(name, safe="") for name in names] if self.is_web_address else names
        return Location("/".join((top, *steps)), self.credentials)
