"""The format of recorded responses: JSON lines, one response each.

A line is an object with `clip` (a clip's id, with or without a media file's extension) and `raw` (the response as it
was received, or null where the study recorded an error instead of one). `moment_s` (seconds from the clip's start, or
null) is there where a clip was asked about at moments, `variant` (the name of a wording, or null for the task's main
one) where in several wordings. `served_model` (string or null) and `video_sha256` (text where the response was to the
clip's own video, as in a run's `attempts.jsonl`) are taken if they are there; all other keys are ignored. Blank lines
are skipped. UTF-8, with or without a byte-order mark.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghostbench import BadInput

_WAY_OUT = 'each line must be an object with "clip" (a clip id) and "raw" (text, or null for a recorded error)'


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResponse:
    """One line of a recording.

    clip : the id as it stands in the file. raw : the response's text, untrusted; None for a recorded error.
    served_model : the model name that the server returned, where the recording states it.
    moment_s : the moment that it is the response of; None where the recording states none. variant : the wording that
        it is the response to; None for the main one. to_video : whether it is the response to the clip's own video, and
        not to frames.
    """

    clip: str
    raw: str | None
    served_model: str | None
    moment_s: float | None = None
    variant: str | None = None
    to_video: bool = False


class Recording:
    """A file of recorded responses, read line by line.

    sha256 : hex digest of the file's bytes, once `rows` is exhausted; None before.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.sha256: str | None = None

    def rows(self) -> Iterator[RecordedResponse]:
        """The lines in order. Raises `BadInput` if the file is absent, unreadable, empty, or a line is malformed."""
        digest = hashlib.sha256()
        empty = True
        try:
            # A pipe or a device would be waited for, or never end.
            if Path(self.file).exists() and not Path(self.file).is_file():
                raise BadInput(f"recording {self.file!r} is no file: {_WAY_OUT}")
            with Path(self.file).open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    digest.update(line)
                    text = self._decoded(number, line)
                    if text.strip():
                        empty = False
                        yield self._row(number, text)
        except OSError as error:
            raise BadInput(f"recording {self.file!r} cannot be read: {error.strerror or error}") from None
        except ValueError as error:
            raise BadInput(f"recording {self.file!r} cannot be read: {error}") from None
        if empty:
            raise BadInput(f"recording {self.file!r} is empty: {_WAY_OUT}")
        self.sha256 = digest.hexdigest()

    def _decoded(self, number: int, line: bytes) -> str:
        try:
            return line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise self._malformed(number, "is not UTF-8") from None

    def _row(self, number: int, text: str) -> RecordedResponse:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise self._malformed(number, "is not JSON") from None
        if not isinstance(value, dict):
            raise self._malformed(number, "is not an object")
        clip = value.get("clip")
        if not isinstance(clip, str) or not clip.strip():
            raise self._malformed(number, 'has no "clip"')
        if "raw" not in value:
            raise self._malformed(number, 'has no "raw"')
        return RecordedResponse(
            clip=clip,
            raw=self._text(number, value, "raw"),
            served_model=self._served(value),
            moment_s=self._moment(number, value),
            variant=self._text(number, value, "variant"),
            to_video=self._text(number, value, "video_sha256") is not None,
        )

    def _text(self, number: int, value: dict[str, Any], key: str) -> str | None:
        text = value.get(key)
        if text is not None and not isinstance(text, str):
            raise self._malformed(number, f'has a "{key}" that is neither text nor null')
        return text

    def _moment(self, number: int, value: dict[str, Any]) -> float | None:
        moment = value.get("moment_s")
        if moment is None:
            return None
        if isinstance(moment, bool) or not isinstance(moment, int | float) or not 0 <= moment < math.inf:
            raise self._malformed(number, 'has a "moment_s" that is no number of seconds')
        return float(moment)

    def _served(self, value: dict[str, Any]) -> str | None:
        served = value.get("served_model")
        return served if isinstance(served, str) else None

    def _malformed(self, number: int, what: str) -> BadInput:
        return BadInput(f"recording {self.file!r}, line {number} {what}: {_WAY_OUT}")
