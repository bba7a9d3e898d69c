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

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ghostbench.datasets import storage
from ghostbench.datasets.clip_ids import VIDEO_SUFFIXES, composed, dada_parts
from ghostbench.datasets.listing import Listing, Told, list_all, silently
from ghostbench.datasets.storage import Location, Media
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where media is looked for.

    root : as `storage.accept` returned it.
    layout : as the dataset states it. fps : frames per second of frame folders.
    within : local folder that links must not lead out of; None where the user named the root.
    """

    root: Location
    layout: Layout
    fps: float
    within: str | None = None


def find_media(
    root: Location,
    clip_ids: Iterable[str],
    *,
    layout: Layout,
    fps: float,
    within: str | None = None,
    told: Told = silently,
) -> dict[str, Media]:
    """Where the media of these clips is; clips without media are left out.

    Parameters
    ----------
    root, layout, fps, within : as `Where` says.
    told : is called with the folders listed and the folders to list, now and then, where each clip has its own.

    Raises `BadInput` if the root is not there or cannot be listed, or if one clip has media twice.
    """
    where = Where(root=root, layout=layout, fps=fps, within=within)
    wanted = list(clip_ids)
    with _root_errors(root):
        top = _list_root(where)
        for base in BASES:
            location, listing = root, top
            for name in base:
                if listing.get(name) != "directory":
                    break
                location = location.join(name)
                listing = storage.list_folder(location, within=where.within) or {}
            else:
                found = _in_base(location, listing, wanted, where, told)
                if found:
                    return found
    return {}


def check_root(where: Where) -> None:
    """Raise `BadInput` if the root is not there or cannot be listed. Looks no further than at the root itself."""
    with _root_errors(where.root):
        _list_root(where)


@contextmanager
def _root_errors(root: Location) -> Iterator[None]:
    """What a storage raises while it is listed, as `BadInput` naming the root."""
    try:
        yield
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"data root {root}: {error}") from None
    except Exception as error:  # noqa: BLE001 - each storage package has exceptions of its own
        reason = storage.reason_of(error, root.credentials)
        raise BadInput(f"data root {root}: {reason}; check the path, the network and the credentials") from None


def _list_root(where: Where) -> Listing:
    listing = storage.list_folder(where.root, within=where.within)
    if listing is None:
        raise BadInput(f"data root {where.root}: no such folder; give --data-root the folder that holds the media")
    return listing


def _in_base(location: Location, listing: Listing, wanted: list[str], where: Where, told: Told) -> dict[str, Media]:
    found: dict[str, Media] = {}
    if where.layout in {"auto", "files"}:
        found = _files(location, listing, wanted, where)
    if not found and where.layout in {"auto", "frames"}:
        found = _frames(location, listing, wanted, where, told)
    return found


def _files(location: Location, listing: Listing, wanted: list[str], where: Where) -> dict[str, Media]:
    asked = {composed(clip): clip for clip in wanted}
    names: dict[str, str] = {}
    for name, kind in sorted(listing.items()):
        stem, dot, suffix = name.rpartition(".")
        clip = asked.get(composed(stem))
        if kind == "directory" or not dot or f".{suffix.lower()}" not in VIDEO_SUFFIXES or clip is None:
            continue
        if kind == "link out":
            raise BadInput(_leads_out(location.join(name), where))
        if clip in names:
            raise BadInput(f"{location}: both {names[clip]} and {name} are there for one clip; remove one of them")
        names[clip] = name
    return {
        clip: Media(location=str(location.join(names[clip])), within=where.within) for clip in wanted if clip in names
    }


def _frames(location: Location, listing: Listing, wanted: list[str], where: Where, told: Told) -> dict[str, Media]:
    names: dict[int, str] = {}
    for name, kind in sorted(listing.items()):
        if kind == "directory" and name.isascii() and name.isdigit():
            if int(name) in names:
                raise BadInput(f"{location}: two folders for category {int(name)}; remove one of them")
            names[int(name)] = name
    parts = {clip: found for clip in wanted if (found := dada_parts(clip)) is not None and found[0] in names}
    folders = {category: location.join(names[category]) for category, _ in parts.values()}
    categories = dict(zip(folders, list_all(folders.values(), within=where.within), strict=True))
    places = {
        clip: folders[category].join(match)
        for clip, (category, number) in parts.items()
        if (match := _numbered(folders[category], categories[category], number)) is not None
    }
    listings = list_all(places.values(), within=where.within, told=told)
    return {
        clip: media
        for (clip, folder), entries in zip(places.items(), listings, strict=True)
        if (media := _frame_media(folder, entries, where)) is not None
    }


def _numbered(folder: Location, entries: Listing, number: str) -> str | None:
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


def _frame_media(folder: Location, entries: Listing, where: Where) -> Media | None:
    for name in ("images", "images.zip"):
        if entries.get(name) == "link out":
            raise BadInput(_leads_out(folder.join(name), where))
    if entries.get("images") == "directory":
        images = folder.join("images")
        return Media(location=str(images), kind="frames", fps=where.fps, within=where.within)
    if entries.get("images.zip") == "file":
        return Media(location=str(folder.join("images.zip")), kind="zip", fps=where.fps, within=where.within)
    if any(kind == "file" and name.lower().endswith(IMAGE_SUFFIXES) for name, kind in entries.items()):
        return Media(location=str(folder), kind="frames", fps=where.fps, within=where.within)
    return None


def _leads_out(path: Location, where: Where) -> str:
    return f"{path} is a link that leads out of {where.within}; if that is meant, give {where.root} as --data-root"
