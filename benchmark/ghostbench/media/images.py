"""Decodes clips that are stored as numbered images, in a folder or a ZIP archive.

Frames are the files named by a number, alone or after an underscore (`0001.png`, `12_frame_7.jpg`); they are ordered by
it. Names that begin with a full stop (`._0001.png`, which macOS puts beside each file on other systems' disks) and the
folder `__MACOSX` of its archives are no frames, and neither is anything that is named otherwise (`Thumbs.db`). The
numbers must begin at 0 or 1 and leave none out: a gap is a frame lost, and the clip is not decoded without it.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ghostbench.datasets import storage
from ghostbench.datasets.location import Location
from ghostbench.datasets.other_files import ENOUGH, what_else
from ghostbench.errors import AttemptError, DecodeFailed, MissingMedia
from ghostbench.frames import Frames
from ghostbench.media.limits import check_frame_size, check_sample_size
from ghostbench.media.sampling import Sampling
from ghostbench.media.shared import new_pixels

if TYPE_CHECKING:
    from PIL import Image

_FRAME = re.compile(r"(?!\.)(?:.*_)?(?P<number>[0-9]{1,9})\.(?:png|jpe?g)", re.IGNORECASE)
_MACOS_FOLDER = "__MACOSX"
_MAX_IMAGE_BYTES = 256 << 20


def decode_folder(location: Location, sampling: Sampling, fps: float, *, within: str | None = None) -> Frames:
    """The sampled frames of a folder, local or remote; each one is fetched alone.

    within : local folder that links must not lead out of, None for any place.

    Raises `MissingMedia` if the folder is not there, `DecodeFailed` if frames are missing or cannot be decoded, and
    `MediaUnreachable` if the storage does not give them this time.
    """
    with storage.storage_errors(location.credentials):
        listing = storage.list_folder(location, within=within)
    if listing is None:
        raise MissingMedia("the folder of frames is no longer where it was when the clips were listed")
    names = _ordered(name for name, kind in listing.items() if kind != "directory")

    def read(chosen: Sequence[str]) -> Iterator[bytes]:
        places = [location.join(name) for name in chosen]
        return storage.read_each(places, limit_bytes=_MAX_IMAGE_BYTES, within=within)

    return _sample(names, read, sampling, fps)


def decode_archive(file: IO[bytes], sampling: Sampling, fps: float) -> Frames:
    """The sampled frames of a ZIP archive. Raises `DecodeFailed` if it is none, or as `decode_folder` does."""
    with _archive_errors():
        archive = zipfile.ZipFile(file)
        names_inside = archive.namelist()
    with archive:
        members: dict[str, str] = {}
        for member in names_inside:
            # Some tools of Windows write its own separators.
            *folders, name = member.replace("\\", "/").split("/")
            if _MACOS_FOLDER in folders or _FRAME.fullmatch(name) is None:
                continue
            if name in members:
                raise DecodeFailed(f"the archive holds {storage.without_credentials(ascii(name))} twice")
            members[name] = member
        names = _ordered(members)

        def read(chosen: Sequence[str]) -> Iterator[bytes]:
            for name in chosen:
                with _archive_errors(), archive.open(members[name]) as image:
                    data = image.read(_MAX_IMAGE_BYTES + 1)
                yield data

        return _sample(names, read, sampling, fps)


@contextmanager
def _archive_errors() -> Iterator[None]:
    """Turns what the standard library raises on damaged, encrypted and unknown archives into `DecodeFailed`."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        RuntimeError,  # encrypted; NotImplementedError, which is one, where it is compressed in an unknown way
        ValueError,
        struct.error,
    ) as error:
        raise DecodeFailed(f"the archive of frames cannot be read: {error}") from None


def _ordered(names: Iterable[str]) -> list[str]:
    """File names of the frames in order. Raises `DecodeFailed` if there are none, or one is missing or there twice."""
    numbered: dict[int, str] = {}
    for name in names:
        match = _FRAME.fullmatch(name)
        if match is not None:
            number = int(match["number"])
            if number in numbered:
                raise DecodeFailed(f"frame {number} is there twice")
            numbered[number] = name
    if not numbered:
        raise DecodeFailed("there are no PNG or JPEG files named by a number, as 0001.png and clip_0001.png are")
    first = 0 if 0 in numbered else 1
    for expected, number in enumerate(sorted(numbered), start=first):
        if number != expected:
            raise DecodeFailed(f"frame {expected} is missing, the frames go on to {max(numbered)}")
    return [numbered[number] for number in sorted(numbered)]


def _sample(
    names: list[str], read: Callable[[Sequence[str]], Iterator[bytes]], sampling: Sampling, fps: float
) -> Frames:
    import PIL

    duration_s = len(names) / fps
    if sampling.kind == "uniform":
        indices = sampling.indices(len(names))
    else:
        indices = sampling.nearest([i / fps for i in range(len(names))], duration_s)
    pixels: npt.NDArray[np.uint8] | None = None
    formats = []
    contents = read([names[index] for index in indices])
    for position, (index, content) in enumerate(zip(indices, contents, strict=True)):
        image, kind = _decode_image(content, index)
        if pixels is None:
            check_sample_size(len(indices), image.shape[1], image.shape[0])
            pixels = new_pixels((len(indices), *image.shape))
        if image.shape != pixels.shape[1:]:
            raise DecodeFailed(f"frame {index} has another size than the frames before it")
        pixels[position] = image
        formats.append(kind)
    assert pixels is not None
    return Frames(
        pixels,
        indices=indices,
        times_s=tuple(index / fps for index in indices),
        duration_s=duration_s,
        decoder=f"Pillow {PIL.__version__} ({', '.join(sorted(set(formats)))})",
    )


def _decode_image(data: bytes, index: int) -> tuple[npt.NDArray[np.uint8], str]:
    """RGB pixels [height, width, 3] and the format's name."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(data) > _MAX_IMAGE_BYTES:
        raise DecodeFailed(f"frame {index} is larger than {_MAX_IMAGE_BYTES >> 20} MiB")
    if not data:
        raise DecodeFailed(f"frame {index}: the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            check_frame_size(image.width, image.height)
            kind = (image.format or "").lower()
            return _rgb(ImageOps.exif_transpose(image)), kind
    except UnidentifiedImageError as error:
        what = what_else(data[:ENOUGH])
        words = f"this is no PNG or JPEG image{f' but {what}' if what else ''}"
        raise DecodeFailed(f"frame {index}: {type(error).__name__}: {words}") from None
    except AttemptError:
        raise
    except Exception as error:
        # Pillow raises many types on damaged files; what was raised elsewhere is no fault of the file.
        if not _raised_in("PIL", error):
            raise
        raise DecodeFailed(f"frame {index}: {type(error).__name__}: {error}") from None


def _rgb(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """RGB pixels. Of grey in sixteen bits the upper eight, as Pillow has it of colours: it keeps no grey above 255."""
    if picture.mode.startswith("I"):
        return np.repeat((np.asarray(picture) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.asarray(picture.convert("RGB"))


def _raised_in(package: str, error: Exception) -> bool:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and str(at.tb_frame.f_globals.get("__name__")).partition(".")[0] == package
