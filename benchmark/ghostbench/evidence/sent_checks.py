"""The account of what requests could cost (`sent.jsonl`) against the ledger's attempts."""

from __future__ import annotations

import pandas as pd

from ghostbench.errors import BadInput
from ghostbench.evidence.differences import Finding
from ghostbench.folder.names import SENT
from ghostbench.folder.run_records import RunRecords
from ghostbench.folder.spending import most_by_request
from ghostbench.outcomes import TURNED_AWAY


def check_sent(run: RunRecords) -> tuple[list[Finding], list[str]]:
    """Whether the attempts that must have a line have one, and no line denies an attempt; and what cannot be checked.

    A model that is asked one by one has a line for every request sent; one that is asked by the file (a batch
    interface) only for those whose cost nobody stated. Which of the two a row is shows in the lines that it has.
    """
    try:
        most = most_by_request(run.folder / SENT)
    except BadInput:
        return [Finding(SENT, "holds a line that is no account of a request")], []
    attempts = run.attempts[run.attempts["request_id"].notna()]
    noted = attempts["request_id"].isin(list(most))
    turned_away = attempts["outcome"].isin(list(TURNED_AWAY)) & attempts["raw_length"].isna()
    unstated = attempts["cost_usd"].isna() & ~turned_away
    rows = attempts["model"]
    priced, one_by_one = rows.isin(rows[noted]), rows.isin(rows[noted & ~unstated])
    wanting = attempts["wall_s"].notna() & ~noted & (one_by_one | (priced & unstated))
    denied = noted & (attempts["request_id"].map(most) == 0)
    found = [Finding(SENT, f"{name} was sent and has no line") for name in _names(attempts[wanting])]
    found += [Finding(SENT, f"says that {name} was not sent") for name in _names(attempts[denied])]
    known = set(attempts["request_id"])
    unknown = [amount for name, amount in most.items() if amount and name not in known]
    silent = dict.fromkeys(rows[(attempts["cost_usd"] > 0) & ~priced])
    return found, list(_notes(bool(most), unknown, list(silent)))


def _notes(any_line: bool, unknown: list[float], silent: list[str]) -> list[str]:
    notes = []
    if any_line:
        notes.append(f"the amounts of {SENT} were not computed again: the run does not hold the requests")
    if unknown:
        notes.append(
            f"{SENT} has {len(unknown)} requests, of ${sum(unknown):.4f} at most, that are in no attempt, as a kill "
            "leaves those under way: whether they were sent was not checked"
        )
    if silent:
        notes.append(
            f"whether the requests of {', '.join(silent)} were noted before they were sent was not checked: "
            f"{SENT} has no line of theirs, as where a price is known only afterwards, or from a batch interface"
        )
    return notes


def _names(attempts: pd.DataFrame) -> list[str]:
    columns = (attempts[name] for name in ("model", "clip", "repeat", "attempt"))
    return [
        f"{row}, {clip}, repeat {again}, attempt {number}" for row, clip, again, number in zip(*columns, strict=True)
    ]
