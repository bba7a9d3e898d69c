"""What lines of the ledger say at length, read where it is wanted: a run's answers may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ghostbench.errors import BadInput
from ghostbench.folder.lines import AttemptFault, adapter_of
from ghostbench.folder.names import ATTEMPTS


@dataclass(frozen=True, slots=True)
class _Texts:
    """What is wanted of an `AttemptLine`."""

    raw: str | None
    error: AttemptFault | None


@dataclass(frozen=True, slots=True)
class LineText:
    """raw : the model's answer, None where there is none. error : what went wrong, as "type: words", or None."""

    raw: str | None
    error: str | None


NOTHING = LineText(None, None)


def line_texts(folder: Path, starts: Iterable[int]) -> Iterator[LineText]:
    """The texts of the lines of a run's attempts.jsonl that start at these bytes, in their order; one at a time.

    starts : as the column `starts_at` of the run's attempts has them; a negative one stands for no line.

    Raises `BadInput` where the file is not the one that was read before.
    """
    path = folder / ATTEMPTS
    adapter = adapter_of(_Texts)
    try:
        with path.open("rb") as file:
            for start in starts:
                if start < 0:
                    yield NOTHING
                    continue
                file.seek(start)
                line = adapter.validate_json(file.readline())
                yield LineText(line.raw, f"{line.error.type}: {line.error.message}" if line.error else None)
    except (OSError, ValidationError):
        raise BadInput(f"{path} changed while it was read: run the command again") from None
