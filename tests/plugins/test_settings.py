"""What `setting(...)` allows, and the one line that says what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from ghostbench import BadInput, setting
from ghostbench.plugins.setting_values import read_values


@dataclass(frozen=True)
class Settings:
    """A stranger's class: any dataclass will do, whatever its fields are called."""

    count: int = setting(1, "from 0 to 5", minimum=0, maximum=5)
    share: float | None = setting(None, "at least 0", minimum=0)
    words: tuple[str, ...] = setting((), "several")
    mode: str | None = setting(None, "p or none", choices=(None, "p"))
    level: int = setting(1, "1 or 3", choices=(1, 3))
    on: bool = setting(True, "a switch")
    kind: Literal["u", "v"] = "u"
    free: float = 1.0
    schema: str = ""
    model_name: str = ""
    api_key: int = 0


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("count", "5", 5),
        ("share", "none", None),
        ("share", "", None),
        ("share", "2", 2.0),
        ("words", "x, y", ("x", "y")),
        ("mode", "NULL", None),
        ("mode", "p", "p"),
        ("level", "3", 3),
        ("on", "false", False),
        ("kind", "v", "v"),
        ("schema", "none", "none"),
        ("model_name", "5", "5"),
        ("count", 4, 4),
        ("words", ("x,y",), ("x,y",)),
    ],
)
def test_texts_and_values_are_read_as_the_fields_type(key: str, text: object, value: object) -> None:
    assert read_values("m", Settings, {key: text}) == {key: value}


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("count", "6", "--set m.count='6' is out of range; from 0 to 5"),
        ("count", "-1", "--set m.count='-1' is out of range; from 0 to 5"),
        ("count", "2.5", "--set m.count='2.5' does not fit: "),
        ("share", "-0.1", "--set m.share='-0.1' is out of range; at least 0"),
        ("share", "inf", "--set m.share='inf' is out of range; at least 0"),
        ("free", "nan", "--set m.free='nan' is out of range; a number is needed"),
        ("mode", "z", "--set m.mode='z' is not one of None, p"),
        ("level", "2", "--set m.level='2' is not one of 1, 3"),
        ("on", "maybe", "--set m.on='maybe' does not fit: "),
        ("kind", "w", "--set m.kind='w' does not fit: "),
        ("cuont", "1", "model 'm' has no setting 'cuont'; it has api_key, count, free, "),
        ("api_key", "sk-12345678", "--set m.api_key='[redacted]' does not fit: "),
        ("count", "1\n" * 400, "--set m.count='1"),
    ],
)
def test_what_does_not_fit_is_one_line_that_says_what_would(key: str, text: str, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_values("m", Settings, {key: text})
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "sk-12345678" not in str(caught.value)
