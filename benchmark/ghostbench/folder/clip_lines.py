"""`clips.jsonl`: each clip's line written once, and the same frames for a clip however often a run is gone on with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ghostbench.errors import BadInput
from ghostbench.folder.ledger import Ledger, encode, recover
from ghostbench.folder.lines import ClipLine, QuestionLine
from ghostbench.folder.place import write_lines
from ghostbench.folder.reading import read_records
from ghostbench.folder.run_records import keep_clips
from ghostbench.frames import Frames
from ghostbench.records import Clip
from ghostbench.redact import Redactor


class ClipLines:
    """The open file, with what a run that is gone on with wrote in it before. Use it on one event loop.

    Raises `BadInput` for lines that this version does not write.
    """

    def __init__(self, path: Path, redactor: Redactor, run_id: str) -> None:
        recover(path)
        self._path = path
        self._run_id = run_id
        self._seen: dict[str, str | None] = {}
        self._moments: dict[str, tuple[float | None, ...]] = {}
        for line in read_records(path, ClipLine):
            self._seen[line.clip] = line.frames_sha256
            self._keep_moments(line.clip, line.questions)
        self._ledger = Ledger(path, redactor)

    def __contains__(self, clip: Clip) -> bool:
        """Whether the clip has its line."""
        return clip.id in self._seen

    def moments(self, clip: Clip) -> tuple[float | None, ...] | None:
        """When the clip is asked about, as far as its line says so; None where it does not."""
        return self._moments.get(clip.id)

    async def note(self, clip: Clip, frames: Frames | None, questions: tuple[QuestionLine, ...] | None = None) -> None:
        """Write the clip's line if it has none, or one without frames; else hold its frames against those seen before.

        Of several lines the last counts, until the file is put in order. Raises `BadInput`.
        """
        if clip not in self or (frames is not None and self._seen[clip.id] is None):
            self._seen[clip.id] = frames.sha256 if frames is not None else None
            self._keep_moments(clip.id, questions)
            await self._ledger.append(ClipLine.of(clip, frames, questions))
        elif frames is not None and self._seen[clip.id] != frames.sha256:
            raise BadInput(
                f"the frames of {clip.id} are not those that run '{self._run_id}' began with; "
                "put the old media back, or start a new run"
            )

    def _keep_moments(self, clip: str, questions: tuple[QuestionLine, ...] | None) -> None:
        if questions is not None:
            self._moments[clip] = tuple(question.moment_s for question in questions)

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._ledger.close()


def put_in_order(path: Path, clips: Iterable[Clip]) -> list[ClipLine]:
    """Write the file anew with the lines of these clips in this order; return them. Every clip must have its line."""
    by_id = {line.clip: line for line in read_records(path, ClipLine)}
    lines = [by_id[clip.id] for clip in clips]
    write_lines(path, map(encode, lines))
    keep_clips(path, lines)
    return lines
