"""The clips' own media files, lent whole to the rows that see the video: read for who needs one now, and let go.

As with frames, memory depends on a stated budget and never on the number of clips, and the way to the storage is waited
for when it is away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Executor

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.errors import MediaError, MediaUnreachable, MissingMedia
from ghostbench.media.own_file import read_video
from ghostbench.records import Clip, Video
from ghostbench.running.ask.way import Passage, Way
from ghostbench.running.ask.window import StorageGivenUp


class Videos:
    """Lends clips' media files. Use it on one event loop.

    pool : whose threads read. storage : the way to the media. budget_bytes : of files held at once; one is held
    whatever its size. root : where media was looked for, to name in errors. credentials : what opens it.
    """

    def __init__(
        self, pool: Executor, storage: Way, budget_bytes: int, root: object, credentials: Credentials = NO_CREDENTIALS
    ) -> None:
        self._pool = pool
        self._storage = storage
        self._budget = budget_bytes
        self._root = root
        self._credentials = credentials
        self._held = 0
        self._reading = 0
        self._largest = 0
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def lent(self, clip: Clip) -> AsyncIterator[Video | MediaError]:
        """The clip's file, or why there is none, until the block ends. Raises `StorageGivenUp`."""
        if clip.media is None:
            yield MissingMedia(f"no media for {clip.id} under {self._root}")
            return
        passage = await self._storage.enter()
        if passage is None:
            raise StorageGivenUp(self._storage.given_up)
        with self._storage.held(passage):
            video = await self._read_when_there_is_room(clip, clip.media, passage)
        try:
            yield video
        finally:
            if isinstance(video, Video):
                async with self._changed:
                    self._held -= len(video.data)
                    self._changed.notify_all()

    async def _read_when_there_is_room(self, clip: Clip, media: str, passage: Passage) -> Video | MediaError:
        async with self._changed:
            await self._changed.wait_for(self._has_room)
            self._reading += 1
        video: Video | MediaError | None = None
        try:
            loop = asyncio.get_running_loop()
            video = await loop.run_in_executor(self._pool, _read, media, clip.id, self._credentials)
        finally:
            async with self._changed:
                self._reading -= 1
                if isinstance(video, Video):
                    self._held += len(video.data)
                    self._largest = max(self._largest, len(video.data))
                self._changed.notify_all()
        if isinstance(video, MediaUnreachable):
            self._storage.failed(passage, str(video), video.retry_after_s)
        else:
            self._storage.came_through(passage)
        return video

    def _has_room(self) -> bool:
        """Whether one more file may be read: those being read count as the largest so far."""
        expected = self._held + (self._reading + 1) * self._largest
        return not (self._held or self._reading) or (self._largest > 0 and expected <= self._budget)


def _read(media: str, clip: str, credentials: Credentials) -> Video | MediaError:
    try:
        return read_video(media, clip, credentials)
    except MediaError as error:
        return error
