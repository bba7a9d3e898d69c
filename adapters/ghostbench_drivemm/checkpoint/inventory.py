"""A checkpoint folder: its tensors accounted for one by one, and streamed to the device without a second copy.

Format: safetensors (8 bytes header length, JSON header, raw little-endian tensors), one file or shards with
`model.safetensors.index.json`. Nothing is unpickled, ever.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from ghostbench_drivemm.checkpoint.config import GENERATION_FILE
from ghostbench_local.checkpoint.digests import file_digest
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import (
    CONFIG_FILE,
    INDEX_FILE,
    WHOLE_FILE,
    one_line,
    read_json,
    weight_files_in,
    weight_map,
)

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
TEMPLATE_FILE = "chat_template.jinja"
NEEDED = (CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE)
"""Without these a folder is no checkpoint."""

_DTYPE_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "F64": 8}
_DERIVED = (".rotary_emb.inv_freq", ".embeddings.position_ids")
"""Buffers that older code saved although they follow from the configuration; they are named, not loaded."""


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies: file, element type (`BF16`, `F16`, `F32`, `F64`), shape, and its bytes in the file."""

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Checkpoint:
    """An inspected checkpoint folder; no weight has been read yet."""

    folder: Path
    config: Mapping[str, Any]
    generation: Mapping[str, Any]
    tensors: Mapping[str, TensorEntry]
    derived: tuple[str, ...]
    """Names of buffers in the files that follow from the configuration and are not loaded."""

    @property
    def weight_files(self) -> tuple[str, ...]:
        """Names of the safetensors files, sorted."""
        return tuple(sorted({entry.file for entry in self.tensors.values()}))

    @property
    def files(self) -> dict[str, Path]:
        """Every file that is used, by name."""
        beside = [CONFIG_FILE, GENERATION_FILE, INDEX_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, TEMPLATE_FILE]
        names = [*beside, *self.weight_files]
        return {name: self.folder / name for name in names if (self.folder / name).is_file()}

    def start_hashing(self) -> dict[str, Future[tuple[int, str]]]:
        """Begin hashing these files in threads; results are (bytes, SHA-256 in hexadecimal).

        The index, and each header, are read anew in any case: `inspect` has held the tensors against them.
        """
        pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="sha256")
        futures = {name: pool.submit(file_digest, path) for name, path in self.files.items()}
        pool.shutdown(wait=False)
        return futures


def inspect(folder: str | os.PathLike[str]) -> Checkpoint:
    """Read the folder's JSON files and every safetensors header, and account for each tensor.

    Raises
    ------
    CheckpointMissing
        See `weight_files_in`.
    CheckpointError
        A file is not what its name says, is cut short, holds a tensor twice, disagrees with the index, or
        holds an element type that is not a float of at least 16 bits.
    """
    folder = Path(folder)
    files = weight_files_in(folder, NEEDED)
    tensors: dict[str, TensorEntry] = {}
    for file in files:
        for entry in _read_header(folder, file):
            if entry.name in tensors:
                raise CheckpointError(f"tensor {entry.name} is both in {tensors[entry.name].file} and in {file}")
            tensors[entry.name] = entry
    if files != (WHOLE_FILE,) and (folder / INDEX_FILE).is_file():
        _compare_with_index(folder, tensors)
    derived = tuple(sorted(name for name in tensors if name.endswith(_DERIVED)))
    return Checkpoint(
        folder=folder,
        config=read_json(folder / CONFIG_FILE),
        generation=read_json(folder / GENERATION_FILE) if (folder / GENERATION_FILE).is_file() else {},
        tensors={name: entry for name, entry in tensors.items() if name not in derived},
        derived=derived,
    )


def _read_header(folder: Path, file: str) -> list[TensorEntry]:
    """The header of one file, checked by the safetensors library, with absolute offsets."""
    from safetensors import SafetensorError, safe_open

    path = folder / file
    try:
        # The library checks what the format demands: no holes or overlaps, sizes that fit shapes, the file's length.
        with safe_open(path, framework="numpy"):
            pass
        with path.open("rb") as raw:
            (length,) = struct.unpack("<Q", raw.read(8))
            header = json.loads(raw.read(length))
    except (SafetensorError, OSError, ValueError, struct.error) as error:
        size = path.stat().st_size
        raise CheckpointError(
            f"{file} is not a whole safetensors file ({size} bytes): {one_line(error)}; download it again"
        ) from error
    entries = []
    for name, facts in header.items():
        if name == "__metadata__":
            continue
        if facts["dtype"] not in _DTYPE_BYTES:
            raise CheckpointError(f"tensor {name} in {file} has element type {facts['dtype']}; known: BF16, F16, F32")
        start, end = (8 + length + offset for offset in facts["data_offsets"])
        shape = tuple(facts["shape"])
        if end - start != prod(shape) * _DTYPE_BYTES[facts["dtype"]]:
            raise CheckpointError(f"tensor {name} in {file} has {end - start} bytes, which do not fit shape {shape}")
        entries.append(TensorEntry(name, file, facts["dtype"], shape, start, end))
    return sorted(entries, key=lambda entry: entry.start)


def _compare_with_index(folder: Path, tensors: Mapping[str, TensorEntry]) -> None:
    """Every name of the index in the file it names, no name beside, and the total size as stated."""
    listed = weight_map(folder)
    for name, file in listed.items():
        if name not in tensors:
            raise CheckpointError(f"tensor {name} is missing: {INDEX_FILE} places it in {file}")
        if tensors[name].file != file:
            raise CheckpointError(f"tensor {name} is in {tensors[name].file}, but {INDEX_FILE} places it in {file}")
    for name, entry in tensors.items():
        if name not in listed:
            raise CheckpointError(f"tensor {name} in {entry.file} is unexpected: {INDEX_FILE} does not name it")
    metadata = read_json(folder / INDEX_FILE).get("metadata")
    stated = metadata.get("total_size") if isinstance(metadata, dict) else None
    total = sum(entry.end - entry.start for entry in tensors.values())
    if stated is not None and stated != total:
        raise CheckpointError(f"{INDEX_FILE} states total_size {stated}, but its tensors have {total} bytes")


def require_tensors(tensors: Mapping[str, TensorEntry], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Hold the files' tensors against the names and shapes that the configuration asks for.

    Raises
    ------
    CheckpointError
        A tensor is missing, unexpected or of another shape; the message names the first, and counts the rest.
    """
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise CheckpointError(f"tensor {missing[0]} is missing{_and_more(missing)}")
    extra = [name for name in tensors if name not in expected]
    if extra:
        raise CheckpointError(f"tensor {extra[0]} in {tensors[extra[0]].file} is unexpected{_and_more(extra)}")
    wrong = [name for name, shape in expected.items() if tensors[name].shape != shape]
    if wrong:
        name = wrong[0]
        raise CheckpointError(
            f"tensor {name} in {tensors[name].file} has shape {list(tensors[name].shape)}, "
            f"the configuration asks for {list(expected[name])}{_and_more(wrong)}"
        )


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
