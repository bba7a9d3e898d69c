"""What is wrong with a registration: everything that would otherwise surprise somebody later."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from ghostbench.models import ModelSpec
from ghostbench.plugins.hookspecs import DatasetSpec, ReportSectionSpec, TaskSpec
from ghostbench.plugins.text import one_line, printable

KINDS: dict[str, type[ModelSpec] | type[TaskSpec] | type[DatasetSpec] | type[ReportSectionSpec]] = {
    "model": ModelSpec,
    "task": TaskSpec,
    "dataset": DatasetSpec,
    "report_section": ReportSectionSpec,
}
"""What each hook registers, by the hook's name without `register_` and the plural."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MODEL_NAME = re.compile(rf"{NAME.pattern}(:{NAME.pattern})?")
"""A model may be another form of one that the same plugin registers, e.g. "drivemm:fp8"."""
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_TEXTS = ("summary", "title", "family", "argument", "extra", "mark", "citation")
_SHOWN = tuple(name for name in _TEXTS if name not in {"argument", "citation"})
_OPTIONAL = ("family", "argument", "extra", "mark", "citation")


def objections(kind: str, spec: Any) -> Iterator[str]:
    """What is wrong with what a plugin registered as that kind, most basic first; nothing for a sound one."""
    wanted = KINDS[kind]
    if not isinstance(spec, wanted):
        yield f"it registered {printable(repr(spec))} where a {wanted.__name__} belongs"
        return
    allowed = MODEL_NAME if wanted is ModelSpec else NAME
    if not isinstance(spec.name, str) or not allowed.fullmatch(spec.name):
        yield f"the {kind} name {printable(repr(spec.name))} is not made of letters, digits, '.', '_' and '-'"
        return
    subject = f"{kind} '{spec.name}'"
    if not isinstance(spec.load, str) or not _TARGET.fullmatch(spec.load):
        yield f"{subject} has load={printable(repr(spec.load))}, not 'package.module:Name'"
    for name in _TEXTS:
        value = getattr(spec, name, "")
        if not isinstance(value, str) and not (value is None and name in _OPTIONAL):
            yield f"{subject} has {name}={printable(repr(value))}, which is no text"
    if isinstance(spec, DatasetSpec) and not isinstance(spec.free_media, bool):
        yield f"{subject} has free_media={printable(repr(spec.free_media))}, not True or False"
    if isinstance(spec, ModelSpec):
        for reason in _model_objections(spec):
            yield f"{subject} has {reason}"


def cleaned(spec: Any) -> Any:
    """A sound spec with its texts for people made printable: they go to terminals and into reports."""
    texts = {name: getattr(spec, name, None) for name in _SHOWN}
    changed = {name: one_line(text) for name, text in texts.items() if text and text != one_line(text)}
    return dataclasses.replace(spec, **changed) if changed else spec


def _model_objections(spec: ModelSpec) -> Iterator[str]:
    if spec.kind not in {"local", "remote", "reference"}:
        yield f"kind={printable(repr(spec.kind))}, not local, remote or reference"
    if not (isinstance(spec.settings, type) and dataclasses.is_dataclass(spec.settings)):
        yield "settings that are not a dataclass"
    elif any(f.default is dataclasses.MISSING for f in dataclasses.fields(spec.settings)):
        yield "a setting without a default"
    if spec.family is not None and ":" in spec.name:
        yield "a family, and a colon in its own name"
    if spec.family is not None and spec.argument is not None:
        yield "both a family and a fixed argument"
    if spec.ahead is not None and not (isinstance(spec.ahead, str) and _TARGET.fullmatch(spec.ahead)):
        yield f"ahead={printable(repr(spec.ahead))}, not 'package.module:function'"
    if not isinstance(spec.requires, tuple) or not all(isinstance(name, str) for name in spec.requires):
        yield f"requires={printable(repr(spec.requires))}, not a tuple of import names"
    if spec.row_name is not None and not callable(spec.row_name):
        yield f"row_name={printable(repr(spec.row_name))}, which is no function"
    yield from _about_what_it_sees(spec)


def _about_what_it_sees(spec: ModelSpec) -> Iterator[str]:
    if not isinstance(spec.needs_frames, bool):
        yield f"needs_frames={printable(repr(spec.needs_frames))}, not True or False"
    if not isinstance(spec.sees_examples, bool):
        yield f"sees_examples={printable(repr(spec.sees_examples))}, not True or False"
    elif spec.sees_examples and not spec.needs_frames:
        yield "sees_examples without needs_frames: examples are shown as the clip's own frames are"
    if not isinstance(spec.sees_video, bool):
        yield f"sees_video={printable(repr(spec.sees_video))}, not True or False"
    elif spec.sees_video and spec.needs_frames:
        yield "both needs_frames and sees_video: a model is shown the frames or the video"
    elif spec.sees_video and spec.kind != "remote":
        yield f"sees_video and kind={printable(repr(spec.kind))}: only remote models are shown the video"
