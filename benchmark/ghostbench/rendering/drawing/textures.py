"""Procedural textures: value noise, asphalt, pavement, house fronts, tree crowns, sky; each a function of its seed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ghostbench.rendering.drawing.light import Floats, Floats32, Pixels, Sky

HOUSE_SCALE = 24
"""Pixels a metre of a house front."""
_GROUND_FLOOR = 3.6


def value_noise(shape: tuple[int, int], cell: float, rng: np.random.Generator) -> Floats:
    """Smooth noise with mean about 0 and standard deviation 1, whose bumps are `cell` pixels wide; shape (h, w)."""
    small = rng.standard_normal((max(2, round(shape[0] / cell) + 1), max(2, round(shape[1] / cell) + 1)))
    large = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large / (large.std() + 1e-9), dtype=np.float64)


def pyramid(texture: Pixels, levels: int = 5) -> list[Pixels]:
    """The texture and its halvings, for drawing at a distance."""
    result = [texture]
    while len(result) < levels and min(result[-1].shape[:2]) >= 8:
        result.append(np.asarray(cv2.pyrDown(result[-1]), dtype=np.uint8))
    return result


def clipped(values: Floats | Floats32) -> Pixels:
    """Float colours rounded into 0-255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def sky(width: int, height: int, seed: int, look: Sky) -> Pixels:
    """A sky with soft clouds, brighter towards the horizon at the lower edge; shape (height, width, 3)."""
    rng = np.random.default_rng(seed)
    down = np.linspace(0, 1, height)[:, None, None]
    base = (1 - down) * np.array(look.above) + down * np.array(look.horizon)
    clouds = sum(
        value_noise((height, width), cell, rng) * weight for cell, weight in ((220, 1.0), (90, 0.5), (40, 0.22))
    )
    cover = np.clip((np.asarray(clouds) + 0.1) / 1.8, 0, 1)[:, :, None] * look.cover
    return clipped(base * (1 - cover) + np.array(look.clouds) * cover)


def house_front(width_m: float, height_m: float, seed: int) -> Pixels:
    """A street front of `width_m` by `height_m` metres, 24 pixels a metre: wall, windows, a shop or door below."""
    rng = np.random.default_rng(seed)
    scale = HOUSE_SCALE
    w, h = int(width_m * scale), int(height_m * scale)
    walls = np.array(
        [[168, 128, 104], [188, 178, 160], [150, 146, 140], [196, 170, 132], [140, 104, 90], [204, 200, 190]]
    )
    wall = walls[rng.integers(len(walls))].astype(np.float64)
    image = np.broadcast_to(wall, (h, w, 3)).copy()
    image += 5 * value_noise((h, w), 3, rng)[:, :, None] + 6 * value_noise((h, w), 60, rng)[:, :, None]
    image[::6] *= 0.93
    ground_floor = int(_GROUND_FLOOR * scale)
    for box in window_boxes(width_m, height_m):
        _window(image, box, rng)
    image[: int(0.5 * scale)] *= 0.72
    image[h - ground_floor - 6 : h - ground_floor] *= 1.12
    _shops(image, h - ground_floor, shop_boxes(width_m, height_m), rng)
    return clipped(image)


def window_boxes(width_m: float, height_m: float) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height, in pixels of `house_front`, of a front's windows above the ground floor."""
    scale = HOUSE_SCALE
    w, h = int(width_m * scale), int(height_m * scale)
    columns = max(2, int(width_m / 2.6))
    pitch = w / columns
    boxes = []
    for storey in range(max(1, int((height_m - 4.2) / 3.0))):
        top = h - int(_GROUND_FLOOR * scale) - int((storey + 1) * 3.0 * scale) + int(0.7 * scale)
        lefts = [int((column + 0.5) * pitch - 0.6 * scale) for column in range(columns)]
        boxes += [(left, top, int(1.2 * scale), int(1.6 * scale)) for left in lefts]
    return boxes


def shop_boxes(width_m: float, height_m: float) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height, in pixels of `house_front`, of the shop windows on the ground floor."""
    w, h = int(width_m * HOUSE_SCALE), int(height_m * HOUSE_SCALE)
    shops = max(1, max(2, int(width_m / 2.6)) // 3)
    top = h - int(_GROUND_FLOOR * HOUSE_SCALE) + 24
    edges = [(int(shop * w / shops) + 8, int((shop + 1) * w / shops) - 8) for shop in range(shops)]
    return [(left, top, right - left, h - 8 - top) for left, right in edges]


def _window(image: Floats, box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    left, top, w, h = box
    image[top - 3 : top + h + 4, left - 3 : left + w + 3] = 222.0 - rng.integers(40)
    glass = np.linspace(105, 58, h)[:, None, None] * np.array([0.86, 0.97, 1.08]) * rng.uniform(0.7, 1.25)
    image[top : top + h, left : left + w] = glass
    if rng.random() < 0.4:
        image[top : top + h // 2, left : left + w] = np.array([186.0, 178.0, 160.0]) * rng.uniform(0.7, 1.1)
    image[top : top + h, left + w // 2 - 1 : left + w // 2 + 1] = 205.0
    image[top + h + 2 : top + h + 6, left - 5 : left + w + 5] *= 0.7


def _shops(image: Floats, top: int, boxes: Sequence[tuple[int, int, int, int]], rng: np.random.Generator) -> None:
    h = image.shape[0]
    for left, _, width, _ in boxes:
        right = left + width
        sign = rng.choice([[150, 40, 44], [32, 78, 120], [40, 104, 66], [188, 148, 42], [70, 66, 72]])
        image[top + 6 : top + 22, left:right] = sign
        middle = (top + 14 + rng.integers(-1, 2), max(left + 10, (left + right) // 2 - 40))
        for letter in range(8):
            x = middle[1] + letter * 9
            if x + 5 < right:
                image[middle[0] - 4 : middle[0] + 4, x : x + int(rng.integers(3, 7))] = 232.0
        glass = np.linspace(74, 46, h - top - 32)[:, None, None] * np.array([0.95, 1.0, 1.02])
        image[top + 24 : h - 8, left:right] = glass
        for x in range(left, right, max(24, (right - left) // 4)):
            image[top + 24 : h - 8, x : x + 3] = 150.0
        for _ in range(6):
            x, y = int(rng.integers(left, max(left + 1, right - 14))), int(rng.integers(top + 30, h - 26))
            image[y : y + 14, x : x + 12] = rng.uniform(70, 190, 3)
    image[h - 8 :] = np.array([96.0, 92.0, 88.0])


def tree_crown(seed: int) -> Pixels:
    """A leafy crown, (160, 160, 4) with alpha, lit from the upper left."""
    rng = np.random.default_rng(seed)
    image = np.zeros((160, 160, 4), np.uint8)
    for _ in range(420):
        angle, reach = rng.uniform(0, 2 * np.pi), 62 * np.sqrt(rng.random())
        x, y = 80 + reach * np.cos(angle) * 1.08, 80 + reach * np.sin(angle)
        light = 0.62 + 0.38 * np.clip(0.5 - (0.5 * (x - 80) + (y - 80)) / 110, 0, 1) + rng.uniform(-0.16, 0.16)
        green = np.array([78.0, 112.0, 52.0]) * light + rng.uniform(-8, 8, 3)
        colour = (*(float(c) for c in np.clip(green, 0, 255)), 255.0)
        cv2.ellipse(
            image,
            (round(x), round(y)),
            (int(rng.integers(4, 11)), int(rng.integers(3, 8))),
            float(rng.uniform(0, 180)),
            0,
            360,
            colour,
            -1,
        )
    return image
