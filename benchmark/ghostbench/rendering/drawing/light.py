"""What light and air make of a colour: by day, at dusk, at night with lamps, and in rain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Colour = tuple[float, float, float]

SUN = np.array([-0.45, 0.80, -0.40]) / np.linalg.norm([-0.45, 0.80, -0.40])

_BEAM: Colour = (1.0, 0.97, 0.90)
_LAMP: Colour = (1.0, 0.80, 0.50)
_LATTICE = 8
"""Light is computed for every so many drawn pixels of the road, and for as many places along a wall: it is smooth."""


@dataclass(frozen=True)
class Sky:
    """Colours of the sky above, at the horizon, of its clouds, and of the trees on the horizon; how much is clouded."""

    above: Colour = (132.0, 168.0, 208.0)
    horizon: Colour = (206.0, 216.0, 222.0)
    clouds: Colour = (238.0, 240.0, 242.0)
    trees: Colour = (138.0, 152.0, 134.0)
    cover: float = 0.75


@dataclass(frozen=True)
class Light:
    """Daylight in clear air; the kinds below change what differs.

    haze : the colour into which things go over in the distance.
    haze_length : metres after which all but 1/e of an object's own colour has gone over to the haze.
    shadow : share of the light that a shadow on the ground takes away.
    """

    haze: Colour = (196.0, 205.0, 212.0)
    haze_length: float = 260.0
    shadow: float = 0.52
    sky: Sky = Sky()

    def lit(self, colour: Colour, normal: Floats) -> Colour:
        """A surface colour under sun and sky: Lambert's cosine over an ambient share."""
        brightness = 0.58 + 0.47 * max(0.0, float(normal @ SUN)) + 0.08 * float(normal[1])
        return (colour[0] * brightness, colour[1] * brightness, colour[2] * brightness)

    def through_air(self, colour: Colour, distance: float) -> Colour:
        """A colour as it looks through `distance` metres of air."""
        own = float(np.exp(-max(distance, 0.0) / self.haze_length))
        haze = self.haze
        return (
            haze[0] + own * (colour[0] - haze[0]),
            haze[1] + own * (colour[1] - haze[1]),
            haze[2] + own * (colour[2] - haze[2]),
        )

    def seen(self, colour: Colour, points: Floats, distance: float) -> Colour:
        """A surface colour as the camera sees it: of a part with these world points, shape (n, 3), so far away."""
        return self.through_air(colour, distance)

    def all_seen(self, colours: Floats, places: Floats, distances: Floats, glows: NDArray[np.bool_]) -> Floats:
        """`seen` of many parts at once, (n, 3), (n, 3), (n,): those that glow need no light to fall on them, (n,)."""
        own = np.exp(-np.maximum(distances, 0.0) / self.haze_length)[:, None]
        haze = np.array(self.haze)
        result: Floats = haze + own * (colours * np.where(glows[:, None], 1.0, self.falling(places)) - haze)
        return result

    def falling(self, places: Floats) -> Floats:
        """The light that falls on places of the world, (..., 3), per colour channel, as a share of daylight."""
        return np.ones_like(places)

    def on_texture(self, texture: Pixels, corner: Floats, right: Floats, down: Floats) -> Pixels:
        """A texture, (h, w, 3 or 4), with the light that falls on its place in the world (see `Canvas.picture`)."""
        return texture

    def on_ground(self, colours: Floats32, x: Floats, z: Floats, camera: Floats) -> Floats32:
        """Colours of the road, (h, w, 3), at the world places `x` and `z`, (h, w), with the light that falls there.

        camera : the camera's position, (3,), which a wet road's reflections depend on.
        """
        return colours


class Day(Light):
    """Clear daylight."""


@dataclass(frozen=True)
class Lamp:
    """A street lamp's light source: place across and along the road and height, metres."""

    x: float
    z: float
    height: float


