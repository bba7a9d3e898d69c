"""The frames of the clips that are looked at: decoded once, ahead of the viewer, and kept as JPEG while there is room.

Browsers play no XVID, and none of them steps by frames. The decoder is the run's own, so that what is shown under a
number is the frame of that number, before JPEG; the digest of the sampled ones says whether the run saw the same.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ghostbench.credentials import Credentials
from ghostbench.datasets.granted import Granted, media_place
from ghostbench.datasets.layouts import find_media
from ghostbench.errors import AttemptError, BadInput
from ghostbench.folder.manifest import DatasetEntry
from ghostbench.folder.reader import Folder
from ghostbench.media.every import every_frame

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MOST_BYTES = 256 << 20
"""How much of decoded clips is kept, bytes of JPEG; the clip that is looked at stays in any case."""
QUALITY = 88
WAIT_S = 20.0
"""How long a request waits for a frame that is still to be decoded, seconds."""


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


@dataclass(slots=True)
class Reel:
    """A clip's frames so far. same : whether the sampled ones are those of the run; None where that is not known."""

    pictures: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    done: bool = False
    error: str | None = None
    same: bool | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.pictures))

    def state(self) -> dict[str, Any]:
        """What the page is told."""
        return {
            "count": len(self.pictures),
            "done": self.done,
            "times": [round(time, 4) for time in self.times],
            "error": self.error,
            "same": self.same,
        }


class Frames:
    """Decodes clips in the background, the latest first asked for. granted : where media may be looked for."""

    def __init__(self, granted: Granted) -> None:
        self._granted = granted
        self._reels: OrderedDict[tuple[str, str, str], Reel] = OrderedDict()
        self._lock = threading.Lock()

    def reel(self, data: DatasetEntry, clip: Sampled) -> Reel:
        """The clip's frames, whose decoding begins now where it has not."""
        key = (data.name, clip.clip, clip.frames_sha256 or "")
        with self._lock:
            reel = self._reels.get(key)
            if reel is None:
                reel = self._reels[key] = Reel()
                threading.Thread(target=self._fill, args=(reel, data, clip), name="frames", daemon=True).start()
            self._reels.move_to_end(key)
            while len(self._reels) > 1 and sum(each.size for each in self._reels.values()) > MOST_BYTES:
                self._reels.popitem(last=False)
            return reel

    def picture(self, data: DatasetEntry, clip: Sampled, index: int) -> bytes | None:
        """One frame as JPEG; None where there is none of that number. Waits while it is still to be decoded."""
        reel = self.reel(data, clip)
        with reel.changed:
            reel.changed.wait_for(lambda: reel.done or len(reel.pictures) > index, timeout=WAIT_S)
            return reel.pictures[index] if 0 <= index < len(reel.pictures) else None

    def _fill(self, reel: Reel, data: DatasetEntry, clip: Sampled) -> None:
        error = None
        try:
            where = media_place(self._granted, data.name, data.data_root, data.layout, data.fps)
            found = find_media(where.root, [clip.clip], layout=where.layout, fps=where.fps, within=where.within)
            if clip.clip not in found:
                raise BadInput("its media is not under the data root")
            self._decode(reel, str(found[clip.clip]), where.root.credentials, clip)
        except (BadInput, AttemptError) as failure:
            error = str(failure)
        except Exception as failure:  # noqa: BLE001 - a viewer says what it cannot show, and goes on
            error = f"{type(failure).__name__}: {failure}"
        with reel.changed:
            reel.error, reel.done = error, True
            reel.changed.notify_all()

    def _decode(self, reel: Reel, media: str, credentials: Credentials, clip: Sampled) -> None:
        sampled = set(clip.frame_indices)
        seen = None
        times: list[float] = []
        for index, pixels in enumerate(every_frame(media, times, credentials)):
            if index in sampled:
                seen = seen or hashlib.sha256(f"{len(sampled)},{','.join(map(str, pixels.shape))}\n".encode("ascii"))
                seen.update(pixels.tobytes())
            picture = jpeg(pixels)
            with reel.changed:
                reel.pictures.append(picture)
                reel.changed.notify_all()
        reel.times = times
        if clip.frames_sha256 is not None:
            reel.same = seen is not None and seen.hexdigest() == clip.frames_sha256


def jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A frame, RGB [height, width, 3], as a JPEG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
