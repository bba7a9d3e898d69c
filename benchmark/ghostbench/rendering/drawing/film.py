"""From what is drawn to what a cheap dash camera records: lens, windscreen, sensor noise, and the ego car's bonnet."""

from __future__ import annotations

import cv2
import numpy as np

from ghostbench.rendering.drawing.canvas import Canvas, Sensor
from ghostbench.rendering.drawing.light import Colour, Floats, Pixels
from ghostbench.rendering.drawing.textures import value_noise

GLARE = 3.0
"""How wide the halo of a lamp is: standard deviation, in pixels of a frame 640 wide."""


class Film:
    """The lens and the windscreen of one ride."""

    def __init__(self, sensor: Sensor, seed: int) -> None:
        self.sensor = sensor
        y, x = np.mgrid[-1 : 1 : sensor.height * 1j, -1 : 1 : sensor.width * 1j]
        self._lens: Floats = (1 - 0.16 * (x**2 + 0.7 * y**2))[:, :, None]
        shape = (sensor.height, sensor.width)
        self._dirt = np.asarray(value_noise(shape, 70, np.random.default_rng(seed)), dtype=np.float64)

    def reduced(self, drawn: Pixels) -> Pixels:
        """A picture in frame pixels, each the mean of its drawn pixels; (height, width, 3)."""
        size = (self.sensor.width, self.sensor.height)
        return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.uint8)

    def grain(self, rng: np.random.Generator) -> Floats:
        """The noise of one frame, with standard deviation about 1.1; (height, width, 3)."""
        shape = (self.sensor.height, self.sensor.width)
        grain: Floats = rng.standard_normal((*shape, 1)) + 0.5 * rng.standard_normal((*shape, 3))
        return grain

    def glare(self, picture: Pixels) -> Pixels:
        """A reduced picture of the dark, with the halo that a windscreen gives to lamps."""
        bright = np.maximum(picture.astype(np.float32) - 170.0, 0.0)
        halo = cv2.GaussianBlur(bright, (0, 0), GLARE * self.sensor.width / 640)
        return np.asarray(np.clip(picture + 1.1 * halo, 0, 255), dtype=np.uint8)

    def exposed(self, picture: Pixels, grain: Floats) -> Pixels:
        """A reduced picture as the sensor sees it: soft, a hazy windscreen, noise that is stronger in the dark."""
        soft = cv2.GaussianBlur(picture, (0, 0), 0.55).astype(np.float64)
        veiled = soft * self._lens * 0.97 + 3 + 1.2 * self._dirt[:, :, None]
        return np.clip(np.rint(veiled + (1.9 - veiled / 255) * grain), 0, 255).astype(np.uint8)


_BONNET: Colour = (36.0, 39.0, 44.0)
_BONNET_EDGE: Colour = (96.0, 104.0, 112.0)


def draw_bonnet(canvas: Canvas) -> None:
    """The ego car's own bonnet, along the lower edge."""
    canvas.owner_now = 0
    height, width = canvas.shape
    scale = canvas.camera.sensor.scale
    x = np.linspace(0, width, 60)
    edge = height - scale * (40 - 34 * ((x / width - 0.5) * 2) ** 2 * 1.2)
    outline = np.concatenate([np.stack([x, edge], axis=1), [[width, height], [0, height]]])
    light = canvas.light.falling(canvas.camera.position)
    paint, edge_paint = ([float(tone) for tone in np.array(colour) * light] for colour in (_BONNET, _BONNET_EDGE))
    cv2.fillPoly(canvas.image, [np.rint(outline).astype(np.int32).reshape(-1, 1, 2)], paint)
    cv2.fillPoly(canvas.owner, [np.rint(outline).astype(np.int32).reshape(-1, 1, 2)], (0.0,))
    ridge = np.rint(np.stack([x, edge + 3], axis=1)).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas.image, [ridge], False, edge_paint, max(1, round(3 * scale)), cv2.LINE_AA)
