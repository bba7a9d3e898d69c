"""The prompt's words, as a run folder holds them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ghostbench.report.escape import plain
from ghostbench.tasks.base import template_sha256

FOLDER = "prompts"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEYS = ["name", "version", "system", "frames", "question", "schema", "max_output_tokens"]
_LARGEST = 1 << 20


def words_path(folder: Path, digest: str) -> Path:
    """Where a run folder holds the words of that digest."""
    return folder / FOLDER / f"{digest}.json"


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
    if not isinstance(words, dict) or list(words) != _KEYS or template_sha256(words) != digest:
        raise ValueError("does not hold the words whose digest is its name")
    return words


def words_as_text(words: Mapping[str, Any]) -> str:
    """The words as a model gets them, in order: the system text, the frames, the question; then the answer's schema."""
    frames = words["frames"]
    parts = [
        ("System", words["system"]),
        ("User", f"{frames['clip']}\n{frames['frame']} [the frame]\n…\n{words['question']}"),
        ("User, where no frames are given", f"{frames['no_frames']}\n{words['question']}"),
        ("Schema of the answer", json.dumps(words["schema"], ensure_ascii=False, indent=1)),
        ("Longest answer", f"{words['max_output_tokens']} tokens"),
    ]
    return plain("\n\n".join(f"{title}:\n{text}" for title, text in parts), lines=True)
