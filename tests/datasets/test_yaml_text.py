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


def test_aliases_and_merge_keys_keep_their_meaning() -> None:
    text = "base: &b {x: 1, y: [2, 3]}\none: {<<: *b, x: 4}\ntwo: [*b, *b]\n"
    assert yaml.load(text, BoundedLoader) == yaml.safe_load(text)
