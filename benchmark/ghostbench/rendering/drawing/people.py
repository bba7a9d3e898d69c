"""Walking and running people, and a scooter with its rider, seen across the road."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ghostbench.rendering.drawing.light import Colour, Floats
from ghostbench.rendering.drawing.surface import Surface

SKIN: Colour = (214.0, 164.0, 134.0)


@dataclass(frozen=True)
class Clothes:
    """Colours of what a person wears."""

    top: Colour
    trousers: Colour
    hair: Colour = (44.0, 34.0, 28.0)
    bag: Colour | None = None


@dataclass(frozen=True)
class Stride:
    """One instant of walking or running along x: `toward` is -1 (to the left) or 1, `phase` counts steps in radians."""

    x: float
    z: float
    toward: float
    phase: float
    swing: float = 0.5
    """Largest angle of a leg from the vertical, radians: 0.45 walks, 0.9 runs, 0 stands."""
    lean: float = 0.05


def draw_person(canvas: Surface, height: float, clothes: Clothes, stride: Stride) -> None:
    """A person of `height` metres with knees and elbows, in profile."""
    leg, trunk = 0.48 * height, 0.30 * height
    bob = 0.02 * height * abs(float(np.sin(stride.phase)))
    hip = np.array([stride.x, leg - 0.5 * bob, stride.z])
    neck = hip + np.array([stride.toward * np.sin(stride.lean) * trunk, np.cos(stride.lean) * trunk, 0.0])
    thick = 0.042 * height
    far, near = 0.06 * height, -0.06 * height
    angle = stride.swing * float(np.sin(stride.phase))
    _arm(canvas, (neck, stride, height), (-angle, far), _shade(clothes.top, 0.75))
    _leg(canvas, (hip, stride, leg), (angle, far), _shade(clothes.trousers, 0.75))
    _leg(canvas, (hip, stride, leg), (-angle, near), clothes.trousers)
    if clothes.bag is not None:
        bag = neck + np.array([-stride.toward * 0.095 * height, -0.07 * height, 0.0])
        canvas.limb(bag, bag + (hip - neck) * 0.55, (0.062 * height, 0.068 * height), clothes.bag)
    shirt = canvas.light.lit(clothes.top, np.array([-0.2, 0.3, -0.9]))
    canvas.limb(hip, neck - np.array([0.0, 0.02 * height, 0.0]), (0.072 * height, 0.088 * height), shirt)
    _arm(canvas, (neck, stride, height), (angle, near), _shade(clothes.top, 0.92))
    head = neck + np.array([stride.toward * 0.03 * height, 0.125 * height, 0.0])
    canvas.limb(neck, head, (thick * 0.8, thick * 0.8), SKIN)
    size = 0.066 * height if height > 1.4 else 0.082 * height
    canvas.limb(head, head + np.array([0.0, 0.012, 0.0]), (size, size), SKIN)
    crown = head + np.array([-stride.toward * 0.018 * height, 0.028 * height, 0.0])
    canvas.limb(crown, crown + np.array([-stride.toward * 0.01, 0.0, 0.0]), (size * 0.92, size * 0.9), clothes.hair)


def _shade(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _leg(canvas: Surface, body: tuple[Floats, Stride, float], swing: tuple[float, float], colour: Colour) -> None:
    hip, stride, leg = body
    angle, side = swing
    bend = max(0.0, -angle) * 1.1 + 0.15 * stride.swing
    start = hip + np.array([0.0, 0.0, side])
    knee = start + 0.5 * leg * np.array([stride.toward * np.sin(angle), -np.cos(angle), 0.0])
    lower = angle - bend
    foot = knee + 0.46 * leg * np.array([stride.toward * np.sin(lower), -np.cos(lower), 0.0])
    foot[1] = max(foot[1], 0.04)
    canvas.limb(start, knee, (0.13 * leg, 0.10 * leg), colour)
    canvas.limb(knee, foot, (0.10 * leg, 0.065 * leg), colour)
    canvas.limb(
        foot, foot + np.array([stride.toward * 0.16 * leg, -0.01, 0.0]), (0.062 * leg, 0.05 * leg), (44.0, 42.0, 46.0)
    )


def _arm(canvas: Surface, body: tuple[Floats, Stride, float], swing: tuple[float, float], colour: Colour) -> None:
    neck, stride, height = body
    angle, side = swing
    shoulder = neck + np.array([0.0, -0.045 * height, side * 1.2])
    elbow = shoulder + 0.155 * height * np.array([stride.toward * np.sin(angle), -np.cos(angle), 0.0])
    fore = angle + 0.35 + 0.9 * stride.swing
    hand = elbow + 0.14 * height * np.array([stride.toward * np.sin(fore), -np.cos(fore), 0.0])
    canvas.limb(shoulder, elbow, (0.036 * height, 0.031 * height), colour)
    canvas.limb(elbow, hand, (0.030 * height, 0.024 * height), colour)
    canvas.limb(hand, hand, (0.026 * height, 0.026 * height), SKIN)


@dataclass(frozen=True)
class ScooterLook:
    """Colours of a motor scooter and of its rider."""

    body: Colour
    jacket: Colour
    helmet: Colour


def draw_scooter(canvas: Surface, look: ScooterLook, place: tuple[float, float], toward: float, rolled: float) -> None:
    """A motor scooter with its rider, in profile; `place` is the (x, z) of the middle between the wheels."""
    x, z = place

    def at(along: float, up: float, side: float = 0.0) -> Floats:
        return np.array([x + toward * along, up, z + side])

    dark: Colour = (34.0, 34.0, 38.0)
    for along in (-0.62, 0.64):
        for radius, colour in ((0.24, dark), (0.14, (150.0, 150.0, 154.0)), (0.05, dark)):
            canvas.limb(at(along, 0.24), at(along, 0.24), (radius, radius), colour)
        spoke = rolled / 0.24
        tip = 0.12 * np.array([toward * np.cos(spoke), -np.sin(spoke), 0.0])
        canvas.limb(at(along, 0.24) - tip, at(along, 0.24) + tip, (0.02, 0.02), dark)
    canvas.limb(at(-0.30, 0.30), at(0.34, 0.28), (0.09, 0.07), _shade(look.body, 0.7))
    canvas.limb(at(-0.72, 0.62), at(-0.18, 0.56), (0.12, 0.15), look.body)
    canvas.limb(at(-0.66, 0.76), at(-0.06, 0.74), (0.06, 0.06), dark)
    canvas.limb(at(0.36, 0.32), at(0.56, 0.92), (0.11, 0.08), look.body)
    canvas.limb(at(0.56, 0.92), at(0.46, 1.04), (0.06, 0.03), dark)
    canvas.limb(at(0.64, 0.30), at(0.58, 0.62), (0.04, 0.05), dark)
    canvas.limb(at(0.66, 0.84), at(0.68, 0.84), (0.06, 0.05), (246.0, 244.0, 220.0))
    canvas.limb(at(-0.86, 0.62), at(-0.86, 0.66), (0.04, 0.04), (190.0, 30.0, 30.0))
    trousers: Colour = (52.0, 58.0, 78.0)
    canvas.limb(at(-0.22, 0.82, -0.1), at(0.22, 0.70, -0.12), (0.11, 0.085), trousers)
    canvas.limb(at(0.22, 0.70, -0.12), at(0.18, 0.36, -0.12), (0.08, 0.06), trousers)
    canvas.limb(at(0.18, 0.34, -0.12), at(0.30, 0.32, -0.12), (0.055, 0.045), dark)
    jacket = canvas.light.lit(look.jacket, np.array([-0.2, 0.3, -0.9]))
    canvas.limb(at(-0.24, 0.84), at(-0.08, 1.30), (0.15, 0.17), jacket)
    canvas.limb(at(-0.04, 1.30, -0.2), at(0.18, 1.06, -0.24), (0.075, 0.06), _shade(look.jacket, 0.88))
    canvas.limb(at(0.18, 1.06, -0.24), at(0.44, 1.04, -0.24), (0.06, 0.045), _shade(look.jacket, 0.88))
    canvas.limb(at(0.0, 1.52), at(0.03, 1.50), (0.11, 0.10), SKIN)
    canvas.limb(at(-0.02, 1.57), at(0.0, 1.58), (0.145, 0.14), look.helmet)
    canvas.limb(at(0.09, 1.53), at(0.12, 1.53), (0.055, 0.05), dark)