@dataclass(frozen=True)
class Dark(Light):
    """Dusk or night: little light from the sky, the ego car's low beams, and street lamps.

    ambient : share of daylight that comes from the sky, per colour channel.
    beams : strength of the ego car's low beams. front : where they are along the road, metres.
    lamps : the street lamps, and `glow`, their strength. windows : share of lit windows, in [0, 1].
    wet : how wet the road is, in [0, 1].
    """

    ambient: Colour = (1.0, 1.0, 1.0)
    beams: float = 0.0
    front: float = 0.0
    lamps: tuple[Lamp, ...] = ()
    glow: float = 0.0
    windows: float = 0.0
    wet: float = 0.0

    def lit(self, colour: Colour, normal: Floats) -> Colour:
        """A surface colour under an even sky."""
        brightness = 0.86 + 0.12 * float(normal[1])
        return (colour[0] * brightness, colour[1] * brightness, colour[2] * brightness)

    def seen(self, colour: Colour, points: Floats, distance: float) -> Colour:
        """A surface colour in the light at its place, through the air."""
        red, green, blue = (float(share) for share in self.falling(points.mean(axis=0)))
        return self.through_air((colour[0] * red, colour[1] * green, colour[2] * blue), distance)

    def on_texture(self, texture: Pixels, corner: Floats, right: Floats, down: Floats) -> Pixels:
        """A wall's texture in the light that falls along it."""
        across, up = np.meshgrid(*2 * [(np.arange(_LATTICE) + 0.5) / _LATTICE])
        places = corner + across[..., None] * right + up[..., None] * down
        light = self.falling(places).astype(np.float32)
        size = (texture.shape[1], texture.shape[0])
        shade = cv2.resize(light, size, interpolation=cv2.INTER_LINEAR)
        result = texture.copy()
        result[:, :, :3] = np.clip(texture[:, :, :3] * shade, 0, 255)
        return result

    def on_ground(self, colours: Floats32, x: Floats, z: Floats, camera: Floats) -> Floats32:
        """The road in the light that falls on it; a wet one is darker and mirrors the sky and the lamps."""
        few = (slice(None, None, _LATTICE), slice(None, None, _LATTICE))
        across, along = x[few], z[few]
        light = self.falling(np.stack([across, np.zeros_like(across), along], axis=-1))
        mirrored = self.wet * self._mirrored(across, along, camera)
        size = (x.shape[1], x.shape[0])
        shade = cv2.resize((light * (1 - 0.38 * self.wet)).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        sheen = cv2.resize(mirrored.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(colours * shade + sheen, dtype=np.float32)

    def falling(self, places: Floats) -> Floats:
        """The light of the sky, of the low beams and of the street lamps."""
        x, y, z = np.moveaxis(places, -1, 0)
        ahead = np.maximum(z - self.front, 0.0)
        reach = 1.0 / (1.0 + (ahead / 19.0) ** 2)
        aside = 1.0 / (1.0 + ((x - 0.025 * ahead) / (2.0 + 0.16 * ahead)) ** 4)
        below = 1.0 / (1.0 + (y / (1.15 + 0.012 * ahead)) ** 4)
        beam = self.beams * reach * aside * below * ahead / (ahead + 1.5)
        pools = np.zeros_like(beam)
        for lamp in self.lamps:
            pools += self.glow / (1.0 + ((x - lamp.x) ** 2 + (z - lamp.z) ** 2) / 30.0) ** 2
        shares = [
            sky + beam * white + pools * warm for sky, white, warm in zip(self.ambient, _BEAM, _LAMP, strict=True)
        ]
        result: Floats = np.stack(shares, axis=-1)
        return result

    def _mirrored(self, x: Floats, z: Floats, camera: Floats) -> Floats:
        """What a wet road mirrors, in colours: the sky at a flat angle, and each lamp as a streak below it."""
        away = np.maximum(z - camera[2], 0.5)
        flat = np.clip(away / 60.0, 0.0, 0.8)[..., None]
        result: Floats = 0.5 * flat * np.array(self.sky.horizon)
        for lamp in self.lamps:
            distance = lamp.z - camera[2]
            if distance < 6:
                continue
            middle = distance * camera[1] / (camera[1] + lamp.height)
            beside = x - camera[0] - (lamp.x - camera[0]) * away / distance
            streak = (
                1.0 / (1.0 + (beside / (0.10 + 0.012 * away)) ** 2) / (1.0 + ((away - middle) / (0.9 * middle)) ** 4)
            )
            result = result + (self.glow * 120.0 * streak / (1 + distance / 60))[..., None] * np.array(
                [1.0, 0.82, 0.55]
            )
        return result


def light_of(kind: str, rain: float = 0.0) -> Light:
    """The light of a kind, "day", "dusk" or "night", with rain of a strength in [0, 1]."""
    if kind == "day":
        if rain == 0:
            return Day()
        grey: Colour = (168.0, 174.0, 180.0)
        sky = Sky((138.0, 144.0, 152.0), (176.0, 182.0, 188.0), (158.0, 164.0, 172.0), (112.0, 122.0, 114.0), 1.0)
        return Dark(grey, 260 - 170 * rain, 0.16, sky, ambient=(0.80, 0.83, 0.87), windows=0.25, wet=rain)
    if kind == "dusk":
        sky = Sky((52.0, 62.0, 96.0), (196.0, 142.0, 112.0), (92.0, 82.0, 102.0), (40.0, 44.0, 50.0), 0.7)
        if rain:
            sky = Sky((50.0, 56.0, 72.0), (112.0, 108.0, 114.0), (72.0, 74.0, 86.0), (38.0, 42.0, 48.0), 1.0)
        return Dark(
            (118.0, 104.0, 108.0) if not rain else (84.0, 84.0, 92.0),
            220 - 130 * rain,
            0.14,
            sky,
            ambient=(0.36, 0.35, 0.42),
            beams=0.42,
            glow=0.35,
            windows=0.45,
            wet=rain,
        )
    sky = Sky((10.0, 12.0, 20.0), (34.0, 32.0, 38.0), (20.0, 20.0, 28.0), (10.0, 12.0, 12.0), 0.6)
    return Dark(
        (24.0, 24.0, 30.0),
        170 - 90 * rain,
        0.10,
        sky,
        ambient=(0.085, 0.095, 0.125),
        beams=1.05,
        glow=0.62,
        windows=0.3,
        wet=rain,
    )
