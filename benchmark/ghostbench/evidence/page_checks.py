"""report.html against what the ledger gives: its text line by line, its charts, and the frames that it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import unescape
from itertools import zip_longest
from typing import Any

from ghostbench.datasets.granted import NOTHING, Granted
from ghostbench.errors import BadInput
from ghostbench.evidence.differences import Finding, different_lines
from ghostbench.report.data import RunData
from ghostbench.report.frame_strips import each_strip
from ghostbench.report.html import generator, report_html

PAGE = "report.html"
CHART_TOLERANCE = 0.5
"""How far a coordinate of a chart may lie off on another machine, points: fonts are measured there anew."""
_GENERATOR = re.compile(r'<meta name="generator" content="([^"]*)">')
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
_CHART = re.compile(r'<figure role="img" aria-label="([^"]*)">(<svg.*?</svg>)', re.DOTALL)
_FRAMES = re.compile(r'"frames":\["data:image/jpeg;base64,[^\]]*\]')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_FRAME = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]*={0,2}")


def check_page(stated: str, run: RunData, granted: Granted = NOTHING) -> tuple[list[Finding], list[str]]:
    """What does not hold of a page as it lies on disk, and in words what could not be compared, and why.

    granted : where the media of embedded frames may be looked for.
    """
    strips = stated_strips(stated)
    again = report_html(run, strips)
    wrote, here = _GENERATOR.search(stated), generator()
    notes: list[str] = []
    found: list[Finding] = []
    if wrote is not None and wrote[1] == here:
        found += _charts(stated, again)
        if strips:
            found += _strips(strips, run, granted, notes)
    else:
        author = "an unknown writer" if wrote is None else unescape(wrote[1])
        what = "the charts and embedded frames" if strips else "the charts"
        notes.append(f"{what} of {PAGE} were not compared: {author} made them, this is {here}")
        again = _GENERATOR.sub(lambda _: "" if wrote is None else wrote[0], again)
    found += [Finding(PAGE, words) for words in different_lines(_bare(stated), _bare(again))]
    return found, notes


def stated_strips(page: str) -> dict[str, list[str]]:
    """The frames that a page holds, by clip id; clips whose frames are no JPEG data URIs are left out."""
    data = _DATA.search(page)
    try:
        clips: Any = json.loads(data[1])["clips"] if data else []
        held = {clip["id"]: clip["frames"] for clip in clips if clip["frames"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {clip: frames for clip, frames in held.items() if isinstance(clip, str) and _are_frames(frames)}


def _are_frames(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(uri, str) and _FRAME.fullmatch(uri) for uri in value)


def _strips(stated: Mapping[str, list[str]], run: RunData, granted: Granted, notes: list[str]) -> Iterator[Finding]:
    """The frames of a page against the media, as far as that still gives the frames whose digests the run recorded."""
    gone: list[str] = []
    total = 0
    try:
        for clip, strip in each_strip(run, granted):
            total += 1
            if isinstance(strip, BadInput):
                gone.append(str(strip))
            elif clip not in stated:
                yield Finding(PAGE, f"does not hold the frames of {clip}, but those of other clips")
            elif stated[clip] != strip:
                yield Finding(PAGE, f"the frames of {clip} are not those whose digest clips.jsonl records")
    except BadInput as error:
        notes.append(f"the embedded frames of {PAGE} were not compared with the media: {error}")
        return
    if gone:
        notes.append(f"the embedded frames of {len(gone)} of {total} clips were not compared with the media: {gone[0]}")


def _charts(stated: str, again: str) -> Iterator[Finding]:
    for one, other in zip_longest(_CHART.findall(stated), _CHART.findall(again)):
        if one is None or other is None:
            yield Finding(PAGE, "has other charts than the ledger gives")
            return
        if not _drawn_alike(one[1], other[1]):
            yield Finding(PAGE, f"a chart is not what the ledger gives: {unescape(other[0])}")


def _drawn_alike(one: str, other: str) -> bool:
    """Whether two SVG texts are the same but for coordinates that differ by less than `CHART_TOLERANCE`."""
    if one == other:
        return True
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(a == b or abs(float(a) - float(b)) < CHART_TOLERANCE for a, b in pairs)


def _bare(page: str) -> str:
    """The page without charts and frames, every line in its place."""
    page = _CHART.sub(lambda chart: chart[1] + "\n" * chart[0].count("\n"), page)
    return _FRAMES.sub('"frames":null', page)
