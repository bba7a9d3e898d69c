"""How many requests a replica takes at once, so that all replicas of a model end together.

A full batch is the best use of a replica as long as there is much to do. Near the end it would leave the others idle:
192 clips in batches of 128 on two GPUs are one GPU's second batch while the other waits. So what is left is shared out
by how fast each replica has been, counting what each is at, and each share is taken in batches of equal size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

FAR_FROM_THE_END = 4
"""With so many full batches left for each replica, the end is no concern yet."""
_NEWEST = 0.5
"""The weight of the newest batch in what is reckoned of a replica's pace."""
_WORTH_A_BATCH = 1 / 8
"""Where less than this part of a batch would be left for the others, it goes with that batch: a small one takes most of
the time of a large one."""


@dataclass(slots=True)
class Pace:
    """What a replica is at, and how fast it has been.

    per_s : requests a second; None before its first batch has ended. Moments are of `time.perf_counter`.
    """

    per_s: float | None = None
    _running: dict[int, tuple[int, float]] = field(default_factory=dict)
    _begun: int = 0

    def begin(self, count: int, now: float) -> int:
        """Note that a batch of so many requests begins; its number."""
        self._begun += 1
        self._running[self._begun] = (count, now)
        return self._begun

    def end(self, number: int, now: float, *, counts: bool = True) -> None:
        """Note that this batch has ended. counts : whether it says how fast the replica is."""
        count, began = self._running.pop(number)
        if counts:
            newest = count / max(now - began, 1e-6)
            self.per_s = newest if self.per_s is None else _NEWEST * newest + (1 - _NEWEST) * self.per_s

    def left(self, now: float, usual: float | None) -> float:
        """How much of what it is at is still to be done, in requests. usual : the pace of one that is not known yet."""
        per_s = self.per_s or usual or 0.0
        return sum(max(0.0, count - per_s * (now - began)) for count, began in self._running.values())


def to_take(own: Pace, paces: Sequence[Pace], most: int, waiting: int, now: float) -> int:
    """How many requests a replica that is free takes at once, from 1 to `most`.

    own : its pace, one of `paces`. waiting : requests that no replica has begun, those still to come among them.

    >>> free = Pace()
    >>> to_take(free, [free, Pace()], 128, 192, 0.0)
    96
    >>> free, busy = Pace(10.0), Pace(10.0)
    >>> number = busy.begin(48, now=0.0)
    >>> to_take(free, [free, busy], 64, 48, now=0.4)  # 46 would leave 2
    48
    """
    if most <= 1 or len(paces) < 2 or waiting >= FAR_FROM_THE_END * most * len(paces):
        return max(1, most)
    known = [pace.per_s for pace in paces if pace.per_s is not None]
    usual = sum(known) / len(known) if known else None
    share = _share(own, [(pace, pace.per_s or usual or 1.0, pace.left(now, usual)) for pace in paces], waiting)
    if share <= 1:
        return 1
    rounds = math.ceil(round(share / most, 6))
    take = max(1, min(most, math.ceil(round(share / rounds, 6))))
    return waiting if waiting <= most and waiting - take < _WORTH_A_BATCH * take else take


def _share(own: Pace, replicas: list[tuple[Pace, float, float]], waiting: int) -> float:
    """The requests that the replica would take of those waiting, were they a liquid that finds its level: all end at
    the same moment, but those that are busy beyond it with what they have."""
    while True:
        level_s = (waiting + sum(left for _, _, left in replicas)) / sum(per_s for _, per_s, _ in replicas)
        under = [each for each in replicas if each[2] <= each[1] * level_s or each[0] is own]
        if len(under) == len(replicas):
            break
        replicas = under
    per_s, left = next((per_s, left) for pace, per_s, left in replicas if pace is own)
    return per_s * level_s - left
