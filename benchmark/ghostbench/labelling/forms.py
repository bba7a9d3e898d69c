"""Labels in the forms of other annotation tools: VIA's CSV and Label Studio's JSON, written and read.

VIA (VGG Image Annotator 3): one row for each time, a still frame, and one for what is said of the clip without a time;
the attributes are named as label columns are. Label Studio: a task for each clip; times are ranges of one frame in a
`timelinelabels` result, counted from 1, with the seconds in `meta`; what has no time is `choices` or `textarea`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from ghostbench.datasets.clip_ids import clip_id
from ghostbench.errors import BadInput
from ghostbench.labelling.log import FIELDS, Draft, LabelLog, checked
from ghostbench.labelling.rating import Rating

_VIA_START: Final = "# Exported using VGG Image Annotator"
_VIA_COLUMNS: Final = "metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"
_VIA_TEXT: Final = 1
TIMES: Final = tuple(name for name, kind in FIELDS.items() if kind == "seconds")
"""The fields that are times."""


def via_csv(log: LabelLog) -> str:
    """What was said of each clip when it was asked first, as VIA exports it."""
    names = list(FIELDS)
    file = io.StringIO()
    file.write(f"{_VIA_START} (http://www.robots.ox.ac.uk/~vgg/software/via)\n")
    file.write(f"# ATTRIBUTE = {json.dumps(via_attributes(), ensure_ascii=False)}\n# CSV_HEADER = {_VIA_COLUMNS}\n")
    table = csv.writer(file, lineterminator="\n")
    for clip, draft in first_drafts(log):
        for number, name in enumerate(names, 1):
            if name in draft.values:
                value = draft.values[name]
                times = [value] if name in TIMES else []
                said = "" if name in TIMES else text(value)
                table.writerow(
                    [f"{clip}_{number}", json.dumps([clip]), 0, json.dumps(times), "[]",
                     json.dumps({str(number): said}, ensure_ascii=False)]
                )  # fmt: skip
    return file.getvalue()


def via_attributes() -> dict[str, dict[str, Any]]:
    """The fields as attributes of VIA 3, by number: of a time, or of the whole file."""
    return {
        str(number): {
            "aname": name,
            "anchor_id": "FILE1_Z1_XY0" if name in TIMES else "FILE1_Z0_XY0",
            "type": _VIA_TEXT,
            "desc": "",
            "options": {},
            "default_option_id": "",
        }
        for number, name in enumerate(FIELDS, 1)
    }


def label_studio_json(log: LabelLog) -> str:
    """What was said of each clip when it was asked first, as Label Studio exports it."""
    tasks = [
        {
            "data": {"video": clip},
            "annotations": [{"completed_by": {"email": log.annotator}, "result": list(_results(draft))}],
        }
        for clip, draft in first_drafts(log)
    ]
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def is_via(data: bytes) -> bool:
    """Whether a file's bytes begin as VIA's CSV does."""
    return data.lstrip(b"\xef\xbb\xbf").startswith(_VIA_START.encode())


def is_label_studio(data: bytes) -> bool:
    """Whether a file's bytes may be Label Studio's JSON: a list of tasks."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") and b'"annotations"' in data


def read_via(data: bytes, source: str) -> dict[str, Rating]:
    """What a VIA file says of each clip. Raises `BadInput` naming the line that cannot be read."""
    try:
        lines = data.decode("utf-8-sig").replace("\r\n", "\n").split("\n")  # JSON leaves other line ends in texts
    except UnicodeDecodeError:
        raise BadInput(f"{source}: not UTF-8 text; export it anew") from None
    names: dict[str, str] = {}
    drafts: dict[str, Draft] = {}
    for number, line in enumerate(lines, 1):
        try:
            if line.startswith("# ATTRIBUTE"):
                stated = json.loads(line.partition("=")[2])
                names = {key: each["aname"] if isinstance(each, dict) else each for key, each in stated.items()}
            elif line.strip() and not line.startswith("#"):
                _, files, _, times, _, said = next(csv.reader([line]))
                clip = clip_id(str(json.loads(files)[0]).rpartition("/")[2])
                for key, value in json.loads(said).items():
                    put(drafts.setdefault(clip, Draft()), names.get(key, ""), value, json.loads(times))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise BadInput(f"{source}, line {number}: no row of VIA's CSV ({error}); export it anew") from None
    return ratings_of(drafts)


