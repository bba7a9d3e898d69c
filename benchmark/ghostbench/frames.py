"""The sampled frames of a clip, decoded once, as every model and task gets them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")


class _Kept:
    """What was computed of frames, beside them: `own` by their model, `shared` by all. It goes to no other process."""

    __slots__ = ("lock", "own", "shared")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.own: dict[Hashable, Any] = {}
        self.shared: dict[Hashable, Any] = {}


class _OfOne:
    """What was computed of a single frame, for every part of its clip that shows it. It goes to no other process."""

    __slots__ = ("lock", "made")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.made: dict[Hashable, Any] = {}


class Frames:
    """The sampled frames of one clip, decoded once; every model looks at them in memory of its own (`private`).

    Attributes
    ----------
    pixels : uint8 array [n, height, width, 3], RGB, read-only.
    indices : n frame numbers in the clip, from 0, ascending.
    times_s : n presentation times, seconds from the first frame of the clip.
    duration_s : length of the whole clip, seconds > 0.
    decoder : name and version of what decoded it, e.g. "PyAV 18.1.0 (mpeg4)".
    sha256 : hex digest of shape and pixels.
    """

    __slots__ = (
        "_each",
        "_kept",
        "_pixels",
        "_whole",
        "decoder",
        "duration_s",
        "indices",
        "sha256",
        "times_s",
    )

    def __init__(
        self,
        pixels: npt.NDArray[np.uint8],
        *,
        indices: tuple[int, ...],
        times_s: tuple[float, ...],
        duration_s: float,
        decoder: str,
        sha256: str | None = None,
    ) -> None:
        if pixels.ndim != 4 or pixels.shape[3] != 3 or str(pixels.dtype) != "uint8":
            raise ValueError(f"pixels must be uint8 [n, height, width, 3], not {pixels.dtype} {pixels.shape}")
        if not len(pixels) == len(indices) == len(times_s):
            raise ValueError("pixels, indices and times_s must have the same length")
        pixels.flags.writeable = False
        self._pixels: npt.NDArray[np.uint8] | None = pixels
        self._whole: Frames | None = None
        self.indices = tuple(indices)
        self.times_s = tuple(times_s)
        self.duration_s = duration_s
        self.decoder = decoder
        self.sha256 = sha256 if sha256 is not None else pixels_sha256(pixels)
        self._kept = _Kept()
        self._each = tuple(_OfOne() for _ in self.indices)

    def __reduce__(self) -> tuple[Callable[..., Frames], tuple[Any, ...]]:
        whole = self._whole or self
        facts = (whole.indices, whole.times_s, whole.duration_s, whole.decoder, whole.sha256)
        return _frames_again, (whole._pixels, *facts, self._whole is not None)

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"Frames({len(self)} of {self.duration_s:g} s, sha256={self.sha256[:12]}…)"

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The pixels; of `private` frames a copy, made when it is first asked for."""
        with self._kept.lock:
            if self._pixels is None:
                assert self._whole is not None
                assert self._whole._pixels is not None
                self._pixels = self._whole._pixels.copy()
                self._pixels.flags.writeable = False
            return self._pixels

    def private(self) -> Frames:
        """The same frames in memory of their own: what is written there, nobody else sees.

        An array that is marked read-only is no protection, since other libraries do not ask (`torch.from_numpy`).
        """
        own = Frames.__new__(Frames)
        own._pixels = None
        own._whole = self._whole or self
        own.indices, own.times_s = own._whole.indices, own._whole.times_s
        own.duration_s, own.decoder, own.sha256 = own._whole.duration_s, own._whole.decoder, own._whole.sha256
        own._kept, own._each = _Kept(), own._whole._each
        return own

    def original(self) -> Frames:
        """The frames that private ones are a copy of; others themselves."""
        return self._whole or self

    def renewed(self) -> Frames:
        """Private frames as they were at first; others as they are."""
        return self if self._whole is None else self.private()

    def altered(self) -> bool:
        """Whether the pixels of private frames have been written to. False for frames that are nobody's own."""
        import numpy as np

        if self._whole is None or self._pixels is None:
            return False
        mine, was = self._pixels, self._whole.pixels
        if mine.shape != was.shape or mine.dtype != was.dtype:
            return True
        # Frame by frame, since the comparison makes an array of truth values as large as what it compares.
        return not all(np.array_equal(*pair) for pair in zip(mine, was, strict=True))

    @property
    def nbytes(self) -> int:
        """How many bytes of memory the pixels take here."""
        whole = self._whole or self
        return int(whole._pixels.nbytes) if whole._pixels is not None else 0

    def memo(self, key: Hashable, build: Callable[[Frames], T]) -> T:
        """What `build(self)` returns, computed once per key for all retries and threads.

        Use it for work that depends on the pixels alone, such as JPEG encoding. It lives as long as the frames. What
        cannot be changed (text, bytes, numbers, None, and tuples of these) is computed once for all models.
        """
        whole = self._whole
        if whole is None:
            return _remembered(self._kept, key, lambda: build(self))
        with whole._kept.lock:
            if key in whole._kept.shared:
                shared: T = whole._kept.shared[key]
                return shared
            built = _remembered(self._kept, key, lambda: build(self.private()))
            if _is_constant(built):
                whole._kept.shared[key] = built
            return built

    def remembers(self, key: Hashable) -> bool:
        """Whether `memo` has something under the key already."""
        with self._kept.lock:
            return key in self._kept.own

    def memo_each(self, key: Hashable, build: Callable[[npt.NDArray[np.uint8]], T]) -> tuple[T, ...]:
        """What `build(image)` returns for each frame, uint8 [height, width, 3]: once per key and frame of the clip, in
        whatever part of the clip the frame is shown, for all retries, moments, models and threads.

        Use it for work on single frames that depends on their pixels alone, such as JPEG encoding.

        Raises `TypeError` for what could be changed: only text, bytes, numbers, None, and tuples of these are shared.
        """
        source = self._whole or self
        made = []
        for position, one in enumerate(self._each):
            with one.lock:
                if key not in one.made:
                    value = build(source.pixels[position].copy())
                    if not _is_constant(value):
                        raise TypeError(f"what is kept of a frame for all models is a constant, not {type(value)}")
                    one.made[key] = value
                made.append(one.made[key])
        return tuple(made)

    def until(self, moment_s: float) -> Frames:
        """The frames up to a moment, seconds from the clip's start, of a clip that has lasted no longer than that."""
        seen = sum(time_s <= moment_s for time_s in self.times_s)
        return self.take(tuple(range(seen))).lasting(moment_s)

    def lasting(self, seconds: float) -> Frames:
        """The same frames, of a clip that has lasted no longer than that."""
        if self.duration_s <= seconds:
            return self
        part = Frames(
            self.pixels,
            indices=self.indices,
            times_s=self.times_s,
            duration_s=seconds,
            decoder=self.decoder,
            sha256=self.sha256,
        )
        return self._shares(part, tuple(range(len(self))))

    def take(self, positions: tuple[int, ...]) -> Frames:
        """The frames at these positions (0 <= position < len), in the order given."""
        import numpy as np

        first = positions == tuple(range(len(positions)))
        if first and len(positions) == len(self):
            return self
        part = Frames(
            # The first frames of a clip lie together: those of many moments need no memory of their own.
            self.pixels[: len(positions)] if first else np.ascontiguousarray(self.pixels[list(positions)]),
            indices=tuple(self.indices[p] for p in positions),
            times_s=tuple(self.times_s[p] for p in positions),
            duration_s=self.duration_s,
            decoder=self.decoder,
        )
        return self._shares(part, positions)

    def are_of(self, clip: Frames) -> bool:
        """Whether these are frames of that clip as it was decoded, or some of them: no others, and none made up."""
        there = {id(one) for one in clip._each}
        return all(id(one) in there for one in self._each)

    def with_pixels(self, pixels: npt.NDArray[np.uint8]) -> Frames:
        """Other pictures in place of these, at the same moments of the same clip."""
        return Frames(
            pixels, indices=self.indices, times_s=self.times_s, duration_s=self.duration_s, decoder=self.decoder
        )

    def _shares(self, part: Frames, positions: tuple[int, ...]) -> Frames:
        """These frames as a part, which shares what was made of each, and has no way to the others; one of private
        frames, whose pixels may have been written to, shares nothing."""
        if self._whole is None:
            part._each = tuple(self._each[position] for position in positions)
        return part


def _frames_again(
    pixels: npt.NDArray[np.uint8],
    indices: tuple[int, ...],
    times_s: tuple[float, ...],
    duration_s: float,
    decoder: str,
    sha256: str,
    private: bool,
) -> Frames:
    """Frames as they were pickled; private ones as they were before anybody wrote to them."""
    frames = Frames(pixels, indices=indices, times_s=times_s, duration_s=duration_s, decoder=decoder, sha256=sha256)
    return frames.private() if private else frames


def _remembered(kept: _Kept, key: Hashable, build: Callable[[], T]) -> T:
    with kept.lock:
        if key not in kept.own:
            kept.own[key] = build()
        built: T = kept.own[key]
        return built


def _is_constant(value: object) -> bool:
    """Whether nobody can change it, so that models may share it."""
    if type(value) is tuple:
        return all(map(_is_constant, value))
    return value is None or type(value) in {str, bytes, int, float, bool}


def pixels_sha256(pixels: npt.NDArray[np.uint8]) -> str:
    """SHA-256, hex, of "n,height,width,channels\\n" in ASCII followed by the pixels in C order."""
    import hashlib

    import numpy as np

    digest = hashlib.sha256((",".join(map(str, pixels.shape)) + "\n").encode("ascii"))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
