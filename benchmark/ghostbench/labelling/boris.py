"""Labels as a project of BORIS (Behavioral Observation Research Interactive Software), written and read.

An observation for each clip; times are point events whose codes are named as label columns are, with the number of the
frame; what has no time is an independent variable of the observation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ghostbench.datasets.clip_ids import clip_id
from ghostbench.errors import BadInput
from ghostbench.labelling.forms import TIMES, first_drafts, put, ratings_of, text
from ghostbench.labelling.log import FIELDS, Draft, LabelLog
from ghostbench.labelling.rating import Rating

_VERSION: Final = "7.0"
"""Of the project format."""
_KEYS: Final = {"first_visible_s": "v", "danger_s": "d", "event_s": "e", "ego_reacts_s": "r", "contact_s": "c"}


def boris_json(log: LabelLog) -> str:
    """What was said of each clip when it was asked first, as a BORIS project."""
    variables = [name for name in FIELDS if name not in TIMES]
    project = {
        "time_format": "hh:mm:ss",
        "project_date": "",
        "project_name": f"labels of {log.annotator}",
        "project_description": log.dataset,
        "project_format_version": _VERSION,
        "subjects_conf": {},
        "behaviors_conf": {
            str(at): {
                "type": "Point event", "key": _KEYS.get(name, ""), "code": name, "description": "", "color": "",
                "category": "", "modifiers": {}, "excluded": "", "coding map": "",
            }
            for at, name in enumerate(TIMES)
        },
        "observations": {clip: _observation(clip, draft, variables) for clip, draft in first_drafts(log)},
        "behavioral_categories": [],
        "independent_variables": {
            str(at): {"label": name, "description": "", "type": "text", "default value": "", "possible values": ""}
            for at, name in enumerate(variables)
        },
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }  # fmt: skip
    return json.dumps(project, ensure_ascii=False, indent=1) + "\n"


def _observation(clip: str, draft: Draft, variables: list[str]) -> dict[str, Any]:
    events = [
        [value, "", name, "", "", draft.frames.get(name)] for name, value in draft.values.items() if name in TIMES
    ]
    return {
        "file": {"1": [clip]},
        "type": "MEDIA",
        "date": "2000-01-01T00:00:00",
        "description": "",
        "time offset": 0.0,
        "events": sorted(events, key=lambda event: float(event[0])),
        "observation time interval": [0, 0],
        "independent_variables": {name: text(draft.values[name]) if name in draft.values else "" for name in variables},
        "media_info": {"length": {}, "fps": {}, "hasVideo": {clip: True}, "hasAudio": {clip: False}},
    }


def is_boris(data: bytes) -> bool:
    """Whether a file's bytes may be a BORIS project."""
    head = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(b"{") and b'"behaviors_conf"' in data and b'"observations"' in data


def read_boris(data: bytes, source: str) -> dict[str, Rating]:
    """What a project says of each clip; of several events of one code the first counts.

    Raises `BadInput` naming the observation that cannot be read.
    """
    try:
        observations = json.loads(data.decode("utf-8-sig"))["observations"]
        items = list(observations.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{source}: no project of BORIS ({error}); save it anew") from None
    drafts: dict[str, Draft] = {}
    for name, observation in items:
        try:
            draft = drafts.setdefault(clip_id(_media(name, observation)), Draft())
            for event in sorted(observation["events"], key=lambda event: -float(event[0])):
                put(draft, str(event[2]), "", [float(event[0])])
            for variable, said in observation.get("independent_variables", {}).items():
                if said != "":
                    put(draft, variable, said, [])
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            shown = ascii(str(name)[:60])
            raise BadInput(f"{source}, observation {shown}: cannot be read ({error}); save it anew") from None
    return ratings_of(drafts)


def _media(name: str, observation: Mapping[str, Any]) -> str:
    """The name of an observation's first file, else its own."""
    files = [path for player in sorted(observation.get("file", {})) for path in observation["file"][player]]
    return str(files[0] if files else name).replace("\\", "/").rpartition("/")[2]
