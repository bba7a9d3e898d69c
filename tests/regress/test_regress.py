"""`bench regress`: each change and its clip, in words, in JUnit and in the exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from evidence_data import RunBuilder, dash_clips

from ghostbench.cli.regress import command
from ghostbench.errors import BadInput

G, N = "ghost_probing", "normal"


def build() -> RunBuilder:
    run = RunBuilder(dash_clips(3, 0, 3))
    run.rows("m", [G, G, N, N, N, G])
    run.rows("always", [G] * 6)
    return run


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A reference made from the run as it should be."""
    path = tmp_path / "reference.json"
    done = regress(build().write(tmp_path / "first"), path, "--update")
    assert done.return_value == 0
    return path


def regress(folder: Path, reference: Path, *options: str) -> Result:
    words = [str(folder), "--against", str(reference), *options]
    return CliRunner().invoke(command, words, standalone_mode=False)


def changed(tmp_path: Path, change: Callable[[RunBuilder], object], **manifest: Any) -> Path:
    run = build()
    change(run)
    return run.write(tmp_path / "second", **manifest)


def first_clip(run: RunBuilder) -> str:
    return str(run.clips[0]["clip"])


def test_the_same_answers_pass(tmp_path: Path, reference: Path) -> None:
    done = regress(build().write(tmp_path / "second"), reference)
    assert done.return_value == 0
    assert "hold" in done.output


def to_normal(run: RunBuilder) -> None:
    run.predictions[0]["grade"] = N


def to_failure(run: RunBuilder) -> None:
    run.predictions[0].update(grade=None, outcome="unparseable", answered_by=None)


def other_frames(run: RunBuilder) -> None:
    run.clips[0]["frames_sha256"] = "0" * 64


def other_prompt(run: RunBuilder) -> None:
    run.attempts[0]["prompt_sha256"] = "1" * 64


def slow(run: RunBuilder) -> None:
    for line in run.attempts:
        line["wall_s"] = 5.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (to_normal, ["m, images_1_0000: grade was ghost_probing, is normal"]),
        (
            to_failure,
            [
                "m, images_1_0000: outcome was answered, is unparseable; grade was ghost_probing, is none",
                "m, coverage: was 100.0%, is 83.3%",
                "m, parse rate: was 100.0%, is 83.3%",
            ],
        ),
        (other_frames, ["frames, images_1_0000: frames_sha256 was "]),
        (other_prompt, ["m, images_1_0000: prompt_sha256 was "]),
    ],
)
def test_each_change_fails_the_gate_and_is_named_with_its_clip(
    tmp_path: Path, reference: Path, change: Callable[[RunBuilder], object], words: list[str]
) -> None:
    done = regress(changed(tmp_path, change), reference)
    assert done.return_value == 1
    for line in words:
        assert line in done.output
    assert f"{len(words)} of " in done.output


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ({"sampling": "fps:2"}, "run, sampling: sampling was uniform:10, is fps:2"),
        ({"task": {"name": "ghost-probing", "version": "2", "template_sha256": "9" * 64}}, "run, task: task was "),
    ],
)
def test_changes_of_the_whole_run_are_named(tmp_path: Path, reference: Path, manifest: Any, words: str) -> None:
    done = regress(changed(tmp_path, lambda run: None, **manifest), reference)
    assert done.return_value == 1
    assert words in done.output


SLOW_LINES = [
    "run, start-up: was 0.5 s, is 30 s: 60.0 times, 3 allowed",
    "m, latency: was 0.5 s, is 5 s: 10.0 times, 5 allowed",
    "always, latency: was 0.5 s, is 5 s: 10.0 times, 5 allowed",
]


def test_longer_times_are_warnings_and_fail_the_gate_where_it_is_asked_for(tmp_path: Path, reference: Path) -> None:
    folder, junit = changed(tmp_path, slow, start_up_s=30.0), tmp_path / "regress.xml"
    done = regress(folder, reference, "--junit", str(junit))
    assert done.return_value == 0
    assert [line for line in done.output.splitlines() if "allowed" in line] == [f"warning: {x}" for x in SLOW_LINES]
    assert done.output.splitlines()[-1].endswith("hold, 3 with a warning")
    suite = ElementTree.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "0"
    assert [case.findtext("system-out") for case in suite if len(case)] == [f"warning: {x}" for x in SLOW_LINES]

    done = regress(folder, reference, "--times", "--junit", str(junit))
    assert done.return_value == 1
    assert [line for line in done.output.splitlines() if "allowed" in line] == SLOW_LINES
    assert "3 of " in done.output.splitlines()[-1]
    suite = ElementTree.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "3"


