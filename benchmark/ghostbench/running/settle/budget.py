"""The run's cost limit: nothing is sent that could take the run over it, counting what is in flight."""

from __future__ import annotations

import asyncio

from ghostbench.errors import AttemptError
from ghostbench.outcomes import TURNED_AWAY, Outcome
from ghostbench.records import Reply
from ghostbench.running.ask.dispatch import Delivery
from ghostbench.running.rules.stop import Stop


class Budget:
    """Money spent and reserved, US dollars. `limit` None never refuses."""

    def __init__(self, limit: float | None, spent: float = 0.0) -> None:
        self.limit = limit
        self.spent = spent
        self._reserved = 0.0
        self._in_flight = 0
        self._changed = asyncio.Event()

    @property
    def exhausted(self) -> Stop:
        """The end of a model that has a request for which there is no money."""
        return Stop(Outcome.OVER_BUDGET, f"another request could take the run over ${self.limit or 0.0:g}")

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


def billed_for(delivery: Delivery) -> float | None:
    """What the attempt cost, US dollars; 0 for a request that was turned away; None where nobody said."""
    result = delivery.result
    reply = result.reply if isinstance(result, AttemptError) else result
    if isinstance(reply, Reply):
        return reply.usage.cost_usd
    return 0.0 if isinstance(result, AttemptError) and result.outcome in TURNED_AWAY else None
