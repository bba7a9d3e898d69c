"""What is ghostbench's own fault, how that is told, and what looks like it before anything was asked.

Only a decoder, an image library, a storage and a model may fail a clip. Anything else that goes wrong ends the run with
its ledger whole: an answer that is missing because of our mistake must not look like one that could not be had.
"""

from __future__ import annotations

import re
import traceback
from pathlib import PurePath
from typing import Final

from ghostbench.errors import BadInput, DecodeFailed, MediaError
from ghostbench.records import Frames
from ghostbench.redact import Redactor
from ghostbench.running.rules.replies import encodable, in_words, without_addresses
from ghostbench.tasks.base import Task

FIRST_CLIPS: Final = 8
"""So many clips that all fail alike are a sign that nothing can be decoded here at all."""


def is_our_task(task: Task) -> bool:
    """Whether a task is ghostbench's own, and not a plugin's."""
    return type(task).__module__.partition(".")[0] == "ghostbench"


def is_ours(error: BaseException, task: Task) -> bool:
    """Whether an error that came while a request was made is one of our task, and not of a plugin's task or ladder."""
    if not is_our_task(task):
        return False
    frames = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(name.startswith("ghostbench.tasks.") for name in frames)


def in_one_line(error: BaseException, redactor: Redactor, going_on: str) -> str:
    """What to tell the user of an error that only a mistake in ghostbench explains. going_on : the resuming command."""
    words = without_addresses(in_words(error) or type(error).__name__)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "ghostbench" in PurePath(frame.filename).parts] or frames
    where = f" ({'/'.join(PurePath(own[-1].filename).parts[-3:])}, line {own[-1].lineno})" if own else ""
    line = (
        f"this is a fault of ghostbench and of no clip or model: {words}{where}; please report this line and what "
        f"`bench --version` says to ghostbench's developers; all that was asked is on disk, and once it is mended you "
        f"go on with: {going_on}"
    )
    return encodable(redactor.text(" ".join(line.split())))


class FirstClips:
    """Watches what becomes of the first clips of a run, before anything is asked about them.

    decoded : a clip of this run is known to have been decoded before.
    """

    def __init__(self, *, decoded: bool) -> None:
        self.settled = decoded
        self._failures: dict[str, DecodeFailed] = {}

    def see(self, clip: str, frames: Frames | MediaError | None) -> None:
        """Take note of a clip. Raises `BadInput` where the first ones cannot be decoded, all for the same reason.

        Media that is missing or out of reach says nothing about decoding.
        """
        if self.settled or (isinstance(frames, MediaError) and not isinstance(frames, DecodeFailed)):
            return
        if not isinstance(frames, DecodeFailed):
            self.settled = True
            return
        self._failures[clip] = frames
        if len({_kind(failure) for failure in self._failures.values()}) > 1:
            self.settled = True
        elif len(self._failures) >= FIRST_CLIPS:
            raise BadInput(
                f"the first {FIRST_CLIPS} clips all fail alike, and nothing was asked: "
                f"{without_addresses(str(frames))}; see whether they play elsewhere; leave such clips out with "
                "--clips, or mend what decodes them and go on with --resume"
            )


def _kind(failure: DecodeFailed) -> str:
    """The failure's words without what differs from clip to clip."""
    return re.sub(r"[0-9a-fA-F]*\d[0-9a-fA-F.]*", "N", str(failure))
