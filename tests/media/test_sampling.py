"""The samplers: which frames, whatever the clip's length."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.errors import BadInput, DecodeFailed
from ghostbench.media.sampling import MAX_FPS, MAX_UNIFORM, Sampling, parse_sampling
from ghostbench.media.timeline import Timeline

counts = st.integers(1, MAX_UNIFORM)
lengths = st.integers(1, 20_000)
rates = st.decimals(min_value="0.05", max_value=MAX_FPS, places=2).map(str)


@given(counts, lengths)
def test_uniform_takes_distinct_ascending_frames_of_the_clip(n: int, length: int) -> None:
    indices = parse_sampling(f"uniform:{n}").indices(length)
    assert len(indices) == min(n, length)
    assert list(indices) == sorted(set(indices))
    assert indices[0] >= 0
    assert indices[-1] < length


@given(counts, lengths)
def test_uniform_takes_the_centre_of_every_one_of_n_equal_parts(n: int, length: int) -> None:
    indices = parse_sampling(f"uniform:{n}").indices(length)
    if length > n:
        for part, index in enumerate(indices):
            centre = (part + 0.5) * length / n
            assert index <= centre < index + 1 + 1e-6
            assert part * length / n - 1 < index < (part + 1) * length / n
    else:
        assert indices == tuple(range(length))


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("uniform:10", 100, (5, 15, 25, 35, 45, 55, 65, 75, 85, 95)),
        ("uniform:1", 100, (50,)),
        ("uniform:10", 4, (0, 1, 2, 3)),
        ("uniform:3", 3, (0, 1, 2)),
    ],
)
def test_uniform_examples(text: str, length: int, expected: tuple[int, ...]) -> None:
    assert parse_sampling(text).indices(length) == expected


@given(rates, st.integers(1, 600), st.sampled_from([10, 24, 25, 30, 60]))
def test_fps_takes_the_frame_nearest_to_every_target(rate: str, length: int, clip_fps: int) -> None:
    sampling = parse_sampling(f"fps:{rate}")
    times = [i / clip_fps for i in range(length)]
    duration = length / clip_fps
    indices = sampling.nearest(times, duration)
    assert list(indices) == sorted(set(indices))
    assert indices
    targets = [(k + 0.5) / float(rate) for k in range(int(duration * float(rate)) + 2)]
    for target in [t for t in targets if t < duration - 1e-9]:
        nearest = min(abs(time - target) for time in times)
        assert min(abs(times[i] - target) for i in indices) <= nearest + 1e-8
    if float(rate) <= clip_fps:
        assert abs(len(indices) - duration * float(rate)) <= 1
    assert times[indices[0]] <= 0.5 / float(rate) + 1 / clip_fps
    assert times[indices[-1]] >= duration - 1 / float(rate) - 1 / clip_fps - 1e-9


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=80), rates)
def test_fps_follows_the_time_stamps_of_a_variable_rate(gaps: list[float], rate: str) -> None:
    times = [0.0]
    for gap in gaps:
        times.append(times[-1] + gap)
    indices = parse_sampling(f"fps:{rate}").nearest(times, times[-1] + 0.01)
    assert list(indices) == sorted(set(indices))
    assert set(indices) <= set(range(len(times)))


def test_fps_takes_the_earlier_frame_at_equal_distance() -> None:
    times = [i / 30 for i in range(120)]
    assert parse_sampling("fps:2").nearest(times, 4.0) == (7, 22, 37, 52, 67, 82, 97, 112)


def test_fps_refuses_a_clip_whose_time_stamps_would_take_for_ever() -> None:
    with pytest.raises(DecodeFailed, match="too long"):
        parse_sampling("fps:2").nearest([0.0, 1e12], 1e12 + 1)


def test_fps_gives_a_short_clip_its_middle_frame() -> None:
    assert parse_sampling("fps:0.5").nearest([0.0, 0.1, 0.2, 0.3], 0.4) == (2,)


@pytest.mark.parametrize("text", ["uniform:1", "uniform:10", "uniform:256", "fps:2", "fps:0.5", "fps:60", "fps:29.97"])
def test_a_sampler_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_sampling(text)) == text
    assert parse_sampling(str(parse_sampling(text))) == parse_sampling(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "uniform", "uniform:", "uniform:0", "uniform:-1", "uniform:1.5", "uniform:10.0", "uniform:257"),
        *("uniform:1e3", "uniform:ten", "uniform: 10", " uniform:10", "uniform:10\n", "uniform:١٠", "uniform:+5"),
        *("fps:0", "fps:0.0", "fps:-2", "fps:nan", "fps:inf", "fps:61", "fps:60.1", "fps:", "fps:.5", "fps:1/2"),
        *("random:3", "UNIFORM:10", "uniform:10,fps:2", "uniform:99999999999999999999"),
    ],
)
def test_anything_else_is_bad_input_on_one_line(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_sampling(text)
    assert "uniform:N" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=20))
def test_no_text_is_read_as_a_sampler_that_it_does_not_write(text: str) -> None:
    try:
        sampling = parse_sampling(text)
    except BadInput:
        return
    assert isinstance(sampling, Sampling)
    assert text.startswith(sampling.kind + ":")


@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20, unique=True).map(sorted),
    st.fractions(Fraction(1, 10**6), 10),
    st.none() | st.fractions(-(10**6), 10**6),
)
def test_times_are_the_exact_fractions_rounded_once(stamps: list[int], base: Fraction, start: Fraction | None) -> None:
    timeline = Timeline(time_base=base, rate=None, start_s=start)
    for stamp in stamps:
        timeline.add(stamp, stamp, 1)
    zero = timeline._zero(stamps[0])
    assert timeline.times_s == [float((stamp - zero) * base) for stamp in stamps]
    unstamped = Timeline(time_base=base, rate=base, stamps=[None] * len(stamps))
    assert unstamped.times_s == [float(index / base) for index in range(len(stamps))]
