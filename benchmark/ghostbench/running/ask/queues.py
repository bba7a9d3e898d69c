"""What waits to be computed by a local model's replicas, and which of it a replica is to take at once. Nothing waits
here: these are decisions."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from ghostbench.running.ask.seat import Seat
from ghostbench.running.ask.sharing_out import FAR_FROM_THE_END, to_take


class Waiting(Protocol):
    """A request that can be computed. since : when it began to wait, seconds on the clock of `next_batch`."""

    @property
    def group(self) -> str:
        """What it may be in one batch with."""

    @property
    def since(self) -> float:
        """When it began to wait."""


Item = TypeVar("Item", bound=Waiting)


class Queues(Generic[Item]):
    """The requests that wait, in groups: those that a replica has prepared, and those that any may take.

    A group's batch may start when it is as large as its replica is to take, or when none of the group's announced
    requests is still being decoded or prepared: a batch never waits for a clip that cannot come before the batch has
    been answered. Of several that may start, the one whose first request has waited longest does.

    A replica takes what it has prepared itself; with nothing of its own left, what others have and cannot begin yet.
    """

    def __init__(self, seats: Sequence[Seat[Item]]) -> None:
        self._seats = seats
        self._shared: dict[str, deque[Item]] = {}
        self._expected: Counter[str] = Counter()

    def open_seats(self) -> list[Seat[Item]]:
        """The replicas that can be asked."""
        return [seat for seat in self._seats if not seat.closed]

    def expect(self, count: int, group: str) -> None:
        """Announce requests of a group; negative: that they are here, or will not come."""
        self._expected[group] += count

    def all_came(self, group: str) -> bool:
        """Whether none of the group's announced requests is still on its way."""
        return self._expected[group] <= 0

    def put(self, item: Item, seat: Seat[Item] | None) -> None:
        """Have it wait. seat : the replica that has prepared it; None for one that any may take."""
        waiting = self._shared if seat is None else seat.ready
        waiting.setdefault(item.group, deque()).append(item)

    def emptied(self, seat: Seat[Item], *, shared: bool) -> list[Item]:
        """What the replica has prepared, and with `shared` what any may take: it waits no longer."""
        queues = [*seat.ready.values(), *(self._shared.values() if shared else ())]
        items = [item for waiting in queues for item in waiting]
        for waiting in queues:
            waiting.clear()
        return items

    def next_batch(self, seat: Seat[Item], left: float, now: float) -> list[Item]:
        """Take the batch that the replica is to start now; empty where there is none.

        left : how many requests of the run are still to be computed; infinity where that is not known. now : seconds.
        """
        if seat.closed:
            return []
        size = self._size(seat, left, now)
        may_start = []
        for group in {*seat.ready, *self._shared}:
            own, shared = seat.ready.get(group) or deque(), self._shared.get(group) or deque()
            count = len(own) + len(shared)
            if count >= size or (count and self.all_came(group)):
                may_start.append((min(waiting[0].since for waiting in (own, shared) if waiting), own, shared))
        if may_start:
            _, own, shared = min(may_start, key=lambda each: each[0])
            return [(own or shared).popleft() for _ in range(min(size, len(own) + len(shared)))]
        return self._taken_over(size)

    def _taken_over(self, size: int) -> list[Item]:
        """Of what the replica with most to do has prepared, as much as another is to take, the latest first."""
        if len(self._seats) == 1:
            return []
        most = max(
            (
                waiting
                for other in self._seats
                if other.is_busy
                for group, waiting in other.ready.items()
                if self.all_came(group)
            ),
            key=len,
            default=deque[Item](),
        )
        return [most.pop() for _ in range(min(size, len(most)))]

    def _size(self, seat: Seat[Item], left: float, now: float) -> int:
        """How many requests the replica is to take at once."""
        most = max(1, seat.place.batch_size)
        if most == 1 or left >= FAR_FROM_THE_END * most * len(self._seats):
            return most
        here = sum(map(len, self._shared.values())) + sum(
            len(waiting) for each in self._seats for waiting in each.ready.values()
        )
        waiting = max(int(left), here + sum(self._expected.values()))
        return to_take(seat.pace, [each.pace for each in self.open_seats()], most, waiting, now)
