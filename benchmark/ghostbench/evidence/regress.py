"""Hold a run against a committed reference, and name each change and its clip.

Five clips cannot carry a test of accuracy: exact McNemar over five discordant clips cannot go under p = .0625. So the
gate asks whether the same code still gives the same answers, not whether a model got better.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ghostbench.evidence.snapshot import Answer, ModelSnapshot, Snapshot
from ghostbench.report.escape import plain
from ghostbench.writing import write_json, write_text


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was held against the reference.

    group : the model, or "run". name : the clip, or the figure. changes : what is not as it was, in words.
    only_told : a change is a warning and fails nothing: a time, which says as much of the machine as of the code.
    """

    group: str
    name: str
    changes: tuple[str, ...] = ()
    only_told: bool = False

    @property
    def fails(self) -> bool:
        """Whether the gate is shut by this."""
        return bool(self.changes) and not self.only_told

    def __str__(self) -> str:
        return f"{self.group}, {self.name}: {'; '.join(self.changes) or 'unchanged'}"


def check_run(now: Snapshot, reference: Snapshot, *, times: bool) -> list[Check]:
    """Every check of the gate, failed or not, in a fixed order. `times`: a longer time fails, and is not only told."""
    checks = [_same("run", field, getattr(reference, field), getattr(now, field)) for field in _RUN_FIELDS]
    limits = reference.tolerances
    slow = _slower(reference.start_up_s, now.start_up_s, limits.start_up_ratio, limits.start_up_floor_s)
    checks.append(Check("run", "start-up", tuple(slow), only_told=not times))
    for clip in _union(reference.frames, now.frames):
        if clip in reference.frames and clip in now.frames:
            changed = _change("frames_sha256", reference.frames[clip], now.frames[clip])
        else:
            changed = ("is new",) if clip in now.frames else ("is gone",)
        checks.append(Check("frames", clip, changed))
    for name in _union(reference.models, now.models):
        before, after = reference.models.get(name), now.models.get(name)
        if before is None or after is None:
            checks.append(Check(name, "model", ("is new" if before is None else "is gone",)))
        else:
            checks += _model(name, before, after)
            limit = (limits.latency_ratio, limits.latency_floor_s)
            slow = _slower(before.latency_p50_s, after.latency_p50_s, *limit)
            checks.append(Check(name, "latency", tuple(slow), only_told=not times))
    return checks


_RUN_FIELDS = ("dataset", "split_sha256", "labels_sha256", "task", "sampling")


def _model(name: str, before: ModelSnapshot, after: ModelSnapshot) -> Iterator[Check]:
    for clip in _union(before.answers, after.answers):
        old, new = before.answers.get(clip), after.answers.get(clip)
        if old is None or new is None:
            yield Check(name, clip, ("is new" if old is None else "is gone",))
        else:
            yield Check(name, clip, tuple(_answer(old, new)))
    yield Check(name, "coverage", _lower(before.coverage, after.coverage))
    yield Check(name, "parse rate", _lower(before.parse_rate, after.parse_rate))


def _answer(old: Answer, new: Answer) -> Iterator[str]:
    for field in ("outcome", "grade", "fallback_level", "prompt_sha256", "video_sha256"):
        yield from _change(field, getattr(old, field), getattr(new, field))


def _same(group: str, field: str, old: object, new: object) -> Check:
    return Check(group, field, _change(field, old, new))


def _change(field: str, old: object, new: object) -> tuple[str, ...]:
    return () if old == new else (f"{field} was {_brief(old)}, is {_brief(new)}",)


def _brief(value: object) -> str:
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text


def _lower(old: float | None, new: float | None) -> tuple[str, ...]:
    if old is None or (new is not None and new >= old):
        return ()
    return (f"was {100 * old:.1f}%, is {'n/a' if new is None else f'{100 * new:.1f}%'}",)


def _slower(old: float | None, new: float | None, ratio: float, floor_s: float) -> Iterator[str]:
    if old is None or new is None or new <= floor_s or new <= ratio * old:
        return
    yield f"was {old:.4g} s, is {new:.4g} s: {new / old if old else float('inf'):.1f} times, {ratio:g} allowed"


def _union(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))


def write_reference(path: Path, snapshot: Snapshot) -> None:
    """Write a reference file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, snapshot.model_dump(mode="json"))


def write_junit(path: Path, checks: list[Check]) -> None:
    """The checks as JUnit XML, one test case each, for CI systems to show; what is only told is a case's output."""
    failed = sum(check.fails for check in checks)
    suite = ElementTree.Element(
        "testsuite", name="bench regress", tests=str(len(checks)), failures=str(failed), errors="0", skipped="0"
    )
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(check.group), name=_xml(check.name))
        if check.changes and check.only_told:
            ElementTree.SubElement(case, "system-out").text = _xml(f"warning: {check}")
        elif check.changes:
            failure = ElementTree.SubElement(case, "failure", message=_xml("; ".join(check.changes)))
            failure.text = _xml(str(check))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')


def _xml(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold."""
    return "".join(c for c in plain(text) if c not in "\ufffe\uffff")
