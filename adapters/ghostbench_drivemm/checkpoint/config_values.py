"""One configuration value at a time: found in override, file or the authors' default, checked, and its origin kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ghostbench_drivemm.checkpoint.config import DEFAULT, OVERRIDE
from ghostbench_local.checkpoint.errors import CheckpointError


class ConfigValues:
    """Looks values up (override, then file, then default) and writes down where each came from.

    Every look-up raises `CheckpointError` for a value that is not of the kind that its method names.

    raw : the file's content. overrides : values set over it. file : its name, the origin of its values.
    origins : where each value came from, by the name that it has in the configuration. read : all keys looked up.
    """

    def __init__(self, raw: Mapping[str, Any], overrides: Mapping[str, Any], file: str) -> None:
        self._raw = raw
        self._overrides = overrides
        self._file = file
        self.origins: dict[str, str] = {}
        self.read: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether a file or an override sets the key, to another value than null."""
        self.read.add(key)
        return any(source.get(key) is not None for source in (self._raw, self._overrides))

    def __call__(self, key: str, default: Any, *, under: str | None = None) -> Any:
        """The value as it stands; `under` is its name in the configuration where that is another than the key."""
        self.read.add(key)
        name = under or key
        for source, origin in ((self._overrides, OVERRIDE), (self._raw, self._file)):
            if key in source:
                self.origins[name] = origin
                return source[key]
        self.origins[name] = DEFAULT
        return default

    def _given(self, key: str, default: Any) -> Any:
        """The value, or the default where it is null: that is how files are saved in which nobody set it."""
        value = self(key, default)
        if value is not None:
            return value
        self.origins[key] = DEFAULT
        return default

    def integer(self, key: str, default: int | None) -> int:
        """A whole number >= 1; null is not given."""
        value = self._given(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise unknown(key, value, ["a whole number of at least 1"])
        return value

    def number(self, key: str, default: float) -> float:
        """A finite number > 0; null is not given."""
        value = self._given(key, default)
        if not is_positive(value):
            raise unknown(key, value, ["a finite number above 0"])
        return float(value)

    def flag(self, key: str, default: bool, known: Sequence[bool] = (False, True)) -> bool:
        """True or false, null being false as a truth test reads it; `known` where only one of them can be run."""
        value = self(key, default)
        value = False if value is None else value
        if not isinstance(value, bool) or value not in known:
            raise unknown(key, value, known)
        return value

    def choice(self, key: str, default: str, known: Sequence[str], is_known: Callable[[str], Any]) -> str:
        """One of the known strings. `is_known` judges the value; `known` is for the error\'s text."""
        value = self(key, default)
        if not isinstance(value, str) or not is_known(value):
            raise unknown(key, value, known)
        return value


def is_positive(value: object) -> bool:
    """Whether this is a finite number above 0 (and no truth value)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def unknown(key: str, value: object, known: Sequence[object]) -> CheckpointError:
    """The error for a configuration value that is not known: one line with key, value and the known ones."""
    shown = repr(value)
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return CheckpointError(f"configuration value {key}={shown} is not known here; known: {', '.join(map(str, known))}")
