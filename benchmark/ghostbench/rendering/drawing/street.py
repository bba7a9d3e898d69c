"""The street that does not move: road surface with marks, pavements, house fronts, trees, lamp posts and the sky."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from ghostbench.rendering.drawing.canvas import Camera, Canvas, Sensor
from ghostbench.rendering.drawing.light import Colour, Dark, Day, Floats, Floats32, Lamp, Light, Pixels
from ghostbench.rendering.drawing.textures import (
    clipped,
    house_front,
    pyramid,
    shop_boxes,
    sky,
    tree_crown,
    value_noise,
    window_boxes,
)

HALF_WIDTH = 14.0
Z_FROM, Z_TO = -6.0, 214.0
MARGIN = 160
"""How far, in drawn pixels, the distant background reaches beyond the picture on every side."""

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Line:
    """A painted line along the road at `x`: `dash` metres of paint, then `gap` metres without (0: unbroken)."""

    x: float
    dash: float = 3.0
    gap: float = 0.0
    width: float = 0.14


@dataclass(frozen=True)
class House:
    """A house at the street: `x` of its front, `z` of its nearer end, metres; `wall` is its end wall's colour."""

    x: float
    z: float
    length: float
    height: float
    front: Sequence[Pixels]
    wall: Colour


@dataclass(frozen=True)
class Furniture:
    """A tree or, without a crown, a lamp post: `size` is the crown's width or the post's height, metres."""

    x: float
    z: float
    size: float
    crown: Sequence[Pixels] | None = None


@dataclass(frozen=True)
class Ground:
    """The road as a camera sees it from row `top` downwards: colours, (h, w, 3), and the share that the air lets
    through, (h, 1, 1)."""

    top: int
    colours: Floats32
    own: Floats32


