"""Draw the five clips of ghost5, encode them, and write their labels and annotations.

    python render.py            # writes clips/, labels.csv and annotations.json next to this file
    python render.py --out DIR  # the same, elsewhere

Needs `ghostbench`, whose drawing kit it uses, and OpenCV; reads nothing. The pictures are a function of this code and
of the kit alone: drawing twice with the same versions of numpy and OpenCV gives the same pixels. (The
encoder's bytes may differ between versions of libx264.)
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from ghost5_scenes import ACTOR, FPS, Scene, scenes

from ghostbench.rendering.drawing.canvas import Canvas, Sensor
from ghostbench.rendering.drawing.film import Film, draw_bonnet
from ghostbench.rendering.drawing.light import Floats, Pixels
from ghostbench.rendering.drawing.things import Thing

SENSOR = Sensor()
VISIBLE_PIXELS = 1.0
"""An actor counts as visible from this many pixels of a frame on."""


@dataclass(frozen=True)
class Drawn:
    """One frame, (360, 640, 3) RGB, and how many of its pixels the actor shows, and would show unoccluded."""

    pixels: Pixels
    visible: float
    silhouette: float


def paint(scene: Scene, number: int) -> Canvas:
    """Frame `number` of a scene, from 0, as drawn, before the lens and the sensor; it depends on no other frame."""
    canvas = Canvas(scene.cameras[number])
    things = list(scene.things(number / FPS))
    scene.street.draw_distance(canvas)
    scene.street.draw_ground(canvas, [thing.shadow for thing in things if thing.shadow is not None])
    scene.street.draw_houses(canvas)
    things += [Thing(item.z, partial(scene.street.draw_furniture, item=item)) for item in scene.street.furniture]
    for thing in sorted(things, key=lambda thing: -thing.z):
        canvas.owner_now = thing.owner
        thing.draw(canvas)
    draw_bonnet(canvas)
    return canvas


def draw(scene: Scene) -> Iterator[Drawn]:
    """All frames of a scene, in order."""
    rng = np.random.default_rng(scene.street.seed + 99)
    film = Film(SENSOR, scene.street.seed)
    for number in range(scene.frames):
        canvas = paint(scene, number)
        yield Drawn(
            film.exposed(film.reduced(canvas.image), film.grain(rng)), canvas.visible(ACTOR), canvas.silhouette(ACTOR)
        )


def encode(path: Path, frames: Iterable[Pixels]) -> None:
    """Write H.264 in MP4, without reordered frames, so that every decoder counts the same frames and times."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = SENSOR.width, SENSOR.height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"crf": "29", "preset": "veryslow", "bf": "0", "g": "75", "x264-params": "threads=1"}
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def decoded_digest(path: Path) -> str:
    """SHA-256 over the decoded planes (Y, U, V of each frame, unpadded), which the H.264 standard fixes bit by bit."""
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            digest.update(frame.to_ndarray(format="yuv420p").tobytes())
    return digest.hexdigest()


def annotate(scene: Scene, counts: Floats, drawn_digest: str, file_digest: str) -> dict[str, Any]:
    """What is known of a clip; `counts` (frames, 2) holds the actor's visible and unoccluded pixels."""
    _, speeds, _ = scene.drive()
    facts: dict[str, Any] = {
        "scene": scene.title,
        "label": scene.label,
        "fps": FPS,
        "frames": scene.frames,
        "width": SENSOR.width,
        "height": SENSOR.height,
        "ego_speed_start_mps": scene.speed,
        "ego_speed_end_mps": round(float(speeds[-1]), 3),
        "ego_brakes_from_s": None if scene.brake is None else scene.brake.start,
        "actor": None,
        "occluder": None,
        "comes_from": None,
        "first_visible_frame": None,
        "first_visible_s": None,
        "half_visible_frame": None,
        "lane_entry_frame": None,
        "lane_entry_s": None,
        "distance_at_first_visible_m": None,
        "ego_speed_at_first_visible_mps": None,
        "drawn_rgb_sha256": drawn_digest,
        "decoded_yuv420p_sha256": file_digest,
    }
    if scene.emergence is None:
        return facts
    first = int(np.argmax(counts[:, 0] >= VISIBLE_PIXELS))
    half = int(np.argmax(counts[:, 0] >= 0.5 * np.maximum(counts[:, 1], 1.0)))
    place, _, _ = scene.drive()
    facts |= {
        "actor": scene.emergence.actor,
        "occluder": scene.emergence.occluder,
        "comes_from": scene.emergence.side,
        "first_visible_frame": first,
        "first_visible_s": first / FPS,
        "half_visible_frame": half,
        "distance_at_first_visible_m": round(scene.emergence.path(first / FPS)[1] - float(place[first]), 2),
        "ego_speed_at_first_visible_mps": round(float(speeds[first]), 3),
    }
    if scene.lane_entry is not None:
        entry = next(frame for frame in range(scene.frames) if scene.lane_entry(frame / FPS))
        facts |= {"lane_entry_frame": entry, "lane_entry_s": entry / FPS}
    return facts


def label_row(clip: str, facts: dict[str, Any]) -> tuple[str, str, str]:
    """A row of labels.csv: an emergence is timed by its first visible frame, a cut-in by crossing the lane line."""
    if facts["label"] == "none":
        return clip, "none", ""
    time = facts["first_visible_s"] if facts["label"] == "ghost probing" else facts["lane_entry_s"]
    return clip, f"{time:g}s: {facts['label']}", ""


def render(out: Path) -> None:
    """Write the whole data set under `out`."""
    (out / "clips").mkdir(parents=True, exist_ok=True)
    annotations: dict[str, Any] = {}
    for scene in scenes():
        frames = list(draw(scene))
        path = out / "clips" / f"{scene.clip}.mp4"
        encode(path, (frame.pixels for frame in frames))
        digest = hashlib.sha256(b"".join(frame.pixels.tobytes() for frame in frames)).hexdigest()
        counts = np.array([(frame.visible, frame.silhouette) for frame in frames])
        annotations[scene.clip] = annotate(scene, counts, digest, decoded_digest(path))
    (out / "annotations.json").write_text(json.dumps(annotations, indent=2) + "\n", encoding="utf-8")
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "ground_truth_label", "remark"))
        writer.writerows(label_row(clip, facts) for clip, facts in annotations.items())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw and encode the five clips of ghost5.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    render(parser.parse_args().out)
