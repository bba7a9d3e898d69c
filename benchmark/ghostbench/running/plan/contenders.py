"""The rows of a run: each model's, and beside it those of its wordings and probes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ghostbench.errors import BadInput
from ghostbench.plugins.choose import Choice, parse_model
from ghostbench.plugins.registry import printable
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.tasks.base import Task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """One row of the tables.

    probe : the probe whose frames it gets, or None. variant : the wording that it is asked in, None for the main one.
    of : the row that it probes, is another wording of, or stands in for, or None.
    substitute : whether it is asked only where the row `of` gave no answer.
    """

    name: str
    configured: ConfiguredModel
    probe: str | None = None
    variant: str | None = None
    of: str | None = None
    substitute: bool = False

    @property
    def needs_frames(self) -> bool:
        """Whether the row's requests carry frames."""
        return self.configured.choice.spec.needs_frames and self.probe != "text-only"

    def shows_examples(self, variants: Mapping[str, Task]) -> bool:
        """Whether its requests carry frames of examples. variants : the wordings, by name."""
        return self.variant is not None and self.needs_frames and bool(variants[self.variant].shown_clips)

    @property
    def sees_video(self) -> bool:
        """Whether its requests carry the clip's own media file, and no frames."""
        return self.configured.choice.spec.sees_video

    @property
    def looks(self) -> bool:
        """Whether it looks at the clip in any form, so that its media is needed."""
        return self.needs_frames or self.sees_video


def parse_rows(text: str) -> list[tuple[str | None, Choice]]:
    """Read `--models`: (None, model) for `A`, and (A, model) for the substitute in `A>B`, whose row is `A>B`."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise BadInput("--models has an empty name; write names separated by single commas, e.g. motion,always")
    named: list[tuple[str | None, Choice]] = []
    for word in words:
        main, arrow, stand_in = word.partition(">")
        choice = parse_model(main.strip())
        rows = [c.row for _, c in named]
        if not arrow or choice.row not in rows:
            named.append((None, choice))
        if arrow:
            other = parse_model(stand_in.strip())
            named.append((choice.row, dataclasses.replace(other, row=f"{choice.row}>{other.row}")))
    rows = [choice.row for _, choice in named]
    for row in rows:
        if rows.count(row) > 1:
            raise BadInput(f"model '{row}' is named twice; name each once (a row of its own: FAMILY:ARG=NAME)")
    return named


def rows_of(
    named: Sequence[tuple[str | None, Choice]],
    configured_models: Mapping[str, ConfiguredModel],
    variants: tuple[str, ...],
    probes: tuple[str, ...],
) -> list[Contender]:
    """Each model's row in the main wording, and beside it those of the other wordings and of the probes, so that all
    that one model is asked about a clip lies together."""
    rows = []
    for of, choice in named:
        configured = configured_models[choice.row]
        rows.append(Contender(name=choice.row, configured=configured, of=of, substitute=of is not None))
        if of is None and choice.spec.is_worded:
            rows.extend(
                Contender(name=f"{choice.row}@{v}", configured=configured, variant=v, of=choice.row) for v in variants
            )
        if of is None and choice.spec.kind != "reference" and choice.spec.needs_frames:
            rows.extend(
                Contender(name=f"{choice.row}+{p}", configured=configured, probe=p, of=choice.row) for p in probes
            )
    return rows


def check_rows(rows: Sequence[Contender], probes: Collection[str], variants: Collection[str]) -> None:
    """Raise `BadInput` where nobody is asked what was asked for, or a model has the name of another's wording."""
    if probes and not any(row.probe for row in rows):
        raise BadInput("--probe: no model of this run looks at frames; name one that does, or leave out --probe")
    if variants and not any(row.variant for row in rows):
        raise BadInput("--variants: no model of this run reads the question; name one that does, or leave it out")
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"two rows of this run would be called '{printable(name)}'; rename the model: …=NAME")
