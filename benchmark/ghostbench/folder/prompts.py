"""The prompt's words in the run folder: `prompts/<digest>.json`, once for a task."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ghostbench.folder.names import PROMPTS
from ghostbench.tasks.base import Task, template_sha256
from ghostbench.writing import write_json

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEYS = ["name", "version", "system", "frames", "question", "schema", "max_output_tokens"]
_FORM = "form"
"""The last key of a task that was read from a file: all of the file, so that its answers can be read again."""
_LARGEST = 1 << 20


def words_path(folder: Path, digest: str) -> Path:
    """Where a run folder holds the words of that digest."""
    return folder / PROMPTS / f"{digest}.json"


def keep_words(folder: Path, task: Task) -> None:
    """Write the task's words under their digest, which the manifest states; a file that is there stays."""
    path = words_path(folder, task.template_sha256())
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        write_json(path, task.template())


def read_words(folder: Path, digest: str | None) -> Mapping[str, Any] | None:
    """A task's template, as `Task.template` gives it; None where the folder holds no file of that digest.

    Raises `ValueError` where the file is not what its name says.
    """
    if digest is None or not _DIGEST.fullmatch(digest):
        return None
    path = words_path(folder, digest)
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("is larger than any prompt")
        words = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise ValueError("cannot be read as a prompt's words") from None
    if not isinstance(words, dict) or list(words) not in (_KEYS, [*_KEYS, _FORM]) or template_sha256(words) != digest:
        raise ValueError("does not hold the words whose digest is its name")
    return words
