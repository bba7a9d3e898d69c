"""Frames made worse on purpose: dark, rain, blur, noise, jpeg, frame-drop and flip, each at a stated severity.

What is drawn is drawn from SHAKE-128 (FIPS 202) of the frame's own pixels and number, so that a clip is changed alike
in every run and at every moment, on every machine and under every Python. Sums are of whole numbers; blur, JPEG and the
lines of rain are Pillow's, of one version of which the bytes are the same everywhere (the manifest states it).
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ghostbench.frames import Frames

Pixels = npt.NDArray[np.uint8]
"""One frame, [height, width, 3]."""

SEVERITIES: Final = (1, 2, 3, 4, 5)
USUAL: Final = 3
_STOPS = (1, 2, 3, 4, 5)
_SIGMAS = (0.08, 0.12, 0.18, 0.26, 0.38)
_RADII = (1, 2, 3, 4, 6)
_QUALITIES = (25, 18, 15, 10, 7)
_DROPPED = (0.1, 0.2, 0.3, 0.5, 0.7)
_STREAKS = (2, 4, 7, 11, 16)
_LENGTHS = (3, 4, 5, 6, 8)
_OPACITIES = (90, 110, 130, 150, 170)
_BLUR_SIDE, _RAIN_LIGHT, _MOST_SLANT = 224, 200, 20


@dataclass(frozen=True, slots=True)
class Corruption:
    """A way of making frames worse. change : from frames and severity. words : what it does at a severity.

    severe : whether it has severities at all.
    """

    change: Callable[[Frames, int], Frames]
    words: Callable[[int], str]
    severe: bool = True


def dark(frame: Pixels, severity: int, _: bytes) -> Pixels:
    """A shorter exposure: linear light divided by a power of two, in sRGB's transfer function (IEC 61966-2-1).

    >>> dark(np.full((1, 1, 3), 255, dtype=np.uint8), 1, b"")[0, 0].tolist()
    [188, 188, 188]
    """
    exposed: Pixels = _exposed(_STOPS[severity - 1])[frame]
    return exposed


def noise(frame: Pixels, severity: int, seed: bytes) -> Pixels:
    """Gaussian noise, independent in each value, with the standard deviations of ImageNet-C's `gaussian_noise`
    (D. Hendrycks, T. Dietterich (2019), ICLR)."""
    drawn = np.frombuffer(_stream(seed, 2 * frame.size), dtype="<u2").reshape(frame.shape)
    noisy = frame.astype(np.int32) + _normal(_SIGMAS[severity - 1])[drawn]
    clipped: Pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    return clipped


def blur(frame: Pixels, severity: int, _: bytes) -> Pixels:
    """A Gaussian blur with the standard deviations of ImageNet-C's `gaussian_blur` at 224 pixels, grown with the
    frame's shorter side; Pillow's, which is three box blurs."""
    from PIL import Image, ImageFilter

    radius = _RADII[severity - 1] * min(frame.shape[:2]) / _BLUR_SIDE
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(radius)))


def jpeg(frame: Pixels, severity: int, _: bytes) -> Pixels:
    """Written as a JPEG and read again, at the qualities of ImageNet-C's `jpeg_compression`."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=_QUALITIES[severity - 1], subsampling="4:2:0")
    buffer.seek(0)
    return np.asarray(Image.open(buffer).convert("RGB"))


