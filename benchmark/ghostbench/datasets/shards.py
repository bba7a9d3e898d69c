"""A share of a run's clips, so that several machines can each ask about theirs without knowing of one another.

Which share a clip is in depends on its id and the number of shares alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.records import Clip, Shard, Split

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


def parse_shard(text: str) -> tuple[int, int]:
    """The number of a share, from 1, and of how many it is. Raises `BadInput`."""
    found = _SHARD.fullmatch(text)
    number, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= of:
        raise BadInput(f"--shard '{printable(text)}' is no share; write I/N, from 1/N to N/N, e.g. 2/8")
    return number, of


def shard_of(split: Split, text: str) -> Split:
    """The clips of a split that are in this share (`--shard I/N`). Raises `BadInput` where none is."""
    number, of = parse_shard(text)
    places = tuple(place for place, clip in enumerate(split.clips) if share_of(clip.id, of) == number)
    if not places:
        raise BadInput(f"--shard {text}: none of the {len(split.clips)} clips is in it; make fewer shards")
    clips = tuple(split.clips[place] for place in places)
    return dataclasses.replace(
        split,
        clips=clips,
        split_sha256=split_sha256(clips),
        filters=(*split.filters, f"shard={number}/{of}"),
        shard=Shard(number=number, of=of, places=places, n=len(split.clips), split_sha256=split.split_sha256),
        whole=split.clips,
    )


def share_of(clip: str, of: int) -> int:
    """Which of so many shares a clip is in, from 1."""
    return int.from_bytes(hashlib.sha256(clip.encode("utf-8")).digest()[:8], "big") % of + 1


def split_sha256(clips: tuple[Clip, ...] | list[Clip]) -> str:
    """SHA-256, hex, of the clips' ids joined by newlines."""
    return hashlib.sha256("\n".join(clip.id for clip in clips).encode("utf-8")).hexdigest()
