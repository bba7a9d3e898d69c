"""A pinhole camera, and a canvas that draws polygons, limbs and textured planes and knows which object owns a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ghostbench.rendering.drawing.light import Colour, Day, Floats, Light, Pixels

CAMERA_HEIGHT = 1.35
"""Metres above the road at which a dash camera sits, where nothing else is said."""
NEAR = 0.35
"""Nothing nearer to the camera than this many metres is drawn."""

_SUBPIXEL_BITS = 4
_FARTHEST = 10240
"""Drawn pixels from the picture's corner beyond which a corner of a polygon is not followed."""


@dataclass(frozen=True)
class Sensor:
    """The size of a frame in pixels, and how many pixels are drawn for each of them.

    supersampling : side of the square of drawn pixels that is averaged into one pixel of a frame.
    """

    width: int = 640
    height: int = 360
    supersampling: int = 2

    @property
    def columns(self) -> int:
        """Drawn pixels across."""
        return self.width * self.supersampling

    @property
    def rows(self) -> int:
        """Drawn pixels down."""
        return self.height * self.supersampling

    @property
    def focal(self) -> float:
        """Focal length in drawn pixels: a horizontal field of view of 60 degrees, as ordinary dash cameras have."""
        return 0.86 * self.columns

    @property
    def scale(self) -> float:
        """Drawn pixels for each one of a picture 1280 wide: what is measured in pixels is multiplied by it."""
        return self.columns / 1280


@dataclass(frozen=True)
class Camera:
    """Where the camera is and how it is turned (radians): positive pitch looks up, positive yaw looks right."""

    x: float
    z: float
    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    height: float = CAMERA_HEIGHT
    sensor: Sensor = Sensor()

    @cached_property
    def position(self) -> Floats:
        """The camera's place in the world, shape (3,)."""
        return np.array([self.x, self.height, self.z])

    @cached_property
    def rotation(self) -> Floats:
        """World to camera axes (right, down, forward), shape (3, 3)."""
        cp, sp = np.cos(self.pitch), np.sin(self.pitch)
        cy, sy = np.cos(self.yaw), np.sin(self.yaw)
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        down = np.diag([1.0, -1.0, 1.0])
        yaw = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
        pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        result: Floats = roll @ pitch @ down @ yaw
        return result

    @cached_property
    def intrinsics(self) -> Floats:
        """Camera axes to drawn pixels, shape (3, 3); the principal point lies a little above the middle."""
        focal = self.sensor.focal
        return np.array([[focal, 0, self.sensor.columns / 2], [0, focal, self.sensor.rows * 0.47], [0, 0, 1]])

    def to_camera(self, points: Floats) -> Floats:
        """World points, shape (n, 3), in camera axes."""
        result: Floats = (points - self.position) @ self.rotation.T
        return result

    def to_pixels(self, points: Floats) -> Floats:
        """Camera-axes points in front of the camera, shape (n, 3), as pixel positions, shape (n, 2)."""
        projected = points @ self.intrinsics.T
        result: Floats = projected[:, :2] / projected[:, 2:3]
        return result


def clip_near(points: Floats) -> Floats:
    """The part of a convex polygon, camera axes, shape (n, 3), that lies in front of the near plane."""
    if points[:, 2].min() >= NEAR:
        return points
    kept: list[Floats] = []
    for here, after in zip(points, np.roll(points, -1, axis=0), strict=True):
        if here[2] >= NEAR:
            kept.append(here)
        if (here[2] >= NEAR) != (after[2] >= NEAR):
            part = (NEAR - here[2]) / (after[2] - here[2])
            kept.append(here + part * (after - here))
    return np.array(kept) if len(kept) >= 3 else np.empty((0, 3))


