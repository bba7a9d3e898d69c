"""The prompt's words in the run folder: `prompts/<digest>.json`, once for a task."""

from __future__ import annotations

from pathlib import Path

from ghostbench.report.prompt import words_path
from ghostbench.tasks.base import Task
from ghostbench.writing import write_json


def keep_words(folder: Path, task: Task) -> None:
    """Write the task's words under their digest, which the manifest states; a file that is there stays."""
    path = words_path(folder, task.template_sha256())
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        write_json(path, task.template())
