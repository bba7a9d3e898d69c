"""What things are drawn on: a picture in the making, or a recording of it."""

from __future__ import annotations

from typing import Protocol

from ghostbench.rendering.drawing.light import Colour, Floats, Light


class Surface(Protocol):
    """Takes the parts of a thing, from far to near, in world coordinates (metres)."""

    light: Light

    def polygon(self, points: Floats, colour: Colour) -> None:
        """A flat polygon, (n, 3)."""

    def glow(self, points: Floats, colour: Colour) -> None:
        """A flat polygon that shines by itself, (n, 3)."""

    def face(self, points: Floats, normal: Floats, colour: Colour) -> None:
        """A polygon of a solid, (n, 3), seen only from the side that its normal, (3,), points to."""

    def limb(self, start: Floats, end: Floats, radii: tuple[float, float], colour: Colour) -> None:
        """A tapered round stick between two points, (3,), with its radius at either end."""
