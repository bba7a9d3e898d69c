"""What lines of the ledger say at length, read where it is wanted: a run's answers may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ghostbench.errors import BadInput
from ghostbench.folder.lines import AttemptFault, AttemptLine, adapter_of
from ghostbench.records import Probability

KEPT = 4 << 20
"""Characters up to which a ledger's texts stay in memory."""


@dataclass(frozen=True, slots=True)
class _Texts:
    """What is wanted of an `AttemptLine`."""

    raw: str | None
    error: AttemptFault | None
    grade_probabilities: Mapping[str, Probability] | None = None


@dataclass(frozen=True, slots=True)
class LineText:
    """raw : the model's answer, None where there is none. error : what went wrong, as "type: words", or None.

    score : P(ghost_probing), None where the model gave none.
    """

    raw: str | None
    error: str | None
    score: float | None = None


NOTHING = LineText(None, None)
"""Of no line."""


class LedgerTexts:
    """The texts of a ledger's lines, by the byte at which each starts.

    Those of a small ledger are kept as it is read; those of a large one are read again where they are wanted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[int, LineText] | None = {}
        self._room = KEPT

    def keep(self, start: int, line: AttemptLine) -> None:
        """Take in a line as it is read."""
        if self._kept is None:
            return
        text = _text(line)
        self._room -= len(text.raw or "") + len(text.error or "")
        if self._room < 0:
            self._kept = None
        elif text != NOTHING:
            self._kept[start] = text

    def of(self, starts: Iterable[int]) -> Iterator[LineText]:
        """The texts of the lines that start at these bytes, in their order; one at a time.

        starts : as the column `starts_at` of the run's attempts has them; a negative one stands for no line.

        Raises `BadInput` where the file is not the one that was read before.
        """
        if self._kept is None:
            return self._read(starts)
        kept = self._kept
        return (kept.get(start, NOTHING) for start in starts)

    def _read(self, starts: Iterable[int]) -> Iterator[LineText]:
        adapter = adapter_of(_Texts)
        try:
            with self._path.open("rb") as file:
                for start in starts:
                    if start < 0:
                        yield NOTHING
                        continue
                    file.seek(start)
                    yield _text(adapter.validate_json(file.readline()))
        except (OSError, ValidationError):
            raise BadInput(f"{self._path} changed while it was read: run the command again") from None


def _text(line: AttemptLine | _Texts) -> LineText:
    error = f"{line.error.type}: {line.error.message}" if line.error else None
    return LineText(line.raw, error, (line.grade_probabilities or {}).get("ghost_probing"))
