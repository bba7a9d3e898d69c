"""A folder of videos of which nobody has said anything yet."""

from __future__ import annotations

from ghostbench.datasets import storage
from ghostbench.datasets.clip_ids import VIDEO_SUFFIXES, clip_id
from ghostbench.datasets.storage import Media
from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.records import Clip


def videos_in(folder: str) -> tuple[Clip, ...]:
    """Every video file that lies in the folder itself, by name, as a clip without a label (its truth says nothing).

    Raises `BadInput` for a folder that is not there or has none, and for two files of one clip.
    """
    place = storage.accept(folder, "the folder of clips")
    listing = storage.list_folder(place)
    if listing is None:
        raise BadInput(f"there is no folder {printable(folder)}")
    found: dict[str, Clip] = {}
    for name, kind in sorted(listing.items()):
        if kind == "directory" or not name.lower().endswith(VIDEO_SUFFIXES):
            continue
        try:
            clip = clip_id(name)
        except ValueError as error:
            raise BadInput(f"{printable(folder)}: {printable(name)}: {error}; rename the file") from None
        if clip in found:
            raise BadInput(f"{printable(folder)} has two files for the clip {printable(clip)}; remove one of them")
        found[clip] = Clip(id=clip, truth="normal", media=str(Media(location=str(place.join(name)))))
    if not found:
        raise BadInput(
            f"{printable(folder)} holds no video ({', '.join(VIDEO_SUFFIXES)}): give the folder of the clips"
        )
    return tuple(found.values())
