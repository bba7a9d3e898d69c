"""What a dataset is: the YAML file behind its name, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ghostbench.errors import BadInput
from ghostbench.plugins import registry
from ghostbench.records import Layout

_SUFFIXES = (".yaml", ".yml")
_LIMIT_BYTES = 1 << 20
_KEYS = "its keys are name, root, layout, labels, splits, fps"
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Path = Annotated[str, Field(min_length=1)]


class Definition(BaseModel):
    """A dataset as its YAML file describes it. Relative paths in the file count from the file's own folder.

    name : what the run folder and reports call it.
    root : where the media is, a path or fsspec URL; None if only the user knows.
    layout : "files", "frames", or "auto" to look for either (see `ghostbench.datasets.layouts`).
    labels : the label file, a path or fsspec URL; None if the user brings it, or has it beside the media.
    splits : path of the id list of each named split. "all", every labelled clip, is always there.
    fps : frames per second of frame folders, which do not state it themselves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: _Word
    root: _Path | None = None
    layout: Layout = "auto"
    labels: _Path | None = None
    splits: dict[_Word, _Path] = {}
    fps: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=False)] = 30.0


def find_definition(dataset: str) -> Definition:
    """The dataset of that registered name, or of that YAML file's path. Raises `BadInput`."""
    if dataset.lower().endswith(_SUFFIXES) or "/" in dataset:
        return read_definition(Path(dataset).expanduser())
    spec = registry.find("dataset", registry.registry().datasets, dataset)
    try:
        target = registry.load_target(spec.load)
        path = Path(target() if callable(target) else target)
    except BadInput:
        raise
    except Exception as error:  # whatever a plugin's own code raises
        reason = registry.printable(f"{type(error).__name__}: {error}")
        raise BadInput(f"dataset '{dataset}' cannot be loaded: {reason}; repair or remove its plugin") from error
    return read_definition(path)


def read_definition(path: Path) -> Definition:
    """The dataset that a YAML file describes. Raises `BadInput` naming the file and the key."""
    shown = f"dataset file {registry.printable(str(path))}"
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise BadInput(f"{shown}: larger than 1 MiB, so no dataset file; {_KEYS}")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise BadInput(f"{shown}: {reason}; name a registered dataset or a YAML file") from None
    try:
        definition = Definition.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadInput(f"{shown}: {registry.printable(key + ': ' + first['msg'])}; {_KEYS}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = registry.printable(getattr(error, "problem", None) or type(error).__name__)
        raise BadInput(f"{shown}{line}: not YAML ({problem}); correct it") from None
    return definition.model_copy(
        update={
            "root": _beside(path, definition.root),
            "labels": _beside(path, definition.labels),
            "splits": {name: _beside(path, file) for name, file in definition.splits.items()},
        }
    )


def _beside(file: Path, location: str | None) -> str | None:
    if location is None or "://" in location:
        return location
    return str(file.parent / Path(location).expanduser())