@dataclass(frozen=True)
class Street:
    """One straight street; kerbs and house fronts are given as distances from the ego lane's middle."""

    seed: int
    left_kerb: float
    right_kerb: float
    pavement: float
    lines: tuple[Line, ...]
    zebra_z: float | None = None
    light: Light = field(default_factory=Day)
    sensor: Sensor = field(default_factory=Sensor)
    texels: int = 40
    """Pixels a metre of the road's texture."""

    @cached_property
    def ground(self) -> list[Pixels]:
        """The road from above, halved again and again along z (and more slowly along x)."""
        full = _paint_ground(self)
        levels = [full]
        for level in range(1, 10):
            size = (max(8, full.shape[1] >> max(0, (level - 4) // 2)), max(8, full.shape[0] >> level))
            levels.append(np.asarray(cv2.resize(full, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
        return levels

    @cached_property
    def distance(self) -> Pixels:
        """Sky and skyline, a little larger than the picture; the horizon is its middle row."""
        rng = np.random.default_rng(self.seed + 1)
        width, height = self.sensor.columns + 2 * MARGIN, 2 * (self.sensor.rows // 2 + MARGIN)
        image = np.full((height, width, 3), self.light.haze, np.float64)
        image[: height // 2] = sky(width, height // 2, self.seed + 2, self.light.sky)
        for _ in range(70):
            x, w, h = rng.integers(0, width), rng.integers(24, 90), rng.integers(6, 46)
            tone = np.array(self.light.haze) * rng.uniform(0.80, 0.95)
            image[height // 2 - h : height // 2, x : x + w] = tone
        tops = height // 2 - (12 + 5 * value_noise((1, width), 20, rng)[0] + 3 * value_noise((1, width), 5, rng)[0])
        for column, top in enumerate(tops.astype(int)):
            image[top : height // 2, column] = np.array(self.light.sky.trees)
        return clipped(image)

    @cached_property
    def houses(self) -> list[House]:
        """The houses of both sides, far ones first."""
        rng = np.random.default_rng(self.seed + 3)
        found = []
        for x in (self.left_kerb - self.pavement, self.right_kerb + self.pavement):
            z = -12.0
            while z < 205:
                length, height = float(rng.uniform(8, 13)), float(rng.uniform(7.5, 14.5))
                texture = house_front(length, height, int(rng.integers(1 << 30)))
                wall = texture[texture.shape[0] // 8 : -96, :6].reshape(-1, 3).mean(axis=0) * 0.74
                tint: Colour = (float(wall[0]), float(wall[1]), float(wall[2]))
                found.append(House(x, z, length, height, pyramid(texture), tint))
                z += length + (float(rng.uniform(2.5, 5)) if rng.random() < 0.3 else 0.0)
        return sorted(found, key=lambda house: -house.z)

    @cached_property
    def furniture(self) -> list[Furniture]:
        """Trees and lamp posts of both sides."""
        rng = np.random.default_rng(self.seed + 4)
        crowns = [pyramid(tree_crown(self.seed * 10 + number)) for number in range(4)]
        found = []
        for side, kerb in ((-1, self.left_kerb), (1, self.right_kerb)):
            x = kerb + side * 0.9
            for step in range(15):
                z = 2.0 + 14 * step + float(rng.uniform(-2, 2))
                if step % 3 == 1:
                    found.append(Furniture(x, z, 6.5))
                elif rng.random() < 0.75:
                    width, crown = float(rng.uniform(2.6, 3.6)), crowns[int(rng.integers(4))]
                    found.append(Furniture(x + side * 0.4, z, width, crown))
        return found

    def draw_distance(self, canvas: Canvas) -> None:
        """Sky and skyline, turned with the camera."""
        camera, focal, columns = canvas.camera, self.sensor.focal, self.sensor.columns
        middle = camera.to_pixels(np.array([[0.0, 0.0, 1.0]]))[0]
        turn = cv2.getRotationMatrix2D((0, 0), -np.degrees(camera.roll), 1.0)
        source = np.array(
            [
                MARGIN + columns / 2 + focal * np.tan(camera.yaw),
                self.distance.shape[0] / 2 - focal * np.tan(camera.pitch),
            ]
        )
        turn[:, 2] = middle - turn[:, :2] @ source
        canvas.image[:] = cv2.warpAffine(self.distance, turn, canvas.shape[::-1], borderMode=cv2.BORDER_REPLICATE)

    def draw_ground(self, canvas: Canvas, shadows: Sequence[Floats]) -> None:
        """The road surface, with the given ground polygons, each (n, 3), in shadow."""
        self.lay_ground(canvas, self.ground_seen_by(canvas), shadows)

    def ground_seen_by(self, canvas: Canvas) -> Ground:
        """The road surface from a camera, without shadows: the costly part of drawing it."""
        camera = canvas.camera
        columns, rows = np.meshgrid(np.arange(canvas.shape[1]) + 0.5, np.arange(canvas.shape[0]) + 0.5)
        rays = (
            np.stack([columns, rows, np.ones_like(rows)], axis=-1)
            @ np.linalg.inv(camera.intrinsics).T
            @ camera.rotation
        )
        top = int(np.argmax((rays[:, :, 1] < -0.006).all(axis=1)))
        reach = camera.height / -rays[top:, :, 1]
        x, z = camera.x + reach * rays[top:, :, 0], camera.z + reach * rays[top:, :, 2]
        away = np.median(z, axis=1) - camera.z
        level = np.clip(
            np.log2(np.maximum(away**2 / (self.sensor.focal * camera.height) * self.texels, 1.0)),
            0,
            len(self.ground) - 1.001,
        )
        total = np.zeros((*x.shape, 3), np.float32)
        for number, texture in enumerate(self.ground):
            weight = np.clip(1 - np.abs(level - number), 0, 1).astype(np.float32)
            used = np.flatnonzero(weight)
            if not len(used):
                continue
            part = slice(used[0], used[-1] + 1)
            u = (x[part] + HALF_WIDTH) / (2 * HALF_WIDTH) * texture.shape[1] - 0.5
            v = (Z_TO - z[part]) / (Z_TO - Z_FROM) * texture.shape[0] - 0.5
            drawn = cv2.remap(
                texture, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            total[part] += weight[part, None, None] * drawn
        own = np.exp(-np.maximum(away, 0) / canvas.light.haze_length).astype(np.float32)[:, None, None]
        return Ground(top, canvas.light.on_ground(total, x, z, camera.position), own)

    def lay_ground(self, canvas: Canvas, ground: Ground, shadows: Sequence[Floats]) -> None:
        """Paint the road surface with the given ground polygons, each (n, 3), in shadow."""
        light, own = canvas.light, ground.own
        shaded = ground.colours * (1 - light.shadow * _shadow_mask(canvas.camera, shadows)[ground.top :, :, None])
        canvas.image[ground.top :] = clipped(own * shaded + (1 - own) * np.array(light.haze, np.float32))

    def draw_houses(self, canvas: Canvas) -> None:
        """House fronts and the end walls turned to the camera."""
        for house in self.houses:
            x, z, length, height = house.x, house.z, house.length, house.height
            if z + length < canvas.camera.z + 0.5:
                continue
            outward = 9.0 if x > 0 else -9.0
            if z > canvas.camera.z + 1:
                canvas.polygon(
                    np.array([[x, 0, z], [x + outward, 0, z], [x + outward, height, z], [x, height, z]]), house.wall
                )
            near, far = (z + length, z) if x < 0 else (z, z + length)
            corner = np.array([x, height, far if x > 0 else near])
            along = np.array([0, 0, near - far]) if x > 0 else np.array([0, 0, far - near])
            canvas.picture(house.front, corner, along, np.array([0, -height, 0.0]))
            if isinstance(canvas.light, Dark) and canvas.light.windows:
                for left, top, right, bottom, colour in self._lit_windows(house, canvas.light.windows):
                    upper, lower = corner + np.array([0, -height * top, 0]), corner + np.array([0, -height * bottom, 0])
                    ends = [upper + along * left, upper + along * right, lower + along * right, lower + along * left]
                    canvas.glow(np.array(ends), colour)

    def _lit_windows(self, house: House, share: float) -> list[tuple[float, float, float, float, Colour]]:
        """Left, top, right and bottom of a house's lit windows, in shares of its front, and their colours."""
        known = self._windows.get((house.x, house.z))
        if known is None:
            rng = np.random.default_rng([self.seed, abs(int(house.z * 1000)), house.x > 0])
            h, w = house.front[0].shape[:2]
            known = []
            for boxes, of_all, tone in (
                (window_boxes(house.length, house.height), share, np.array([236.0, 190.0, 118.0])),
                (shop_boxes(house.length, house.height), 0.2 + share, np.array([132.0, 122.0, 98.0])),
            ):
                for left, top, width, height in boxes:
                    lit, strength = rng.random() < of_all, rng.uniform(0.45, 0.95)
                    if lit:
                        red, green, blue = tone * strength
                        edges = (left / w, top / h, (left + width) / w, (top + height) / h)
                        known.append((*edges, (float(red), float(green), float(blue))))
            self._windows[house.x, house.z] = known
        return known

    @cached_property
    def _windows(self) -> dict[tuple[float, float], list[tuple[float, float, float, float, Colour]]]:
        return {}

    def keeping(self, wanted: Callable[[Furniture], bool]) -> Street:
        """The same street with only the wanted of its trees and lamp posts."""
        self.__dict__["furniture"] = [item for item in self.furniture if wanted(item)]
        return self

    @cached_property
    def lamps(self) -> tuple[Lamp, ...]:
        """Where the street lamps shine from."""
        inward = {True: -1.5, False: 1.5}
        posts = (item for item in self.furniture if item.crown is None)
        return tuple(Lamp(post.x + inward[post.x > 0], post.z, post.size) for post in posts)

    def draw_furniture(self, canvas: Canvas, item: Furniture) -> None:
        """One tree or lamp post."""
        x, size = item.x, item.size
        foot = np.array([x, 0.0, item.z])
        up = np.array([0.0, 1.0, 0.0])
        if item.crown is None:
            inward = np.array([-1.6 if x > 0 else 1.6, 0.15, 0.0])
            canvas.limb(foot, foot + size * up, (0.09, 0.06), (92.0, 98.0, 100.0))
            canvas.limb(foot + size * up, foot + size * up + inward, (0.05, 0.05), (92.0, 98.0, 100.0))
            head = (foot + size * up + inward * 0.8, foot + size * up + inward * 1.1)
            canvas.limb(*head, (0.11, 0.09), (206.0, 206.0, 196.0))
            if isinstance(canvas.light, Dark) and canvas.light.glow:
                canvas.glow(disc((head[0] + head[1]) / 2 - 0.08 * up, 0.16), (255.0, 226.0, 170.0))
            return
        canvas.limb(foot, foot + 2.6 * up, (0.16, 0.11), (88.0, 74.0, 60.0))
        corner = foot + (2.0 + size) * up - np.array([size / 2, 0, 0])
        canvas.picture(item.crown, corner, np.array([size, 0, 0.0]), -size * up)


def disc(centre: Floats, radius: float) -> Floats:
    """A round plate that faces along the road, as a polygon of the world, (12, 3)."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    result: Floats = centre + radius * np.stack([np.cos(angles), np.sin(angles), np.zeros(12)], axis=1)
    return result


def _shadow_mask(camera: Camera, shadows: Sequence[Floats]) -> Floats32:
    canvas = Canvas(camera)
    for outline in shadows:
        canvas.polygon(outline, (255.0, 255.0, 255.0))
    mask = (canvas.image[:, :, 0] > 0).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 4.0 * camera.sensor.scale), dtype=np.float32)


def _paint_ground(street: Street) -> Pixels:
    rng = np.random.default_rng(street.seed)
    h, w = int((Z_TO - Z_FROM) * street.texels), int(2 * HALF_WIDTH * street.texels)
    x = (np.arange(w) + 0.5) / street.texels - HALF_WIDTH
    z = Z_TO - (np.arange(h) + 0.5) / street.texels
    grain = rng.standard_normal((h // 2, w // 2)).astype(np.float32)
    tone = np.asarray(cv2.resize(grain, (w, h), interpolation=cv2.INTER_LINEAR), np.float32) * 9
    for cell, weight in ((9, 3.0), (60, 3.5), (400, 4.0)):
        tone += (
            (weight * value_noise((h // 4, w // 4), cell / 4, rng)).astype(np.float32).repeat(4, 0).repeat(4, 1)[:h, :w]
        )
    for rut in (-0.8, 0.8):
        tone -= (5 * np.exp(-(((x - rut) / 0.35) ** 2))).astype(np.float32)
    image: Floats32 = (96 + tone)[:, :, None] * np.array([0.99, 1.0, 1.02], np.float32)
    for _ in range(46):
        _patch(image, rng)
    wear = np.clip(0.82 + 0.16 * value_noise((h // 4, w // 4), 5, rng), 0, 1).repeat(4, 0).repeat(4, 1)[:h, :w, None]
    for line in street.lines:
        painted = np.ones(h, bool) if line.gap == 0 else (z % (line.dash + line.gap)) < line.dash
        column = np.flatnonzero(np.abs(x - line.x) < line.width / 2)
        _blend(image, np.flatnonzero(painted), column, wear)
    if street.zebra_z is not None:
        row = np.flatnonzero(np.abs(z - street.zebra_z) < 1.7)
        inside = (x > street.left_kerb + 0.4) & (x < street.right_kerb - 0.4) & (((x + 50) % 1.0) < 0.5)
        _blend(image, row, np.flatnonzero(inside), wear)
    _pave(image, street, x, z, rng)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _blend(image: Floats32, rows: Indices, columns: Indices, wear: Floats) -> None:
    window = np.ix_(rows, columns)
    share = wear[window]
    image[window] = image[window] * (1 - share) + np.array([226.0, 226.0, 220.0]) * share


def _patch(image: Floats32, rng: np.random.Generator) -> None:
    """A mended rectangle, a manhole cover or a crack."""
    h, w = image.shape[:2]
    y, x = int(rng.integers(0, h - 200)), int(rng.integers(w // 5, w * 4 // 5))
    kind = rng.random()
    if kind < 0.4:
        image[y : y + int(rng.integers(50, 260)), x : x + int(rng.integers(30, 90))] *= float(rng.uniform(0.8, 0.93))
    elif kind < 0.6:
        cv2.circle(image, (x, y), 13, (64.0, 62.0, 60.0), -1)
        cv2.circle(image, (x, y), 13, (120.0, 118.0, 114.0), 2)
    else:
        points = np.cumsum(rng.normal([0, 9], [6, 4], (26, 2)), axis=0) + np.array([x, y])
        cv2.polylines(image, [np.rint(points).astype(np.int32).reshape(-1, 1, 2)], False, (58.0, 58.0, 60.0), 2)


def _pave(image: Floats32, street: Street, x: Floats, z: Floats, rng: np.random.Generator) -> None:
    h = image.shape[0]
    for outside, kerb in ((x < street.left_kerb, street.left_kerb), (x > street.right_kerb, street.right_kerb)):
        columns = np.flatnonzero(outside)
        tiles = 158 + 7 * rng.standard_normal((h // 24 + 1, len(columns) // 24 + 1)).astype(np.float32)
        flags = tiles.repeat(24, 0).repeat(24, 1)[:h, : len(columns)]
        flags[::24] *= 0.80
        flags[:, ::24] *= 0.80
        flags += 4 * rng.standard_normal(flags.shape).astype(np.float32)
        image[:, columns] = flags[:, :, None] * np.array([1.0, 0.985, 0.95], np.float32)
        stone = np.flatnonzero(np.abs(x - kerb) < 0.13)
        joints = np.where((z % 1.0) < 0.04, 0.7, 1.0)[:, None, None]
        image[:, stone] = (188 * joints + 4 * rng.standard_normal((h, 1, 1))).astype(np.float32)
        road = 1 if kerb < 0 else -1
        gutter = np.flatnonzero((road * (x - kerb) > 0.13) & (road * (x - kerb) < 0.5))
        image[:, gutter] *= 0.84
