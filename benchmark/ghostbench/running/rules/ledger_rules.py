"""What every ledger keeps to that a run has written: whether its attempts can have been made as its lines say.

A line that was doubled, moved, taken out or made up breaks a rule: each line is held against those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ghostbench.folder.lines import AttemptLine
from ghostbench.outcomes import FALLS_BACK, NEVER_SENT, RETRIED, Outcome
from ghostbench.records import Memory, Stages, Usage
from ghostbench.running.rules.predictions import AskKey
from ghostbench.running.rules.standing import AS_CONFIGURED, Standing

GOES_ON: frozenset[Outcome] = RETRIED | FALLS_BACK | NEVER_SENT
"""Outcomes of attempts after which another attempt at the same clip can follow, in the same run or on `--resume`."""

_IN_FORCE = "in force: "
"""How a note begins that says of an attempt what its fallback level does not: two at one level may ask differently."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A line that no run writes. number : from 1. what : what is wrong with it, after "line N"."""

    number: int
    what: str


class LedgerRules:
    """The rules for one run.

    ladders : how many fallback levels each row's model declares; None where that is not known.
    repeats : how often each clip is asked about.
    """

    def __init__(self, ladders: Mapping[str, int | None], repeats: int) -> None:
        self._ladders = ladders
        self._repeats = repeats
        self._last: dict[AskKey, tuple[int, Standing, Outcome]] = {}
        self._ids: set[str] = set()
        self._entries: set[str] = set()

    def breaches(self, lines: Iterable[AttemptLine]) -> Iterator[Breach]:
        """Every breach, in order."""
        for number, line in enumerate(lines, start=1):
            for what in self.objections(line):
                yield Breach(number, what)

    def objections(self, line: AttemptLine) -> Iterator[str]:
        """What is wrong with the next line of the ledger, in words that follow "line N"."""
        row, clip, repeat, moment_s = unit = AskKey.of(line)
        attempt, level, outcome = line.attempt, line.fallback_level, line.outcome
        said = f"is attempt {attempt} of {row} at {clip}, repeat {repeat}"
        said += f", {moment_s:g} s" if moment_s is not None else ""
        before, stood, was = self._last.get(unit, (0, AS_CONFIGURED, None))
        stands = Standing.noted(level, line.notes)
        self._last[unit] = (attempt, stands, outcome)
        if attempt != before + 1:
            yield f"{said}, where attempt {before + 1} is due"
        if was is not None and was not in GOES_ON:
            yield f"{said}, after one that ended as {was}: nothing follows that"
        if level < stood.level:
            yield f"{said} at fallback level {level}, after level {stood.level}"
        elif was in FALLS_BACK and stands == stood:
            yield f"{said} at fallback level {level} again, where {was} leads to another"
        rungs = self._ladders.get(row)
        if rungs is not None and level > rungs:
            yield f"{said} at fallback level {level}: the model has {rungs}"
        if repeat >= self._repeats:
            yield f"{said}: the run has {self._repeats} of each clip, counted from 0"
        if attempt == 1 and (line.wait_s or 0) > 0:
            yield f"{said}, with a pause since an attempt before it"
        yield from self._request(line, said)
        yield from self._from_cache(line, said)

    def _request(self, line: AttemptLine, said: str) -> Iterator[str]:
        """Whether the request is one of its own, and there where there was one."""
        name = line.request_id
        if name is None:
            if line.outcome is Outcome.ANSWERED:
                yield f"{said}, answered without a request"
        elif name in self._ids:
            yield f"{said} with the request of another line, {name}"
        else:
            self._ids.add(name)
        if line.outcome is Outcome.ANSWERED and line.error is not None:
            yield f"{said}, answered and failed at once"

    def _from_cache(self, line: AttemptLine, said: str) -> Iterator[str]:
        """Whether an answer of another run claims what only a request that was sent can have."""
        if line.from_cache is None:
            return
        if line.outcome is not Outcome.ANSWERED:
            yield f"{said}, from the cache and {line.outcome}: only answers are kept"
        if line.from_cache in self._entries:
            yield f"{said}, from an entry of the cache that another line has used: one serves a run once"
        self._entries.add(line.from_cache)
        of_a_request = (line.wall_s, line.wait_s, line.batch_size, line.worker, line.server_request_id)
        if any(value is not None for value in of_a_request) or line.stages != Stages() or line.memory != Memory():
            yield f"{said}, from the cache, with times or traces of a request that was sent"
        if replace(line.usage, cost_usd=None) != Usage() or line.usage.cost_usd:
            yield f"{said}, from the cache, with tokens or costs: it cost nothing"
