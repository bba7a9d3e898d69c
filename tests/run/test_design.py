"""What a dry run says of the differences that the run could show."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar

from ghostbench.label import Label
from ghostbench.records import Clip
from ghostbench.running import dry_run
from ghostbench.running.dry_run import design_of
from ghostbench.scoring.significance import mcnemar_exact
from ghostbench.tasks.sustain import Sustain


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


@pytest.mark.parametrize("clips", [25, 55, 99])
def test_the_share_is_that_which_is_said_however_few_the_clips(clips: int) -> None:
    """Against enumeration of every split of the clips by statsmodels' own exact test."""
    design = design_of(clips, 3)
    assert design is not None
    for share, difference in design.detectable.items():
        if difference is None:
            assert chance_found(clips, float(share), float(share), design.level) < 0.8
        else:
            assert chance_found(clips, float(share), difference, design.level) == pytest.approx(0.8, abs=1e-4)


def chance_found(clips: int, share: float, difference: float, level: float) -> float:
    first = (share + difference) / (2 * share)
    chance = 0.0
    for apart in range(1, clips + 1):
        weight = binom.pmf(apart, clips, share)
        if weight < 1e-9:
            continue
        shown = [b for b in range(apart + 1) if mcnemar([[0, b], [apart - b, 0]], exact=True).pvalue <= level]
        chance += weight * binom.pmf(shown, apart, first).sum()
    return chance


def test_of_a_task_that_asks_at_moments_the_warnings_are_what_is_compared() -> None:
    labels = Label(first_visible_s=2.0, contact_s=4.0)
    clips = [Clip(id=f"w{place}", truth="ghost_probing", truth_time_s=4.0, labels=labels) for place in range(60)]
    clips += [Clip(id="late", truth="ghost_probing", truth_time_s=4.0)]
    clips += [Clip(id="open", truth="ghost_probing", labels=Label(first_visible_s=0.4, contact_s=4.0))]
    clips += [Clip(id="short", truth="ghost_probing", labels=Label(first_visible_s=2.1, contact_s=2.4))]
    clips += [Clip(id=f"n{place}", truth=truth) for place, truth in enumerate(("normal", "cut_in") * 50)]
    configured = SimpleNamespace(choice=SimpleNamespace(spec=SimpleNamespace(kind="remote", name="m")))
    rows = [SimpleNamespace(probe=None, variant=None, of=None, configured=configured) for _ in range(3)]
    task = SimpleNamespace(at_moments=True, moments_per_s=2.0)
    plan: Any = SimpleNamespace(split=SimpleNamespace(clips=clips), rows=rows, task=task, sustain=None, variants={})
    found = dry_run.designs_of(plan)
    assert {what: (design.clips, design.comparisons) for what, design in found.items()} == {
        "warnings": (60, 3),
        "false alarms": (100, 3),
    }
    said = dry_run._said("warnings", found["warnings"])
    assert said.startswith("With 60 clips whose window can be warned of and 3 comparisons (Holm-corrected)")
    assert "true differences in the share of clips warned of between models from these on" in said
    plan.sustain = Sustain(4, 5)
    assert dry_run.designs_of(plan)["warnings"].clips == 0, "no alarm can hold before two seconds are over"


def test_a_dry_run_says_it_in_words_and_as_json(bench: Any) -> None:
    words = ("--models", "local-spy,blind-spy,always", "--dry-run")
    said = bench.run(*words)
    assert said.returncode == 0, said.stderr
    assert "6 clips are too few to show any difference between models (1 comparison, Holm-corrected)." in said.stdout
    told = json.loads(bench.run(*words, "--json").stdout)
    assert set(told) == {"local-spy", "blind-spy", "always", "_design"}
    assert (told["_design"]["models"], told["_design"]["comparisons"]) == (2, 1)
    assert json.loads(bench.run("--models", "local-spy,always", "--dry-run", "--json").stdout)["_design"] is None
