"""The prompt's words against the digest that the manifest states."""

from __future__ import annotations

from ghostbench.evidence.differences import Finding
from ghostbench.folder.names import PROMPTS
from ghostbench.folder.prompts import read_words
from ghostbench.folder.run_records import RunRecords


def check_words(run: RunRecords) -> tuple[list[Finding], str]:
    """What does not hold of the words, and a note where the folder holds none, as those of earlier versions."""
    digest = run.manifest.task.template_sha256
    try:
        words = read_words(run.folder, digest)
    except ValueError as error:
        return [Finding(f"{PROMPTS}/{digest}.json", str(error))], ""
    if words is not None and words["name"] != run.manifest.task.name:
        return [
            Finding(f"{PROMPTS}/{digest}.json", f"holds the words of another task than {run.manifest.task.name}")
        ], ""
    return [], "" if words is not None else "the prompt's words were not checked: the folder does not hold them"
