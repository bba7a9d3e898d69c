"""A finished run as tables for other programs: Parquet, CSV or JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ghostbench.errors import BadInput
from ghostbench.folder.lines import as_mapping
from ghostbench.folder.manifest import has_manifest, require_complete
from ghostbench.folder.reader import Folder
from ghostbench.plugins.text import printable
from ghostbench.report.data import RunData, from_stated, read_run
from ghostbench.report.escape import csv_cell, without_places
from ghostbench.scoring.rates import RATES
from ghostbench.scoring.views import BASES, VIEWS
from ghostbench.writing import write_text

if TYPE_CHECKING:
    import pandas as pd

Form = Literal["parquet", "csv", "json"]
_SUFFIX: Mapping[Form, str] = {"parquet": "parquet", "csv": "csv", "json": "jsonl"}


def export_run(folder: Path, form: Form, out: Path, *, places: bool = True) -> list[Path]:
    """Write `clips`, `attempts`, `predictions` and `metrics`, a file each, and return their paths.

    Parts of a line get columns of their own under both names (`stages.vision_s`); lists are JSON. In CSV, text that a
    spreadsheet would compute is made plain text, as in the report's tables.

    places : False puts the names of files for absolute paths in errors and notes.

    Raises `BadInput` for a run that is no finished one, a folder that cannot be written or is a run's, and Parquet
    without pyarrow.
    """
    import pandas as pd

    run = Folder.open(folder)
    require_complete(folder, run.header)
    if has_manifest(out):
        raise BadInput(f"{printable(str(out))} is a run's folder: choose another --out")
    frames = {
        "clips": pd.json_normalize([as_mapping(line) for line in run.clips()]),
        "attempts": pd.json_normalize([as_mapping(line) for line in run.attempts()]),
        "predictions": pd.json_normalize([as_mapping(line) for line in run.predictions()]),
        "metrics": pd.DataFrame(from_stated(read_run(folder), metrics_lines)),
    }
    if not places:
        frames = {name: frame.map(_without_places) for name, frame in frames.items()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [_write(frame, form, out / f"{name}.{_SUFFIX[form]}") for name, frame in frames.items()]
    except OSError as error:
        raise BadInput(f"cannot write to {printable(str(out))}: {error.strerror}; choose another --out") from None


def metrics_lines(run: RunData) -> list[dict[str, Any]]:
    """One flat line for each row of the tables: counts, and every rate with its interval."""
    lines = []
    for name, row in run.rows.items():
        # What tells a model's own row from the same model under a probe or in other words.
        told = {"model": name, "of": row["of"], "probe": row["probe"], "variant": row["variant"]}
        seen = {"sees_video": row.get("sees_video", False)}
        line: dict[str, Any] = {**told, **seen, "n": row["n"], "rows": row["rows"], "answered": row["answered"]}
        for view in VIEWS:
            for basis in BASES:
                rates = row["views"][view][basis]
                line |= {f"{view}.{basis}.{cell}": rates[cell] for cell in ("tp", "fp", "fn", "tn")}
                for rate in RATES:
                    estimate = rates[rate]
                    for part in ("value", "low", "high"):
                        line[f"{view}.{basis}.{rate}.{part}"] = None if estimate is None else estimate[part]
        lines.append(line)
    return lines


def _write(frame: pd.DataFrame, form: Form, path: Path) -> Path:
    if form == "json":
        records = frame.astype(object).to_dict("records")
        lines = (json.dumps({key: _null(value) for key, value in each.items()}, ensure_ascii=False) for each in records)
        write_text(path, "".join(f"{line}\n" for line in lines))
    elif form == "csv":
        write_text(path, frame.map(_cell).to_csv(index=False, lineterminator="\n"))
    else:
        try:
            frame.map(_listed).to_parquet(path, index=False)
        except ImportError:
            raise BadInput("Parquet needs pyarrow: pip install 'ghostbench[parquet]', or choose csv or json") from None
    return path


def _without_places(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_without_places(each) for each in value]
    return without_places(value) if isinstance(value, str) else value


def _null(value: Any) -> Any:
    """pandas' sign for no value as JSON has it."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _listed(value: Any) -> Any:
    """A value as a column of one type holds it: lists and mappings as JSON."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return value


def _cell(value: Any) -> Any:
    value = _listed(value)
    return csv_cell(value) if isinstance(value, str) else value
