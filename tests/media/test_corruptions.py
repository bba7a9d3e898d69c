"""Frames made worse: the same on every machine, worse with every severity, and nothing but what is stated."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from statistics import NormalDist

import numpy as np
import PIL
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from ghostbench.frames import Frames
from ghostbench.media.corruptions import CORRUPTIONS, SEVERITIES, changed, dark, described, kept_of, noise, parts_of


def film(count: int = 4, height: int = 48, width: int = 64, seed: int = 0) -> Frames:
    """Frames with edges, shades and colours, drawn without a library's generator."""
    y, x = np.mgrid[0:height, 0:width]
    board = ((x // 8 + y // 8) % 2) * 255
    pixels = np.stack([np.stack([(x * 3 + 20 * n + seed) % 256, (y * 5) % 256, board], axis=2) for n in range(count)])
    return Frames(
        pixels.astype(np.uint8),
        indices=tuple(range(0, 3 * count, 3)),
        times_s=tuple(n / 10 for n in range(count)),
        duration_s=count / 10,
        decoder="drawn",
    )


NAMES = [f"{name}:{s}" for name, each in CORRUPTIONS.items() if each.severe for s in SEVERITIES] + ["flip"]


def all_digests() -> dict[str, str]:
    clip = film(10)
    return {name: changed(name)(clip).sha256 for name in NAMES}


def test_the_same_bytes_in_another_process_and_the_second_time() -> None:
    code = "import test_corruptions; print(test_corruptions.all_digests())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=__file__.rpartition("/")[0], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(all_digests())
    assert len(set(all_digests().values())) == len(NAMES)


GOLDEN = {
    "dark:1": "8266b73dbe813bfb",
    "dark:3": "468cc0132262c327",
    "noise:1": "63e6521ae084e5e7",
    "noise:3": "13d9424187cbaee8",
    "frame-drop:3": "0e8e60ebeba14dd4",
    "flip": "d9d21a60fa22adb2",
}
GOLDEN_OF_PILLOW = {
    "rain:3": "0d8f0bfc2016b405",
    "blur:3": "ae54b25100b3b50e",
    "jpeg:3": "120ff1acd2b3f79c",
}


@pytest.mark.parametrize("name", [*GOLDEN, *GOLDEN_OF_PILLOW])
def test_the_bytes_are_those_of_before(name: str) -> None:
    """A change of a formula, or of what is drawn, makes probes of two versions incomparable: it must be meant."""
    if name in GOLDEN_OF_PILLOW and PIL.__version__ != "13.0.0":
        pytest.skip("the bytes of another Pillow")
    assert changed(name)(film(10)).sha256[:16] == {**GOLDEN, **GOLDEN_OF_PILLOW}[name]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_pixels_stays_and_the_original_is_untouched(name: str) -> None:
    clip = film()
    before = clip.pixels.copy()
    worse = changed(name)(clip)
    assert np.array_equal(clip.pixels, before)
    assert worse.sha256 != clip.sha256
    assert (worse.duration_s, worse.decoder, worse.pixels.shape[1:]) == (clip.duration_s, clip.decoder, (48, 64, 3))
    assert set(zip(worse.indices, worse.times_s, strict=True)) <= set(zip(clip.indices, clip.times_s, strict=True))
    if not name.startswith("frame-drop"):
        assert worse.times_s == clip.times_s


@pytest.mark.parametrize("name", [name for name, each in CORRUPTIONS.items() if each.severe and name != "frame-drop"])
def test_every_severity_is_further_from_the_clip(name: str) -> None:
    y, x = np.mgrid[0:224, 0:224]
    hills = 127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7 + x / 31)
    pixels = np.stack([hills, hills[::-1], hills.T], axis=2).astype(np.uint8)[None]
    clip = Frames(pixels, indices=(0,), times_s=(0.0,), duration_s=0.1, decoder="drawn")
    apart = [((changed(f"{name}:{s}")(clip).pixels.astype(int) - pixels) ** 2).mean() for s in SEVERITIES]
    assert apart == sorted(apart)
    assert len(set(apart)) == len(apart)


def test_a_moment_sees_of_a_frame_what_every_later_moment_sees() -> None:
    clip = film(8)
    for name in ("noise", "rain", "jpeg", "dark"):
        whole, so_far = changed(name)(clip), changed(name)(clip.take((0, 1, 2)))
        assert np.array_equal(whole.pixels[:3], so_far.pixels)


def test_equal_frames_of_a_clip_get_noise_of_their_own() -> None:
    still = film(1)
    twice = np.concatenate([still.pixels, still.pixels])
    clip = Frames(twice, indices=(0, 1), times_s=(0.0, 0.1), duration_s=0.2, decoder="drawn")
    noisy = changed("noise")(clip).pixels
    assert not np.array_equal(noisy[0], noisy[1])


def test_noise_has_the_stated_spread() -> None:
    grey = np.full((200, 200, 3), 128, dtype=np.uint8)
    for severity, sigma in zip(SEVERITIES, (0.08, 0.12, 0.18, 0.26, 0.38), strict=True):
        found = noise(grey, severity, b"seed").astype(float) - 128
        edge = 127.5 / (255 * sigma)
        clipped = NormalDist().cdf(-edge)
        assert np.mean(np.abs(found) >= 127) == pytest.approx(2 * clipped, abs=0.01)
        assert found.mean() == pytest.approx(0, abs=2)
        if severity <= 2:
            assert found.std() == pytest.approx(255 * sigma, rel=0.02)


def test_dark_is_so_many_stops_of_linear_light() -> None:
    frame = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)

    def linear(coded: np.ndarray) -> np.ndarray:
        share = coded / 255
        return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)

    for severity in SEVERITIES:
        found = dark(frame, severity, b"")[0, :, 0].astype(float)
        wanted = linear(np.arange(256.0)) / 2**severity
        assert np.all(linear(found - 0.5 * (found > 0)) <= wanted + 1e-12)
        assert np.all(linear(found + 0.5) >= wanted - 1e-12)


