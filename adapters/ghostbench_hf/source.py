"""Where a checkpoint comes from: a folder here, or a repository of the hub at one commit."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghostbench import BadInput
from ghostbench_hf.settings import HFSettings
from ghostbench_local.checkpoint.digests import file_digest
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import CONFIG_FILE, INDEX_FILE, WHOLE_FILE, read_json, weight_files_in
from ghostbench_local.checkpoint.hub import Wanted, fetch_checkpoint, find_checkpoint, source_of

WANTED = Wanted(
    by="hf",
    title="checkpoint",
    files=re.compile(r"(?!consolidated)[\w.-]+\.safetensors|[\w.-]+\.(json|jinja|model|txt)"),
    needed=(CONFIG_FILE,),
    instead="or name a folder: hf:DIR",
)
_REPOSITORY = re.compile(r"(?!.*(--|\.\.))\w[\w.-]{0,95}/\w[\w.-]{0,95}", re.ASCII)
_BESIDE = (".json", ".jinja", ".model", ".txt")
_TEMPLATES = "additional_chat_templates"
"""A folder in which transformers looks for chat templates too."""
_DEFAULT_REVISION = "main"
_ADAPTER_FILE = "adapter_config.json"
_OTHER_WEIGHTS = "transformers_weights"
"""An entry by which transformers would load another file than `weight_files_in` tells."""
_CODE = "code of its own, which is never run"


@dataclass(frozen=True)
class Source:
    """What stands after `hf:`, as read. folder : None where it is a repository's name."""

    argument: str
    folder: Path | None

    @classmethod
    def read(cls, argument: str | None, settings: HFSettings) -> Source:
        """Raises `BadInput` for what is neither a folder nor the name of a repository, or a revision of a folder."""
        if not argument:
            raise BadInput("hf needs a checkpoint: hf:OWNER/NAME for a repository of the hub, or hf:DIR for a folder")
        folder = Path(argument).expanduser()
        if not folder.is_dir():
            if not _REPOSITORY.fullmatch(argument):
                raise BadInput(f"hf:{argument}: there is no such folder, and a repository's name is OWNER/NAME")
            return cls(argument, None)
        if settings.revision != _DEFAULT_REVISION:
            raise BadInput(f"hf:{argument} is a folder, which has no revision: leave revision out")
        return cls(argument, folder)

    def look(self, settings: HFSettings, row: str) -> None:
        """Look for it on this machine, before anything runs. Raises `BadInput` with the way out.

        row : the model's name, as `--set` has it.
        """
        folder = self.folder
        if folder is None:
            found = find_checkpoint(WANTED, self.argument, settings.revision)
            if found is None:
                if settings.download:
                    return
                raise BadInput(
                    f"hf:{self.argument}: there is no such folder, and no repository {self.argument}"
                    f"@{settings.revision} on this machine; fetch it with --set {row}.download=true"
                )
            folder = found.folder
        try:
            check_folder(folder)
        except CheckpointError as error:
            raise BadInput(f"hf:{self.argument}: {error}") from None

    def have(self, settings: HFSettings) -> tuple[Path, dict[str, Any] | None]:
        """The folder, and repository, revision and commit where it is from the hub; fetches it where that is asked.

        Raises `CheckpointError`; what was fetched has not been looked at before.
        """
        if self.folder is not None:
            check_folder(self.folder)
            return self.folder, source_of(self.folder)
        found = find_checkpoint(WANTED, self.argument, settings.revision)
        if found is None:
            if not settings.download:
                raise CheckpointError(f"{self.argument}@{settings.revision} is not on this machine")
            found = fetch_checkpoint(WANTED, self.argument, settings.revision)
        check_folder(found.folder)
        return found.folder, {"repository": found.repository, "revision": found.revision, "commit": found.commit}


def check_folder(folder: Path) -> None:
    """What the folder's listing and small files tell, without importing transformers.

    Raises `CheckpointError`: no safetensors, a file cut short, an adapter, or code of its own instead of a known model.
    """
    config = read_json(folder / CONFIG_FILE) if (folder / CONFIG_FILE).is_file() else {}
    if (folder / _ADAPTER_FILE).is_file():
        raise CheckpointError(
            f"it holds an adapter ({_ADAPTER_FILE}), whose weights belong to another checkpoint: "
            "merge them into it (peft's merge_and_unload) and name the merged one"
        )
    files = weight_files_in(folder, WANTED.needed)
    if config.get(_OTHER_WEIGHTS) is not None:
        raise CheckpointError(
            f"its {CONFIG_FILE} names weights of its own choice ({_OTHER_WEIGHTS}): take that entry out, and name "
            f"them {WHOLE_FILE} or list them in {INDEX_FILE}"
        )
    if not isinstance(config.get("model_type"), str):
        told = f"needs {_CODE}" if config.get("auto_map") else f"states no model_type in {CONFIG_FILE}"
        raise CheckpointError(f"it {told}: name a checkpoint that transformers knows")
    for file in files:
        _check_header(folder, file)


def needs_code(model_type: str, config: Mapping[str, Any]) -> CheckpointError:
    """The error about a kind of model that transformers does not read as an image-text-to-text one."""
    why = f"needs {_CODE}" if config.get("auto_map") else "is none that transformers reads with images and text"
    return CheckpointError(f"model_type {model_type!r} {why}: name a checkpoint of another kind")


def files_of(folder: Path) -> dict[str, Path]:
    """Each file that may decide what the model answers, by name: weights, and all small files beside."""
    beside = [path for place in (folder, folder / _TEMPLATES) if place.is_dir() for path in place.iterdir()]
    names = [
        *weight_files_in(folder, WANTED.needed),
        *(path.relative_to(folder).as_posix() for path in beside if path.suffix in _BESIDE),
    ]
    return {name: folder / name for name in sorted(names)}


def digests_of(folder: Path) -> dict[str, dict[str, int | str]]:
    """Bytes and SHA-256 of each file that may decide what the model answers."""
    files = files_of(folder)
    with ThreadPoolExecutor(4, "sha256") as threads:
        found = dict(zip(files, threads.map(file_digest, files.values()), strict=True))
    return {name: {"bytes": size, "sha256": digest} for name, (size, digest) in found.items()}


def _check_header(folder: Path, file: str) -> None:
    """Hold a file's length against its header; the library that reads it later imports torch."""
    size = (folder / file).stat().st_size
    try:
        with (folder / file).open("rb") as raw:
            (length,) = struct.unpack("<Q", raw.read(8))
            tensors = json.loads(raw.read(min(length, size)))
        ends = [facts["data_offsets"][1] for name, facts in tensors.items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0) == size
    except (OSError, ValueError, struct.error, AttributeError, KeyError, TypeError, IndexError):
        whole = False
    if not whole:
        raise CheckpointError(f"{file} is not a whole safetensors file ({size} bytes): download it again")