def read_label_studio(data: bytes, source: str) -> dict[str, dict[str, Rating]]:
    """What each annotator of a Label Studio export says of each clip. Raises `BadInput` naming the task."""
    try:
        tasks = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{source}: not JSON ({error}); export it anew") from None
    drafts: dict[str, dict[str, Draft]] = {}
    for number, task in enumerate(tasks, 1):
        try:
            clip = clip_id(_file_of(str(task["data"]["video"])))
            for annotation in task["annotations"]:
                if annotation.get("was_cancelled"):
                    continue
                by = annotation.get("completed_by")
                name = str(by.get("email", by.get("id")) if isinstance(by, dict) else by)
                draft = drafts.setdefault(name, {}).setdefault(clip, Draft())
                for result in annotation["result"]:
                    _take(draft, result, task["data"].get("fps"))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise BadInput(f"{source}, task {number}: no video that was labelled ({error}); export it anew") from None
    return {name: ratings_of(found) for name, found in drafts.items()}


def _file_of(video: str) -> str:
    """The name of a task's file: of one that was uploaded to Label Studio as it was before, of one that it served from
    a folder of its own as it is there, of an address without what stands after its path."""
    served = re.match(r"(?:https?://[^/]+)?/data/(upload/|local-files/\?d=)?", video)
    if served is not None or "://" in video:
        video = unquote(re.sub(r"^[^?]*/local-files/\?d=", "", video).partition("?")[0].partition("#")[0])
    name = video.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"^[0-9a-f]{8}-", "", name) if served is not None and served[1] == "upload/" else name


def first_drafts(log: LabelLog) -> Iterator[tuple[str, Draft]]:
    """What was said of each clip when it was asked first, by clip. Raises `BadInput` where nothing was."""
    if not log.ratings(0):
        raise BadInput(f"{log.path}: no clip is labelled yet; say of one what it shows first")
    return ((clip, draft) for (clip, again), draft in sorted(log.drafts.items()) if again == 0 and draft.values)


def text(value: Any) -> str:
    """A field's value as other tools keep it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _results(draft: Draft) -> Iterator[dict[str, Any]]:
    for name, value in draft.values.items():
        shared = {"id": name, "to_name": "video", "from_name": name}
        if name in TIMES:
            frame = draft.frames.get(name, 0) + 1
            ranges = {"ranges": [{"start": frame, "end": frame}], "timelinelabels": [name]}
            yield {
                **shared,
                "from_name": "times",
                "type": "timelinelabels",
                "value": ranges,
                "meta": {"seconds": value},
            }
        elif FIELDS[name] == "words":
            yield {**shared, "type": "textarea", "value": {"text": [value]}}
        else:
            yield {**shared, "type": "choices", "value": {"choices": [text(value)]}}


def _take(draft: Draft, result: Mapping[str, Any], fps: Any) -> None:
    """What a result says; those of other questions are none of ours."""
    value = result["value"]
    if result["type"] == "timelinelabels":
        start = value["ranges"][0]["start"]
        seconds = (result.get("meta") or {}).get("seconds")
        if seconds is None:
            if not isinstance(fps, int | float) or fps <= 0:
                raise ValueError("its times are frame numbers, and its data do not say how many a second: fps")
            seconds = (start - 1) / fps
        put(draft, value["timelinelabels"][0], "", [seconds])
    elif result["type"] == "choices":
        put(draft, result["from_name"], value["choices"][0], [])
    elif result["type"] == "textarea":
        put(draft, result["from_name"], " ".join(value["text"]), [])


def put(draft: Draft, name: str, said: Any, times: Sequence[Any]) -> None:
    """Keep what is said under one of our names. Raises `ValueError`."""
    if name not in FIELDS:
        return
    kind = FIELDS[name]
    value: Any = times[0] if kind == "seconds" else said
    if kind == "yes_no":
        value = {"yes": True, "no": False}[said]
    draft.values[name] = checked(name, value)


def ratings_of(drafts: Mapping[str, Draft]) -> dict[str, Rating]:
    """Of the clips of which it is said what they show."""
    return {clip: rating for clip, draft in drafts.items() if (rating := draft.rating(None)) is not None}