def rain(frame: Pixels, severity: int, seed: bytes, slant: float = 0.0) -> Pixels:
    """Streaks of rain, each a mix of what is behind it and of the light that its drop gathers, as drops in motion are
    (K. Garg, S. K. Nayar (2007), Vision and Rain, Int. J. Comput. Vis. 75).

    slant : degrees from the vertical, the same for all streaks of a clip.
    """
    from PIL import Image, ImageDraw

    height, width = frame.shape[:2]
    count = max(1, _STREAKS[severity - 1] * height * width // 10_000)
    length = max(2.0, _LENGTHS[severity - 1] * height / 100)
    drawn = np.frombuffer(_stream(seed, 6 * count), dtype="<u2").reshape(count, 3).tolist()
    layer = Image.new("L", (width, height))
    draw = ImageDraw.Draw(layer)
    lean = math.tan(math.radians(slant))
    for x, y, size in drawn:
        left, top = x * width // 65536, y * height // 65536
        down = round(length * (0.5 + size / 65536))
        shade = _OPACITIES[severity - 1] * (32768 + size // 2) // 65536
        draw.line([left, top, left + round(down * lean), top + down], fill=shade, width=max(1, height // 400))
    opacity = np.asarray(layer, dtype=np.int32)[:, :, None]
    mixed = ((255 - opacity) * frame.astype(np.int32) + opacity * _RAIN_LIGHT + 127) // 255
    return mixed.astype(np.uint8)


def kept_of(count: int, severity: int, seeds: list[bytes]) -> tuple[int, ...]:
    """Which of so many frames are kept: the last one always, and of the others those that the draw spares. What a
    severity drops, every higher one drops too.

    >>> kept_of(10, 3, [bytes([n]) for n in range(10)])
    (1, 3, 4, 5, 7, 8, 9)
    """
    dropped = min(count - 1, max(1, round(count * _DROPPED[severity - 1])))
    order = sorted(range(count - 1), key=lambda place: _stream(seeds[place], 8))
    gone = set(order[:dropped])
    return tuple(place for place in range(count) if place not in gone)


def changed(name: str) -> Callable[[Frames], Frames]:
    """What a corruption makes of frames. name : as in `--probe`: `noise`, or `noise:5` for another severity than 3.

    Raises `KeyError` for no such corruption, `ValueError` for a severity that it does not have.
    """
    word, severity = parts_of(name)
    return functools.partial(_changed, word, severity)


def parts_of(name: str) -> tuple[str, int]:
    """The corruption and the severity that a probe's name means. Raises as `changed` does.

    >>> parts_of("noise"), parts_of("dark:5")
    (('noise', 3), ('dark', 5))
    """
    word, colon, severity = name.partition(":")
    corruption = CORRUPTIONS[word]
    if not colon:
        return word, USUAL
    if not corruption.severe:
        raise ValueError("has no severities")
    if severity not in map(str, SEVERITIES):
        raise ValueError(f"has the severities {SEVERITIES[0]} to {SEVERITIES[-1]}")
    return word, int(severity)


def described(name: str) -> str:
    """What a probe of that name does to frames, in a few words; "" for one that is no corruption.

    >>> described("jpeg:5"), described("blank")
    ('JPEG of quality 7', '')
    """
    if name.partition(":")[0] not in CORRUPTIONS:
        return ""
    word, severity = parts_of(name)
    return CORRUPTIONS[word].words(severity)


def _changed(word: str, severity: int, frames: Frames) -> Frames:
    return CORRUPTIONS[word].change(frames, severity)


def _each(change: Callable[[Pixels, int, bytes], Pixels], name: str) -> Callable[[Frames, int], Frames]:
    """A change of each frame by itself."""

    def change_all(frames: Frames, severity: int) -> Frames:
        made = np.empty_like(frames.pixels)
        for place, seed in enumerate(_seeds(frames, name)):
            made[place] = change(frames.pixels[place], severity, seed)
        return frames.with_pixels(made)

    return change_all


def _rained(frames: Frames, severity: int) -> Frames:
    seeds = _seeds(frames, "rain")
    slant = _MOST_SLANT * (2 * int.from_bytes(_stream(b"slant" + seeds[0], 2), "little") / 65535 - 1) if seeds else 0.0
    made = np.empty_like(frames.pixels)
    for place, seed in enumerate(seeds):
        made[place] = rain(frames.pixels[place], severity, seed, slant)
    return frames.with_pixels(made)


def _dropped(frames: Frames, severity: int) -> Frames:
    return frames.take(kept_of(len(frames), severity, _seeds(frames, "frame-drop")))


def _flipped(frames: Frames, _: int) -> Frames:
    return frames.with_pixels(np.ascontiguousarray(frames.pixels[:, :, ::-1]))


CORRUPTIONS: Final[Mapping[str, Corruption]] = {
    "dark": Corruption(_each(dark, "dark"), lambda s: f"{_STOPS[s - 1]} stops darker"),
    "rain": Corruption(_rained, lambda s: f"{_STREAKS[s - 1]} streaks of rain on 10,000 pixels"),
    "blur": Corruption(_each(blur, "blur"), lambda s: f"Gaussian blur, σ {_RADII[s - 1]} of 224 pixels"),
    "noise": Corruption(_each(noise, "noise"), lambda s: f"Gaussian noise, σ {_SIGMAS[s - 1]:.0%} of full scale"),
    "jpeg": Corruption(_each(jpeg, "jpeg"), lambda s: f"JPEG of quality {_QUALITIES[s - 1]}"),
    "frame-drop": Corruption(_dropped, lambda s: f"{_DROPPED[s - 1]:.0%} of the frames left out"),
    "flip": Corruption(_flipped, lambda _: "left and right exchanged", severe=False),
}
"""By the name used in `--probe`."""


def _seeds(frames: Frames, name: str) -> list[bytes]:
    """One for each frame, of its pixels and its number in the clip."""
    return [
        hashlib.sha256(f"{name} {index} ".encode() + np.ascontiguousarray(pixels).tobytes()).digest()
        for index, pixels in zip(frames.indices, frames.pixels, strict=True)
    ]


def _stream(seed: bytes, length: int) -> bytes:
    return hashlib.shake_128(seed).digest(length)


@functools.cache
def _exposed(stops: int) -> Pixels:
    """sRGB values by sRGB values, so many stops darker."""
    coded = np.arange(256) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4) / 2**stops
    again = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    coded_again: Pixels = np.rint(255 * again).astype(np.uint8)
    return coded_again


@functools.cache
def _normal(sigma: float) -> npt.NDArray[np.int32]:
    """Normal deviates of full scale 255, rounded, by 16 random bits."""
    inverse = statistics.NormalDist(0, 255 * sigma).inv_cdf
    return np.array([round(inverse((place + 0.5) / 65536)) for place in range(65536)], dtype=np.int32)
