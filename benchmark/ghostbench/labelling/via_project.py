"""Labels as a project of VIA 3 (VGG Image Annotator) in its JSON, which VIA opens; its CSV it only writes.

A view for each clip; what is said without a time is one entry of it, and each time an entry of its own, a still frame.
The attributes are named as label columns are.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ghostbench.datasets.clip_ids import clip_id
from ghostbench.errors import BadInput
from ghostbench.labelling.forms import TIMES, first_drafts, put, ratings_of, text, via_attributes
from ghostbench.labelling.log import FIELDS, Draft, LabelLog
from ghostbench.labelling.rating import Rating

_VIDEO, _LOCAL = 4, 1
_HEAD: Final = {
    "pid": "__VIA_PROJECT_ID__",
    "rev": "__VIA_PROJECT_REV_ID__",
    "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
    "data_format_version": "3.1.1",
    "creator": "ghostbench",
    "created": 0,
}
_UI: Final = {
    "file_content_align": "center",
    "file_metadata_editor_visible": True,
    "spatial_metadata_editor_visible": True,
    "spatial_region_label_attribute_id": "",
}


def via_json(log: LabelLog) -> str:
    """What was said of each clip when it was asked first, as a project of VIA."""
    aid = {name: str(number) for number, name in enumerate(FIELDS, 1)}
    drafts = list(first_drafts(log))
    metadata: dict[str, Any] = {}
    for number, (_, draft) in enumerate(drafts, 1):
        said = {aid[name]: text(value) for name, value in draft.values.items() if name not in TIMES}
        metadata[f"{number}_clip"] = {"vid": str(number), "flg": 0, "z": [], "xy": [], "av": said}
        for name in TIMES:
            if name in draft.values:
                entry = {"vid": str(number), "flg": 0, "z": [draft.values[name]], "xy": [], "av": {aid[name]: ""}}
                metadata[f"{number}_{name}"] = entry
    views = [str(number) for number in range(1, len(drafts) + 1)]
    project = {
        "project": {**_HEAD, "pname": f"labels of {log.annotator}", "vid_list": views},
        "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": _UI},
        "attribute": via_attributes(),
        "file": {
            view: {"fid": view, "fname": clip, "type": _VIDEO, "loc": _LOCAL, "src": ""}
            for view, (clip, _) in zip(views, drafts, strict=True)
        },
        "metadata": metadata,
        "view": {view: {"fid_list": [view]} for view in views},
    }
    return json.dumps(project, ensure_ascii=False, indent=1) + "\n"


def is_via_project(data: bytes) -> bool:
    """Whether a file's bytes may be a project of VIA 3."""
    head = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(b"{") and b'"vid_list"' in data and b'"fid_list"' in data


def read_via_project(data: bytes, source: str) -> dict[str, Rating]:
    """What a project says of each clip. Raises `BadInput` naming the entry that cannot be read."""
    try:
        project = json.loads(data.decode("utf-8-sig"))
        names = {key: each["aname"] for key, each in project["attribute"].items()}
        clips = {
            view: clip_id(str(project["file"][str(each["fid_list"][0])]["fname"]).replace("\\", "/").rpartition("/")[2])
            for view, each in project["view"].items()
        }
        entries = list(project["metadata"].items())
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{source}: no project of VIA 3 ({error}); save it anew") from None
    drafts: dict[str, Draft] = {}
    for name, entry in entries:
        try:
            draft = drafts.setdefault(clips[str(entry["vid"])], Draft())
            for key, value in entry["av"].items():
                put(draft, names.get(key, ""), value, entry["z"])
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            shown = ascii(str(name)[:60])
            raise BadInput(f"{source}, entry {shown}: cannot be read ({error}); save it anew") from None
    return ratings_of(drafts)
