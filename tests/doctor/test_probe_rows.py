"""`--probe` puts the same model into the tables once more, with its pixels taken away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import PluginSite

PROBES = ("blank", "shuffled", "text-only")


def patients(site: PluginSite) -> PluginSite:
    """The site, with the models for the doctor installed."""
    site.add("patients", modules={"patients.py": ""})
    shutil.copy(Path(__file__).parent / "patients.py", site.folder / "patients.py")
    return site


def lines(site: PluginSite, name: str) -> list[dict[str, Any]]:
    path = site.folder / "results" / "r" / name
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True)
class Ran:
    """A finished run `r`, with its metrics."""

    site: PluginSite
    metrics: dict[str, Any]


def ran(site: PluginSite, models: str, probes: str) -> Ran:
    done = patients(site).bench("run", "--run-id", "r", "--models", models, "--probe", probes)
    assert done.returncode == 0, done.stderr
    return Ran(site, json.loads((site.folder / "results" / "r" / "metrics.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def looking(module_plugin_site: Callable[[], PluginSite]) -> Ran:
    """A model that looks, beside one that has nothing to look at."""
    return ran(module_plugin_site(), "always,sound", "blank,shuffled")


@pytest.fixture(scope="module")
def without(module_plugin_site: Callable[[], PluginSite]) -> Ran:
    """One that never looks and one that cannot do without frames, with all that can be taken away."""
    return ran(module_plugin_site(), "blind,choosy", ",".join(PROBES))


def test_each_probe_is_a_row_of_its_own_beside_the_model(looking: Ran) -> None:
    for probe in ("blank", "shuffled"):
        row = looking.metrics["models"][f"sound+{probe}"]
        assert (row["n"], row["answered"], row["probe"], row["of"]) == (5, 5, probe, "sound")
    report = (looking.site.folder / "results" / "r" / "report.md").read_text(encoding="utf-8")
    assert "sound+blank" in report


def test_a_probe_asks_the_same_question_about_other_pixels(looking: Ran) -> None:
    attempts = lines(looking.site, "attempts.jsonl")
    by_row = {name: {a["clip"]: a for a in attempts if a["model"] == name} for name in {a["model"] for a in attempts}}
    seen = {clip["clip"]: clip["frames_sha256"] for clip in lines(looking.site, "clips.jsonl")}
    for clip, plain in by_row["sound"].items():
        blank, shuffled = by_row["sound+blank"][clip], by_row["sound+shuffled"][clip]
        assert plain["frames_sha256"] == seen[clip]
        assert len({plain["frames_sha256"], blank["frames_sha256"], shuffled["frames_sha256"]}) == 3
        assert plain["prompt_sha256"] == blank["prompt_sha256"] == shuffled["prompt_sha256"]
    scores = {
        row: {a["grade_probabilities"]["ghost_probing"] for a in found.values()}
        for row, found in by_row.items()
        if row != "always"
    }
    assert len(scores["sound+blank"]) == 1, "grey is grey, whatever the clip"
    assert len(scores["sound"]) == 5


def test_text_only_sends_no_frames_and_says_so(without: Ran) -> None:
    texts = [a for a in lines(without.site, "attempts.jsonl") if a["model"] == "blind+text-only"]
    plain = [a for a in lines(without.site, "attempts.jsonl") if a["model"] == "blind"]
    assert len(texts) == 5
    assert {a["frames_sha256"] for a in texts} == {None}
    assert {a["prompt_sha256"] for a in texts}.isdisjoint({a["prompt_sha256"] for a in plain})


def test_a_blind_model_scores_the_same_without_its_frames(without: Ran) -> None:
    models = without.metrics["models"]
    confusions = [models[row]["confusion"] for row in ("blind", *(f"blind+{probe}" for probe in PROBES))]
    assert confusions[0]["ghost_probing"]["ghost_probing"] == 2
    assert all(confusion == confusions[0] for confusion in confusions)


def test_a_model_that_cannot_do_without_frames_gives_no_answer_to_text_alone(without: Ran) -> None:
    assert without.metrics["models"]["choosy+text-only"]["outcomes"] == {"request_rejected": 5}
    assert without.metrics["models"]["choosy"]["answered"] == 5


def test_reference_models_have_no_frames_to_take_away(looking: Ran) -> None:
    assert list(looking.metrics["models"]) == ["always", "sound", "sound+blank", "sound+shuffled"]


@pytest.mark.parametrize(
    ("probe", "hint"),
    [
        ("blnak", "--probe 'blnak' is not known; choose from blank, shuffled, text-only"),
        ("blank,blank", "--probe names blank twice"),
        ("", "--probe '' is not known"),
    ],
)
def test_a_senseless_probe_is_bad_input(plugin_site: PluginSite, probe: str, hint: str) -> None:
    done = patients(plugin_site).bench("run", "--models", "sound", "--probe", probe)
    assert done.returncode == 2
    assert hint in done.stderr
    assert not (plugin_site.folder / "results").exists()
