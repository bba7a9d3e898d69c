"""A clip's own media file, whole and as it lies in the storage, for models that see the video and not the frames."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

import av.error

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.datasets.storage import Media, open_media, storage_errors
from ghostbench.errors import DecodeFailed, MissingMedia
from ghostbench.media.checksums import check_sums
from ghostbench.media.stream import open_video, stated_duration_s
from ghostbench.records import Video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MOST_BYTES: Final = 512 << 20
"""The largest media file that is read whole to be sent."""
_SHORTEST_ID: Final = 4
"""Characters: what is shorter stands in many a word by chance."""
_RUN: Final = re.compile(r"[^\W\d_]+|\d+")
"""Letters or digits of an id that stand together."""
_OF_THE_FORM: Final = frozenset(
    {"compatible_brands", "creation_time", "duration", "major_brand", "minor_version", "timecode"}
)
"""Tags that say when, in what form and how long: an id of digits stands in many of them by chance."""
_TYPES: Final = {
    "avi": "video/avi",
    "matroska,webm": "video/webm",
    "mpeg": "video/mpeg",
    "mpegts": "video/mpeg",
    "flv": "video/x-flv",
    "asf": "video/wmv",
}
"""By the container's name; all of the MOV family, which MP4 is of, are MP4, QuickTime's or 3GPP's by their brand."""
_BRANDS: Final = {"qt": "video/quicktime", "3gp": "video/3gpp", "3g2": "video/3gpp"}


def read_video(media: str, clip: str, credentials: Credentials = NO_CREDENTIALS) -> Video:
    """The whole file of a clip, with what it is by its content.

    media : `Clip.media`, of a video file; a remote one is fetched. clip : the clip's id. credentials : what opens the
    data root.

    Raises `MissingMedia`, `MediaUnreachable` and `DecodeFailed` as `ghostbench.media.decode.decode` and `video_of` do,
    `MissingMedia` for frames, of which there is no video, and `DecodeFailed` for a file too large to be sent.
    """
    video = video_of(_bytes_of(media, credentials), clip)
    stated = Media.parse(media).sha256
    if stated is not None and video.sha256 != stated:
        found = f"its SHA-256 is {video.sha256}, the list says {stated}"
        raise DecodeFailed(f"not the file that the split names: {found}")
    return video


def video_of(data: bytes, clip: str) -> Video:
    """The content of a media file with what it is. clip : the clip's id, which nothing that the file says of itself may
    hold: no model is told which clip it sees.

    Raises `DecodeFailed` for what is no video, is of a form that nothing is known of, or names its clip.
    """
    try:
        with open_video(io.BytesIO(data)) as (container, stream):
            named = _naming(clip)
            if named is not None and any(named.search(words.casefold()) for words in _says(container)):
                raise DecodeFailed("the file's own tags name the clip, which no model may be told: remove them")
            kind, seconds = _type_of(container), _seconds(container, stream)
            return Video(data=data, sha256=hashlib.sha256(data).hexdigest(), mime_type=kind, duration_s=seconds)
    except (av.error.FFmpegError, OSError) as error:
        raise DecodeFailed(f"{type(error).__name__}: {error.strerror or error}") from None


def video_sha256(media: str, credentials: Credentials = NO_CREDENTIALS) -> str:
    """Hex SHA-256 of the whole file of a clip. Raises as `read_video` does where it cannot be read."""
    return hashlib.sha256(_bytes_of(media, credentials)).hexdigest()


def has_video(media: str) -> bool:
    """Whether a clip's media is a video file, and no frames."""
    return Media.parse(media).kind == "file"


def _bytes_of(media: str, credentials: Credentials) -> bytes:
    source = Media.parse(media)
    if source.kind != "file":
        raise MissingMedia("there is no video of it: its media is frames")
    with open_media(source.opened_with(credentials), within=source.within) as file, storage_errors(credentials):
        check_sums(file)
        data = _read(file)
    if len(data) > MOST_BYTES:
        raise DecodeFailed(f"the file is more than the {MOST_BYTES} bytes that are read to be sent")
    return data


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(MOST_BYTES + 1)


def _says(container: InputContainer) -> Iterator[str]:
    """Every word that the file says of itself: titles, comments and the like, of the whole, each stream and chapter."""
    tags = [container.metadata, *(stream.metadata for stream in container.streams)]
    tags += [chapter["metadata"] for chapter in container.chapters()]
    for each in tags:
        yield from (words for name, words in each.items() if name.casefold() not in _OF_THE_FORM)


def _naming(clip: str) -> re.Pattern[str] | None:
    """What finds a clip's id in small letters, whatever marks stand between its letters and numbers, and not as a piece
    of a longer word or number; None for an id that is too short to tell."""
    runs = _RUN.findall(clip.casefold())
    if len(clip) < _SHORTEST_ID or not runs:
        return None
    letter, digit = r"[^\W\d_]", r"\d"
    words = runs[0]
    for before, run in itertools.pairwise(runs):
        words += (r"[\W_]+" if before.isdecimal() == run.isdecimal() else r"[\W_]*") + run
    first, last = (digit if run.isdecimal() else letter for run in (runs[0], runs[-1]))
    return re.compile(f"(?<!{first}){words}(?!{last})")


def _type_of(container: InputContainer) -> str:
    name = container.format.name
    if "mp4" in name:
        brand = container.metadata.get("major_brand", "").strip().casefold()
        return next((kind for start, kind in _BRANDS.items() if brand.startswith(start)), "video/mp4")
    if name not in _TYPES:
        raise DecodeFailed(f"a file of the form {name}, for which a video has no name to be sent under")
    return _TYPES[name]


def _seconds(container: InputContainer, stream: VideoStream) -> float:
    """The length by what the file declares or by its packets, whichever is longer: nobody is to be told of a cost that
    is too low."""
    begins, ends = [], []
    for packet in container.demux(stream):
        if packet.pts is not None and packet.time_base is not None:
            begins.append(float(packet.pts * packet.time_base))
            ends.append(float((packet.pts + (packet.duration or 0)) * packet.time_base))
    seconds = max(stated_duration_s(container, stream), max(ends, default=0.0) - min(begins, default=0.0))
    if not seconds > 0:
        raise DecodeFailed("the file says nothing of how long it is")
    return seconds
