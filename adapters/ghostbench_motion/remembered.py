"""What was worked out of pixels, remembered under their digests: the same pixels are not worked on twice."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """The values asked for last, at most so many; what was not asked for longest goes first. Safe between threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value under the key, made where there is none. Two threads may make the same one at once."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        made = make()
        with self._lock:
            self._values[key] = made
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return made


def digest(image: npt.NDArray[Any]) -> bytes:
    """SHA-256 of an image's shape and pixels: other pixels have another one."""
    found = hashlib.sha256(str(image.shape).encode())
    found.update(np.ascontiguousarray(image).data)
    return found.digest()
