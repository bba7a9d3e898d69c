"""Hedges and walls along the road, in pieces of a metre, so that they are painted in the right order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ghostbench.rendering.drawing.light import Colour, Floats
from ghostbench.rendering.drawing.surface import Surface

HEDGE_HEIGHT, WALL_HEIGHT = 2.1, 2.3
HEDGE_THICKNESS, WALL_THICKNESS = 0.9, 0.35

_LEAVES = 44
_BRICK: Colour = (148.0, 104.0, 84.0)
_COPING: Colour = (176.0, 170.0, 160.0)


@dataclass(frozen=True)
class Piece:
    """A piece of a hedge or wall: `inner` and `outer` are the x of its sides, towards the ego lane and away from it."""

    inner: float
    outer: float
    near: float
    far: float


def draw_hedge(surface: Surface, piece: Piece, rng: np.random.Generator) -> None:
    """One piece of a clipped hedge, its leaves drawn anew from `rng`."""
    _box(surface, piece, HEDGE_HEIGHT - 0.06, (44.0, 66.0, 36.0))
    side = 1.0 if piece.inner > 0 else -1.0
    for _ in range(_LEAVES):
        up, along = float(rng.uniform(0.06, HEDGE_HEIGHT)), float(rng.uniform(piece.near, piece.far))
        depth = float(rng.uniform(0, abs(piece.outer - piece.inner))) if up > HEDGE_HEIGHT - 0.25 else 0.03
        tone = (0.62 + 0.42 * up / HEDGE_HEIGHT) * float(rng.uniform(0.75, 1.2))
        size = float(rng.uniform(0.05, 0.11))
        centre = np.array([piece.inner + side * (depth + size * 0.6), min(up, HEDGE_HEIGHT - size), along])
        surface.limb(
            centre, centre + np.array([0.0, 0.02, 0.05]), (size, size * 0.8), (74 * tone, 104 * tone, 52 * tone)
        )


def draw_wall(surface: Surface, piece: Piece, rng: np.random.Generator) -> None:
    """One piece of a brick wall with a coping."""
    _box(surface, piece, WALL_HEIGHT - 0.1, _BRICK)
    side = 1.0 if piece.inner > 0 else -1.0
    x = piece.inner - side * 0.005
    courses = np.linspace(0.02, WALL_HEIGHT - 0.12, 9)
    for course, (low, high) in enumerate(pairwise(courses)):
        edges = np.linspace(piece.near, piece.far, 3) if course % 2 else np.linspace(piece.near, piece.far, 4)
        for near, far in pairwise(edges):
            tone = float(rng.uniform(0.82, 1.14))
            corners = [[x, low, near], [x, low, far - 0.02], [x, high - 0.02, far - 0.02], [x, high - 0.02, near]]
            surface.face(np.array(corners), np.array([-side, 0.0, 0.0]), _times(_BRICK, tone))
    top = Piece(piece.inner - side * 0.05, piece.outer + side * 0.05, piece.near, piece.far)
    _box(surface, top, WALL_HEIGHT, _COPING, WALL_HEIGHT - 0.12)


def _box(surface: Surface, piece: Piece, top: float, colour: Colour, bottom: float = 0.0) -> None:
    """The sides of a piece that a driver can see: the end, the top, the inner side."""
    a, b, near, far = piece.inner, piece.outer, piece.near, piece.far
    side = 1.0 if a > 0 else -1.0
    end: Floats = np.array([[a, bottom, near], [b, bottom, near], [b, top, near], [a, top, near]])
    lid: Floats = np.array([[a, top, near], [b, top, near], [b, top, far], [a, top, far]])
    inner: Floats = np.array([[a, bottom, near], [a, bottom, far], [a, top, far], [a, top, near]])
    surface.face(end, np.array([0.0, 0.0, -1.0]), _times(colour, 0.8))
    surface.face(lid, np.array([0.0, 1.0, 0.0]), _times(colour, 1.1))
    surface.face(inner, np.array([-side, 0.0, 0.0]), colour)


def _times(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
