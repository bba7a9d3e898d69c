"""What requests to models with a price can cost at most, written down before each is sent: `sent.jsonl`.

A request that a kill left unanswered, and an attempt whose cost nobody stated, may have been billed. What they can have
cost is known before they are sent and never again, so that it is kept here for `--resume`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ghostbench.folder.ledger import Ledger, recover
from ghostbench.folder.lines import AttemptLine, SentLine
from ghostbench.folder.reading import read_records
from ghostbench.outcomes import TURNED_AWAY
from ghostbench.redact import Redactor


class SpendingJournal:
    """The open file, which is there from the first line on. Use it on one event loop."""

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._path = path
        self._redactor = redactor
        self._ledger: Ledger | None = None
        self._noted: set[str] = set()

    async def note(self, request_id: str, most_usd: float) -> None:
        """Write down what a request can cost at most, US dollars; return when it is on disk. Raises `DiskFailed`."""
        if self._ledger is None:
            self._ledger = Ledger(self._path, self._redactor)
        self._noted.add(request_id)
        await self._ledger.append(SentLine(request_id=request_id, most_usd=most_usd))

    async def take_back(self, request_id: str) -> None:
        """Write down that a request was not sent after all, if it was noted. Raises `DiskFailed`."""
        if request_id in self._noted:
            await self.note(request_id, 0.0)

    def close(self) -> None:
        """Write what is queued and close the file."""
        if self._ledger is not None:
            self._ledger.close()


def most_by_request(sent: Path) -> dict[str, float]:
    """The most that each request can cost, US dollars, by its id; 0 for one that was not sent; {} where no file is.

    Raises `BadInput` for lines that are no account.
    """
    return {line.request_id: line.most_usd for line in read_records(sent, SentLine)}


def spent_before(attempts: Iterable[AttemptLine], sent: Path) -> float:
    """What a run may have spent so far, US dollars: what was stated, and where nobody stated it, the most it can be.

    attempts : the ledger's. A request that was turned away costs nothing. Raises `BadInput` for lines that are no
    account.
    """
    recover(sent)
    most = most_by_request(sent)
    spent = 0.0
    for line in attempts:
        unstated = most.pop(line.request_id, 0.0) if line.request_id is not None else 0.0
        if line.usage.cost_usd is not None:
            spent += line.usage.cost_usd
        elif line.outcome not in TURNED_AWAY or line.raw is not None:
            spent += unstated
    return spent + sum(most.values())
