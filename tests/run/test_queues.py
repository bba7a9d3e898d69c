"""Which requests a replica of a local model takes at once, of those that wait."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ghostbench.running.ask.queues import Queues
from ghostbench.running.ask.seat import Seat


@dataclass(frozen=True)
class Item:
    name: str
    group: str = "g"
    since: float = 0.0


def seats_of(*sizes: int) -> list[Seat[Item]]:
    """Replicas that want so many requests at once."""
    pool = ThreadPoolExecutor(1)
    places: Any = [SimpleNamespace(batch_size=size) for size in sizes]
    return [Seat[Item](place, pool) for place in places]


def taken(queues: Queues[Item], seat: Seat[Item], left: float = math.inf) -> list[str]:
    return [item.name for item in queues.next_batch(seat, left, 0.0)]


def test_a_batch_waits_for_what_can_still_come_and_for_nothing_else() -> None:
    (seat,) = seats_of(2)
    queues = Queues([seat])
    queues.expect(3, "g")
    for name in "abc":
        queues.put(Item(name), seat)
    assert taken(queues, seat) == ["a", "b"]
    assert taken(queues, seat) == [], "more of its group are announced"
    queues.expect(-3, "g")
    assert taken(queues, seat) == ["c"]
    assert taken(queues, seat) == []


def test_of_several_groups_the_one_that_has_waited_longest_comes_first_and_none_is_mixed() -> None:
    (seat,) = seats_of(4)
    queues = Queues([seat])
    queues.put(Item("late", "one", 2.0), seat)
    queues.put(Item("early", "other", 1.0), seat)
    queues.put(Item("shared", "other", 1.5), None)
    assert taken(queues, seat) == ["early", "shared"]
    assert taken(queues, seat) == ["late"]


def test_a_free_replica_takes_over_the_latest_of_one_that_is_busy_and_nothing_of_one_that_is_not() -> None:
    busy, free = seats_of(2, 2)
    queues = Queues([busy, free])
    for name in "abc":
        queues.put(Item(name), busy)
    assert taken(queues, free) == []
    busy.taken = 1
    assert taken(queues, free) == ["c", "b"]
    assert queues.emptied(busy, shared=True) == [Item("a")]
    assert taken(queues, busy) == []


def test_what_is_left_at_the_end_is_shared_out() -> None:
    seats = seats_of(8, 8)
    queues = Queues(seats)
    for number in range(8):
        queues.put(Item(str(number)), None)
    assert len(taken(queues, seats[0], left=8)) == 4
    assert len(taken(queues, seats[1], left=math.inf)) == 4


def test_a_replica_that_is_asked_nothing_more_takes_nothing() -> None:
    first, second = seats_of(2, 2)
    queues = Queues([first, second])
    queues.put(Item("a"), None)
    first.closed = True
    assert taken(queues, first) == []
    assert queues.open_seats() == [second]
    assert taken(queues, second) == ["a"]
