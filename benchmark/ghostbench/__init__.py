"""ghostbench: multimodal models on ghost probing in dashcam clips, measured so that the tables can be believed.

The names below are what adapters and other plugins build on; everything else is the harness's own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ghostbench import imported as imported  # it looks at the clock

if TYPE_CHECKING:
    from ghostbench.api import read_run, run, score
    from ghostbench.endings import how_it_ended
    from ghostbench.errors import (
        AuthFailed,
        BadInput,
        ConnectionFailed,
        ContentFiltered,
        Crashed,
        ModelError,
        Nonfinite,
        NotRecorded,
        OutOfMemory,
        OverBudget,
        QuotaExhausted,
        RateLimited,
        Refused,
        RequestRejected,
        RequestTooLarge,
        ServerError,
        TimedOut,
        Truncated,
        Unavailable,
        Unparseable,
    )
    from ghostbench.frames import Frames
    from ghostbench.label import Label
    from ghostbench.models import (
        LONGEST_PAUSE_S,
        Journal,
        Level,
        LocalModel,
        Model,
        ModelSpec,
        NoSettings,
        ReferenceModel,
        RemoteModel,
        Resources,
        Truths,
        setting,
    )
    from ghostbench.plugins.hookspecs import DatasetSpec, ReportSectionSpec, TaskSpec, hookimpl
    from ghostbench.question import Question
    from ghostbench.records import (
        GRADES,
        TRUTHS,
        Answer,
        Clip,
        Compared,
        Conclusion,
        ExampleFramePart,
        ExampleFrames,
        FramePart,
        Grade,
        Memory,
        Part,
        Prompt,
        Reply,
        Request,
        Said,
        Split,
        Stages,
        TextPart,
        Truth,
        Usage,
        Verdict,
        Video,
        VideoPart,
    )
    from ghostbench.report.data import RunData
    from ghostbench.tasks.base import Task

__all__ = [
    "GRADES",
    "LONGEST_PAUSE_S",
    "TRUTHS",
    "Answer",
    "AuthFailed",
    "BadInput",
    "Clip",
    "Compared",
    "Conclusion",
    "ConnectionFailed",
    "ContentFiltered",
    "Crashed",
    "DatasetSpec",
    "ExampleFramePart",
    "ExampleFrames",
    "FramePart",
    "Frames",
    "Grade",
    "Journal",
    "Label",
    "Level",
    "LocalModel",
    "Memory",
    "Model",
    "ModelError",
    "ModelSpec",
    "NoSettings",
    "Nonfinite",
    "NotRecorded",
    "OutOfMemory",
    "OverBudget",
    "Part",
    "Prompt",
    "Question",
    "QuotaExhausted",
    "RateLimited",
    "ReferenceModel",
    "Refused",
    "RemoteModel",
    "Reply",
    "ReportSectionSpec",
    "Request",
    "RequestRejected",
    "RequestTooLarge",
    "Resources",
    "RunData",
    "Said",
    "ServerError",
    "Split",
    "Stages",
    "Task",
    "TaskSpec",
    "TextPart",
    "TimedOut",
    "Truncated",
    "Truth",
    "Truths",
    "Unavailable",
    "Unparseable",
    "Usage",
    "Verdict",
    "Video",
    "VideoPart",
    "hookimpl",
    "how_it_ended",
    "read_run",
    "run",
    "score",
    "setting",
]

_HOMES = {
    "ghostbench.api": ("read_run", "run", "score"),
    "ghostbench.endings": ("how_it_ended",),
    "ghostbench.errors": (
        "AuthFailed",
        "BadInput",
        "ConnectionFailed",
        "ContentFiltered",
        "Crashed",
        "ModelError",
        "Nonfinite",
        "NotRecorded",
        "OutOfMemory",
        "OverBudget",
        "QuotaExhausted",
        "RateLimited",
        "Refused",
        "RequestRejected",
        "RequestTooLarge",
        "ServerError",
        "TimedOut",
        "Truncated",
        "Unavailable",
        "Unparseable",
    ),
    "ghostbench.label": ("Label",),
    "ghostbench.models": (
        "Journal",
        "LONGEST_PAUSE_S",
        "Level",
        "LocalModel",
        "Model",
        "ModelSpec",
        "NoSettings",
        "ReferenceModel",
        "RemoteModel",
        "Resources",
        "Truths",
        "setting",
    ),
    "ghostbench.plugins.hookspecs": (
        "DatasetSpec",
        "ReportSectionSpec",
        "TaskSpec",
        "hookimpl",
    ),
    "ghostbench.question": ("Question",),
    "ghostbench.frames": ("Frames",),
    "ghostbench.records": (
        "Answer",
        "Clip",
        "Compared",
        "Conclusion",
        "ExampleFramePart",
        "ExampleFrames",
        "FramePart",
        "GRADES",
        "Grade",
        "Memory",
        "Part",
        "Prompt",
        "Reply",
        "Request",
        "Said",
        "Split",
        "Stages",
        "TRUTHS",
        "TextPart",
        "Truth",
        "Usage",
        "Verdict",
        "Video",
        "VideoPart",
    ),
    "ghostbench.report.data": ("RunData",),
    "ghostbench.tasks.base": ("Task",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: `bench --help` starts without any of them."""
    if name not in _HOME:
        raise AttributeError(f"module 'ghostbench' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
