"""The run's cost limit: nothing is sent that could take the run over it, counting what is in flight."""

from __future__ import annotations

import asyncio


class Budget:
    """Money spent and reserved, US dollars. `limit` None never refuses."""

    def __init__(self, limit: float | None, spent: float = 0.0) -> None:
        self.limit = limit
        self.spent = spent
        self._reserved = 0.0
        self._in_flight = 0
        self._changed = asyncio.Event()

    async def reserve(self, most: float) -> bool:
        """Set aside the most that a request can cost; False if it does not fit, whatever is still in flight costs.

        What costs nothing always fits, even where a service has billed more than it was expected to.
        """
        if self.limit is None:
            return True
        while not self.reserve_now(most):
            if not self._in_flight:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def reserve_now(self, most: float) -> bool:
        """Set aside the most that a request can cost if it fits at once."""
        if self.limit is None:
            return True
        if most > 0 and self.spent + self._reserved + most > self.limit:
            return False
        self.set_aside(most)
        return True

    def set_aside(self, most: float) -> None:
        """Count what has been sent already, whether it fits or not."""
        if self.limit is not None:
            self._reserved += most
            self._in_flight += 1

    def settle(self, most: float, actual: float | None) -> None:
        """Replace a reservation by what was billed; where nobody said, by the whole reservation."""
        self.spent += most if actual is None else actual
        if self.limit is None:
            return
        self._reserved -= most
        self._in_flight -= 1
        self._changed.set()
