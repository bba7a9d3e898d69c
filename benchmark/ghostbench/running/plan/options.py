"""The options of a run, as given, and what can be said of them by themselves."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from ghostbench.datasets.query import SplitQuery
from ghostbench.errors import BadInput
from ghostbench.records import MOST_REPEATS
from ghostbench.running.plan.placement import Placement
from ghostbench.running.rules.patience import Patience

DEFAULT_MODELS = "motion,always,never,random"
DEADLINE_S = 1800.0
"""The longest that loading a model, and one attempt, may take unless the user says otherwise, seconds. A large batch on
a slow machine passes well within it."""
DEFAULT_ATTEMPTS = 6
"""Attempts at one clip where the user gives no limit; those that an outage took are not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `bench run`, as given.

    sampling : None leaves it to the task. moments : how many a second, as given; None leaves it to the task. sustain :
    when an alarm holds, K/N as given; None for a single moment.
    cache : the folder of answers that runs share; None for none.
    max_attempts : None leaves it to `DEFAULT_ATTEMPTS` and to time: `patience`. on : where local models live, as given;
    `placement` says what it means.
    tag : what is written on the run.
    replicas : how many of each, as given, `MODEL=N`.
    """

    models: str = DEFAULT_MODELS
    task: str = "ghost-probing"
    query: SplitQuery = dataclasses.field(default_factory=SplitQuery)
    sampling: str | None = None
    moments: str | None = None
    sustain: str | None = None
    settings: tuple[str, ...] = ()
    repeats: int = 1
    max_attempts: int | None = None
    max_cost: float | None = None
    probe: str | None = None
    variants: str | None = None
    out: Path = Path("results")
    run_id: str | None = None
    resume: bool = False
    seed: int = 0
    deadline: float = DEADLINE_S
    give_up: tuple[str, ...] = ()
    cache: Path | None = None
    on: str = "process"
    replicas: tuple[str, ...] = ()
    patience: Patience = dataclasses.field(default_factory=Patience)
    tag: tuple[str, ...] = ()

    @property
    def placement(self) -> Placement:
        """Where local models live, by `on`. Raises `BadInput` where that is no place."""
        return Placement.of(self.on)

    @property
    def attempts_limit(self) -> int:
        """The most attempts at one clip: all of them where the user gave a limit, else those that count."""
        return DEFAULT_ATTEMPTS if self.max_attempts is None else self.max_attempts


def check_numbers(options: Options) -> None:
    """Raise `BadInput` for an option that is out of its range, or that goes with another."""
    _ = options.placement
    if not 1 <= options.repeats <= MOST_REPEATS:
        raise BadInput(f"--repeats {options.repeats} is not from 1 to {MOST_REPEATS}")
    if options.max_attempts is not None and options.max_attempts < 1:
        raise BadInput(f"--max-attempts {options.max_attempts} is not at least 1")
    if options.give_up and not options.resume:
        raise BadInput("--give-up leaves a model out of the rest of a run; add --resume, or leave it out of --models")
    if not 0 < options.deadline < math.inf:
        raise BadInput(f"--deadline {options.deadline:g} is no number of seconds above 0")
    if options.max_cost is not None and not 0 < options.max_cost < math.inf:
        raise BadInput(f"--max-cost {options.max_cost:g} is not above 0, or no amount of money")
    if options.resume and options.run_id is None:
        raise BadInput("--resume needs the run to go on with; name it with --run-id")