def test_a_longer_time_is_no_excuse_for_another_answer(tmp_path: Path, reference: Path) -> None:
    def both(run: RunBuilder) -> None:
        slow(run)
        to_normal(run)

    done = regress(changed(tmp_path, both), reference)
    assert done.return_value == 1
    assert "1 of " in done.output.splitlines()[-1]
    assert "warning: m, latency" in done.output


def test_models_and_clips_that_come_or_go_are_named(tmp_path: Path, reference: Path) -> None:
    run = RunBuilder(dash_clips(3, 0, 4))
    run.rows("m", [G, G, N, N, N, G, N])
    run.rows("new", [G] * 7)
    done = regress(run.write(tmp_path / "second"), reference)
    assert done.return_value == 1
    for words in (
        "always, model: is gone",
        "new, model: is new",
        "frames, images_2_0006: is new",
        "m, images_2_0006: is new",
    ):
        assert words in done.output


def test_a_faster_run_and_small_times_pass(tmp_path: Path, reference: Path) -> None:
    def quick(run: RunBuilder) -> None:
        for line in run.attempts:
            line["wall_s"] = 0.001

    assert regress(changed(tmp_path, quick), reference, "--times").return_value == 0


def test_small_times_pass_whatever_their_ratio(tmp_path: Path) -> None:
    def timed(wall: float) -> Callable[[RunBuilder], None]:
        def set_wall(run: RunBuilder) -> None:
            for line in run.attempts:
                line["wall_s"] = wall

        return set_wall

    path = tmp_path / "reference.json"
    regress(changed(tmp_path, timed(0.0001)), path, "--update")
    assert regress(changed(tmp_path, timed(0.04)), path, "--times").return_value == 0
    assert regress(changed(tmp_path, timed(0.06)), path, "--times").return_value == 1


def test_tolerances_of_the_reference_are_kept_and_obeyed(tmp_path: Path, reference: Path) -> None:
    content = json.loads(reference.read_text())
    content["tolerances"]["latency_ratio"] = 20.0
    reference.write_text(json.dumps(content))
    folder = changed(tmp_path, slow)
    assert regress(folder, reference, "--times").return_value == 0
    regress(folder, reference, "--update")
    assert json.loads(reference.read_text())["tolerances"]["latency_ratio"] == 20.0


def test_update_prints_the_difference_and_the_new_reference_passes(tmp_path: Path, reference: Path) -> None:
    folder = changed(tmp_path, to_normal)
    done = regress(folder, reference, "--update")
    assert done.return_value == 0
    assert "m, images_1_0000: grade was ghost_probing, is normal" in done.output
    assert regress(folder, reference).return_value == 0


def test_junit_has_a_case_a_check_and_a_failure_a_change(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "out" / "regress.xml"
    regress(changed(tmp_path, to_normal), reference, "--junit", str(path))
    suite = ElementTree.parse(path).getroot().find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    failed = [case for case in cases if case.find("failure") is not None]
    assert suite.get("failures") == str(len(failed)) == "1"
    assert (failed[0].get("classname"), failed[0].get("name")) == ("m", "images_1_0000")


def test_repeats_are_held_one_by_one(tmp_path: Path) -> None:
    def repeated(grade: str) -> RunBuilder:
        run = RunBuilder(dash_clips(1, 0, 0), repeats=2)
        run.row("m", first_clip(run), G, repeat=0)
        run.row("m", first_clip(run), grade, repeat=1)
        return run

    path = tmp_path / "reference.json"
    regress(repeated(G).write(tmp_path / "one"), path, "--update")
    done = regress(repeated(N).write(tmp_path / "two"), path)
    assert "m, images_1_0000#1: grade was ghost_probing, is normal" in done.output


@pytest.mark.parametrize("content", [None, "", "[]", '{"schema_version": 2}'])
def test_a_reference_that_is_none_is_bad_input_and_update_makes_one(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "reference.json"
    if content is not None:
        path.write_text(content)
    folder = build().write(tmp_path / "run")
    assert isinstance(regress(folder, path).exception, BadInput)
    assert regress(folder, path, "--update").return_value == 0
    assert regress(folder, path).return_value == 0
