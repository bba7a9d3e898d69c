"""Who is asked what, when: each model at its own pace, batched ones by rounds, stand-ins after those they stand for.

A model is asked about so many clips at once as keep it busy; their frames are lent by one window for all (`window.py`).
So memory depends on that window, never on the number of clips, and no model waits for another.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from ghostbench.folder.place import RunFolder
from ghostbench.models import RemoteModel
from ghostbench.records import Clip
from ghostbench.running.ask.units import Ask, ModelState
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.contenders import Contender
from ghostbench.running.plan.plan import Plan
from ghostbench.running.resume.left import Left
from ghostbench.running.settle.settler import Settler
from ghostbench.running.settle.turn import Turn

_WAITING = 64
"""So many more of a model's units may be under way that wait, for a place or for the end of a pause: they hold no
frames, and where some fail for reasons of their own, there are others that can tell."""


class Feeding:
    """Hands a plan's units to the settler. decoders : how many clips are decoded at the same time.

    busy : how much each row has under way.
    """

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        states: Mapping[ConfiguredModel, ModelState],
        left: Left,
        suspects: Sequence[ConfiguredModel],
        decoders: int,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._states = states
        self._left = left
        self._suspects = suspects
        self._decoders = decoders
        self._places = {clip.id: place for place, clip in enumerate(plan.split.clips)}
        self._cursors: dict[ConfiguredModel, int] = {}
        self._in_turn: Counter[str] = Counter()
        self._open: Counter[ConfiguredModel] = Counter()
        self.busy: Counter[str] = Counter()

    def waiting_for(self) -> str:
        """The rows that have something under way, in words."""
        return ", ".join(row for row, count in self.busy.items() if count > 0) or "batches of requests"

    def is_wanted(self, clip: Clip) -> bool:
        """Whether a model that looks has not come to the clip yet, or is asked about it at further moments."""
        place = self._places[clip.id]
        return self._in_turn[clip.id] > 0 or any(cursor <= place for cursor in self._cursors.values())

    def looking(self) -> list[Contender]:
        """The rows that will want frames from the first clip on; from then on their models count as wanting them.

        Batched models are left out, since a round that is gone on with needs no frames any more.
        """
        rows = (
            row for row in self.trusted_rows() if row.needs_frames and not row.substitute and not row.configured.broken
        )
        looking = [row for row in rows if not _is_batched(row)]
        self._cursors = {row.configured: 0 for row in looking}
        return looking

    def trusted_rows(self) -> list[Contender]:
        """The rows that neither a suspect nor what it answers has a part in."""
        suspect = {row.name for row in self._plan.rows if row.configured in self._suspects}
        return [
            row for row in self._plan.rows if row.name not in suspect and not (row.substitute and row.of in suspect)
        ]

    async def ask_suspects(self, settler: Settler, load: Callable[[ConfiguredModel], Awaitable[None]]) -> None:
        """One after the other, what was under way when the process ended last and by itself; then their substitutes.

        load : called for each before it is asked.
        """
        for configured in self._suspects:
            await load(configured)
            rows = [row for row in self._plan.rows if row.configured is configured]
            for were_struck in (False, True):
                self._left.read_again(self._folder.attempts)
                await self._feed(configured, self._own(configured, rows, were_struck), settler, by_itself=were_struck)
        names = {row.name for configured in self._suspects for row in self._plan.rows if row.configured is configured}
        late = [
            row
            for row in self._plan.rows
            if row.substitute and row.of in names and row.configured not in self._suspects
        ]
        await self._ask_late(late, settler)

    async def _ask_late(self, rows: list[Contender], settler: Settler) -> None:
        """Ask substitutes where those that they stand in for have been asked."""
        if rows:
            self._left.read_again(self._folder.attempts)
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(self._feed(row.configured, self._own(row.configured, [row]), settler))

    async def ask_trusted(self, settler: Settler) -> None:
        """Batched models by rounds, the others clip by clip, both at once; then what stands in for batched rows."""
        rows = self.trusted_rows()
        batched = [row for row in rows if _is_batched(row)]
        names = {row.name for row in batched}
        late = [row for row in rows if row.substitute and row.of in names and row not in batched]
        others = [row for row in rows if row not in batched and row not in late]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_one_by_one(others, settler))
            for configured in dict.fromkeys(row.configured for row in batched):
                own = [row for row in batched if row.configured is configured]
                group.create_task(self._ask_by_rounds(configured, own, settler))
        await self._ask_late(late, settler)

    def goes_on_with_round(self, row: Contender) -> bool:
        """Whether a batched model's requests have been made already."""
        from ghostbench.folder.round_files import Round

        return _is_batched(row) and Round(self._journal_folder(row.configured)).sealed

    def _journal_folder(self, configured: ConfiguredModel) -> Path:
        return self._folder.journal_folder(configured.choice.row)

    async def _ask_by_rounds(self, configured: ConfiguredModel, rows: list[Contender], settler: Settler) -> None:
        """Settle a batched model's rows."""
        from ghostbench.running.settle.rounds import BatchRunner

        turns = (turn for clip in self._plan.split.clips for turn in self._left.units(clip, rows))
        units = [unit for turn in turns for unit in turn]
        deadline_s = self._plan.options.deadline
        runner = BatchRunner(
            self._states[configured], settler, self._journal_folder(configured), deadline_s, self._left.is_left
        )
        await runner.run(units)

    async def _ask_one_by_one(self, rows: list[Contender], settler: Settler) -> None:
        """Every model by itself; a substitute follows the row that it stands in for."""
        stand_ins = {row: asyncio.Queue[list[Ask] | None]() for row in rows if row.substitute}

        def pass_on(units: list[Ask]) -> None:
            for row, queue in stand_ins.items():
                if row.of == units[0].row.name:
                    queue.put_nowait(units)

        async with asyncio.TaskGroup() as group:
            for row, queue in stand_ins.items():
                group.create_task(self._feed(row.configured, self._standing_in(row, queue), settler))
            async with asyncio.TaskGroup() as mains:
                for configured in dict.fromkeys(row.configured for row in rows if not row.substitute):
                    own = [row for row in rows if row.configured is configured and not row.substitute]
                    self._tell_of_the_end(configured, own)
                    mains.create_task(self._feed(configured, self._own(configured, own), settler, pass_on))
            for queue in stand_ins.values():
                queue.put_nowait(None)

    def _tell_of_the_end(self, configured: ConfiguredModel, rows: list[Contender]) -> None:
        """Have replicas share out what is left of these rows, which are all that their model is asked about now."""
        dispatcher = self._states[configured].dispatcher
        if dispatcher is not None and len(configured.replicas) > 1:
            self._open[configured] = self._left.count(rows)
            dispatcher.left = lambda: self._open[configured]

    async def _own(
        self, configured: ConfiguredModel, rows: list[Contender], were_struck: bool | None = None
    ) -> AsyncIterator[list[Ask]]:
        """What is left to ask of a model's rows, clip by clip. were_struck : as for `Left.units`."""
        for place, clip in enumerate(self._plan.split.clips):
            turns = self._left.units(clip, rows, were_struck)
            if turns and configured in self._cursors:
                self._cursors[configured] = place
            for units in turns:
                yield units
        self._cursors.pop(configured, None)

    async def _standing_in(
        self, row: Contender, unanswered: asyncio.Queue[list[Ask] | None]
    ) -> AsyncIterator[list[Ask]]:
        """What a substitute is to be asked: clips that its row gave no answer to before, and those that come now."""
        main = next(other for other in self._plan.rows if other.name == row.of)
        for clip in self._plan.split.clips:
            for units in self._left.units(clip, [row]):
                if all(map(self._left.is_settled, self._left.asks(main, clip, units[0].repeat))):
                    yield units
        while (failed := await unanswered.get()) is not None:
            same = (
                Ask(row, one.clip, one.repeat, moment_s=one.moment_s, moments_unknown=one.moments_unknown)
                for one in failed
            )
            if units := [unit for unit in same if self._left.is_left(unit)]:
                yield units

    async def _feed(
        self,
        configured: ConfiguredModel,
        turns: AsyncIterator[list[Ask]],
        settler: Settler,
        unanswered: Callable[[list[Ask]], None] = lambda _: None,
        *,
        by_itself: bool = False,
    ) -> None:
        """Settle a model's units, as many clips at once as keep it busy or each unit alone; tell of those without an
        answer."""
        state = self._states[configured]
        in_flight = state.dispatcher.in_flight if state.dispatcher is not None else 0
        of_a_clip = sum(row.configured is configured for row in self._plan.rows) * self._plan.options.repeats
        width = max(2 * self._decoders, in_flight + self._decoders) * of_a_clip
        state.places = asyncio.Semaphore(width)
        line = asyncio.Semaphore(1 if by_itself else width + _WAITING)

        async def settle(units: list[Ask]) -> None:
            row, clip = units[0].row.name, units[0].clip.id
            more = len(units) > 1 or units[0].moments_unknown
            self.busy[row] += 1
            self._in_turn[clip] += more
            try:
                if failed := await Turn(settler, state, self._left.is_left, by_themselves=by_itself).settle(units):
                    unanswered(failed)
            finally:
                self._in_turn[clip] -= more
                self.busy[row] -= 1
                self._open[configured] -= 1
                line.release()

        async with asyncio.TaskGroup() as group:
            async for units in turns:
                await line.acquire()
                group.create_task(settle(units))


def _is_batched(row: Contender) -> bool:
    model = row.configured.model
    return isinstance(model, RemoteModel) and model.batched and not row.substitute
