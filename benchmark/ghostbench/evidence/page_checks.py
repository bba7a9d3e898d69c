"""report.html, with the files of its rows, against what the ledger gives: line by line, its charts and frames."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import unescape
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ghostbench.datasets.granted import NOTHING, Granted
from ghostbench.errors import BadInput
from ghostbench.evidence.differences import Finding, different_lines
from ghostbench.folder.names import CLIPS, PAGE, PAGE_ROWS
from ghostbench.folder.sums import row_files
from ghostbench.report.clip_rows import ClipRows, handed
from ghostbench.report.data import RunData
from ghostbench.report.frame_strips import each_strip
from ghostbench.report.html import generator, report_html

CHART_TOLERANCE = 0.5
"""How far a coordinate of a chart may lie off on another machine, points: fonts are measured there anew."""
_GENERATOR = re.compile(r'<meta name="generator" content="([^"]*)">')
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
_CHART = re.compile(r'<figure role="img" aria-label="([^"]*)">(<svg.*?</svg>)', re.DOTALL)
_FRAMES = re.compile(r'"frames":\["data:image/jpeg;base64,[^\]]*\]')
_NO_FRAMES = '"frames":null'
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_FRAME = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]*={0,2}")


def check_page(stated: str, run: RunData, granted: Granted = NOTHING) -> tuple[list[Finding], list[str]]:
    """What does not hold of a page as it lies on disk, and in words what could not be compared, and why.

    granted : where the media of embedded frames may be looked for.
    """
    strips = stated_strips(stated, run.folder)
    rows = ClipRows(run, strips)
    again = report_html(run, rows)
    wrote, here = _GENERATOR.search(stated), generator()
    notes: list[str] = []
    found: list[Finding] = []
    if wrote is not None and wrote[1] == here:
        found += _charts(stated, again)
        if strips:
            found += _strips(strips, rows.places(), run, granted, notes)
    else:
        author = "an unknown writer" if wrote is None else unescape(wrote[1])
        what = "the charts and embedded frames" if strips else "the charts"
        notes.append(f"{what} of {PAGE} were not compared: {author} made them, this is {here}")
        again = _GENERATOR.sub(lambda _: "" if wrote is None else wrote[0], again)
    found += [Finding(PAGE, words) for words in different_lines(_bare(stated), _bare(again))]
    return [*found, *_rows(run.folder, rows)], notes


def _rows(folder: Path, rows: ClipRows) -> Iterator[Finding]:
    """The files of a large run's rows, one after the other, and whatever else lies among them."""
    known = set()
    for name, again in rows.files():
        known.add(name)
        try:
            stated = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            yield Finding(name, "is missing: `bench report` writes it")
            continue
        for words in different_lines(_FRAMES.sub(_NO_FRAMES, stated), _FRAMES.sub(_NO_FRAMES, again)):
            yield Finding(name, words)
    for path in sorted((folder / PAGE_ROWS).glob("*")):
        if f"{PAGE_ROWS}/{path.name}" not in known:
            yield Finding(f"{PAGE_ROWS}/{path.name}", "is no file of this run's page")


def stated_strips(page: str, folder: Path) -> dict[str, list[str]]:
    """The frames that a page and its files hold, by clip id; clips whose frames are no JPEG data URIs are left out."""
    data = _DATA.search(page)
    held = {**dict(_held(data[1], "parts")), **dict(_of_examples(data[1]))} if data else {}
    for name in row_files(folder):
        text = (folder / name).read_text(encoding="utf-8", errors="replace")
        if _FRAMES.search(text):
            held.update(_held(handed(text)))
    return held


def _held(text: str, key: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """The frames in the JSON of a part, or of a page's parts under that key."""
    try:
        value: Any = json.loads(text)
        parts = [value] if key is None else value.get(key, [])
        clips = [clip for part in parts for clip in part["clips"] if clip["frames"]]
        found = [(clip["id"], clip["frames"]) for clip in clips]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    yield from ((clip, frames) for clip, frames in found if isinstance(clip, str) and _are_frames(frames))


def _of_examples(text: str) -> Iterator[tuple[str, list[str]]]:
    """The frames of examples in the JSON of a page."""
    try:
        found = [(each["id"], each["frames"]) for each in json.loads(text).get("examples", [])]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    yield from ((clip, frames) for clip, frames in found if isinstance(clip, str) and _are_frames(frames))


def _are_frames(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(uri, str) and _FRAME.fullmatch(uri) for uri in value)


def _strips(
    stated: Mapping[str, list[str]], places: Mapping[str, str], run: RunData, granted: Granted, notes: list[str]
) -> Iterator[Finding]:
    """The frames of a page against the media, as far as that still gives the frames whose digests the run recorded.

    places : the file that is to hold a clip's frames, by clip id.
    """
    gone: list[str] = []
    total = 0
    try:
        for clip, strip in each_strip(run, granted):
            total += 1
            if isinstance(strip, BadInput):
                gone.append(str(strip))
            elif clip not in stated:
                yield Finding(places[clip], f"does not hold the frames of {clip}, but those of other clips")
            elif stated[clip] != strip:
                yield Finding(places[clip], f"the frames of {clip} are not those whose digest {CLIPS} records")
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
    return _FRAMES.sub(_NO_FRAMES, page)
