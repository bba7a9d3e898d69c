"""Decodes a clip's sampled frames, from a video file, a folder of frames or an archive of frames."""

from __future__ import annotations

import hashlib
from typing import IO

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.datasets.storage import Media, open_media, storage_errors
from ghostbench.errors import DecodeFailed
from ghostbench.frames import Frames
from ghostbench.media.checksums import check_sums
from ghostbench.media.images import decode_archive, decode_folder
from ghostbench.media.sampling import Sampling
from ghostbench.media.video import decode_video


def decode(media: str, sampling: Sampling, credentials: Credentials = NO_CREDENTIALS) -> Frames:
    """The frames of one clip that a sampler takes.

    Parameters
    ----------
    media : `Clip.media`: a local path or URL as `ghostbench.datasets.select` states it. A remote video file is
        fetched once, whole, into memory; of a remote folder the frames taken are fetched.
    credentials : what opens the data root, `Split.credentials`.

    A video file is decoded in the calling thread alone: several clips at once make better use of the cores than one
    clip with several threads, and what the decoder complains of stays with its clip.

    The whole clip is read and its frames are counted, so that its length is known and not believed; memory holds the
    sampled frames and little more. Safe to call from several threads at once.

    Raises `MissingMedia` if the media is not there, `MediaUnreachable`, with the storage's own words, if the storage
    does not give it this time, and `DecodeFailed`, with the decoder's, for what is wrong with the content: unreadable,
    torn, damaged, too large, or not the file whose SHA-256 the split states. Anything else that it raises is a mistake
    in ghostbench, and no failure of the clip.
    """
    source = Media.parse(media)
    location = source.opened_with(credentials)
    if source.kind == "frames":
        return decode_folder(location, sampling, source.fps or 30.0, within=source.within)
    with open_media(location, within=source.within) as file:
        if source.sha256 is not None:
            _check_digest(file, source.sha256)
        if source.kind == "zip":
            return decode_archive(file, sampling, source.fps or 30.0)
        with storage_errors(credentials):
            check_sums(file)
        return decode_video(location.shown if location.is_local else file, sampling)


def _check_digest(file: IO[bytes], expected: str) -> None:
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    if digest != expected:
        raise DecodeFailed(f"not the file that the split names: its SHA-256 is {digest}, the list says {expected}")
