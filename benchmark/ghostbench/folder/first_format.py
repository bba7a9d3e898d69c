"""What folders of the first format lack: their predictions say no more of an answer than grade and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from ghostbench.errors import BadInput, Unparseable
from ghostbench.folder.ledger_text import LedgerTexts
from ghostbench.folder.manifest import Manifest

if TYPE_CHECKING:
    import pandas as pd

LACKED = ("actor", "occluder", "evidence", "alarm_time_s", "moments")
"""The fields of a prediction that the first format does not have."""
_CARRIED = ("actor", "occluder", "evidence")


class _Ledger(Protocol):
    """The ledger's lines, and what they say at length."""

    @property
    def lines(self) -> pd.DataFrame: ...
    @property
    def texts(self) -> LedgerTexts: ...


def fill_answers(manifest: Manifest, predictions: pd.DataFrame, ledger: _Ledger) -> None:
    """Fill `actor`, `occluder` and `evidence` of a run's predictions with what its task reads in the ledger.

    They stay empty where the task is not installed, or no longer reads the answer.
    """
    import pandas as pd

    from ghostbench.tasks.load import load_task

    try:
        task = load_task(manifest.task.name)
    except BadInput:
        return
    key = ["model", "clip", "repeat"]
    said = ledger.lines[(ledger.lines["outcome"] == "answered") & ledger.lines["raw_length"].notna()]
    starts = said.drop_duplicates(key, keep="last").set_index(key)["starts_at"]
    answered = predictions[predictions["outcome"] == "answered"]
    # What a substitute was not asked about, the row that it stands in for has answered.
    main: Mapping[str, str | None] = {name: entry.of for name, entry in manifest.models.items() if entry.substitute}
    rows = answered["model"].map(lambda name: main.get(name) or name)
    own = starts.reindex(pd.MultiIndex.from_frame(answered[key])).to_numpy()
    its = starts.reindex(pd.MultiIndex.from_frame(answered[key].assign(model=rows))).to_numpy()
    places = pd.Series(own).where(pd.notna(own), its).fillna(-1).astype("int64")
    found: dict[str, list[str | None]] = {name: [] for name in _CARRIED}
    for text in ledger.texts.of(places.tolist()):
        try:
            answer = task.parse(text.raw) if text.raw is not None else None
        except Unparseable:
            answer = None
        for name, values in found.items():
            values.append(getattr(answer, name, None))
    for name, values in found.items():
        predictions[name] = pd.Series(values, index=answered.index, dtype=object).reindex(predictions.index)
