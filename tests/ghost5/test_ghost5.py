"""The embedded clips: what is committed is what the script draws, and what the labels say."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.media.decode import decode
from ghostbench.media.sampling import parse_sampling

ROOT = Path(__file__).resolve().parents[2] / "datasets" / "ghost5"
FACTS: dict[str, dict[str, Any]] = json.loads((ROOT / "annotations.json").read_text())


@pytest.fixture(scope="module")
def render() -> Any:
    """The module that draws, as its own folder's script."""
    sys.path.insert(0, str(ROOT))
    import render as module

    yield module
    sys.path.remove(str(ROOT))


def test_the_clips_are_small_wide_and_of_a_few_seconds() -> None:
    assert sum(p.stat().st_size for p in (ROOT / "clips").iterdir()) < 2_000_000
    assert sorted(p.stem for p in (ROOT / "clips").iterdir()) == sorted(FACTS)
    for facts in FACTS.values():
        assert facts["width"] >= 640
        assert 4 <= facts["frames"] / facts["fps"] <= 8


@pytest.mark.parametrize("clip", FACTS)
def test_the_committed_file_decodes_to_the_annotated_pixels(clip: str) -> None:
    digest, count = hashlib.sha256(), 0
    with av.open(str(ROOT / "clips" / f"{clip}.mp4")) as container:
        for frame in container.decode(video=0):
            digest.update(frame.to_ndarray(format="yuv420p").tobytes())
            count += 1
    assert (digest.hexdigest(), count) == (FACTS[clip]["decoded_yuv420p_sha256"], FACTS[clip]["frames"])


@pytest.mark.parametrize("clip", FACTS)
def test_another_decoder_counts_the_same_frames(clip: str) -> None:
    video = cv2.VideoCapture(str(ROOT / "clips" / f"{clip}.mp4"))
    count = 0
    while video.read()[0]:
        count += 1
    assert count == FACTS[clip]["frames"]


def test_labels_say_what_was_drawn() -> None:
    with (ROOT / "labels.csv").open(newline="") as file:
        labels = {row["video_id"]: row["ground_truth_label"] for row in csv.DictReader(file)}
    for clip, facts in FACTS.items():
        time = facts["first_visible_s"] if facts["label"] == "ghost probing" else facts["lane_entry_s"]
        expected = "none" if facts["label"] == "none" else f"{time:g}s: {facts['label']}"
        assert labels[clip] == expected


def test_the_scenes_are_the_five_that_the_data_set_promises() -> None:
    kinds = sorted((f["label"], f["actor"] or "", f["occluder"] or "") for f in FACTS.values())
    assert kinds == [
        ("cut-in", "car", ""),
        ("ghost probing", "child", "parked van"),
        ("ghost probing", "scooter", "standing bus"),
        ("none", "", ""),
        ("none", "pedestrian", ""),
    ]


def test_an_emergence_is_hidden_at_first_and_a_frame_of_the_default_sampling_shows_it() -> None:
    split = select(SplitQuery(dataset="ghost5"))
    for clip in split.clips:
        if clip.truth != "ghost_probing":
            continue
        facts = FACTS[clip.id]
        assert facts["first_visible_frame"] > 2 * facts["fps"]
        times = decode(clip.media or "", parse_sampling("uniform:10")).times_s
        assert any(facts["first_visible_s"] <= t <= facts["first_visible_s"] + 1 for t in times)


@pytest.mark.slow
def test_an_actor_is_there_but_wholly_hidden_until_its_first_visible_frame(render: Any) -> None:
    for scene in render.scenes():
        if scene.label != "ghost probing":
            continue
        first = FACTS[scene.clip]["first_visible_frame"]
        for number in (first - 20, first - 1):
            canvas = render.paint(scene, number)
            assert canvas.visible(render.ACTOR) < render.VISIBLE_PIXELS < canvas.silhouette(render.ACTOR)
        assert render.paint(scene, first).visible(render.ACTOR) >= render.VISIBLE_PIXELS


@pytest.mark.slow
def test_who_moves_in_plain_view_is_never_hidden(render: Any) -> None:
    for scene in render.scenes():
        if scene.label == "ghost probing" or scene.emergence is None:
            continue
        assert FACTS[scene.clip]["first_visible_frame"] == 0
        for number in range(0, scene.frames, 25):
            canvas = render.paint(scene, number)
            assert canvas.visible(render.ACTOR) > 0.5 * canvas.silhouette(render.ACTOR) > render.VISIBLE_PIXELS


@pytest.mark.slow
def test_drawing_twice_gives_the_same_pixels(render: Any) -> None:
    from itertools import islice

    scene = next(scene for scene in render.scenes() if scene.label == "ghost probing")
    first, again = ([frame.pixels.tobytes() for frame in islice(render.draw(scene), 3)] for _ in range(2))
    assert first == again


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_script_draws_the_committed_scene_to_the_pixel(render: Any) -> None:
    scene = min(render.scenes(), key=lambda scene: scene.frames)
    digest = hashlib.sha256()
    for frame in render.draw(scene):
        digest.update(frame.pixels.tobytes())
    assert digest.hexdigest() == FACTS[scene.clip]["drawn_rgb_sha256"]
