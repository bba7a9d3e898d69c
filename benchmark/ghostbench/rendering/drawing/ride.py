"""How a dash camera rides along: the ego car's way, its dive under braking, and the shaking of the mount."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ghostbench.rendering.drawing.canvas import CAMERA_HEIGHT, Camera, Sensor
from ghostbench.rendering.drawing.light import Floats


@dataclass(frozen=True)
class Mount:
    """Where the camera sits: metres above the road; and the size of its frames."""

    height: float = CAMERA_HEIGHT
    sensor: Sensor = field(default_factory=Sensor)


def ride(
    places: Floats, speeds: Floats, rates: Floats, seed: int, fps: float, mount: Mount | None = None
) -> list[Camera]:
    """The camera of every frame.

    Parameters
    ----------
    places, speeds, rates : the ego car's place along the road (m), speed (m/s) and braking (m/s²) at every frame,
        each of shape (frames,).
    """
    mount = mount or Mount()
    rng = np.random.default_rng(seed)
    frames = len(places)
    time = np.arange(frames) / fps

    def shake(size: float) -> Floats:
        waves = [
            rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * (rng.uniform(0.4, 4.5) * time + rng.random())) for _ in range(6)
        ]
        rough = rng.standard_normal(frames) * 0.35
        result: Floats = (
            np.radians(size) * (np.sum(waves, axis=0) / 2 + rough) * (0.15 + 0.85 * np.minimum(speeds / 8, 1))
        )
        return result

    dive = np.convolve(np.pad(rates, (6, 0)), np.hanning(9)[1:8] / np.hanning(9)[1:8].sum(), "full")[:frames]
    pitch = shake(0.10) - np.radians(0.14) * dive
    yaw, roll = shake(0.08), shake(0.10)
    sway = 0.06 * np.sin(2 * np.pi * 0.13 * time + rng.random())
    return [
        Camera(float(x), float(z), float(p), float(y), float(r), mount.height, mount.sensor)
        for x, z, p, y, r in zip(sway, places, pitch, yaw, roll, strict=True)
    ]
