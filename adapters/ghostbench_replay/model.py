"""The model that answers with what was recorded."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ghostbench import BadInput, Clip, NotRecorded, ReferenceModel, Reply, Request, Truths
from ghostbench_replay.recording import RecordedResponse, Recording


class Replay(ReferenceModel):
    """Answers each clip, at each moment and in each wording that is asked, with the first row that is recorded for it.

    It gets the clip for the sake of its id and looks at nothing else of it. Recorded times are not replayed: an
    attempt's times are those of this run.
    """

    def __init__(self, settings: Any, argument: str | None = None) -> None:
        super().__init__(settings, argument)
        self._rows: dict[tuple[str, float | None, str | None], RecordedResponse] = {}
        self._strangers = ""

    def check(self) -> None:
        """Read the whole file once.

        Raises `BadInput` where it is absent, unreadable, empty or malformed, and where some of its responses are to the
        clips' own videos and some are not: a row of both could be set against no other.
        """
        recording = self._recording()
        seen = set[tuple[str, float | None, str | None]]()
        of_kind: dict[bool, str] = {}
        for row in recording.rows():
            key = (_stem(row.clip), row.moment_s, row.variant)
            if key not in seen and row.raw is not None:
                of_kind.setdefault(row.to_video, row.clip)
            seen.add(key)
        if len(of_kind) > 1:
            raise BadInput(
                f"recording {recording.file!r} has responses to the clips' own videos ({of_kind[True]!a}) and others "
                f"that state no video_sha256 ({of_kind[False]!a}): give each kind a file of its own"
            )

    def begin(self, truths: Truths) -> Mapping[str, Any]:
        """Keep the split's rows. Facts, all counts of rows but the last two:

        `rows` in the file; `duplicates`, later rows of a clip of the split, moment and wording, unused;
        `outside_split`, rows of no clip of the split, unused; `recorded_errors`, rows in use whose `raw` is null;
        `without_row`, clips of the split that no row is about; `sha256` of the file. `sees_video`, true, where rows in
        use are responses to the clip's own video: the harness marks the row by it.
        """
        recording = self._recording()
        ids = {clip.id for clip in truths.clips}
        self._rows = {}
        rows = duplicates = outside = 0
        self._strangers = ""
        for row in recording.rows():
            rows += 1
            clip = _clip_id(row.clip, ids)
            if clip is None:
                outside += 1
                self._strangers = self._strangers or row.clip
            elif (clip, row.moment_s, row.variant) in self._rows:
                duplicates += 1
            else:
                self._rows[clip, row.moment_s, row.variant] = row
        return {
            "rows": rows,
            "duplicates": duplicates,
            "outside_split": outside,
            "recorded_errors": sum(row.raw is None for row in self._rows.values()),
            "without_row": len(ids - {clip for clip, *_ in self._rows}),
            **({"sees_video": True} if any(row.to_video for row in self._rows.values()) else {}),
            "sha256": recording.sha256,
        }

    def answer(self, clip: Clip, request: Request) -> Reply:
        """The recorded text, unread. Raises `NotRecorded` where there is no row, or the row records an error."""
        row = self._rows.get((clip.id, request.moment_s, request.variant))
        if row is None:
            at = "" if request.moment_s is None else f" at {request.moment_s:g} s"
            worded = "" if request.variant is None else f" in the wording {request.variant}"
            raise NotRecorded(f"the recording has no row for this clip{at}{worded}{self._all_others()}")
        if row.raw is None:
            raise NotRecorded("the recording has an error in place of a response")
        return Reply(text=row.raw, served_model=row.served_model)

    def _all_others(self) -> str:
        """That no row is of a clip of the split, and one that is of another, where it is so."""
        named = "" if self._rows else self._strangers
        return f", nor for any other of the split: it has rows for clips such as {named[:80]!a}" if named else ""

    def _recording(self) -> Recording:
        if not self.argument:
            raise BadInput("replay needs a file: replay:FILE.jsonl")
        return Recording(self.argument)


def _clip_id(recorded: str, ids: set[str]) -> str | None:
    """The split's clip that a recorded id means: the id itself, in either form of Unicode, or without its extension."""
    recorded = unicodedata.normalize("NFC", recorded)
    if recorded in ids:
        return recorded
    stem = _stem(recorded)
    return stem if stem in ids else None


def _stem(recorded: str) -> str:
    """A recorded id without its extension."""
    recorded = unicodedata.normalize("NFC", recorded)
    return PurePosixPath(recorded).stem if "/" not in recorded else recorded
