"""YAML that is small to write and large to read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from ghostbench.datasets.definition import read_definition
from ghostbench.errors import BadInput
from ghostbench.yaml_text import BoundedLoader

TEN = range(1, 10)
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in TEN)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in TEN)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LAUGHS, "more than 100000 values"),
        (MERGES, "more than 100000 values"),
        ("a: &a [*a]", "a value that holds it"),
        ("name: y", "name is there twice"),
    ],
)
def test_aliases_that_multiply_or_name_themselves_and_keys_there_twice_are_refused_at_once(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "set.yaml"
    file.write_text(text + "\nname: x\n", encoding="utf-8")
    began = time.process_time()
    with pytest.raises(BadInput, match=problem):
        read_definition(file)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * 500_000 + "]",
        "[" * 500_000,
        "[" * 300_000 + "]" * 300_000,
        "".join(" " * depth + "a:\n" for depth in range(1400)),
        "a: &a 1\nb: [" + "*a," * 300_000 + "]",
        "'" * 1_000_000,
        ":" * 1_000_000,
        "fps: " + "9" * 100_000,
        "fps: 0b" + "1" * 1_000_000,
        "fps: " + "1:" * 50_000 + "1",
        "? [a, b]\n: 1\n",
    ],
    ids=lambda text: f"{text[:12]!r}…{len(text)}",
)
def test_a_file_made_to_be_long_or_deep_is_refused_soon(tmp_path: Path, text: str) -> None:
    file = tmp_path / "set.yaml"
    file.write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(BadInput) as caught:
        read_definition(file)
    assert time.process_time() - began < 20
    assert len(str(caught.value)) < 500


def test_aliases_and_merge_keys_keep_their_meaning() -> None:
    text = "base: &b {x: 1, y: [2, 3]}\none: {<<: *b, x: 4}\ntwo: [*b, *b]\n"
    assert yaml.load(text, BoundedLoader) == yaml.safe_load(text)
