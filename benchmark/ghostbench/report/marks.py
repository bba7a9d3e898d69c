"""What a reader must know of a row before its rates: what it is, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ghostbench.scoring import compared as comparison
from ghostbench.scoring.metrics import TableRow
from ghostbench.scoring.views import VIEWS, View

MarkKind = Literal["what_it_is", "stopped", "no_answer", "does_not_beat", "undecided", "by_chance", "served_another"]
_NotBeaten = Literal["does_not_beat", "undecided"]
_NOT_BEATEN: Final[Mapping[_NotBeaten, str]] = {"does_not_beat": "does not beat", "undecided": "not shown to beat"}
_BY_CHANCE: Final = {"undecided": "not shown to warn more than chance", "does_not_beat": "warns no more than chance"}


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that a reader must know of a row. kind : which it is. words : plain text, for people."""

    kind: MarkKind
    words: str

    def __str__(self) -> str:
        return self.words


def marks(row: TableRow) -> list[Mark]:
    """What a reader must know of a row before its rates: what it is, and what is wrong with it."""
    said: list[str] = []
    if row["baseline"] and "baseline" not in (row["mark"] or ""):
        said.append("baseline")
    if row["mark"]:
        said.append(str(row["mark"]))
    if "compared" in row:
        said.append(comparison.in_words(row["compared"]))
    if row["probe"]:
        said.append(f"probe {row['probe']} of {row['of']}")
    elif row["variant"]:
        said.append(f"wording {row['variant']} of {row['of']}")
    elif row["of"]:
        said.append(f"substitute for {row['of']}")
    found = [Mark("what_it_is", words) for words in said]
    if row["stopped"]:
        found.append(Mark("stopped", f"stopped: {row['stopped']['outcome']}"))
    if not row["baseline"] and row["answered"] == 0:
        found.append(Mark("no_answer", "no answer at all"))
    for (verdict, best), views in _not_beaten(row).items():
        found.append(Mark(verdict, f"{_NOT_BEATEN[verdict]} {best} ({', '.join(views)})"))
    if (words := _not_beyond_chance(row)) is not None:
        found.append(Mark("by_chance", words))
    asked, served = row["asked_model"], row["served_models"]
    if asked and any(not same_model(asked, name) for name in served):
        found.append(Mark("served_another", f"asked for {asked}, served {', '.join(served)}"))
    return found


def same_model(asked: str, served: str) -> bool:
    """Whether a server's name is the asked model or a dated snapshot of it (`gpt-4.1` and `gpt-4.1-2025-04-14`)."""
    if served == asked:
        return True
    dated = served.removeprefix(asked + "-")
    return dated != served and len(dated) >= 8 and dated.replace("-", "").isdigit()


def _not_beaten(row: TableRow) -> dict[tuple[_NotBeaten, str], list[View]]:
    """The views in which the row does not beat the best trivial baseline or is not shown to, by verdict and its name.

    None for a row without answers: that is said instead. None either where the task asks at moments: that compares yes
    and no of whole clips.
    """
    found: dict[tuple[_NotBeaten, str], list[View]] = {}
    if row["answered"] == 0 or row["beats_trivial"] is None or row["early_warning"] is not None:
        return found
    for view in VIEWS:
        bar = row["beats_trivial"][view]
        if bar["verdict"] != "beats" and bar["best"] is not None:
            found.setdefault((bar["verdict"], bar["best"]), []).append(view)
    return found


def _not_beyond_chance(row: TableRow) -> str | None:
    """Words where a model is not shown to warn more often than alarms by chance; None where it is, and for what is no
    model, has no answer, or cannot be held against them."""
    found = row["early_warning"]
    if found is None or row["baseline"] or row["answered"] == 0 or found["random"] is None:
        return None
    return _BY_CHANCE.get(found["random"]["verdict"])
