"""What counts as a difference between two tables, and what is another machine's last digit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.evidence.differences import different_lines

HEAD = "model,f1,note\n"


@given(st.floats(0.01, 1.0))
def test_a_last_digit_of_another_machine_is_no_difference_in_a_table(value: float) -> None:
    near = value * (1 + 1e-13)
    assert list(different_lines(f"{HEAD}m,{value!r},x\n", f"{HEAD}m,{near!r},x\n", table=True)) == []


@pytest.mark.parametrize(
    ("stated", "again"),
    [
        ("m,0.5,x", "m,0.500001,x"),
        ("m,0.5,x", "n,0.5,x"),
        ("m,0.5,x", "m,,x"),
        ("m,0.5,x", "m,0.5,x,"),
        ("m,nan,x", "m,0.5,x"),
        ("m,0.5,1_0", "m,0.5,10"),
        ("m,0.5, 10", "m,0.5,10"),
        ('m,"0.5,x"', "m,0.5,x"),
        ("5,0.5,x", "6,0.5,x"),
    ],
)
def test_everything_else_is_one(stated: str, again: str) -> None:
    (words,) = different_lines(f"{HEAD}{stated}\n", f"{HEAD}{again}\n", table=True)
    assert words == "line 2 is not what the ledger gives"


def test_words_of_a_page_are_held_letter_by_letter() -> None:
    assert list(different_lines("0.1\n", "0.10000000000000001\n")) == ["line 1 is not what the ledger gives"]
