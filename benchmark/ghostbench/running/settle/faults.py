"""What is ghostbench's own fault, how that is told, and what looks like it before anything was asked.

Only a decoder, an image library, a storage and a model may fail a clip. Anything else that goes wrong ends the run with
its ledger whole: an answer that is missing because of our mistake must not look like one that could not be had.
"""

from __future__ import annotations

import errno
import re
import shlex
import traceback
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from ghostbench.errors import BadInput, DecodeFailed, MediaError
from ghostbench.folder.ledger import DiskFailed
from ghostbench.frames import Frames
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
    line = (
        f"this is a fault of ghostbench and of no clip or model: {_what_and_where(error)}; {_REPORT}; "
        f"all that was asked is on disk, and once it is mended you go on with: {going_on}"
    )
    return encodable(redactor.text(" ".join(line.split())))


def is_closed_file(error: BaseException) -> bool:
    """Whether what failed is that a file of the run's was not open any more."""
    return any(isinstance(each, OSError | DiskFailed) and each.errno == errno.EBADF for each in _all_of(error))


def closed_by_others(error: BaseException, rows: Sequence[str], redactor: Redactor, going_on: str) -> str:
    """What to tell the user of a file that was closed under the run, where models' code computed in its process.

    Whoever closes a descriptor leaves no trace. The run closes its own when it has ended, so that a model's code is
    what to look at first, and it is not more than that. rows : these models'.
    """
    without = f" --give-up {shlex.quote(rows[0])}" if len(rows) == 1 else " --give-up MODEL"
    line = (
        f"a file that the run had open was closed under it ({_what_and_where(error)}), as far as can be told by code "
        f"of {', '.join(rows)}, which computes in the same process, or by a library of theirs; all that was asked is "
        f"on disk, go on with: {going_on} (without a model:{without}); if it comes without them too, {_REPORT}"
    )
    return encodable(redactor.text(" ".join(line.split())))


_REPORT: Final = "please report this line and what `bench --version` says to ghostbench's developers"


def _what_and_where(error: BaseException) -> str:
    words = without_addresses(in_words(error) or type(error).__name__)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "ghostbench" in PurePath(frame.filename).parts] or frames
    return f"{words} ({'/'.join(PurePath(own[-1].filename).parts[-3:])}, line {own[-1].lineno})" if own else words


def _all_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


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
