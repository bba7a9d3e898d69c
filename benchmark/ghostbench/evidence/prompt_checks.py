"""The prompt's words against the digest that the manifest states."""

from __future__ import annotations

from ghostbench.evidence.differences import Finding
from ghostbench.folder.names import PROMPTS
from ghostbench.folder.prompts import read_words
from ghostbench.folder.run_records import RunRecords
from ghostbench.tasks.wording import MAIN


def check_words(run: RunRecords) -> tuple[list[Finding], str]:
    """What does not hold of the words, and a note where the folder holds none, as those of earlier versions."""
    task = run.manifest.task
    found, unchecked = [], []
    for name, digest in {MAIN: task.template_sha256, **task.variants}.items():
        try:
            words = read_words(run.folder, digest)
        except ValueError as error:
            found.append(Finding(f"{PROMPTS}/{digest}.json", str(error)))
            continue
        if words is None:
            unchecked.append(name)
        elif words["name"] != task.name:
            found.append(Finding(f"{PROMPTS}/{digest}.json", f"holds the words of another task than {task.name}"))
    if not unchecked:
        return found, ""
    of = "" if not task.variants else f" of the wording {', '.join(unchecked)}"
    return found, f"the prompt's words{of} were not checked: the folder does not hold them"
