"""Decoding a run's clips, in threads."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.errors import MediaError, MissingMedia
from ghostbench.frames import Frames
from ghostbench.media.decode import decode
from ghostbench.media.sampling import Sampling
from ghostbench.media.shared import for_other_processes
from ghostbench.records import Clip


@dataclass(frozen=True, slots=True)
class Decoded:
    """What decoding a clip gave, and the seconds it took in its thread; None where there was nothing to decode."""

    frames: Frames | MediaError
    seconds: float | None


class Decoding:
    """Decodes clips in a pool of threads, under one sampling rule.

    root : where media was looked for, to name in errors. credentials : what opens it. shared : whether other processes
    are to look at the frames. draw : called with each clip's media and frames, in the pool, where nobody waits for it.
    """

    def __init__(
        self,
        pool: Executor,
        sampling: Sampling,
        root: object,
        credentials: Credentials = NO_CREDENTIALS,
        *,
        shared: bool = False,
        draw: Callable[[str, Frames], object] | None = None,
    ) -> None:
        self._pool = pool
        self._credentials = credentials
        self._shared = shared
        self._draw = draw
        self._sampling = sampling
        self._root = root

    async def decode(self, clip: Clip) -> Decoded:
        """The clip's frames or why there are none."""
        if clip.media is None:
            return Decoded(MissingMedia(f"no media for {clip.id} under {self._root}"), None)
        loop = asyncio.get_running_loop()
        decoded = await loop.run_in_executor(
            self._pool, _timed, clip.media, self._sampling, self._credentials, self._shared
        )
        if self._draw is not None and isinstance(decoded.frames, Frames):
            with contextlib.suppress(RuntimeError):  # the pool is closed
                self._pool.submit(self._draw, clip.media, decoded.frames)
        return decoded


def _timed(media: str, sampling: Sampling, credentials: Credentials, shared: bool) -> Decoded:
    started = time.perf_counter()
    try:
        with for_other_processes() if shared else nullcontext():
            frames: Frames | MediaError = decode(media, sampling, credentials)
    except MediaError as error:
        frames = error
    return Decoded(frames, time.perf_counter() - started)
