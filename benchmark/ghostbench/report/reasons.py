"""Why there was no answer: each row's clips without one by outcome, in the server's or the decoder's own words."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from ghostbench.report.columns import MODEL
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain
from ghostbench.report.table import Column, Table, Value

_LONGEST = 200
_NUMBER = re.compile(r"[0-9a-f]{8,}|\d+")


@dataclass(frozen=True, slots=True)
class Reason:
    """Clips that ended alike. words : what was said of one of them, one plain line, "" where nothing was."""

    outcome: str
    count: int
    words: str

    def __str__(self) -> str:
        return f"{self.count} {self.outcome}" + (f" ({self.words})" if self.words else "")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """What kept one row, or several alike, from answering.

    names : the rows. count, of : clips (times repeats) without an answer, and all of them. reasons : the commonest
    first. probe : whether the rows are probes, which may well give no answer.
    """

    names: tuple[str, ...]
    count: int
    of: int
    reasons: tuple[Reason, ...]
    probe: bool

    @property
    def silent(self) -> bool:
        """Whether there was no answer at all."""
        return self.count == self.of


def unanswered(run: RunData) -> list[Unanswered]:
    """The rows of the run's models with clips that got no answer, in the tables' order; rows alike are put together.

    What clips that end alike were told may differ in numbers and names: they count as one reason, and the words are
    those of the first.
    """
    groups: dict[tuple[tuple[Reason, ...], int, bool], list[str]] = {}
    said = _last_words(run)
    for name, row in run.metrics["models"].items():
        lines = run.predictions[(run.predictions["model"] == name) & (run.predictions["outcome"] != "answered")]
        if lines.empty:
            continue
        stopped = row["stopped"]["message"] if row["stopped"] else ""
        found: Counter[tuple[str, str]] = Counter()
        first: dict[tuple[str, str], str] = {}
        for clip, repeat, outcome in zip(lines["clip"], lines["repeat"], lines["outcome"], strict=True):
            words = said.get((name, clip, repeat, str(outcome)), stopped)
            key = (str(outcome), _NUMBER.sub("#", words.replace(clip, "#")))
            found[key] += 1
            first.setdefault(key, words)
        reasons = tuple(Reason(key[0], count, _shortened(first[key])) for key, count in found.most_common())
        groups.setdefault((reasons, int(row["rows"]), bool(row["probe"])), []).append(name)
    return [
        Unanswered(tuple(names), sum(reason.count for reason in reasons), of, reasons, probe)
        for (reasons, of, probe), names in groups.items()
    ]


def no_answer(run: RunData) -> Table:
    """Every reason of every row."""
    columns = (
        MODEL,
        Column("outcome", "Outcome"),
        Column("clips", "Clips × repeats", "count"),
        Column("words", "Words"),
    )
    rows: list[tuple[Value, ...]] = [
        (name, reason.outcome, reason.count, reason.words)
        for rows in unanswered(run)
        for name in rows.names
        for reason in rows.reasons
    ]
    note = (
        "What was said of the last attempt, by the server, the decoder or the model's own code; of clips that ended "
        "alike but for names and numbers, the first one's words."
    )
    return Table("no_answer", "Why there was no answer", columns, tuple(rows), note)


def _last_words(run: RunData) -> dict[tuple[str, str, int, str], str]:
    """What the last attempt of every question was told, "" for nothing, by row, clip, repeat and outcome; of several
    moments that ended so, the first."""
    asked = ["model", "clip", "repeat", "moment_s"]
    lasts = run.attempts.drop_duplicates(asked, keep="last").sort_values("moment_s", kind="stable", ascending=False)
    lines = lasts[lasts["outcome"] != "answered"]
    return {
        (model, clip, repeat, str(outcome)): message if isinstance(message, str) else ""
        for model, clip, repeat, outcome, message in zip(
            *(lines[name] for name in ("model", "clip", "repeat", "outcome", "error_message")), strict=True
        )
    }


def _shortened(text: str) -> str:
    line = " ".join(plain(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
