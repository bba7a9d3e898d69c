"""What an adapter's test says about it: how to provoke its failures, and which rules do not apply to it, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ghostbench.errors import ModelError, Nonfinite, OutOfMemory, Refused, TimedOut, Truncated

FAULTS: tuple[type[ModelError], ...] = (TimedOut, Refused, Truncated, OutOfMemory, Nonfinite)
"""The failures that every adapter says how to provoke, or why they cannot happen."""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A rule that does not apply to an adapter. `why` is shown in place of the result; it must say something."""

    why: str

    def __post_init__(self) -> None:
        if not self.why.strip():
            raise ValueError("NotApplicable needs the reason why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How to make a model's next answer fail in a certain way.

    by : called with the loaded model just before it is asked. None where the settings do it.
    settings : settings for this alone, as texts after `--set`, e.g. {"base_url": "http://127.0.0.1:8080/stalls"}.
    """

    by: Callable[[Any], object] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """The other way to ask the same model: its async variant, or its batch interface.

    model : as after `--models`; None for the same model. settings : as texts after `--set`.
    """

    model: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