class Canvas:
    """One picture in the making; later drawings cover earlier ones, so draw from far to near.

    `image` is (rows, columns, 3) RGB; `owner` is (rows, columns), the number of the object whose paint is on top;
    `silhouette` counts, per object number, the pixels that it would show if nothing stood in front of it.
    """

    def __init__(self, camera: Camera, light: Light | None = None) -> None:
        self.camera = camera
        self.light: Light = light or Day()
        self.shape = (camera.sensor.rows, camera.sensor.columns)
        self.image: Pixels = np.zeros((*self.shape, 3), np.uint8)
        self.owner: Pixels = np.zeros(self.shape, np.uint8)
        self.owner_now = 0
        self._alone: dict[int, Pixels] = {}

    def visible(self, owner: int) -> float:
        """How many pixels of a frame (drawn pixels over supersampling squared) the object shows."""
        return float(np.count_nonzero(self.owner == owner)) / self.camera.sensor.supersampling**2

    def silhouette(self, owner: int) -> float:
        """How many pixels of a frame the object would show with nothing in front of it."""
        alone = self._alone.get(owner)
        return 0.0 if alone is None else float(np.count_nonzero(alone)) / self.camera.sensor.supersampling**2

    def polygon(self, points: Floats, colour: Colour) -> None:
        """Fill a flat polygon given by world points, shape (n, 3)."""
        seen = clip_near(self.camera.to_camera(points))
        if len(seen):
            self.fill(self.camera.to_pixels(seen), self.light.seen(colour, points, float(seen[:, 2].mean())))

    def glow(self, points: Floats, colour: Colour) -> None:
        """Fill a flat polygon that shines by itself: no light falls on it, only the air takes some away."""
        seen = clip_near(self.camera.to_camera(points))
        if len(seen):
            self.fill(self.camera.to_pixels(seen), self.light.through_air(colour, float(seen[:, 2].mean())))

    def face(self, points: Floats, normal: Floats, colour: Colour) -> None:
        """Fill a polygon of a solid, shaded, if its outer side is turned to the camera."""
        if float((self.camera.position - points[0]) @ normal) > 0:
            self.polygon(points, self.light.lit(colour, normal))

    def limb(self, start: Floats, end: Floats, radii: tuple[float, float], colour: Colour) -> None:
        """A tapered round stick between two world points, with its radius (metres) at either end."""
        ends = self.camera.to_camera(np.array([start, end]))
        if ends[:, 2].min() < NEAR:
            return
        pixels = self.camera.to_pixels(ends)
        sizes = [self.camera.sensor.focal * radius / depth for radius, depth in zip(radii, ends[:, 2], strict=True)]
        along = pixels[1] - pixels[0]
        length = float(np.hypot(*along))
        tint = self.light.seen(colour, np.array([start, end]), float(ends[:, 2].mean()))
        for centre, size in zip(pixels, sizes, strict=True):
            self.fill(_circle(centre, size), tint)
        if length > 1e-6:
            across = np.array([-along[1], along[0]]) / length
            corners = [pixels[0] + across * sizes[0], pixels[1] + across * sizes[1]]
            corners += [pixels[1] - across * sizes[1], pixels[0] - across * sizes[0]]
            self.fill(np.array(corners), tint)

    def picture(self, pyramid: Sequence[Pixels], corner: Floats, right: Floats, down: Floats) -> None:
        """Lay a texture on the plane rectangle with top left `corner` and sides `right` and `down` (world vectors).

        `pyramid` holds the texture in falling sizes, (h, w, 3) or (h, w, 4) with alpha; the level nearest to the size
        on screen is used, so that far walls do not flicker.
        """
        outline = clip_near(
            self.camera.to_camera(np.array([corner, corner + right, corner + right + down, corner + down]))
        )
        if not len(outline):
            return
        pixels = self.camera.to_pixels(outline)
        low = np.maximum(np.floor(pixels.min(axis=0)), 0).astype(int)
        high = np.minimum(np.ceil(pixels.max(axis=0)) + 1, self.shape[::-1]).astype(int)
        if (high <= low).any():
            return
        nearest = float(outline[:, 2].min())
        wanted = self.camera.sensor.focal / nearest * float(np.linalg.norm(down))
        texture = min(pyramid, key=lambda level: abs(np.log(level.shape[0] / max(wanted, 1.0))))
        texture = self.light.on_texture(texture, corner, right, down)
        columns = self.camera.rotation @ np.stack([right / texture.shape[1], down / texture.shape[0]], axis=1)
        offset = self.camera.rotation @ (corner - self.camera.position)
        shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1.0]])
        mapping = shift @ self.camera.intrinsics @ np.column_stack([columns, offset])
        size = (int(high[0] - low[0]), int(high[1] - low[1]))
        drawn = cv2.warpPerspective(texture, mapping, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros((size[1], size[0]), np.uint8)
        _fill_polygon(mask, pixels - low, 255)
        opacity = (mask > 0).astype(np.float32)
        if texture.shape[2] == 4:
            opacity *= drawn[:, :, 3].astype(np.float32) / 255
        own = float(np.exp(-float(outline[:, 2].mean()) / self.light.haze_length))
        tinted = own * drawn[:, :, :3].astype(np.float32) + (1 - own) * np.array(self.light.haze, np.float32)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        below = self.image[window].astype(np.float32)
        self.image[window] = np.rint(below + opacity[:, :, None] * (tinted - below)).astype(np.uint8)
        self.owner[window][opacity > 0.5] = self.owner_now

    def fill(self, pixels: Floats, colour: Colour | Floats) -> None:
        """Fill a polygon given in drawn pixels, (n, 2), with a colour as it is to be seen."""
        tint = tuple(float(min(max(round(channel), 0), 255)) for channel in colour)
        _fill_polygon(self.image, pixels, tint)
        _fill_polygon(self.owner, pixels, float(self.owner_now))
        if self.owner_now:
            alone = self._alone.setdefault(self.owner_now, np.zeros(self.shape, np.uint8))
            _fill_polygon(alone, pixels, 1.0)


def _circle(centre: Floats, radius: float) -> Floats:
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    result: Floats = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return result


def _fill_polygon(target: Pixels, pixels: Floats, colour: float | tuple[float, ...]) -> None:
    # Coordinates far outside the picture would overflow OpenCV's fixed-point numbers.
    fixed = np.rint(np.clip(pixels, -_FARTHEST, _FARTHEST) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    value = colour if isinstance(colour, tuple) else (colour,)
    cv2.fillPoly(target, [fixed.reshape(-1, 1, 2)], value, lineType=cv2.LINE_8, shift=_SUBPIXEL_BITS)
