"""The frames of a run's clips that are looked at: decoded once, ahead of the viewer.

Browsers play no XVID, and none of them steps by frames. The decoder is the run's own, so that what is shown under a
number is the frame of that number, before JPEG; the digest of the sampled ones says whether the run saw the same.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ghostbench.credentials import Credentials
from ghostbench.datasets.granted import Granted, media_place
from ghostbench.datasets.layouts import find_media
from ghostbench.errors import BadInput
from ghostbench.folder.manifest import DatasetEntry
from ghostbench.folder.reader import Folder
from ghostbench.media.every import every_frame
from ghostbench.viewer.reels import Reel, Reels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

QUALITY = 88


@dataclass(frozen=True, slots=True)
class Sampled:
    """A clip of a run, or an example that its wordings show, with the frames that were sampled of it."""

    clip: str
    frame_indices: tuple[int, ...]
    frames_sha256: str | None

    @classmethod
    def of(cls, run: Folder, clip: str) -> Sampled:
        """By its id. Raises `BadInput` for one that the run does not have."""
        example = run.header.examples.get(clip)
        if example is not None:
            return cls(clip, tuple(example.frame_indices), example.frames_sha256)
        line = run.clip(clip)
        return cls(line.clip, line.frame_indices or (), line.frames_sha256)


class Frames:
    """Decodes the clips of runs. granted : where media may be looked for."""

    def __init__(self, granted: Granted) -> None:
        self._granted = granted
        self._reels = Reels()

    def reel(self, data: DatasetEntry, clip: Sampled) -> Reel:
        """The clip's frames, whose decoding begins now where it has not."""
        key = (data.name, clip.clip, clip.frames_sha256 or "")
        return self._reels.of(key, partial(self._fill, data, clip))

    def picture(self, data: DatasetEntry, clip: Sampled, index: int) -> bytes | None:
        """One frame as JPEG; None where there is none of that number. Waits while it is still to be decoded."""
        return self.reel(data, clip).picture(index)

    def _fill(self, data: DatasetEntry, clip: Sampled, reel: Reel) -> None:
        where = media_place(self._granted, data.name, data.data_root, data.layout, data.fps)
        found = find_media(where.root, [clip.clip], layout=where.layout, fps=where.fps, within=where.within)
        if clip.clip not in found:
            raise BadInput("its media is not under the data root")
        self._decode(reel, str(found[clip.clip]), where.root.credentials, clip)

    def _decode(self, reel: Reel, media: str, credentials: Credentials, clip: Sampled) -> None:
        sampled = set(clip.frame_indices)
        seen = None
        times: list[float] = []
        for index, pixels in enumerate(every_frame(media, times, credentials)):
            if index in sampled:
                seen = seen or hashlib.sha256(f"{len(sampled)},{','.join(map(str, pixels.shape))}\n".encode("ascii"))
                seen.update(pixels.tobytes())
            reel.add(jpeg(pixels))
        reel.times = times
        if clip.frames_sha256 is not None:
            reel.same = seen is not None and seen.hexdigest() == clip.frames_sha256


def jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A frame, RGB [height, width, 3], as a JPEG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
