"""A model of the run under its settings: imported, constructed, and asked what it is, but not loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ghostbench.errors import AttemptError, BadInput, Unparseable
from ghostbench.models import Level, Model, RemoteModel, Resources
from ghostbench.outcomes import FALLS_BACK, Outcome
from ghostbench.plugins.choose import Choice, build_model, build_settings
from ghostbench.plugins.registry import printable
from ghostbench.running.plan.replicas import Replica
from ghostbench.running.rules.replies import in_words
from ghostbench.running.rules.standing import PART


@dataclass(eq=False, slots=True)
class ConfiguredModel:
    """One model of the run under its settings, shared by its row, its wordings' and its probes' rows.

    model : None when its code could not be imported; `broken` then says why.
    identity : what it says that decides, beside its settings, which model answers.
    replicas : of a local model, at least one. resources : what each of them takes.
    """

    choice: Choice
    settings: Any
    model: Model | None
    broken: str | None = None
    identity: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    replicas: tuple[Replica, ...] = ()
    resources: Resources = dataclasses.field(default_factory=Resources)


def throughput_settings(settings: Any) -> frozenset[str]:
    """The names of a model's settings that decide how fast answers come, and not what they are."""
    return frozenset(field.name for field in dataclasses.fields(settings) if field.metadata.get("throughput"))


def configure(choice: Choice, given: Mapping[str, str]) -> ConfiguredModel:
    """The model under the settings given for it; broken where its code cannot be imported. Raises `BadInput`."""
    settings = build_settings(choice, given)
    try:
        return ConfiguredModel(choice, settings, build_model(choice, settings))
    except (BadInput, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a stranger's import may raise anything
        return ConfiguredModel(choice, settings, None, printable(in_words(error) or type(error).__name__))


def check_configured(configured: ConfiguredModel, *, elsewhere: bool) -> None:
    """Let the model look for what the user must bring and say what it is, and look at its ladder; one that fails there
    is unavailable. elsewhere : whether it is computed on other machines."""
    if configured.model is None:
        return
    try:
        configured.model.check()
        if not elsewhere:
            configured.model.check_here()
        configured.identity = dict(configured.model.identity())
        for level in configured.model.ladder:
            if not _is_level(level):
                raise TypeError(f"{printable(repr(level))} is no fallback level")
            if (final := _never_leads_on(level)) is not None:
                raise TypeError(f"fallback level {printable(repr(level.name))}: nothing follows {final}, it is final")
        if isinstance(configured.model, RemoteModel):
            bool(configured.model.batched)
    except (BadInput, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a stranger's code may raise anything
        configured.model, configured.broken = None, printable(in_words(error) or type(error).__name__)


def _is_level(level: object) -> bool:
    return (
        isinstance(level, Level)
        and (level.max_frames is None or level.max_frames >= 1)
        and isinstance(level.after, tuple)
        and all(isinstance(kind, type) and issubclass(kind, (AttemptError, Unparseable)) for kind in level.after)
        and all(
            isinstance(parts, tuple) and all(isinstance(part, str) and PART.fullmatch(part) for part in parts)
            for parts in (level.without, level.instead_of)
        )
    )


def _never_leads_on(level: Level) -> Outcome | None:
    """An outcome that the level is there for, though no fallback follows it."""
    outcomes = (getattr(kind, "outcome", None) for kind in level.after)
    return next((outcome for outcome in outcomes if outcome is not None and outcome not in FALLS_BACK), None)
