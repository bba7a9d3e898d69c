"""What FFmpeg complains of while it decodes: a damaged frame is often shown all the same, and only the log tells.

FFmpeg has one log for the whole process. PyAV keeps apart what each thread makes it say, and a decoder with one thread
(as `ghostbench.media.stream` opens it) works in the thread that calls it: so each call's complaints are its own,
however many clips are decoded at once. Only errors are listened to; all else is dropped inside FFmpeg, at no cost.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import av.logging

_HARMLESS: Final = re.compile(
    # A camera's own notes beside the picture.
    r"unable to decode APP fields|SEI type \d+ size \d+ truncated"
    # Book-keeping about reference frames, which touches no pixel: frames that are lost are told of in other words.
    r"|mmco: unref short failure|number of reference frames .* exceeds max"
    # Parameter sets that nothing needs.
    r"|VPS \d+ does not exist"
)


def listen() -> None:
    """Have FFmpeg tell of errors, however the process was used before. Cheap, and safe to call from any thread."""
    level = av.logging.get_level()
    if level is None or level < av.logging.ERROR:
        av.logging.set_level(av.logging.ERROR)
    if av.logging.get_skip_repeated():
        # The same words from two clips at once are no repetition.
        av.logging.set_skip_repeated(False)


@contextmanager
def complaints() -> Iterator[list[str]]:
    """Collects what FFmpeg calls errors in this thread; the list is filled when the block ends, exception or not."""
    found: list[str] = []
    with av.logging.Capture() as heard:
        try:
            yield found
        finally:
            found += [
                f"{name}: {words.strip()}"
                for level, name, words in heard
                if level <= av.logging.ERROR and not _HARMLESS.search(words)
            ]


# What is said outside such a block (while a file is opened and probed) is nobody's complaint, and nothing to print.
logging.getLogger("libav").addHandler(logging.NullHandler())
logging.getLogger("libav").propagate = False
