"""Taking turns: many at once, or one that nobody else is beside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Turn:
    """Use it on one event loop. Who is to be alone goes before those who come later."""

    def __init__(self) -> None:
        self._many = 0
        self._waiting = 0
        self._alone = False
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def among_others(self) -> AsyncIterator[None]:
        """For the length of a `with`, nobody is alone."""
        while self._alone or self._waiting:
            await self._changed.wait()
        self._many += 1
        try:
            yield
        finally:
            self._many -= 1
            self._wake()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """For the length of a `with`, nobody else has a turn."""
        self._waiting += 1
        try:
            while self._alone or self._many:
                await self._changed.wait()
            self._alone = True
        finally:
            self._waiting -= 1
            self._wake()
        try:
            yield
        finally:
            self._alone = False
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
