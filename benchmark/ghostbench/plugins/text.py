"""Untrusted text in messages."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Untrusted text as one printable line, whatever its length."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


def printable(text: str) -> str:
    """Untrusted text as one printable line of at most 200 characters, for a message."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return line if len(line) <= 200 else line[:199] + "…"
