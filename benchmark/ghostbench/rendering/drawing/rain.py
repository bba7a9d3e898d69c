"""Rain before the camera: streaks in the air, and drops on the windscreen."""

from __future__ import annotations

import cv2
import numpy as np

from ghostbench.rendering.drawing.canvas import Sensor
from ghostbench.rendering.drawing.light import Floats32, Pixels

_STREAKS, _DROPS = 240, 34


def drops(sensor: Sensor, strength: float, rng: np.random.Generator) -> Floats32:
    """What the drops on the windscreen do to each pixel of a frame, as a factor; (height, width, 1)."""
    scale = sensor.width / 640
    factor = np.ones((sensor.height, sensor.width), np.float32)
    for _ in range(round(_DROPS * strength)):
        centre = (int(rng.integers(0, sensor.width)), int(rng.integers(0, sensor.height)))
        size = float(rng.uniform(1.5, 4.5)) * scale
        for radius, shade in ((size, 0.86), (size * 0.6, 1.10)):
            spot = (centre[0], round(centre[1] + 0.25 * size)) if shade > 1 else centre
            cv2.circle(factor, spot, max(1, round(radius)), shade, -1, cv2.LINE_AA)
    return factor[:, :, None]


def streaks(sensor: Sensor, strength: float, rng: np.random.Generator) -> Floats32:
    """How much of each pixel of a frame a falling drop covers, in [0, 1]; (height, width, 1)."""
    scale = sensor.width / 640
    cover = np.zeros((sensor.height, sensor.width), np.float32)
    for _ in range(round(_STREAKS * strength)):
        x, y = float(rng.uniform(0, sensor.width)), float(rng.uniform(-20, sensor.height))
        length, slant = float(rng.uniform(5, 20)) * scale, float(rng.normal((x / sensor.width - 0.5) * 0.5, 0.05))
        end = (round(x + slant * length), round(y + length))
        cv2.line(cover, (round(x), round(y)), end, float(rng.uniform(0.08, 0.30)), 1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), 0.6), dtype=np.float32)[:, :, None]


def rained(picture: Pixels, cover: Floats32, glass: Floats32, tone: float) -> Pixels:
    """A reduced picture with streaks of a brightness and the drops on the windscreen."""
    wet = (picture + cover * (tone - picture.astype(np.float32))) * glass
    return np.asarray(np.clip(wet, 0, 255), dtype=np.uint8)
