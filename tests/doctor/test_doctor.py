"""`bench doctor` measures a model and judges each line; it fails the model that ignores its frames."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import PluginSite

CHECKS = [
    "loads",
    "answers",
    "depends on the frames",
    "deterministic",
    "same in any batch",
    "finite",
    "speed",
    "memory",
    "cost of a run",
]


@pytest.fixture
def clinic(plugin_site: PluginSite) -> PluginSite:
    plugin_site.add("patients", modules={"patients.py": ""})
    shutil.copy(Path(__file__).parent / "patients.py", plugin_site.folder / "patients.py")
    return plugin_site


def examined(site: PluginSite, *words: str, status: int) -> dict[str, tuple[str, str]]:
    """{check: (judgement, why)} of `bench doctor WORDS --json`, which ends with that status."""
    done = site.bench("doctor", *words, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    lines = json.loads(done.stdout)["lines"]
    assert [line["check"] for line in lines] == CHECKS
    return {line["check"]: (line["judgement"], line["why"]) for line in lines}


def failed(lines: dict[str, tuple[str, str]]) -> set[str]:
    return {check for check, (judgement, _) in lines.items() if judgement == "fail"}


def test_a_model_that_ends_the_process_is_no_examination_that_passed(clinic: PluginSite) -> None:
    done = clinic.bench("doctor", "vanishing", "--json")
    assert done.returncode == 70
    assert done.stdout == ""
    assert done.stderr == (
        "error: the process of the examination left with exit status 0 before the examination was done\n"
    )


def test_a_sound_local_model_passes_every_line(clinic: PluginSite) -> None:
    lines = examined(clinic, "sound", status=0)
    assert {check for check, (judgement, _) in lines.items() if judgement != "pass"} == {"cost of a run"}
    assert lines["depends on the frames"][1] == (
        "blank frames change 5 of 5 answers; another clip's frames change 5 of 5 answers; "
        "shuffled frames change 5 of 5 answers"
    )
    assert "alone and in batches of up to 4" in lines["same in any batch"][1]
    assert "clips a minute" in lines["speed"][1]
    assert lines["cost of a run"][0] == "not applicable"
    assert "a run over ghost5 (5 clips)" in lines["cost of a run"][1]


@pytest.mark.parametrize("model", ["blind", "timed", "blindremote"])
def test_a_model_that_ignores_its_frames_fails(clinic: PluginSite, model: str) -> None:
    lines = examined(clinic, model, status=1)
    assert failed(lines) == {"depends on the frames"}
    assert "the answer does not depend on the frames: blank frames change 0 of 5" in lines["depends on the frames"][1]


def test_a_model_that_sees_pixels_but_not_their_order_passes_with_a_remark(clinic: PluginSite) -> None:
    lines = examined(clinic, "orderless", status=0)
    assert "shuffled frames change 0 of 5 answers, so it does not see their order" in lines["depends on the frames"][1]


@pytest.mark.parametrize("model", ["restless", "wavering"])
def test_a_restless_blind_model_is_not_taken_for_one_that_sees(clinic: PluginSite, model: str) -> None:
    lines = examined(clinic, model, status=1)
    assert {"depends on the frames", "deterministic"} <= failed(lines)


def test_a_model_that_depends_on_its_company_fails_that_line_alone(clinic: PluginSite) -> None:
    lines = examined(clinic, "companion", status=1)
    assert failed(lines) == {"same in any batch"}


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("undefined", "NaN or infinity: logits hold NaN"),
        ("crashing", "which is no probability"),
        ("unsized", "results"),
    ],
)
def test_numbers_that_are_none_fail_as_not_finite(clinic: PluginSite, model: str, word: str) -> None:
    lines = examined(clinic, model, status=1)
    assert word in lines["finite"][1]
    assert {"answers", "depends on the frames", "finite", "speed"} <= failed(lines)


def test_a_refusal_is_told_with_its_words(clinic: PluginSite) -> None:
    lines = examined(clinic, "refusing", status=1)
    assert "answers" in failed(lines)
    assert "refused; the first says: I would rather not" in lines["answers"][1]


@pytest.mark.parametrize(
    ("model", "why"),
    [("unloadable", "weights.safetensors: no such file"), ("absent", "No module named 'no_such_module'")],
)
def test_a_model_that_cannot_load_fails_there_and_nothing_else_applies(
    clinic: PluginSite, model: str, why: str
) -> None:
    lines = examined(clinic, model, status=1)
    assert failed(lines) == {"loads"}
    assert why in lines["loads"][1]
    assert all(lines[check] == ("not applicable", "the model could not be loaded") for check in CHECKS[1:])


@pytest.mark.parametrize(
    ("model", "check", "why"),
    [
        ("stuckloading", "loads", "not loaded within the deadline of 3 s; give it more with --deadline"),
        ("stuckanswering", "answers", "no answer within the deadline of 3 s"),
        ("stuckpreparing", "answers", "no answer within the deadline of 3 s"),
    ],
)
def test_a_model_that_never_comes_back_is_told_of_at_the_deadline(
    clinic: PluginSite, model: str, check: str, why: str
) -> None:
    lines = examined(clinic, model, "--deadline", "3", "--limit", "2", status=1)
    assert lines[check][0] == "fail"
    assert why in lines[check][1]


def test_a_reference_model_never_sees_frames(clinic: PluginSite) -> None:
    lines = examined(clinic, "always", status=0)
    assert lines["depends on the frames"] == ("not applicable", "a reference model never sees frames")


def test_a_model_registered_without_frames_is_not_asked_about_them(clinic: PluginSite) -> None:
    lines = examined(clinic, "frameless", status=0)
    assert lines["depends on the frames"][0] == "not applicable"


def test_a_batch_size_of_one_makes_batches_inapplicable(clinic: PluginSite) -> None:
    assert examined(clinic, "single", status=0)["same in any batch"] == ("not applicable", "its batch size is 1")


def test_a_remote_model_is_told_what_it_cost_and_what_a_run_would_cost(clinic: PluginSite) -> None:
    done = clinic.bench("doctor", "priced", "--json", "--limit", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "sending 10 requests to priced for $0.1000 at most, retries apart\n"
    why = {line["check"]: line["why"] for line in json.loads(done.stdout)["lines"]}["cost of a run"]
    assert why.startswith("10 requests cost $0.0500; a run over ghost5 (5 clips) would cost about $0.0250 and take ")
    assert why.endswith("at most $0.0500 without retries")


@pytest.mark.parametrize("words", [("dear",), ("priced", "--max-cost", "0.1")])
def test_what_could_cost_too_much_is_refused_before_anything_is_sent(
    clinic: PluginSite, words: tuple[str, ...]
) -> None:
    done = clinic.bench("doctor", *words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "ask about fewer clips with --limit, or allow it with --max-cost" in done.stderr


def test_an_unknown_price_is_said_before_anything_is_sent(clinic: PluginSite) -> None:
    done = clinic.bench("doctor", "unpriced", "--json")
    assert done.stderr == "sending 25 requests to unpriced at an unknown price, retries apart\n"
    why = {line["check"]: line["why"] for line in json.loads(done.stdout)["lines"]}["cost of a run"]
    assert why.startswith("its price is unknown; 1,000 input tokens a request")


def test_a_busy_server_is_asked_again_as_in_a_run(clinic: PluginSite) -> None:
    lines = examined(clinic, "busy", status=0)
    assert "25 replies of 26 attempts" in lines["finite"][1]


def test_the_table_shows_each_line_with_its_judgement(clinic: PluginSite) -> None:
    done = clinic.bench("doctor", "blind")
    assert done.returncode == 1
    rows = [line for line in done.stdout.splitlines() if line.startswith(tuple(CHECKS))]
    assert len(rows) == len(CHECKS)
    assert sum(" fail " in row for row in rows) == 1


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("soundd",), "did you mean sound"),
        (("sound,blind",), "takes one model"),
        (("sound", "--limit", "0"), "--limit"),
        (("sound", "--deadline", "0"), "--deadline"),
        (("sound", "--dataset", "ghost6"), "did you mean ghost5"),
        (("sound", "--set", "sound.x=1"), "has no setting 'x'"),
        (("sound", "--dataset", "dada2000"), "--labels"),
        (("sound", "--clips", "none*"), "no clips are left"),
    ],
)
def test_bad_input_is_one_line_and_status_2(clinic: PluginSite, words: tuple[str, ...], hint: str) -> None:
    done = clinic.bench("doctor", *words)
    assert done.returncode == 2
    assert hint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_clips_whose_media_is_broken_are_left_out_and_named(clinic: PluginSite) -> None:
    from ghostbench.datasets.embedded import ghost5

    root = clinic.folder / "data"
    shutil.copytree(ghost5().parent, root)
    first = sorted((root / "clips").iterdir())[0]
    first.write_bytes(b"no video")
    done = clinic.bench("doctor", "sound", "--dataset", str(root / "dataset.yaml"))
    assert done.returncode == 0, done.stderr
    assert f"left out {first.stem}: " in done.stderr
    assert "4 clips: 4 answered" in done.stdout
