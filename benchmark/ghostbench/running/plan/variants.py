"""Prompt variants: which wordings of the question a run asks beside the task's main one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from ghostbench.errors import BadInput
from ghostbench.plugins.registry import printable
from ghostbench.running.plan.contenders import Contender
from ghostbench.tasks.base import Task
from ghostbench.tasks.wording import ALL, MAIN


def parse_variants(text: str | None, task: Task) -> dict[str, Task]:
    """Read `--variants all|NAME,…`; return the wordings by name, in the task's order. Raises `BadInput`."""
    if text is None:
        return {}
    known = _variants_of(task)
    if not known:
        raise BadInput(
            f"--variants: task '{printable(task.name)}' has no other wording; write some into a task file, "
            "under variants"
        )
    names = [name.strip() for name in text.split(",")]
    if names == [ALL]:
        return known
    for name in names:
        if name == MAIN:
            raise BadInput(f"--variants {MAIN}: the main wording is asked in any case; name the others, or {ALL}")
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"choose from {ALL}, {', '.join(known)}"
            raise BadInput(f"--variants '{printable(name)}' is no variant of task '{printable(task.name)}'; {hint}")
        if names.count(name) > 1:
            raise BadInput(f"--variants names {name} twice; name each once")
    return {name: variant for name, variant in known.items() if name in names}


def examples_of(variants: Mapping[str, Task]) -> dict[str, str]:
    """The clips that the wordings tell of as examples, each with the reason why it is not scored."""
    told: dict[str, list[str]] = {}
    for name, variant in variants.items():
        # A task of a package may forget that those it shows are among those it tells of.
        for clip in dict.fromkeys((*variant.example_clips, *variant.shown_clips)):
            told.setdefault(clip, []).append(name)
    return {clip: f"example of the wording {', '.join(names)}" for clip, names in told.items()}


def shown_clips(variants: Mapping[str, Task]) -> tuple[str, ...]:
    """The clips whose frames the wordings show as examples, each once, as the wordings write them."""
    return tuple(dict.fromkeys(clip for variant in variants.values() for clip in variant.shown_clips))


def check_examples(rows: Sequence[Contender], variants: Mapping[str, Task]) -> None:
    """Raise `BadInput` where a wording shows frames of examples, and they cannot be shown.

    That is at moments, where nothing says which moment of an example belongs to which of a clip; and to a model that
    does not say that it shows them, and whose answers would pass for those to another prompt.
    """
    for name, variant in variants.items():
        if not variant.shown_clips:
            continue
        if name == MAIN:
            raise BadInput(
                f"task '{printable(variant.name)}' shows the frames of examples in its main wording: a run shows them "
                "in wordings of --variants alone, beside which there is a row without"
            )
        wording = f"the wording {printable(name)} shows the frames of examples"
        if variant.at_moments:
            raise BadInput(
                f"{wording}, and task '{printable(variant.name)}' asks at moments, of which an example has none: tell "
                "the examples in words (shows)"
            )
        for row in rows:
            if row.variant != name or not row.needs_frames:
                continue
            if not row.configured.choice.spec.sees_examples:
                raise BadInput(
                    f"{wording}, and model '{printable(row.configured.choice.row)}' cannot be shown them; "
                    "leave it out, or leave the wording out of --variants"
                )


def _variants_of(task: Task) -> dict[str, Task]:
    """A task's variants, as far as they ask the same question. Raises `BadInput`."""
    found = dict(task.variants())
    for name, variant in found.items():
        same = isinstance(variant, Task) and all(
            getattr(variant, field) == getattr(task, field)
            for field in ("name", "version", "schema", "at_moments", "moments_per_s", "max_output_tokens")
        )
        if not same or variant.template_sha256() == task.template_sha256():
            raise BadInput(
                f"variant '{printable(str(name))}' of task '{printable(task.name)}' must be of the same name, version "
                "and schema in other words; repair the task"
            )
    return found
