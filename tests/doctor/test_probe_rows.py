"""`--probe` puts the same model into the tables once more, with its pixels taken away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import PluginSite

PROBES = ("blank", "shuffled", "text-only")


@pytest.fixture
def clinic(plugin_site: PluginSite) -> PluginSite:
    plugin_site.add("patients", modules={"patients.py": ""})
    shutil.copy(Path(__file__).parent / "patients.py", plugin_site.folder / "patients.py")
    return plugin_site


def lines(site: PluginSite, name: str) -> list[dict[str, Any]]:
    path = site.folder / "results" / "r" / name
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(site: PluginSite, *words: str, status: int = 0) -> dict[str, Any]:
    """The metrics of a run."""
    done = site.bench("run", "--run-id", "r", *words)
    assert done.returncode == status, done.stderr
    return json.loads((site.folder / "results" / "r" / "metrics.json").read_text(encoding="utf-8"))


def test_each_probe_is_a_row_of_its_own_beside_the_model(clinic: PluginSite) -> None:
    metrics = run(clinic, "--models", "sound,always", "--probe", "blank,shuffled")
    assert list(metrics["models"]) == ["sound", "sound+blank", "sound+shuffled", "always"]
    for probe in ("blank", "shuffled"):
        row = metrics["models"][f"sound+{probe}"]
        assert (row["n"], row["answered"], row["probe"], row["of"]) == (5, 5, probe, "sound")
    report = (clinic.folder / "results" / "r" / "report.md").read_text(encoding="utf-8")
    assert "sound+blank" in report


def test_a_probe_asks_the_same_question_about_other_pixels(clinic: PluginSite) -> None:
    run(clinic, "--models", "sound", "--probe", "blank,shuffled")
    attempts = lines(clinic, "attempts.jsonl")
    by_row = {name: {a["clip"]: a for a in attempts if a["model"] == name} for name in {a["model"] for a in attempts}}
    seen = {clip["clip"]: clip["frames_sha256"] for clip in lines(clinic, "clips.jsonl")}
    for clip, plain in by_row["sound"].items():
        blank, shuffled = by_row["sound+blank"][clip], by_row["sound+shuffled"][clip]
        assert plain["frames_sha256"] == seen[clip]
        assert len({plain["frames_sha256"], blank["frames_sha256"], shuffled["frames_sha256"]}) == 3
        assert plain["prompt_sha256"] == blank["prompt_sha256"] == shuffled["prompt_sha256"]
    scores = {row: {a["grade_probabilities"]["ghost_probing"] for a in found.values()} for row, found in by_row.items()}
    assert len(scores["sound+blank"]) == 1, "grey is grey, whatever the clip"
    assert len(scores["sound"]) == 5


def test_text_only_sends_no_frames_and_says_so(clinic: PluginSite) -> None:
    run(clinic, "--models", "blind", "--probe", "text-only")
    texts = [a for a in lines(clinic, "attempts.jsonl") if a["model"] == "blind+text-only"]
    plain = [a for a in lines(clinic, "attempts.jsonl") if a["model"] == "blind"]
    assert len(texts) == 5
    assert {a["frames_sha256"] for a in texts} == {None}
    assert {a["prompt_sha256"] for a in texts}.isdisjoint({a["prompt_sha256"] for a in plain})


def test_a_blind_model_scores_the_same_without_its_frames(clinic: PluginSite) -> None:
    metrics = run(clinic, "--models", "blind", "--probe", ",".join(PROBES))
    confusions = [metrics["models"][row]["confusion"] for row in ("blind", *(f"blind+{probe}" for probe in PROBES))]
    assert confusions[0]["ghost_probing"]["ghost_probing"] == 2
    assert all(confusion == confusions[0] for confusion in confusions)


def test_a_model_that_cannot_do_without_frames_gives_no_answer_to_text_alone(clinic: PluginSite) -> None:
    metrics = run(clinic, "--models", "choosy", "--probe", "text-only")
    assert metrics["models"]["choosy+text-only"]["outcomes"] == {"request_rejected": 5}
    assert metrics["models"]["choosy"]["answered"] == 5


def test_reference_models_have_no_frames_to_take_away(clinic: PluginSite) -> None:
    rows = list(run(clinic, "--models", "always,sound", "--probe", "blank")["models"])
    assert rows == ["always", "sound", "sound+blank"]


@pytest.mark.parametrize(
    ("probe", "hint"),
    [
        ("blnak", "--probe 'blnak' is not known; choose from blank, shuffled, text-only"),
        ("blank,blank", "--probe names blank twice"),
        ("", "--probe '' is not known"),
    ],
)
def test_a_senseless_probe_is_bad_input(clinic: PluginSite, probe: str, hint: str) -> None:
    done = clinic.bench("run", "--models", "sound", "--probe", probe)
    assert done.returncode == 2
    assert hint in done.stderr
    assert not (clinic.folder / "results").exists()
