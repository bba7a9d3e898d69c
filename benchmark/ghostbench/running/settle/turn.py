"""What a row is asked about one clip in one repeat, in order: once, or at each of the clip's moments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ghostbench.models import LocalModel
from ghostbench.outcomes import Outcome
from ghostbench.running.ask.units import Ask, ModelState
from ghostbench.running.settle.settler import MomentsFound, Settler

IsLeft = Callable[[Ask], bool]
"""Whether anything is left to do for a unit, which is put where the ledger left it."""


class Turn:
    """Settles the units of a row, clip and repeat.

    A local model gets the moments of a clip together, since it can answer them in one go; any other one gets a moment
    when the one before is settled.

    is_left : which of the moments that are found with the clip's frames are to be asked. by_themselves : each alone,
    whatever the model.
    """

    def __init__(self, settler: Settler, state: ModelState, is_left: IsLeft, *, by_themselves: bool = False) -> None:
        self._settler = settler
        self._state = state
        self._is_left = is_left
        self._together = isinstance(state.configured.model, LocalModel) and not by_themselves

    async def settle(self, units: Sequence[Ask]) -> list[Ask]:
        """Settle the units, which are in order, or one that stands for all moments; return those without an answer."""
        if units[0].moments_unknown:
            try:
                await self._settler.settle(units[0], self._state)
            except MomentsFound as found:
                units = spread(units[0], found.moments, self._is_left)
            else:
                return self._finish(units)
        if self._together and len(units) > 1:
            async with asyncio.TaskGroup() as group:
                for unit in units:
                    group.create_task(self._settler.settle(unit, self._state))
        else:
            for unit in units:
                await self._settler.settle(unit, self._state)
        return self._finish(units)

    def _finish(self, units: Sequence[Ask]) -> list[Ask]:
        unanswered = [unit for unit in units if unit.last is not Outcome.ANSWERED]
        if units:
            self._settler.recorder.finish((unanswered or units)[0], self._state)
        return unanswered


def spread(unit: Ask, moments: Sequence[float | None], is_left: IsLeft) -> list[Ask]:
    """The units that one stands for, as far as they are left to do."""
    each = (Ask(unit.row, unit.clip, unit.repeat, moment_s=moment) for moment in moments)
    return [one for one in each if is_left(one)]
