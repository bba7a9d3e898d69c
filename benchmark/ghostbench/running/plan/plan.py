"""A run as the user asked for it, checked before anything runs: what to ask, of which models, about which clips."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghostbench.datasets.listing import Told, silently
from ghostbench.datasets.select import SplitQuery, select, with_environment
from ghostbench.errors import AttemptError, BadInput, Unparseable
from ghostbench.folder.tags import check_tags
from ghostbench.media.sampling import Sampling, parse_sampling
from ghostbench.models import Level, LocalModel, Model, RemoteModel, Resources
from ghostbench.outcomes import FALLS_BACK, Outcome
from ghostbench.plugins.choose import Choice, build_model, build_settings, check_requirements, parse_model, parse_set
from ghostbench.plugins.registry import printable
from ghostbench.records import MOST_REPEATS, Request, Split
from ghostbench.running.plan.leaks import check_wording
from ghostbench.running.plan.probes import parse_probes
from ghostbench.running.plan.replicas import Replica, plan_replicas
from ghostbench.running.plan.variants import examples_of, parse_variants
from ghostbench.running.rules.patience import Patience
from ghostbench.running.rules.replies import in_words
from ghostbench.running.rules.standing import PART
from ghostbench.tasks.base import Task
from ghostbench.tasks.load import load_task
from ghostbench.tasks.sustain import AT_ONCE, Sustain, parse_sustain
from ghostbench.tasks.wording import MAIN

DEFAULT_MODELS = "motion,always,never,random"
DEADLINE_S = 1800.0
"""The longest that loading a model, and one attempt, may take unless the user says otherwise, seconds. A large batch on
a slow machine passes well within it."""
PLACES = ("thread", "process", "ray")
"""Where local models can live; Ray's cluster by its address, where one is given: "ray:ADDRESS"."""
MOST_MOMENTS_PER_S = 60
_RATE = re.compile(r"(?P<number>[0-9]{1,3}(?:\.[0-9]{1,6})?)(?:/s)?")
DEFAULT_ATTEMPTS = 6
"""Attempts at one clip where the user gives no limit; those that an outage took are not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `bench run`, as given.

    sampling : None leaves it to the task. moments : how many a second, as given; None leaves it to the task. sustain :
    when an alarm holds, K/N as given; None for a single moment.
    cache : the folder of answers that runs share; None for none.
    max_attempts : None leaves it to `DEFAULT_ATTEMPTS` and to time: `patience`. on : where local models live.
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
    def on_ray(self) -> bool:
        """Whether local models live in a Ray cluster."""
        return self.on.partition(":")[0] == "ray"

    @property
    def attempts_limit(self) -> int:
        """The most attempts at one clip: all of them where the user gave a limit, else those that count."""
        return DEFAULT_ATTEMPTS if self.max_attempts is None else self.max_attempts


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """One row of the tables.

    probe : the probe whose frames it gets, or None. variant : the wording that it is asked in, None for the main one.
    of : the row that it probes, is another wording of, or stands in for, or None.
    substitute : whether it is asked only where the row `of` gave no answer.
    """

    name: str
    host: ConfiguredModel
    probe: str | None = None
    variant: str | None = None
    of: str | None = None
    substitute: bool = False

    @property
    def needs_frames(self) -> bool:
        """Whether the row's requests carry frames."""
        return self.host.choice.spec.needs_frames and self.probe != "text-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run that can start: every name resolved, every setting checked, every model constructed but not loaded.

    sustain : when an alarm holds; None for a task that does not ask at moments.
    """

    options: Options
    run_id: str
    split: Split
    task: Task
    sampling: Sampling
    sustain: Sustain | None
    rows: tuple[Contender, ...]
    probes: tuple[str, ...]
    variants: Mapping[str, Task] = dataclasses.field(default_factory=dict)

    @property
    def needs_media(self) -> bool:
        """Whether clips are decoded: for rows that look at them, or for the moments of a task that asks at moments."""
        return self.task.at_moments or any(row.needs_frames for row in self.rows)

    @property
    def hosts(self) -> tuple[ConfiguredModel, ...]:
        """Each model once, in the order of the rows."""
        return tuple(dict.fromkeys(row.host for row in self.rows))


def make_plan(options: Options, *, told: Told = silently) -> Plan:
    """Check everything that can be checked without running. Raises `BadInput`.

    The plan's options are those given, with what the environment says of the query.
    told : hears of the folders listed and to be listed, where looking for the media takes long.
    """
    _check_numbers(options)
    check_tags(options.tag)
    options = dataclasses.replace(options, query=with_environment(options.query))
    task = load_task(options.task)
    probes = parse_probes(options.probe)
    variants = parse_variants(options.variants, task)
    for each in (task, *variants.values()):
        _set_moments(each, options.moments)
    sustain = _sustain(task, options.sustain)
    sampling = parse_sampling(options.sampling or task.sampling)
    if task.at_moments and sampling.kind == "uniform":
        raise BadInput(
            f"--sampling {sampling} lays frames out by the length of a clip, which task '{task.name}' must not tell; "
            "give fps:R"
        )
    named = _parse_rows(options.models)
    given = parse_set(options.settings, [choice for _, choice in named])
    for _, choice in named:
        check_requirements(choice)
    hosts = {choice.row: _host(choice, given.get(choice.row, {})) for _, choice in named}
    rows = tuple(_rows(named, hosts, tuple(variants), probes))
    _check_rows(rows, probes, variants)
    looking = [row.name for row in rows if row.needs_frames or task.at_moments]
    split = select(
        options.query,
        media=bool(looking),
        told=told,
        frame_times=_frame_times,
        leave_out=examples_of({MAIN: task, **variants}),
    )
    for each in (task, *variants.values()):
        check_wording(each, split)
    for host in hosts.values():
        _check_host(host, elsewhere=options.on_ray and isinstance(host.model, LocalModel))
    plan_replicas(hosts, options.replicas, options.on)
    if split.data_root is None and looking and not any(c.media for c in split.clips):
        raise BadInput(f"model '{looking[0]}' needs the clips of {split.dataset}; say where they are with --data-root")
    if options.max_cost is not None:
        for host in hosts.values():
            for each in (task, *variants.values()):
                _check_price(host, each)
    for name in options.give_up:
        if not any(name == host.choice.row for host in hosts.values()):
            raise BadInput(f"--give-up '{printable(name)}' is no model of this run; choose from {', '.join(hosts)}")
    run_id = options.run_id or _run_id(list(hosts), split)
    return Plan(
        options=options,
        run_id=run_id,
        split=split,
        task=task,
        sampling=sampling,
        sustain=sustain,
        rows=rows,
        probes=probes,
        variants=variants,
    )


def _frame_times(media: str) -> tuple[float, ...]:
    from ghostbench.media.count import frame_times

    return frame_times(media)


def _set_moments(task: Task, given: str | None) -> None:
    """Have the task ask at so many moments a second. Raises `BadInput`."""
    if given is None:
        return
    match = _RATE.fullmatch(given)
    if match is None or not 0 < float(match["number"]) <= MOST_MOMENTS_PER_S:
        raise BadInput(
            f"--moments '{printable(given)}' is no number of moments a second above 0 and up to {MOST_MOMENTS_PER_S}; "
            "give one such as 2, or 2/s"
        )
    if task.moments_per_s is None:
        raise BadInput(f"--moments is for tasks that ask at moments, and '{task.name}' asks at none that can be set")
    task.moments_per_s = float(match["number"])


def _sustain(task: Task, given: str | None) -> Sustain | None:
    """When an alarm of the run holds; None where no moments are asked at. Raises `BadInput`."""
    if task.at_moments:
        return AT_ONCE if given is None else parse_sustain(given)
    if given is not None:
        raise BadInput(f"--sustain is for tasks that ask at moments, and '{task.name}' looks at whole clips")
    return None


def _check_numbers(options: Options) -> None:
    place, colon, address = options.on.partition(":")
    if place not in PLACES or (colon and (place != "ray" or not address)):
        raise BadInput(
            f"--on '{printable(options.on)}' is no place for models; choose from {', '.join(PLACES)} or ray:ADDRESS"
        )
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


def _parse_rows(text: str) -> list[tuple[str | None, Choice]]:
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


def _host(choice: Choice, given: Mapping[str, str]) -> ConfiguredModel:
    settings = build_settings(choice, given)
    try:
        return ConfiguredModel(choice, settings, build_model(choice, settings))
    except (BadInput, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a stranger's import may raise anything
        return ConfiguredModel(choice, settings, None, printable(in_words(error) or type(error).__name__))


def _check_host(host: ConfiguredModel, *, elsewhere: bool) -> None:
    """Let the model look for what the user must bring and say what it is, and look at its ladder; one that fails there
    is unavailable. elsewhere : whether it is computed on other machines."""
    if host.model is None:
        return
    try:
        host.model.check()
        if not elsewhere:
            host.model.check_here()
        host.identity = dict(host.model.identity())
        for level in host.model.ladder:
            if not _is_level(level):
                raise TypeError(f"{printable(repr(level))} is no fallback level")
            if (final := _never_leads_on(level)) is not None:
                raise TypeError(f"fallback level {printable(repr(level.name))}: nothing follows {final}, it is final")
        if isinstance(host.model, RemoteModel):
            bool(host.model.batched)
    except (BadInput, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a stranger's code may raise anything
        host.model, host.broken = None, printable(in_words(error) or type(error).__name__)


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


def _rows(
    named: Sequence[tuple[str | None, Choice]],
    hosts: Mapping[str, ConfiguredModel],
    variants: tuple[str, ...],
    probes: tuple[str, ...],
) -> list[Contender]:
    """Each model's row in the main wording, and beside it those of the other wordings and of the probes, so that all
    that one model is asked about a clip lies together."""
    rows = []
    for of, choice in named:
        host = hosts[choice.row]
        rows.append(Contender(name=choice.row, host=host, of=of, substitute=of is not None))
        if of is None and choice.spec.is_worded:
            rows.extend(Contender(name=f"{choice.row}@{v}", host=host, variant=v, of=choice.row) for v in variants)
        if of is None and choice.spec.kind != "reference" and choice.spec.needs_frames:
            rows.extend(Contender(name=f"{choice.row}+{p}", host=host, probe=p, of=choice.row) for p in probes)
    return rows


def _check_rows(rows: Sequence[Contender], probes: Collection[str], variants: Collection[str]) -> None:
    """Raise `BadInput` where nobody is asked what was asked for, or a model has the name of another's wording."""
    if probes and not any(row.probe for row in rows):
        raise BadInput("--probe: no model of this run looks at frames; name one that does, or leave out --probe")
    if variants and not any(row.variant for row in rows):
        raise BadInput("--variants: no model of this run reads the question; name one that does, or leave it out")
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"two rows of this run would be called '{printable(name)}'; rename the model: …=NAME")


def _check_price(host: ConfiguredModel, task: Task) -> None:
    """Refuse a cost limit for a model whose price nobody knows: it could not be kept."""
    if not isinstance(host.model, RemoteModel):
        return
    asking = Request(
        id="price",
        prompt=task.build(None),
        frames=None,
        seed=0,
        level=0,
        level_settings={},
        write_answer=task.write,
    )
    try:
        price = host.model.estimate(asking).cost_usd
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a model that fails to estimate does not know its price
        price = None
    if price is None:
        raise BadInput(
            f"--max-cost cannot be kept: the price of model '{host.choice.row}' is not known; "
            "give the model a price (see its settings), or leave out --max-cost"
        )


def _run_id(names: Sequence[str], split: Split) -> str:
    safe = re.sub(r"[^A-Za-z0-9.]+", "-", "_".join(names)).strip("-.")[:60]
    share = f"-{split.shard.number}of{split.shard.of}" if split.shard is not None else ""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{safe}".rstrip("-.") + share
