"""Finds each clip's media under a data root, with a few folder listings and before anything is decoded.

Two layouts, tried in each of the folders that published copies of DADA-2000 put their media in (`BASES`):

files   `<clip id>.<video suffix>`, e.g. `images_5_004.avi`.
frames  `{category}/{id}/` holding the frames of `images_{category}_{id}` in one of three forms:
        a folder `images/` of `0001.png`, `0002.png`, … (DADA-2000 as released, in JPEG too);
        an archive `images.zip` of the same; or the frames themselves.

Sources
-------
DADA-2000 (JWFangit/LOTVS-DADA) and MM-AU, which contains it: `DADA-DATA/{category}/{id}/images/0001.png`; the other
    part of MM-AU, `CAP-DATA/…/{category}/{six digits}/images/000001.jpg`, is read when the root is the folder that
    holds the categories. The authors' reader (jeffreychou777/LOTVS-MM-AU, `Video_Diffusion/ACLIP/datasets/CAP.py`)
    takes `images/*.jpg` and orders frames by the number after the last underscore, at 30 frames per second.
simple-tad (tue-mps/simple-tad, `DATASET.md`, `dada.py`): `DADA2000/frames/{category}/{id}/images.zip` with `0001.png`
    and so on at the top of the archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ghostbench.datasets import storage
from ghostbench.datasets.clip_ids import VIDEO_SUFFIXES, dada_parts
from ghostbench.datasets.storage import Media
from ghostbench.errors import BadInput
from ghostbench.records import Layout

BASES: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("clips",),
    ("videos",),
    ("frames",),
    ("DADA2000",),
    ("DADA2000", "frames"),
    ("DADA-DATA",),
    ("DADA-2000_chunks", "Origin", "DADA2000", "DADA2000"),
)
"""Folders under the data root that may hold the media; the first that holds any clip asked for is used alone."""

IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg")

_Listing = Mapping[str, str]


def find_media(root: str, clip_ids: Iterable[str], *, layout: Layout, fps: float) -> dict[str, Media]:
    """Where the media of these clips is; clips without media are left out.

    Parameters
    ----------
    root : as `storage.accept` returned it.
    fps : frames per second of frame folders.

    Raises `BadInput` if the root is not there or cannot be listed, or if one clip has media twice.
    """
    wanted = list(clip_ids)
    try:
        top = storage.list_folder(root)
        if top is None:
            raise BadInput(f"data root {root}: no such folder; give --data-root the folder that holds the media")
        for base in BASES:
            location, listing = root, top
            for name in base:
                if listing.get(name) != "directory":
                    break
                location = storage.join(location, name)
                listing = storage.list_folder(location) or {}
            else:
                found = _in_base(location, listing, wanted, layout, fps)
                if found:
                    return found
    except (BadInput, ValueError) as error:
        raise error if isinstance(error, BadInput) else BadInput(f"data root {root}: {error}") from None
    except Exception as error:  # noqa: BLE001 - each storage package has exceptions of its own
        raise BadInput(
            f"data root {root}: {storage.reason_of(error)}; check the path, the network and the credentials"
        ) from None
    return {}


def _in_base(location: str, listing: _Listing, wanted: list[str], layout: Layout, fps: float) -> dict[str, Media]:
    found: dict[str, Media] = {}
    if layout in {"auto", "files"}:
        found = _files(location, listing, wanted)
    if not found and layout in {"auto", "frames"}:
        found = _frames(location, listing, wanted, fps)
    return found


def _files(location: str, listing: _Listing, wanted: list[str]) -> dict[str, Media]:
    asked = set(wanted)
    names: dict[str, str] = {}
    for name, kind in sorted(listing.items()):
        stem, dot, suffix = name.rpartition(".")
        if kind != "file" or not dot or f".{suffix.lower()}" not in VIDEO_SUFFIXES or stem not in asked:
            continue
        if stem in names:
            raise BadInput(f"{location}: both {names[stem]} and {name} are there for one clip; remove one of them")
        names[stem] = name
    return {clip: Media(location=storage.join(location, names[clip])) for clip in wanted if clip in names}


def _frames(location: str, listing: _Listing, wanted: list[str], fps: float) -> dict[str, Media]:
    categories: dict[int, tuple[str, _Listing]] = {}
    for name, kind in sorted(listing.items()):
        if kind == "directory" and name.isascii() and name.isdigit():
            if int(name) in categories:
                raise BadInput(f"{location}: two folders for category {int(name)}; remove one of them")
            categories[int(name)] = (name, {})
    found: dict[str, Media] = {}
    for clip in wanted:
        parts = dada_parts(clip)
        if parts is None or parts[0] not in categories:
            continue
        name, entries = categories[parts[0]]
        folder = storage.join(location, name)
        if not entries:
            entries = storage.list_folder(folder) or {}
            categories[parts[0]] = (name, entries)
        match = _numbered(folder, entries, parts[1])
        media = _frame_media(storage.join(folder, match), fps) if match else None
        if media is not None:
            found[clip] = media
    return found


def _numbered(folder: str, entries: _Listing, number: str) -> str | None:
    """The clip folder with that number: as written in the id, else the one with other leading zeros."""
    if entries.get(number) == "directory":
        return number
    same = [
        name
        for name, kind in entries.items()
        if kind == "directory" and name.isascii() and name.isdigit() and int(name) == int(number)
    ]
    if len(same) > 1:
        raise BadInput(f"{folder}: both {same[0]} and {same[1]} are there for one clip; remove one of them")
    return same[0] if same else None


def _frame_media(folder: str, fps: float) -> Media | None:
    entries = storage.list_folder(folder) or {}
    if entries.get("images") == "directory":
        return Media(location=storage.join(folder, "images"), kind="frames", fps=fps)
    if entries.get("images.zip") == "file":
        return Media(location=storage.join(folder, "images.zip"), kind="zip", fps=fps)
    if any(kind == "file" and name.lower().endswith(IMAGE_SUFFIXES) for name, kind in entries.items()):
        return Media(location=folder, kind="frames", fps=fps)
    return None
