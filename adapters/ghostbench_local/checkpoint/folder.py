"""A checkpoint's folder as its listing shows it: which files hold the weights. Nothing is unpickled, ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ghostbench_local.checkpoint.errors import CheckpointError

CONFIG_FILE = "config.json"
INDEX_FILE = "model.safetensors.index.json"
WHOLE_FILE = "model.safetensors"
"""The weights of a checkpoint that is not cut into shards; what lies beside it is not looked at."""

_PICKLED = (".bin", ".pt", ".pth", ".ckpt")


class CheckpointMissing(CheckpointError):
    """There is no usable checkpoint at the path: found from the folder's listing, before anything is read."""


def weight_files_in(folder: Path, needed: Sequence[str] = (CONFIG_FILE,)) -> tuple[str, ...]:
    """The safetensors files of a checkpoint folder, from its listing and index alone.

    As transformers reads them: `WHOLE_FILE` before all else, then what the index names, then the only file there is.

    needed : files that it must hold besides.

    Raises
    ------
    CheckpointMissing
        No such folder, a needed file, no safetensors file, or a file that the index names is absent.
    CheckpointError
        The index cannot be read.
    """
    if not folder.is_dir():
        raise CheckpointMissing(f"no checkpoint folder at {str(folder)!r}")
    for name in needed:
        if not (folder / name).is_file():
            raise CheckpointMissing(f"{str(folder)!r} is not a checkpoint: it has no {name}")
    if (folder / WHOLE_FILE).is_file():
        return (WHOLE_FILE,)
    if (folder / INDEX_FILE).is_file():
        files = sorted(set(weight_map(folder).values()))
        for name in files:
            if Path(name).name != name or not name.endswith(".safetensors"):
                raise CheckpointError(f"{INDEX_FILE} names {name!r}, which is not a plain safetensors file name")
            if not (folder / name).is_file():
                raise CheckpointMissing(f"{INDEX_FILE} names {name}, which is not in {str(folder)!r}")
        return tuple(files)
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    if not files:
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
        told = f", only pickled weights ({pickled[0]}), which are never loaded: convert them" if pickled else ""
        raise CheckpointMissing(f"{str(folder)!r} holds no safetensors file{told}")
    if len(files) > 1:
        raise CheckpointMissing(f"{str(folder)!r} holds {len(files)} safetensors files and no {INDEX_FILE}")
    return tuple(files)


def weight_map(folder: Path) -> dict[str, str]:
    """The index's table from a tensor's name to its file. Raises `CheckpointError` where there is none."""
    found = read_json(folder / INDEX_FILE).get("weight_map")
    if not isinstance(found, dict) or not found or not all(isinstance(file, str) for file in found.values()):
        raise CheckpointError(f"{INDEX_FILE} has no weight_map from tensor names to file names")
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file's object; anything else is a `CheckpointError` that names the file."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} cannot be read as JSON: {one_line(error)}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.name} does not hold a JSON object")
    return value


def one_line(error: BaseException) -> str:
    """An error's words in one line of at most 200 characters; its type's name where it has none."""
    return " ".join(str(error).split())[:200] or type(error).__name__
