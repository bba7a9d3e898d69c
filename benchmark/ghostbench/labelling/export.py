"""An annotator's labels as a file: a label file with every column, or in another tool's form."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ghostbench.datasets.labels import read_labels
from ghostbench.errors import BadInput
from ghostbench.label import COLUMNS, contradiction
from ghostbench.labelling.boris import boris_json
from ghostbench.labelling.forms import label_studio_json, via_csv
from ghostbench.labelling.log import NOTE, LabelLog
from ghostbench.labelling.rating import Rating
from ghostbench.labelling.via_project import via_json
from ghostbench.writing import write_text

_WORDS: Final = {"ghost_probing": "ghost probing", "cut_in": "cut-in"}


FORMS: Final = ("csv", "via", "via-project", "label-studio", "boris")
"""A label file, VIA's CSV and its project, Label Studio's JSON, a project of BORIS."""


def write_labels(log: LabelLog, path: Path, form: str = "csv") -> int:
    """Write what was said of each clip when it was asked first, in one of `FORMS`; return how many clips that is.

    Raises `BadInput` where nothing is labelled yet, where a clip's times contradict each other, and for a file that
    cannot be written.
    """
    ratings = log.ratings(0)
    if not ratings:
        raise BadInput(f"{log.path}: no clip is labelled yet; say of one what it shows first")
    text = _WRITERS[form](log)
    try:
        write_text(path, text)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None
    return len(ratings)


def label_file(log: LabelLog) -> str:
    """The label file. Raises `BadInput` where a clip's times contradict each other."""
    ratings = log.ratings(0)
    notes = {clip: draft.values.get(NOTE, "") for (clip, again), draft in log.drafts.items() if again == 0}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["video_id", "ground_truth_label", "remark", *COLUMNS])
    for clip, rating in sorted(ratings.items()):
        wrong = contradiction(rating.labels)
        if wrong is not None:  # the page shows no names: its number there is what leads to the clip
            number = next((n for n, item in enumerate(log.items, 1) if item == (clip, 0)), "?")
            raise BadInput(f"{log.path}: clip {number}, {clip}: {wrong}; set one of them anew")
        table.writerow([clip, _label(rating), notes[clip], *_cells(rating)])
    read_labels(text.getvalue().encode(), f"labels of {log.annotator}")  # what is written can be read
    return text.getvalue()


_WRITERS: Final[Mapping[str, Callable[[LabelLog], str]]] = {
    "csv": label_file,
    "via": via_csv,
    "via-project": via_json,
    "label-studio": label_studio_json,
    "boris": boris_json,
}


def _label(rating: Rating) -> str:
    if rating.truth not in _WORDS:
        return "none"
    time = "" if rating.event_s is None else f"{_seconds(rating.event_s)}s: "
    return time + _WORDS[rating.truth]


def _cells(rating: Rating) -> Sequence[str]:
    return [_cell(getattr(rating.labels, name)) for name in COLUMNS]


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _seconds(value)


def _seconds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
