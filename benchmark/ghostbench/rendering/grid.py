"""A grid of scenes as its YAML file describes it, read and checked, and laid out into scenes."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from ghostbench.errors import BadInput
from ghostbench.plugins.registry import printable
from ghostbench.rendering.parameters import SceneParameters, Twin
from ghostbench.yaml_text import BoundedLoader, told

_LIMIT_BYTES: Final = 1 << 20
MOST_CLIPS: Final = 100_000
"""Clips of one grid."""

_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Side = Annotated[int, Field(ge=64, le=4096, multiple_of=2)]
Value = str | int | float | bool | None
Block = dict[str, list[Value]]


class Grid(BaseModel):
    """A grid: every combination of the values of each block of scenes, each with the same twins.

    name : what the dataset is called. source : where the geometry comes from, in words.
    seed : what every random draw follows from. replicates : scenes for each combination, which differ in draws alone.
    seconds, fps, size : length, frames per second, and width and height in pixels, of every clip.
    encoding : "small", H.264 of steady quality, or "lossless": decoded twins are equal wherever drawn ones are.
    twins : the counterparts of each scene, where it has them.
    scenes : blocks of parameters (see `SceneParameters`), each a value or a list of values.
    exclude : combinations to leave out: those that agree with all that one entry says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: _Word
    source: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    replicates: Annotated[int, Field(ge=1, le=1000)] = 1
    seconds: Annotated[float, Field(ge=0.2, le=60)] = 5.0
    fps: Annotated[int, Field(ge=5, le=60)] = 25
    size: tuple[_Side, _Side] = (640, 360)
    encoding: Literal["small", "lossless"] = "small"
    twins: tuple[Twin, ...] = ("no_actor", "in_view")
    scenes: tuple[Block, ...]
    exclude: tuple[dict[str, Value], ...] = ()
    _cells: tuple[SceneParameters, ...] = PrivateAttr(default=())

    @field_validator("size", "twins", "exclude", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("scenes", mode="before")
    @classmethod
    def _blocks(cls, value: Any) -> Any:
        blocks = value if isinstance(value, list) else [value]
        return tuple(
            {key: each if isinstance(each, list) else [each] for key, each in block.items()}
            if isinstance(block, dict)
            else block
            for block in blocks
        )

    @model_validator(mode="after")
    def _whole(self) -> Grid:
        if abs(self.seconds * self.fps - round(self.seconds * self.fps)) > 1e-9:
            raise ValueError(f"seconds: {self.seconds:g} s at {self.fps} frames a second are no whole number of frames")
        if "as_is" in self.twins or len(set(self.twins)) != len(self.twins):
            raise ValueError("twins: each counterpart once, and the scene itself is always there")
        named: list[dict[str, Any]] = [*self.scenes, *self.exclude]
        for key in (key for entry in named for key in entry):
            if key not in SceneParameters.model_fields:
                known = ", ".join(SceneParameters.model_fields)
                raise ValueError(f"scenes: there is no parameter '{key}'; known: {known}")
        self._cells = tuple(self._laid_out())
        if not self._cells:
            raise ValueError("scenes: no combination is left")
        return self

    def _laid_out(self) -> Iterator[SceneParameters]:
        count = sum(_product(len(values) for values in block.values()) for block in self.scenes)
        if count * self.replicates * (1 + len(self.twins)) > MOST_CLIPS:
            raise ValueError(f"scenes: more than {MOST_CLIPS} clips; take fewer values or replicates")
        known: set[SceneParameters] = set()
        for block in self.scenes:
            for values in itertools.product(*block.values()):
                chosen = {key: each for key, each in zip(block, values, strict=True) if each is not None}
                if any(all(chosen.get(key) == each for key, each in entry.items()) for entry in self.exclude):
                    continue
                cell = _cell(chosen)
                if cell.contact_s is not None and cell.contact_s < self.seconds and cell.actor != "none":
                    raise ValueError(
                        f"scenes: contact_s {cell.contact_s:g} is in the clip, of {self.seconds:g} s, and no clip "
                        f"shows a contact: give a later one, or leave it out ({_words(chosen)})"
                    )
                if cell in known:
                    raise ValueError(f"scenes: one combination is there twice: {_words(chosen)}")
                known.add(cell)
                yield cell

    @property
    def frames(self) -> int:
        """Frames of every clip."""
        return round(self.seconds * self.fps)

    @property
    def cells(self) -> tuple[SceneParameters, ...]:
        """Every combination, in the order of the file."""
        return self._cells

    @property
    def sha256(self) -> str:
        """Digest of all that the grid says, its defaults included; comments and order change nothing."""
        cells = sorted(json.dumps(cell.model_dump(mode="json"), sort_keys=True) for cell in self.cells)
        said = {**self.model_dump(mode="json", exclude={"scenes", "exclude"}), "cells": cells}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def ready_grids() -> dict[str, Path]:
    """The grids that come with the package, by name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "grids").glob("*.yaml"))}


def find_grid(named: str) -> Grid:
    """The ready grid of that name, or the one that a YAML file describes. Raises `BadInput`."""
    ready = ready_grids()
    if named in ready:
        return read_grid(ready[named])
    if named.lower().endswith((".yaml", ".yml")) or "/" in named:
        return read_grid(Path(named).expanduser())
    raise BadInput(f"there is no ready grid '{printable(named)}'; name {' or '.join(ready)}, or a YAML file")


def read_grid(path: Path) -> Grid:
    """The grid that a YAML file describes. Raises `BadInput` naming the file and what is wrong in it."""
    shown = f"grid {printable(str(path))}"
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise BadInput(f"{shown}: larger than 1 MiB, so no grid")
        content = yaml.load(path.read_text(encoding="utf-8"), BoundedLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = printable(getattr(error, "problem", None) or type(error).__name__)
        raise BadInput(f"{shown}{line}: not YAML ({problem}); correct it") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise BadInput(f"{shown}: {reason}; name a ready grid (see bench render --help) or a YAML file") from None
    try:
        return Grid.model_validate(content)
    except ValidationError as error:
        raise BadInput(f"{shown}: {printable(_first(error))}; correct it") from None


def _cell(chosen: Mapping[str, Value]) -> SceneParameters:
    try:
        return SceneParameters.model_validate(chosen)
    except ValidationError as error:
        raise ValueError(f"scenes: {_first(error)} ({_words(chosen)})") from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    return f"{key}: {told(first)}" if key else told(first)


def _words(chosen: Mapping[str, Value]) -> str:
    return ", ".join(f"{key} {each}" for key, each in chosen.items())


def _product(sizes: Iterator[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
