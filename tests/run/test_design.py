"""What a dry run says of the differences that the run could show."""

from __future__ import annotations

import doctest
import json
from typing import Any

import numpy as np
import pytest

from ghostbench.running import dry_run
from ghostbench.running.dry_run import design_of
from ghostbench.scoring.significance import mcnemar_exact


def test_the_example_of_the_docstring_holds() -> None:
    assert doctest.testmod(dry_run).failed == 0


@pytest.mark.parametrize(("clips", "models", "share"), [(200, 2, 0.2), (200, 4, 0.4), (1000, 3, 0.1)])
def test_the_difference_said_is_found_four_times_in_five(clips: int, models: int, share: float) -> None:
    """By simulation: clips are right for one model only with that share, and lean by the difference said."""
    design = design_of(clips, models)
    assert design is not None
    difference = design.detectable[str(share)]
    assert difference is not None
    draw = np.random.default_rng(0)
    first, second = (share + difference) / 2, (share - difference) / 2
    drawn = draw.multinomial(clips, [first, second, 1 - share], size=2000)
    found = np.mean([mcnemar_exact(int(a), int(b)) <= design.level for a, b, _ in drawn])
    assert found == pytest.approx(0.8, abs=0.03)


def test_more_comparisons_need_larger_differences_and_few_clips_show_none() -> None:
    two, six = design_of(200, 2), design_of(200, 4)
    assert two is not None
    assert six is not None
    assert (two.comparisons, six.comparisons) == (1, 6)
    for share, difference in two.detectable.items():
        more = six.detectable[share]
        assert difference is not None
        assert more is not None
        assert difference < more
    few = design_of(5, 2)
    assert few is not None
    assert set(few.detectable.values()) == {None}
    assert design_of(200, 1) is None


def test_a_dry_run_says_it_in_words_and_as_json(bench: Any) -> None:
    words = ("--models", "local-spy,blind-spy,always", "--dry-run")
    said = bench.run(*words)
    assert said.returncode == 0, said.stderr
    assert "6 clips are too few to show any difference between models (1 comparison, Holm-corrected)." in said.stdout
    told = json.loads(bench.run(*words, "--json").stdout)
    assert set(told) == {"local-spy", "blind-spy", "always", "_design"}
    assert (told["_design"]["models"], told["_design"]["comparisons"]) == (2, 1)
    assert json.loads(bench.run("--models", "local-spy,always", "--dry-run", "--json").stdout)["_design"] is None
