"""The frames that a run holds, by their bytes: decoded for who needs them now, shared, and let go.

Each model goes through the clips at its own pace. Who needs a clip's frames borrows them for as long as they are
needed: those who need them at the same time share them, and one who comes later has them decoded again, unless there
was room to keep them. So memory depends on the stated budget, never on the number of clips, and no model waits for
another's pause.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghostbench.errors import MediaUnreachable
from ghostbench.frames import Frames
from ghostbench.records import Clip
from ghostbench.running.ask.decoding import Decoded, Decoding
from ghostbench.running.ask.way import Passage, Way

Coming = Callable[[bool], None]
"""Told True when frames are on their way, and False when they must wait for others to let go of theirs."""
_SHARE = 4
_MOST_BYTES = 16 * 2**30
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def frames_budget() -> int:
    """How many bytes of frames a run holds at most: a quarter of this machine's (or container's) memory, up to 16 GiB.

    One clip is always held, whatever its size.
    """
    import psutil

    memory = int(psutil.virtual_memory().total)
    for limit in _LIMITS:
        with contextlib.suppress(OSError, ValueError):
            memory = min(memory, int(Path(limit).read_text(encoding="ascii")))
    return min(memory // _SHARE, _MOST_BYTES)


class StorageGivenUp(Exception):
    """The storage has been away for longer than a run waits: nothing was asked of it."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A clip's frames. users : how many have borrowed them, or wait for them. size : bytes; None while unknown."""

    decoding: asyncio.Task[Decoded]
    users: int = 0
    size: int | None = None

    @property
    def failed(self) -> bool:
        """Whether there are no frames."""
        return self.decoding.done() and (
            self.decoding.cancelled()
            or self.decoding.exception() is not None
            or not isinstance(self.decoding.result().frames, Frames)
        )


class FrameWindow:
    """Lends clips' frames. Use it on one event loop.

    storage : the way to the media, which is waited for when it is away. wanted : whether a clip's frames will be asked
        for by others, who have not come to it yet.
    """

    def __init__(
        self, decoding: Decoding, budget_bytes: int, storage: Way, wanted: Callable[[Clip], bool] = lambda _: False
    ) -> None:
        self._decoding = decoding
        self._budget = budget_bytes
        self.storage = storage
        self._wanted = wanted
        self._entries: dict[str, _Entry] = {}
        self._largest: int | None = None
        self._changed = asyncio.Event()
        self._ahead: set[asyncio.Task[None]] = set()

    def begin(self, clips: Iterable[Clip]) -> asyncio.Future[Any]:
        """Decode these clips already, as far as there is room; what comes of it is kept for who asks first.

        What it returns is done when they are.
        """
        tasks = [asyncio.create_task(self._decode_ahead(clip)) for clip in clips]
        self._ahead.update(tasks)
        for task in tasks:
            task.add_done_callback(self._ahead.discard)
        return asyncio.gather(*tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def lent(self, clip: Clip, coming: Coming = lambda _: None) -> AsyncIterator[Decoded]:
        """The clip's frames, or why there are none, until the block ends. Raises `StorageGivenUp`."""
        entry = await self._entry(clip, coming)
        try:
            decoded = await asyncio.shield(entry.decoding)
            if entry.failed:
                self._remove(clip, entry)
            yield decoded
        finally:
            entry.users -= 1
            self._let_go(clip, entry)

    async def close(self) -> None:
        """Let go of everything."""
        tasks: list[asyncio.Task[object]] = [*self._ahead, *(entry.decoding for entry in self._entries.values())]
        self._entries.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def held_bytes(self) -> int:
        """The bytes of all frames held now; those being decoded count as the largest so far."""
        return sum(self._reckoned(entry) for entry in self._entries.values())

    async def _decode_ahead(self, clip: Clip) -> None:
        with contextlib.suppress(StorageGivenUp):
            entry = await self._entry(clip, lambda _: None)
            entry.users -= 1
            await asyncio.wait([entry.decoding])
            # Kept for who asks first, though that may be on its way already: let go now, it would be decoded twice.
            self._wake()

    async def _entry(self, clip: Clip, coming: Coming) -> _Entry:
        """The clip's entry, with one more user; decoding begins when the storage is there and there is room."""
        while True:
            if (entry := self._entries.get(clip.id)) is None:
                entry = await self._begun(clip, coming)
            if entry is not None:
                entry.users += 1
                coming(True)
                return entry

    async def _begun(self, clip: Clip, coming: Coming) -> _Entry | None:
        """A new entry for the clip; None where someone else has made one while this waited. Raises `StorageGivenUp`."""
        passage = None
        if clip.media is not None:
            coming(not self.storage.paused)
            passage = await self.storage.enter()
            if passage is None:
                raise StorageGivenUp(self.storage.given_up)
        try:
            while clip.id not in self._entries and not self._has_room():
                coming(self._largest is None)
                await self._changed.wait()
            if clip.id in self._entries:
                return None
            entry = self._entries[clip.id] = _Entry(asyncio.create_task(self._decode(clip, passage)))
            passage = None
            entry.decoding.add_done_callback(lambda _: self._decoded(clip, entry))
            return entry
        finally:
            if passage is not None:
                self.storage.left(passage)

    async def _decode(self, clip: Clip, passage: Passage | None) -> Decoded:
        if passage is None:
            return await self._decoding.decode(clip)
        with self.storage.held(passage):
            decoded = await self._decoding.decode(clip)
            if isinstance(decoded.frames, MediaUnreachable):
                self.storage.failed(passage, str(decoded.frames), decoded.frames.retry_after_s)
            else:
                self.storage.came_through(passage)
            return decoded

    def _decoded(self, clip: Clip, entry: _Entry) -> None:
        entry.size = 0
        if not entry.failed:
            frames = entry.decoding.result().frames
            entry.size = frames.nbytes if isinstance(frames, Frames) else 0
            self._largest = max(entry.size, self._largest or 0)
        self._wake()

    def _has_room(self) -> bool:
        """Whether one more clip may be decoded; frames kept for later give way to it, the latest first."""
        if self._largest is None:
            return all(entry.size is not None for entry in self._entries.values())
        while self._entries and self.held_bytes + self._largest > self._budget:
            idle = [clip for clip, entry in self._entries.items() if not entry.users and entry.size is not None]
            if not idle:
                return False
            del self._entries[idle[-1]]
        return True

    def _reckoned(self, entry: _Entry) -> int:
        return entry.size if entry.size is not None else self._largest or 0

    def _let_go(self, clip: Clip, entry: _Entry) -> None:
        if not entry.users and not (self._wanted(clip) and self.held_bytes <= self._budget):
            self._remove(clip, entry)
        self._wake()

    def _remove(self, clip: Clip, entry: _Entry) -> None:
        if self._entries.get(clip.id) is entry:
            del self._entries[clip.id]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
