"""Lists many folders at once: a server answers each in its own time, and a data set has thousands of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ghostbench.datasets import storage
from ghostbench.datasets.storage import EntryKind, Location

Listing = Mapping[str, EntryKind]
Told = Callable[[int, int], None]
"""Is told how many folders of how many have been listed."""

AT_ONCE: Final = 16
"""Listings that are under way together, on a server; on this machine one follows the other."""
_TELL_EVERY_S: Final = 5.0


def silently(listed: int, of: int) -> None:
    """Tell nobody."""


def list_all(locations: Iterable[Location], *, within: str | None, told: Told = silently) -> list[Listing]:
    """What lies in each of these folders, in their order; nothing in one that is not there.

    told : called after 5 s and every 5 s from then on.

    Raises what the storage raises, without waiting for the listings that have not begun.
    """
    places = list(locations)
    started = time.monotonic()
    found: list[Listing] = []
    pool = ThreadPoolExecutor(AT_ONCE if any(not place.is_local for place in places) else 1)
    try:
        for listing in pool.map(lambda place: storage.list_folder(place, within=within) or {}, places):
            found.append(listing)
            if time.monotonic() - started >= _TELL_EVERY_S:
                started = time.monotonic()
                told(len(found), len(places))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return found
