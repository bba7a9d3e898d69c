"""Decoded clips as JPEG pictures: made in the background while somebody looks, kept on disk while there is room.

A clip may be a recording of an hour, and who goes through many clips looks at few of them for long. So pictures lie in
a file without a name, which goes with the process, and a clip that nobody asks for is not decoded on.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final

from ghostbench.errors import AttemptError, BadInput

MOST_BYTES: Final = 1 << 30
"""How much of decoded clips is kept, bytes of JPEG; the clip that is looked at stays in any case."""
WAIT_S: Final = 20.0
"""How long a request waits for a frame that is still to be decoded, seconds."""
IDLE_S: Final = 3.0
"""For how long a clip is decoded on without being asked for, seconds: the page asks several times a second."""


class _NotWanted(Exception):
    """Nobody can ask for the clip any more."""


class Reel:
    """A clip's frames so far.

    times : when each is shown, seconds; empty until `done`. error : why there are no more, in words. same : whether
    the sampled frames are those of a run; None where that is not known.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.done = False
        self.error: str | None = None
        self.same: bool | None = None
        self._changed = threading.Condition()
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the reel
        weakref.finalize(self, self._file.close)
        self._ends = [0]
        self._asked_s = time.monotonic()
        self._waiting = 0
        self._gone = False

    @property
    def count(self) -> int:
        """Frames that are there."""
        return len(self._ends) - 1

    @property
    def size(self) -> int:
        """Bytes."""
        return self._ends[-1]

    def add(self, picture: bytes) -> None:
        """The next frame, from the thread that decodes: it waits here while nobody looks at the clip."""
        with self._changed:
            self._file.write(picture)
            self._ends.append(self.size + len(picture))
            self._changed.notify_all()
            self._changed.wait_for(self._is_decided)
            if self._gone:
                raise _NotWanted

    def end(self, error: str | None) -> None:
        """There are no more frames."""
        with self._changed:
            self.error, self.done = error, True
            self._changed.notify_all()

    def ask(self) -> None:
        """Somebody looks at the clip."""
        with self._changed:
            self._asked_s = time.monotonic()
            self._changed.notify_all()

    def leave(self) -> None:
        """Nobody can ask for it any more: it is not decoded on."""
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def picture(self, index: int) -> bytes | None:
        """One frame as JPEG; None where there is none of that number. Waits while it is still to be decoded."""
        self._wait_for(lambda: self.done or self.count > index)
        if not 0 <= index < self.count:
            return None
        begin, end = self._ends[index : index + 2]
        return os.pread(self._file.fileno(), end - begin, begin)

    def wait(self) -> None:
        """Wait until all frames are there, or `WAIT_S` have passed."""
        self._wait_for(lambda: self.done)

    def state(self) -> dict[str, Any]:
        """What the page is told."""
        return {
            "count": self.count,
            "done": self.done,
            "times": [round(time_s, 4) for time_s in self.times],
            "error": self.error,
            "same": self.same,
        }

    def _wait_for(self, there: Callable[[], bool]) -> None:
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(there, timeout=WAIT_S)
            self._waiting -= 1

    def _is_decided(self) -> bool:
        return self._gone or self._waiting > 0 or time.monotonic() - self._asked_s < IDLE_S


class Reels:
    """The reels of the clips that were looked at last."""

    def __init__(self) -> None:
        self._reels: OrderedDict[Hashable, Reel] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: Hashable, fill: Callable[[Reel], None]) -> Reel:
        """A clip's reel, whose decoding begins now where it has not.

        fill : adds every frame to the reel, called in a thread of its own; what it raises is the reel's error.
        """
        with self._lock:
            reel = self._reels.get(key)
            if reel is None:
                reel = self._reels[key] = Reel()
                threading.Thread(target=_filled, args=(reel, fill), name="frames", daemon=True).start()
            self._reels.move_to_end(key)
            while len(self._reels) > 1 and sum(each.size for each in self._reels.values()) > MOST_BYTES:
                self._reels.popitem(last=False)[1].leave()
        reel.ask()
        return reel


def _filled(reel: Reel, fill: Callable[[Reel], None]) -> None:
    error = None
    try:
        fill(reel)
    except _NotWanted:
        return
    except (BadInput, AttemptError) as failure:
        error = str(failure)
    except Exception as failure:  # noqa: BLE001 - a viewer says what it cannot show, and goes on
        error = f"{type(failure).__name__}: {failure}"
    reel.end(error)
