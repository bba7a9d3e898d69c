"""Listening to a model that answers a whole file: its results as they come, and the deadline while nothing does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

from ghostbench.errors import TimedOut
from ghostbench.folder.round_files import FileJournal
from ghostbench.running.ask.dispatch import as_attempt_error

T = TypeVar("T")

_LAST_WORDS_S = 5.0
"""How long an iterator that is cancelled may take to end, seconds."""


class Silence(Exception):
    """A model let hear nothing of itself for longer than the deadline. failure : what that comes to."""

    def __init__(self, failure: TimedOut) -> None:
        super().__init__(str(failure))
        self.failure = failure


async def heard(answers: AsyncIterator[T], journal: FileJournal, deadline_s: float) -> AsyncGenerator[T]:
    """What the iterator gives. A result, a word in the journal, and what it says of a silence to come, count as heard.

    It is driven by one task from its first step to its last, which is cancelled when this ends.

    Raises `Silence` when nothing was heard for longer than the deadline, and what the iterator raises; of that, what is
    no `Exception` (an exit, a library's panic) as `Crashed`.
    """
    passed = asyncio.Queue[T](1)

    async def drive() -> None:
        try:
            async for result in answers:
                await passed.put(result)
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:  # noqa: BLE001 - let out of a task, an exit would end the event loop
            raise as_attempt_error(error) from None

    driving = asyncio.ensure_future(drive())
    try:
        while (getting := await _next(passed, driving, journal, deadline_s)) is not None:
            yield getting.result()
            journal.hear()
        driving.result()
    finally:
        driving.cancel()
        driving.add_done_callback(lambda late: late.cancelled() or late.exception())
        await asyncio.wait({driving}, timeout=_LAST_WORDS_S)


async def _next(
    passed: asyncio.Queue[T], driving: asyncio.Task[None], journal: FileJournal, deadline_s: float
) -> asyncio.Task[T] | None:
    """The next result, got; None where there are no more."""
    getting = asyncio.ensure_future(passed.get())
    try:
        while not getting.done():
            left_s = journal.heard_at + deadline_s - time.monotonic()
            if left_s <= 0:
                message = f"nothing was heard of the batch within the deadline of {deadline_s:g} s"
                raise Silence(TimedOut(message))
            await asyncio.wait({getting, driving}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if driving.done() and passed.empty() and not getting.done():
                return None
            await asyncio.sleep(0)
        return getting
    finally:
        if not getting.done():
            getting.cancel()
