"""What was lost with the process of a run goes into its ledger when it is gone on with."""

from __future__ import annotations

import os
from collections import Counter

from ghostbench.errors import BadInput, WorkerLost
from ghostbench.folder.begun import Lost, read_lost
from ghostbench.folder.ledger import encode, recover
from ghostbench.folder.lines import AttemptFault, AttemptLine, adapter_of
from ghostbench.folder.place import RunFolder
from ghostbench.folder.reading import read_records
from ghostbench.outcomes import Outcome
from ghostbench.running.resume.line_check import WAY_OUT, LineCheck
from ghostbench.running.rules.predictions import AskKey
from ghostbench.writing import open_to_append

_WAY_OUT = "put it back as it was, or remove it"


def write_down_losses(folder: RunFolder, check: LineCheck) -> Lost:
    """Write into the ledger what was under way when the process of the run ended by itself; return what that was.

    Each such request is an attempt that ended as `worker_lost`, for its own unit and for those computed with it.
    check : a new one, for the run's ledger.

    Raises `BadInput` where a request is none that the run can have made, and writes nothing then.
    """
    recover(folder.attempts)
    lost = read_lost(folder.begun, folder.attempts)
    attempts: Counter[AskKey] = Counter()
    if lost.requests:
        for number, line in enumerate(read_records(folder.attempts, AttemptLine, way_out=WAY_OUT), start=1):
            check(line, f"{folder.attempts} line {number}")
            attempts[AskKey.of(line)] += 1
    lines = []
    for begun in lost.requests:
        try:
            unit = AskKey(begun["model"], begun["clip"], begun["repeat"], begun.get("moment_s"))
            attempts[unit] += 1
            attempt = AttemptLine(
                model=begun["model"],
                clip=begun["clip"],
                repeat=begun["repeat"],
                attempt=attempts[unit],
                fallback_level=begun["fallback_level"],
                outcome=Outcome.WORKER_LOST,
                error=AttemptFault(type=WorkerLost.__name__, message=f"the process {lost.how} while this was computed"),
                started_at=begun["started_at"],
                request_id=begun["request_id"],
                frames_sha256=begun["frames_sha256"],
                prompt_sha256=begun["prompt_sha256"],
                notes=tuple(str(note) for note in begun.get("notes") or ()),
                moment_s=unit.moment_s,
            )
            written = encode(attempt)
            check(adapter_of(AttemptLine).validate_json(written, strict=True), str(folder.begun))
        except (KeyError, TypeError, ValueError, RecursionError):
            raise BadInput(f"{folder.begun} was not written by a run; {_WAY_OUT}") from None
        except BadInput as error:
            raise BadInput(f"{str(error).removesuffix(WAY_OUT)}{_WAY_OUT}") from None
        lines.append(written)
    if lines:
        with open_to_append(folder.attempts) as file:
            file.write("".join(line + "\n" for line in lines).encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
    return lost
