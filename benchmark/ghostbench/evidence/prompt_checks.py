"""The prompt's words against the digest that the manifest states."""

from __future__ import annotations

from collections.abc import Iterator

from ghostbench.evidence.differences import Finding
from ghostbench.folder.names import ATTEMPTS, PROMPTS
from ghostbench.folder.prompts import read_words
from ghostbench.folder.run_records import RunRecords


def check_words(run: RunRecords) -> tuple[list[Finding], str]:
    """What does not hold of the words, and a note where the folder holds none, as those of earlier versions."""
    task = run.manifest.task
    found, unchecked = [], []
    for name, digest in task.wordings.items():
        try:
            words = read_words(run.folder, digest)
        except ValueError as error:
            found.append(Finding(f"{PROMPTS}/{digest}.json", str(error)))
            continue
        if words is None:
            unchecked.append(name)
        elif words["name"] != task.name:
            found.append(Finding(f"{PROMPTS}/{digest}.json", f"holds the words of another task than {task.name}"))
    found += _in_the_same_words(run)
    if not unchecked:
        return found, ""
    of = "" if len(task.wordings) == 1 else f" of the wording {', '.join(unchecked)}"
    return found, f"the prompt's words{of} were not checked: the folder does not hold them"


def _in_the_same_words(run: RunRecords) -> Iterator[Finding]:
    """Attempts of one wording that were asked in the words of the main one: one of the two lines is another's."""
    key = ["clip", "moment_s", "frames_sha256", "prompt_sha256"]
    lines = run.attempts[run.attempts["prompt_sha256"].notna()]
    for name, entry in run.manifest.models.items():
        if entry.variant is None:
            continue
        own, main = (lines[lines["model"] == row][key].drop_duplicates() for row in (name, entry.of))
        for clip in own.merge(main, on=key)["clip"].unique():
            yield Finding(ATTEMPTS, f"{name} was asked about {clip} in the words of {entry.of}")
