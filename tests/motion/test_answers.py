"""How `motion` answers: in the task's format, the same every time, for any frames, in the order of the requests."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ghostbench import GRADES, BadInput, Frames, Reply, RequestRejected
from ghostbench.cli.models import command
from ghostbench.conformance import FAULTS, AdapterConformance, NotApplicable
from ghostbench.tasks.summary import GhostProbingSummary

if TYPE_CHECKING:
    from conftest import MakeFrames, Motion


HERE = NotApplicable("it filters pixels on this machine: no server, no device, no text generated")


class TestKit(AdapterConformance):
    model = "motion"
    faults = dict.fromkeys(FAULTS, HERE)


def check(motion: Motion, reply: Reply, frames: Frames) -> None:
    """The reply keeps every promise that does not depend on what is in the frames."""
    probabilities = reply.grade_probabilities
    assert probabilities is not None
    assert set(probabilities) == set(GRADES)
    assert all(type(p) is float and 0 <= p <= 1 for p in probabilities.values())
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-12)
    answer = motion.task.parse(reply.text)
    assert json.loads(reply.text)["grade"] == answer.grade
    score = probabilities["ghost_probing"]
    assert (answer.grade == "ghost_probing") == (score >= 0.5)
    if answer.grade == "normal":
        assert answer.event_time_s is None
    else:
        assert answer.event_time_s in [pytest.approx(time, abs=0.01) for time in frames.times_s[1:]]
    assert reply.stages.preprocess_s is not None
    assert reply.stages.preprocess_s > 0


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    npst.arrays(
        np.uint8,
        st.tuples(st.integers(1, 5), st.integers(1, 24), st.integers(1, 24), st.just(3)),
    )
)
def test_any_pixels_give_a_score_in_0_to_1_and_valid_json(
    motion: Motion, frames_of: MakeFrames, pixels: np.ndarray
) -> None:
    frames = frames_of(pixels)
    check(motion, motion.reply(frames), frames)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 400), st.integers(1, 400), st.integers(1, 60))
def test_any_patches_over_noise_give_a_score_in_0_to_1_and_valid_json(
    motion: Motion, frames_of: MakeFrames, seed: int, count: int, height: int, width: int, patch: int
) -> None:
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (count, height, width, 3), dtype=np.uint8) // draw.integers(1, 255, dtype=np.uint8)
    for frame in pixels:
        top, left = draw.integers(0, height), draw.integers(0, width)
        frame[top : top + patch, left : left + patch] = draw.integers(0, 256, 3)
    frames = frames_of(pixels)
    check(motion, motion.reply(frames), frames)


@pytest.mark.parametrize(
    ("height", "width"), [(48, 64), (64, 48), (1, 1), (1, 2000), (2000, 1), (360, 640), (660, 1584), (1080, 1920)]
)
def test_frames_of_any_size_are_answered(motion: Motion, frames_of: MakeFrames, height: int, width: int) -> None:
    pixels = np.random.default_rng(height).integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    frames = frames_of(pixels)
    check(motion, motion.reply(frames), frames)


@pytest.mark.parametrize("count", range(1, 13))
def test_any_number_of_frames_is_answered(motion: Motion, frames_of: MakeFrames, count: int) -> None:
    pixels = np.random.default_rng(count).integers(0, 256, (count, 90, 160, 3), dtype=np.uint8)
    frames = frames_of(pixels)
    check(motion, motion.reply(frames), frames)


def test_a_single_frame_scores_0(motion: Motion, frames_of: MakeFrames) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 90, 160, 3), dtype=np.uint8)
    assert motion.score(frames_of(pixels)) == 0.0


def test_without_frames_the_request_is_rejected_and_the_others_are_answered(
    motion: Motion, ghost5: dict[str, Frames]
) -> None:
    with pytest.raises(RequestRejected, match="no frames"):
        motion.model.prepare(motion.request(None))
    frames = ghost5["ghost5_02"]
    first, second, third = motion.model.answer([motion.request(frames), motion.request(None), motion.request(frames)])
    assert isinstance(first, Reply)
    assert isinstance(second, RequestRejected)
    assert isinstance(third, Reply)


def test_the_same_frames_get_the_same_reply_prepared_ahead_or_not_alone_or_together_in_any_thread(
    motion: Motion, ghost5: dict[str, Frames]
) -> None:
    def content(reply: object) -> tuple[object, ...]:
        assert isinstance(reply, Reply)
        return reply.text, reply.grade_probabilities

    clips = list(ghost5.values())
    alone = [content(motion.reply(frames)) for frames in clips]
    assert [content(reply) for reply in motion.replies(clips)] == alone
    assert [content(reply) for reply in reversed(motion.replies(clips[::-1]))] == alone
    requests = [motion.request(frames) for frames in clips * 3]
    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(motion.model.prepare, requests))
    ready = [replace(request, prepared=p) for request, p in zip(requests, prepared, strict=True)]
    assert [content(reply) for reply in motion.model.answer(ready)] == alone * 3


def test_the_summary_task_gets_its_own_format(motion: Motion, ghost5: dict[str, Frames]) -> None:
    task = GhostProbingSummary()
    for frames in ghost5.values():
        request = replace(motion.request(frames), prompt=task.build(frames), write_answer=task.write)
        (reply,) = motion.model.answer([request])
        assert isinstance(reply, Reply)
        assert task.parse(reply.text).grade == motion.answer(frames).grade


def test_thresholds_decide_the_grade_and_nothing_else(
    motion: Motion, make_motion: type[Motion], ghost5: dict[str, Frames]
) -> None:
    frames = ghost5["ghost5_02"]
    score = motion.score(frames)
    above, below = f"{score + 0.01:.6f}", f"{score - 0.01:.6f}"
    graded = {
        "ghost_probing": make_motion(threshold=below, potential_threshold="0.1"),
        "potential_ghost_probing": make_motion(threshold=above, potential_threshold=below),
        "normal": make_motion(threshold="1", potential_threshold=above),
    }
    for grade, model in graded.items():
        assert model.answer(frames).grade == grade
        assert model.score(frames) == score
        assert (model.answer(frames).event_time_s is None) == (grade == "normal")


def test_thresholds_in_the_wrong_order_are_bad_input(make_motion: type[Motion]) -> None:
    with pytest.raises(BadInput, match=r"potential_threshold=0\.9 is above threshold=0\.5"):
        make_motion(potential_threshold="0.9")


def test_registering_it_imports_neither_numpy_nor_opencv() -> None:
    code = "import sys, ghostbench_motion; print(sorted({'numpy', 'cv2'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_bench_models_motion_explains_its_settings(motion: Motion) -> None:
    done = CliRunner().invoke(command, ["motion"], catch_exceptions=False)
    out = done.output
    for name in ("threshold", "potential_threshold", "horizon"):
        assert name in out
