"""What a dataset is: the YAML file behind its name, read and checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from ghostbench.datasets import storage
from ghostbench.datasets.inside import named_inside
from ghostbench.datasets.location import Location
from ghostbench.errors import BadInput
from ghostbench.plugins import registry
from ghostbench.records import Layout
from ghostbench.yaml_text import BoundedLoader, told

_SUFFIXES = (".yaml", ".yml")
_LIMIT_BYTES = 1 << 20
_KEYS = "its keys are name, root, layout, labels, annotations, splits, fps"
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Path = Annotated[str, Field(min_length=1)]


class Definition(BaseModel):
    """A dataset as its YAML file describes it; `place` turns what it names into paths.

    Paths count from the file's own folder. A file that the user named by its path may be a stranger's, and what it
    names is opened without asking: so it names nothing outside its folder. Media and labels that lie elsewhere, or on a
    server, are for the user to name. The file of a registered dataset comes with an installed package: it is trusted.

    name : what the run folder and reports call it.
    root : the folder with the media; None if only the user knows.
    layout : "files", "frames", or "auto" to look for either (see `ghostbench.datasets.layouts`).
    labels : the label file; None if the user brings it, or has it beside the media.
    annotations : files with more about the clips, which `ghostbench.datasets.annotations` reads.
    splits : the id list of each named split. "all", every labelled clip, is always there.
    fps : frames per second of frame folders, which do not state it themselves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: _Word
    root: _Path | None = None
    layout: Layout = "auto"
    labels: _Path | None = None
    annotations: _Path | list[_Path] = []
    splits: dict[_Word, _Path] = {}
    fps: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=False)] = 30.0
    _file: Path = PrivateAttr(default=Path())
    _trusted: bool = PrivateAttr(default=False)

    @property
    def within(self) -> str | None:
        """The folder, absolute, that nothing named by the file leads out of; None for a registered dataset."""
        return None if self._trusted else os.path.abspath(self._file.parent)

    def place(self, key: str, named: str, way_out: str, roots: Sequence[str] = ()) -> Location:
        """What `key` of the file names, a local path, absolute; a registered dataset may also name a URL.

        roots : further local folders that the user gave. way_out : what the user can do instead.

        Raises `BadInput` for a URL and for a path that leads out of the file's folder and of every root, by itself or
        by a link; and for what is neither a file nor a folder.
        """
        if self._trusted:
            beside = str(self._file.parent / Path(named).expanduser())
            return storage.accept(named if "://" in named else beside, key)
        shown = f"dataset file {registry.printable(str(self._file))}: {key}: {registry.printable(named)}"
        path = named_inside(named, os.path.abspath(self._file.parent), roots)
        if path is None:
            raise BadInput(f"{shown} leads out of the file's folder and is not opened; {way_out}")
        if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
            raise BadInput(f"{shown} is neither a file nor a folder; {way_out}")
        return Location(path)


def find_definition(dataset: str) -> Definition:
    """The dataset of that registered name, or of that YAML file's path. Raises `BadInput`."""
    if dataset.lower().endswith(_SUFFIXES) or "/" in dataset:
        return read_definition(Path(dataset).expanduser())
    if dataset not in registry.registry().datasets and os.path.exists(dataset):
        raise BadInput(
            f"--dataset {registry.printable(dataset)} is there, and no dataset's YAML file: name one, and give the "
            "folder of the clips with --data-root and the label file with --labels"
        )
    return registered_definition(dataset)


def registered_definition(name: str) -> Definition:
    """The dataset of that registered name; a path is none. Raises `BadInput`."""
    spec = registry.find("dataset", registry.registry().datasets, name)
    try:
        target = registry.load_target(spec.load)
        path = Path(target() if callable(target) else target)
    except BadInput:
        raise
    except Exception as error:  # whatever a plugin's own code raises
        what = registry.printable(f"dataset '{name}' cannot be loaded: {type(error).__name__}: {error}")
        raise BadInput(f"{what}; repair or remove its plugin") from error
    definition = read_definition(path)
    definition._trusted = True
    return definition


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
        content = yaml.load(text, BoundedLoader)  # noqa: S506 - a SafeLoader
        definition = Definition.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadInput(f"{shown}: {registry.printable(key + ': ' + told(first))}; {_KEYS}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = registry.printable(getattr(error, "problem", None) or type(error).__name__)
        raise BadInput(f"{shown}{line}: not YAML ({problem}); correct it") from None
    definition._file = path
    return definition
