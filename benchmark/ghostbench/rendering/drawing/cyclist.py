"""A bicycle with its rider, in profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ghostbench.rendering.drawing.light import Colour, Floats
from ghostbench.rendering.drawing.people import SKIN
from ghostbench.rendering.drawing.surface import Surface

Place = Callable[[float, float, float], Floats]
"""Takes a place along, up and aside of the bicycle into the world."""

_WHEEL = 0.34
_CRANK = 0.17
_THIGH, _SHIN = 0.44, 0.45
_HIP, _BOTTOM = (-0.16, 0.98), (0.0, 0.30)


@dataclass(frozen=True)
class CyclistLook:
    """Colours of a bicycle's frame and of what its rider wears."""

    frame: Colour
    jacket: Colour
    trousers: Colour
    helmet: Colour


def draw_cyclist(surface: Surface, look: CyclistLook, place: tuple[float, float], toward: float, rolled: float) -> None:
    """A bicycle and its rider; `place` is the (x, z) between the wheels, `toward` -1 (to the left) or 1."""
    x, z = place

    def at(along: float, up: float, side: float = 0.0) -> Floats:
        return np.array([x + toward * along, up, z + side])

    def stick(start: Floats, end: Floats, thick: float, colour: Colour) -> None:
        surface.limb(start, end, (thick, thick), colour)

    dark: Colour = (30.0, 30.0, 33.0)
    turn = rolled / _WHEEL * 0.45
    _leg(at, surface, turn + np.pi, 0.09, _shaded(look.trousers, 0.75))
    for hub in (-0.52, 0.55):
        _wheel(at, surface, hub, rolled)
    for start, end in (
        ((-0.52, 0.34), (0.0, 0.30)),
        ((-0.52, 0.34), (-0.17, 0.80)),
        ((0.0, 0.30), (-0.17, 0.88)),
        ((0.0, 0.30), (0.38, 0.78)),
        ((-0.16, 0.80), (0.38, 0.80)),
        ((0.38, 0.92), (0.55, 0.34)),
    ):
        stick(at(*start), at(*end), 0.022, look.frame)
    stick(at(-0.30, 0.91), at(-0.06, 0.91), 0.045, dark)
    stick(at(0.38, 0.92), at(0.40, 1.04), 0.022, dark)
    stick(at(0.40, 1.04), at(0.50, 1.03), 0.025, dark)
    _leg(at, surface, turn, -0.09, look.trousers)
    jacket = surface.light.lit(look.jacket, np.array([-0.2, 0.3, -0.9]))
    surface.limb(at(-0.17, 1.00), at(0.12, 1.42), (0.13, 0.155), jacket)
    surface.limb(at(0.12, 1.40, -0.17), at(0.28, 1.18, -0.2), (0.06, 0.048), _shaded(look.jacket, 0.88))
    surface.limb(at(0.28, 1.18, -0.2), at(0.46, 1.06, -0.2), (0.045, 0.04), _shaded(look.jacket, 0.88))
    stick(at(0.46, 1.06, -0.2), at(0.47, 1.06, -0.2), 0.045, SKIN)
    stick(at(0.14, 1.46), at(0.20, 1.58), 0.06, SKIN)
    stick(at(0.21, 1.64), at(0.22, 1.65), 0.105, SKIN)
    surface.limb(at(0.17, 1.71), at(0.24, 1.72), (0.112, 0.10), look.helmet)


def _wheel(at: Place, surface: Surface, hub: float, rolled: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 15)
    rim = [at(hub + _WHEEL * float(np.cos(a)), _WHEEL + _WHEEL * float(np.sin(a)), 0.0) for a in angles]
    for start, end in pairwise(rim):
        surface.limb(start, end, (0.026, 0.026), (30.0, 30.0, 33.0))
    for spoke in range(3):
        angle = -rolled / _WHEEL + spoke * np.pi / 3
        reach = 0.31 * np.array([np.cos(angle), np.sin(angle)])
        ends = at(hub - reach[0], _WHEEL - reach[1], 0.0), at(hub + reach[0], _WHEEL + reach[1], 0.0)
        surface.limb(*ends, (0.006, 0.006), (150.0, 150.0, 154.0))


def _leg(at: Place, surface: Surface, turn: float, side: float, colour: Colour) -> None:
    """The leg whose pedal stands at an angle; its knee is where thigh and shin meet."""
    (hx, hy), (bx, by) = _HIP, _BOTTOM
    fx, fy = bx + _CRANK * float(np.cos(-turn)), by + _CRANK * float(np.sin(-turn)) + 0.06
    span = float(np.hypot(fx - hx, fy - hy))
    reach = min(span, _THIGH + _SHIN - 1e-3)
    bend = float(np.arccos((_THIGH**2 + reach**2 - _SHIN**2) / (2 * _THIGH * reach)))
    angle = float(np.arctan2(fy - hy, fx - hx)) + bend
    kx, ky = hx + _THIGH * float(np.cos(angle)), hy + _THIGH * float(np.sin(angle))
    surface.limb(at(hx, hy, side), at(kx, ky, side), (0.10, 0.075), colour)
    surface.limb(at(kx, ky, side), at(fx, fy, side), (0.07, 0.05), colour)
    surface.limb(at(fx - 0.05, fy - 0.04, side), at(fx + 0.14, fy - 0.05, side), (0.045, 0.035), (44.0, 42.0, 46.0))


def _shaded(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
