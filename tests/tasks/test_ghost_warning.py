"""`ghost-warning` lets nothing of what comes after a moment reach anybody, and asks each moment like the one before."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ghostbench import FramePart, Frames, Unparseable, Verdict
from ghostbench.running.ask.questions import Questions
from ghostbench.tasks.ghost_warning import GhostWarning
from ghostbench_openai.body import BodyOptions, build_body

TASK = GhostWarning()


def film(count: int, rate: float, seed: int = 0, *, duration_s: float | None = None) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    times = tuple((place + 0.5) / rate for place in range(count))
    return Frames(
        pixels, indices=tuple(range(count)), times_s=times, duration_s=duration_s or count / rate, decoder="drawn"
    )


@pytest.mark.slow
@given(st.integers(1, 30), st.sampled_from([0.7, 1.0, 2.0, 3.0, 8.0]), st.sampled_from([0.5, 1.0, 2.0, 4.0]), st.data())
def test_what_comes_after_a_moment_reaches_no_question(
    count: int, fps: float, moments: float, data: st.DataObject
) -> None:
    task = GhostWarning()
    task.moments_per_s = moments
    clip = film(count, fps)
    asked = Questions(task).about(clip)
    # A clip that is over before the first moment is asked about when it ends.
    assume(clip.duration_s * moments >= 1 and clip.times_s[0] <= asked[0].moment_s != clip.duration_s)
    at = data.draw(st.sampled_from(asked))
    assert at.moment_s is not None
    assert at.frames is not None
    assert max(at.frames.times_s) <= at.moment_s
    assert at.frames.duration_s <= at.moment_s
    later = sum(time_s > at.moment_s for time_s in clip.times_s)
    pixels = clip.pixels.copy()
    pixels[count - later :] = 0
    other = Frames(
        np.concatenate([pixels, pixels[:3]]),
        indices=(*clip.indices, *range(count, count + len(pixels[:3]))),
        times_s=(*clip.times_s, *(clip.duration_s + 1 + place for place in range(len(pixels[:3])))),
        duration_s=clip.duration_s + 50,
        decoder=clip.decoder,
    )
    (same,) = (each for each in Questions(task).about(other) if each.moment_s == at.moment_s)
    assert same.prompt == at.prompt
    assert same.frames is not None
    assert (same.frames.sha256, same.frames.times_s, same.frames.indices, same.frames.duration_s) == (
        at.frames.sha256,
        at.frames.times_s,
        at.frames.indices,
        at.frames.duration_s,
    )


def test_moments_come_every_half_second_within_the_clip() -> None:
    assert [each.moment_s for each in TASK.questions(film(8, 2.0, duration_s=3.9))] == [0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert [each.moment_s for each in TASK.questions(film(1, 4.0))] == [0.25], "a clip is asked about at least once"


def test_of_a_long_clip_the_latest_frames_are_shown() -> None:
    last = TASK.questions(film(100, 2.0))[-1]
    assert last.frames is not None
    assert len(last.frames) == TASK.most_frames
    assert last.frames.indices[-1] == 99


def test_of_a_long_clip_too_most_moments_begin_with_the_frames_of_the_one_before() -> None:
    shown = [each.frames.indices for each in TASK.questions(film(150, 2.0)) if each.frames is not None]
    assert all(frames == tuple(range(frames[0], frames[-1] + 1)) for frames in shown)
    assert [frames[-1] for frames in shown] == list(range(150))
    assert {len(frames) for frames in shown[60:]} == set(range(41, 61))
    begun_anew = [place for place, (before, after) in enumerate(pairwise(shown), 1) if after[: len(before)] != before]
    assert begun_anew == [60, 80, 100, 120, 140]


def test_the_request_of_a_moment_begins_like_that_of_the_one_before() -> None:
    from ghostbench import Request

    options = BodyOptions(
        model="m", limit_field="max_tokens", temperature=None, seed=None, detail="", max_side=512,
        max_output_tokens=9, stream=False, logprobs=False,
    )  # fmt: skip
    bodies = [
        build_body(
            Request(
                id="r", prompt=each.prompt, frames=each.frames, seed=0, level=0, level_settings={}, write_answer=str
            ),
            options,
        )
        for each in TASK.questions(film(6, 2.0))
    ]
    ending = b',{"type": "text", "text": "' + TASK.question.encode()
    for before, after in pairwise(bodies):
        assert after.startswith(before[: before.index(ending)])


def test_no_word_tells_how_long_the_clip_is() -> None:
    short, long = (TASK.questions(film(20, 2.0, duration_s=duration))[3] for duration in (10.0, 77.0))
    assert short.prompt == long.prompt
    assert [part.position for part in short.prompt.parts if isinstance(part, FramePart)] == [0, 1, 2, 3]


def test_a_verdict_is_written_without_a_time_and_read_back() -> None:
    verdict = Verdict(grade="ghost_probing", event_time_s=3.0, actor="child", occluder="van", evidence="feet show")
    answer = TASK.parse(TASK.write(verdict))
    assert (answer.grade, answer.event_time_s, answer.actor, answer.occluder) == ("ghost_probing", None, "child", "van")
    with pytest.raises(Unparseable):
        TASK.parse('{"grade": "ghost_probing", "event_time_s": 3, "actor": null, "occluder": null, "evidence": ""}')
