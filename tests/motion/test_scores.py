"""What `motion` sees: drawn emergences above everything else, and the pixels rather than anything beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

import ghostbench
from ghostbench import Frames
from ghostbench.media.decode import decode
from ghostbench.media.sampling import parse_sampling
from ghostbench.running.plan.probes import blank, shuffled

if TYPE_CHECKING:
    from conftest import MakeFrames, Motion

GHOST5 = Path(__file__).resolve().parents[2] / "datasets" / "ghost5" / "clips"
EMERGENCES = ("ghost5_02", "ghost5_05")
HEIGHT, WIDTH = 270, 480
HORIZON = 122


def test_the_two_emergences_of_ghost5_rank_above_the_other_three_clips(
    motion: Motion, ghost5: dict[str, Frames]
) -> None:
    scores = {name: motion.score(frames) for name, frames in ghost5.items()}
    assert len(scores) == 5
    rest = [score for name, score in scores.items() if name not in EMERGENCES]
    assert min(scores[name] for name in EMERGENCES) > max(rest)


@pytest.mark.parametrize("sampling", ["uniform:7", "uniform:16", "fps:1", "fps:3"])
def test_they_rank_above_the_others_under_other_samplings_too(motion: Motion, sampling: str) -> None:
    scores = {path.stem: motion.score(decode(str(path), parse_sampling(sampling))) for path in GHOST5.glob("*.mp4")}
    assert set(sorted(scores, key=lambda name: scores[name])[-2:]) == set(EMERGENCES)


def test_the_default_threshold_separates_ghost5(motion: Motion, ghost5: dict[str, Frames]) -> None:
    grades = {name: motion.answer(frames).grade for name, frames in ghost5.items()}
    assert {name for name, grade in grades.items() if grade == "ghost_probing"} == set(EMERGENCES)


def test_the_emergences_of_ghost5_are_timed_by_the_first_sampled_frame_that_shows_the_actor(
    motion: Motion, ghost5: dict[str, Frames]
) -> None:
    annotations = json.loads((Path(__file__).resolve().parents[2] / "datasets/ghost5/annotations.json").read_text())
    for name in EMERGENCES:
        visible_from = annotations[name]["first_visible_s"]
        first = min(time for time in ghost5[name].times_s if time >= visible_from)
        assert motion.answer(ghost5[name]).event_time_s == pytest.approx(first, abs=0.01)


def test_scores_differ_between_clips_and_depend_on_the_pixels(motion: Motion, ghost5: dict[str, Frames]) -> None:
    scores = [motion.score(frames) for frames in ghost5.values()]
    assert len(set(scores)) == len(scores)
    assert all(score > 0 for score in scores)
    assert [motion.score(blank(frames)) for frames in ghost5.values()] == [0.0] * 5
    assert all(motion.score(shuffled(f)) != score for f, score in zip(ghost5.values(), scores, strict=True))


@pytest.mark.parametrize("value", [0, 77, 255])
def test_frames_without_content_score_0(frames_of: MakeFrames, motion: Motion, value: int) -> None:
    assert motion.score(frames_of(np.full((5, 120, 200, 3), value, np.uint8))) == 0.0


def test_a_scene_in_which_nothing_changes_scores_0(frames_of: MakeFrames, motion: Motion) -> None:
    assert motion.score(frames_of(np.repeat(street()[None], 5, axis=0))) == 0.0


# The blocks below stand on the road like a person: their top is above the horizon, their foot on the ego path.
BLOCK = (slice(100, 175), slice(228, 250))
COLOURS = [(210, 40, 40), (30, 60, 200), (235, 235, 235), (15, 15, 15), (40, 160, 60)]


@pytest.mark.parametrize("colour", COLOURS, ids=str)
def test_something_of_any_colour_that_stands_up_on_the_path_is_seen_when_it_first_shows(
    frames_of: MakeFrames, motion: Motion, colour: tuple[int, int, int]
) -> None:
    pixels = scene()
    pixels[3][BLOCK] = colour
    pixels[4][BLOCK[0], 150:172] = colour
    answer = motion.answer(frames_of(pixels))
    assert answer.grade == "ghost_probing"
    assert answer.event_time_s == pytest.approx(0.3 + 3 * 0.6)


def test_what_was_in_view_before_is_not_an_emergence(frames_of: MakeFrames, motion: Motion) -> None:
    new, seen = scene(), scene()
    for pixels, first in ((new, 3), (seen, 0)):
        for position in range(first, 6):
            left = 290 - 20 * position
            pixels[position][BLOCK[0], left : left + 22] = (210, 40, 40)
    assert motion.score(frames_of(seen)) < 0.2 < 0.5 < motion.score(frames_of(new))


def test_a_brake_light_that_goes_on_is_no_emergence(frames_of: MakeFrames, motion: Motion) -> None:
    pixels = scene()
    for position in range(6):
        left = 200 + 3 * position
        pixels[position][120:175, left : left + 60] = (30, 40, 90)
        if position >= 3:
            pixels[position][135:142, left + 4 : left + 14] = pixels[position][135:142, left + 46 : left + 56] = (
                255,
                30,
                20,
            )
    assert motion.answer(frames_of(pixels)).grade == "normal"


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(100, 175), slice(20, 42)),
        (slice(150, 175), slice(200, 270)),
        (slice(118, 131), slice(237, 241)),
        (slice(20, 190), slice(60, 420)),
    ],
    ids=["beside the path", "flat on the road", "far away", "wider than any road user"],
)
def test_what_is_no_road_user_on_the_path_scores_below_what_is(
    frames_of: MakeFrames, motion: Motion, rows: slice, columns: slice
) -> None:
    on_path, other = scene(), scene()
    on_path[3][BLOCK] = (210, 40, 40)
    other[3][rows, columns] = (210, 40, 40)
    assert motion.answer(frames_of(other)).grade == "normal"
    assert motion.score(frames_of(other)) < motion.score(frames_of(on_path)) / 2


def test_what_goes_sideways_counts_more_than_what_stays(frames_of: MakeFrames, motion: Motion) -> None:
    stays, goes = scene(), scene()
    for position in (3, 4):
        stays[position][BLOCK] = (210, 40, 40)
        goes[position][BLOCK[0], 228 - 60 * (position - 3) : 250 - 60 * (position - 3)] = (210, 40, 40)
    assert motion.score(frames_of(goes)) > motion.score(frames_of(stays))


def test_the_same_frames_at_another_size_rank_alike(frames_of: MakeFrames, motion: Motion) -> None:
    plain, emergence = scene(), scene()
    emergence[3][BLOCK] = (210, 40, 40)
    for factor in (2, 4):
        larger = [np.repeat(np.repeat(p, factor, axis=1), factor, axis=2) for p in (plain, emergence)]
        scores = [motion.score(frames_of(pixels)) for pixels in larger]
        assert scores[0] < 0.1 < 0.5 < scores[1]


@pytest.mark.slow
def test_the_real_clips_are_answered_with_scores_of_their_own_and_their_blanked_frames_with_0(
    shared_data: Path, tmp_path: Path
) -> None:
    real = shared_data / "dada2000"
    done = ghostbench.run(
        "motion", dataset="dada2000", data_root=real / "clips", labels=real / "labels.csv", only_available=True,
        probe="blank", on="thread", out=tmp_path, run_id="real",
    )  # fmt: skip
    predictions = done.records.predictions
    assert set(predictions["outcome"]) == {"answered"}
    scores = list(predictions.loc[predictions["model"] == "motion", "score"])
    assert len(scores) == len(list((real / "clips").glob("*.avi")))
    assert len(set(scores)) == len(scores)
    assert 0 < min(scores) < 0.1
    assert 0.6 < max(scores) < 1
    blanked = predictions.loc[predictions["model"] == "motion+blank", "score"]
    assert len(blanked) == len(scores)
    assert set(blanked) == {0.0}


def street() -> npt.NDArray[np.uint8]:
    """A textured grey road under a textured sky, RGB."""
    noise = np.random.default_rng(7).integers(0, 24, (HEIGHT, WIDTH, 1), dtype=np.uint8)
    picture = np.full((HEIGHT, WIDTH, 3), 150, np.uint8)
    picture[HORIZON:] = 90
    return np.asarray(picture + noise, np.uint8)


def scene() -> npt.NDArray[np.uint8]:
    """Six frames of the street, each with camera noise of its own."""
    noise = np.random.default_rng(8).integers(0, 6, (6, HEIGHT, WIDTH, 3), dtype=np.uint8)
    return np.asarray(street() + noise, np.uint8)