def test_blur_and_jpeg_are_pillows() -> None:
    clip = film(1, height=224, width=224)
    image = Image.fromarray(clip.pixels[0])
    assert np.array_equal(changed("blur:5")(clip).pixels[0], np.asarray(image.filter(ImageFilter.GaussianBlur(6))))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=7, subsampling="4:2:0")
    again = np.asarray(Image.open(buffer))
    assert np.array_equal(changed("jpeg:5")(clip).pixels[0], again)


def test_flip_is_a_mirror_and_twice_is_nothing() -> None:
    clip = film()
    assert np.array_equal(changed("flip")(clip).pixels, clip.pixels[:, :, ::-1])
    assert changed("flip")(changed("flip")(clip)).sha256 == clip.sha256


def test_rain_only_adds_light_up_to_its_own_and_falls_one_way() -> None:
    clip = film(2, height=120, width=160)
    black = Frames(np.zeros_like(clip.pixels), indices=(0, 1), times_s=(0.0, 0.1), duration_s=0.2, decoder="drawn")
    wet = changed("rain:5")(black).pixels
    assert 0 < wet.max() <= 200
    assert 0 < (wet > 0).mean() < 0.6
    white = Frames(np.full_like(clip.pixels, 255), indices=(0, 1), times_s=(0.0, 0.1), duration_s=0.2, decoder="drawn")
    assert changed("rain:5")(white).pixels.min() >= 200


@given(count=st.integers(1, 40), salt=st.binary(max_size=4))
def test_dropped_frames_are_nested_and_the_last_is_kept(count: int, salt: bytes) -> None:
    seeds = [hashlib.sha256(salt + bytes([n])).digest() for n in range(count)]
    kept = [set(kept_of(count, severity, seeds)) for severity in SEVERITIES]
    for few, more in zip(kept[1:], kept, strict=False):
        assert few <= more
    for severity, each in zip((0.1, 0.2, 0.3, 0.5, 0.7), kept, strict=True):
        assert count - 1 in each
        assert list(each) == sorted(each) or sorted(each) == sorted(set(each))
        assert len(each) == (1 if count == 1 else count - min(count - 1, max(1, round(count * severity))))


@given(severity=st.sampled_from(SEVERITIES), value=st.integers(0, 255))
def test_frames_of_one_colour_stay_in_range(severity: int, value: int) -> None:
    flat = Frames(
        np.full((1, 9, 7, 3), value, dtype=np.uint8), indices=(0,), times_s=(0.0,), duration_s=0.1, decoder="drawn"
    )
    for name in ("dark", "rain", "blur", "noise", "jpeg", "frame-drop"):
        worse = changed(f"{name}:{severity}")(flat)
        assert worse.pixels.dtype == np.uint8
        assert len(worse) == 1
    assert np.all(changed(f"blur:{severity}")(flat).pixels == value)


@pytest.mark.parametrize("name", ["noise:0", "noise:6", "noise:", "noise:x", "noise:3 ", "flip:1"])
def test_a_severity_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="severit"):
        parts_of(name)


def test_every_probe_says_what_it_does() -> None:
    said = [described(name) for name in NAMES]
    assert all(said)
    assert len(set(said)) == len(said)
    assert described("blank") == ""
