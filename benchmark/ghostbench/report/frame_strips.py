"""Small pictures of each clip's sampled frames, decoded again for a report that may hold them."""

from __future__ import annotations

import base64
import io
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ghostbench.credentials import Credentials
from ghostbench.datasets.granted import NOTHING, Granted
from ghostbench.digests import signature
from ghostbench.errors import AttemptError, BadInput
from ghostbench.frames import Frames
from ghostbench.report.data import RunData

if TYPE_CHECKING:
    from ghostbench.datasets.storage import Media
    from ghostbench.media.sampling import Sampling

Strip = tuple[str, list[str]]
"""The digest of a clip's frames, and their pictures."""

WIDTH = 480
"""The longer side of a picture, pixels: a pedestrian at the kerb can be told."""
_QUALITY = 72
MOST_FREE = 64
"""Clips up to which a page holds frames without being asked: each takes about 150 KB of it."""
_AT_ONCE = min(4, os.cpu_count() or 1)
_KEPT: OrderedDict[object, Strip] = OrderedDict()
"""The strips of free media that this process wrote last, by the file as it was then."""


def has_free_media(run: RunData) -> bool:
    """Whether the run's dataset comes with media that anybody may pass on. Its frames are taken from there alone, so
    that no others are passed on under its name."""
    from ghostbench.plugins.registry import registry

    spec = registry().datasets.get(run.manifest.dataset.name)
    return spec is not None and spec.free_media


def free_strips(run: RunData) -> Mapping[str, list[str]]:
    """As `frame_strips`, as far as the frames are there, of a dataset with free media; of no other, and of no more than
    `MOST_FREE` clips."""
    if not has_free_media(run) or len(run.clips) > MOST_FREE:
        return {}
    try:
        found = each_strip(run, NOTHING, drawn_once)
        return {clip: strip for clip, strip in found if not isinstance(strip, BadInput)}
    except BadInput:
        return {}


def frame_strips(run: RunData, granted: Granted) -> Mapping[str, list[str]]:
    """JPEG data URIs of the sampled frames, by clip id, for the clips whose frames the run had, and for its examples.

    granted : where the media may be looked for.

    Raises `BadInput` if the media is not there any more, or gives other pixels than the run saw.
    """
    found = {}
    try:
        for clip, strip in each_strip(run, granted):
            if isinstance(strip, BadInput):
                raise strip
            found[clip] = strip
    except BadInput as error:
        raise BadInput(f"{error}: bring back the media of the run, or leave out --embed-frames") from None
    return found


def drawn(media: Media, sampling: Sampling, credentials: Credentials) -> Strip:
    """A clip's frames, decoded, as pictures. Raises `AttemptError`."""
    from ghostbench.media.decode import decode

    frames = decode(str(media), sampling, credentials)
    return frames.sha256, _strip(frames)


def each_strip(
    run: RunData, granted: Granted, draw: Callable[[Media, Sampling, Credentials], Strip] = drawn
) -> Iterator[tuple[str, list[str] | BadInput]]:
    """Each clip and example whose frames the run had, with its frames, or with the reason why they cannot be had now.

    draw : what gives a clip's frames, as `drawn` does, called in several threads.

    Raises `BadInput` where no clip's can.
    """
    from ghostbench.datasets.granted import media_place
    from ghostbench.datasets.layouts import find_media
    from ghostbench.media.sampling import parse_sampling

    manifest = run.manifest
    wanted = {
        str(clip): str(digest)
        for clip, digest in zip(run.clips["clip"], run.clips["frames_sha256"], strict=True)
        if isinstance(digest, str)
    }
    wanted |= {clip: entry.frames_sha256 for clip, entry in manifest.examples.items()}
    if not wanted:
        return
    if manifest.sampling is None:
        raise BadInput(f"{run.folder} does not say how its frames were sampled")
    data = manifest.dataset
    where = media_place(NOTHING if has_free_media(run) else granted, data.name, data.data_root, data.layout, data.fps)
    media = find_media(where.root, list(wanted), layout=where.layout, fps=where.fps, within=where.within)
    sampling = parse_sampling(manifest.sampling)

    def again(clip: str, digest: str) -> list[str] | BadInput:
        if clip not in media:
            return BadInput(f"the media of {clip} is not in {where.root}")
        try:
            now, strip = draw(media[clip], sampling, where.root.credentials)
        except AttemptError as error:
            return BadInput(f"{clip} cannot be decoded again ({error})")
        return strip if now == digest else BadInput(f"{clip} has other frames now than in the run")

    pool = ThreadPoolExecutor(_AT_ONCE, "frames")
    try:
        yield from zip(wanted, pool.map(again, wanted, wanted.values()), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def drawn_once(media: Media, sampling: Sampling, credentials: Credentials) -> Strip:
    """As `drawn`, of a file that this process drew before and that is the same: from memory."""
    key = _key(media, sampling)
    strip = _KEPT.get(key) or drawn(media, sampling, credentials)
    _keep(key, strip)
    return strip


def draw_ahead(media: Media, sampling: Sampling, frames: Frames) -> None:
    """Draw the frames of a free clip while they are in hand, so that `drawn_once` need not decode them again."""
    if (key := _key(media, sampling)) not in _KEPT:
        _keep(key, (frames.sha256, _strip(frames)))


def _key(media: Media, sampling: Sampling) -> object | None:
    """What tells a clip from others, and its file from the same file written anew; None for what is no local file."""
    as_it_is = signature(Path(media.location))
    return (media.location, sampling, as_it_is) if media.kind == "file" and any(as_it_is) else None


def _keep(key: object | None, strip: Strip) -> None:
    if key is not None:
        _KEPT[key] = strip
    while len(_KEPT) > MOST_FREE:
        _KEPT.popitem(last=False)


def _strip(frames: Frames) -> list[str]:
    from PIL import Image

    found = []
    for pixels in frames.pixels:
        image = Image.fromarray(pixels)
        image.thumbnail((WIDTH, WIDTH))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=_QUALITY)
        found.append("data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii"))
    return found
