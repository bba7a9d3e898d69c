"""A run as the user asked for it, checked before anything runs: what to ask, of which models, about which clips."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ghostbench.credentials import Credentials
from ghostbench.datasets.listing import Told, silently
from ghostbench.datasets.select import select, with_environment
from ghostbench.errors import BadInput
from ghostbench.folder.tags import check_tags
from ghostbench.media.sampling import Sampling, parse_sampling
from ghostbench.models import LocalModel, RemoteModel
from ghostbench.plugins.choose import check_requirements, parse_set
from ghostbench.plugins.registry import printable
from ghostbench.records import Request, Split
from ghostbench.running.plan.causal import check_causal
from ghostbench.running.plan.configured import ConfiguredModel, check_configured, configure
from ghostbench.running.plan.contenders import Contender, check_rows, parse_rows, rows_of
from ghostbench.running.plan.leaks import check_wording
from ghostbench.running.plan.options import Options, check_numbers
from ghostbench.running.plan.probes import parse_probes
from ghostbench.running.plan.replicas import plan_replicas
from ghostbench.running.plan.variants import check_examples, examples_of, parse_variants, shown_clips
from ghostbench.running.plan.video_rows import check_videos, video_wording
from ghostbench.tasks.base import Task
from ghostbench.tasks.load import load_task
from ghostbench.tasks.sustain import AT_ONCE, Sustain, parse_sustain
from ghostbench.tasks.wording import MAIN

MOST_MOMENTS_PER_S = 60
_RATE = re.compile(r"(?P<number>[0-9]{1,3}(?:\.[0-9]{1,6})?)(?:/s)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run that can start: every name resolved, every setting checked, every model constructed but not loaded.

    sustain : when an alarm holds; None for a task that does not ask at moments.
    filmed : the wording of the rows that see the video; None where there are none.
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
    filmed: Task | None = None

    @property
    def wordings(self) -> tuple[Task, ...]:
        """Every wording that is asked: the main one, its variants, and that of the rows that see the video."""
        return (self.task, *self.variants.values(), *(() if self.filmed is None else (self.filmed,)))

    @property
    def needs_media(self) -> bool:
        """Whether clips are decoded: for rows that look at them, or for the moments of a task that asks at moments."""
        return self.task.at_moments or any(row.looks for row in self.rows)

    @property
    def configured_models(self) -> tuple[ConfiguredModel, ...]:
        """Each model once, in the order of the rows."""
        return tuple(dict.fromkeys(row.configured for row in self.rows))


def make_plan(options: Options, *, told: Told = silently) -> Plan:
    """Check everything that can be checked without running. Raises `BadInput`.

    The plan's options are those given, with what the environment says of the query.
    told : hears of the folders listed and to be listed, where looking for the media takes long.
    """
    check_numbers(options)
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
    for each in (task, *variants.values()):
        check_causal(each)
    named = parse_rows(options.models)
    given = parse_set(options.settings, [choice for _, choice in named])
    for _, choice in named:
        check_requirements(choice)
    configured_models = {choice.row: configure(choice, given.get(choice.row, {})) for _, choice in named}
    rows = tuple(rows_of(named, configured_models, tuple(variants), probes))
    filmed = video_wording(rows, task, probes, variants)
    check_rows(rows, probes, variants)
    check_examples(rows, {MAIN: task, **variants})
    looking = [row.name for row in rows if row.looks or task.at_moments]
    split = select(
        options.query,
        media=bool(looking),
        told=told,
        frame_times=_frame_times,
        leave_out=examples_of({MAIN: task, **variants}),
        shown=shown_clips(variants) if any(row.shows_examples(variants) for row in rows) else (),
        without_twins=shown_clips(variants),
    )
    for each in (task, *variants.values(), *(() if filmed is None else (filmed,))):
        check_wording(each, split)
    for configured in configured_models.values():
        check_configured(configured, elsewhere=options.placement.on_ray and isinstance(configured.model, LocalModel))
    check_videos(rows, split.clips)
    plan_replicas(configured_models, options.replicas, options.placement.place)
    if split.data_root is None and looking and not any(c.media for c in split.clips):
        raise BadInput(f"model '{looking[0]}' needs the clips of {split.dataset}; say where they are with --data-root")
    if options.max_cost is not None:
        for configured in configured_models.values():
            for each in (task, *variants.values()):
                _check_price(configured, each)
    for name in options.give_up:
        if not any(name == configured.choice.row for configured in configured_models.values()):
            raise BadInput(
                f"--give-up '{printable(name)}' is no model of this run; choose from {', '.join(configured_models)}"
            )
    run_id = options.run_id or _run_id(list(configured_models), split)
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
        filmed=filmed,
    )


def _frame_times(media: str, credentials: Credentials) -> tuple[float, ...]:
    from ghostbench.media.count import frame_times

    return frame_times(media, credentials)


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


def _check_price(configured: ConfiguredModel, task: Task) -> None:
    """Refuse a cost limit for a model whose price nobody knows: it could not be kept."""
    if not isinstance(configured.model, RemoteModel):
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
        price = configured.model.estimate(asking).cost_usd
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a model that fails to estimate does not know its price
        price = None
    if price is None:
        raise BadInput(
            f"--max-cost cannot be kept: the price of model '{configured.choice.row}' is not known; "
            "give the model a price (see its settings), or leave out --max-cost"
        )


def _run_id(names: Sequence[str], split: Split) -> str:
    safe = re.sub(r"[^A-Za-z0-9.]+", "-", "_".join(names)).strip("-.")[:60]
    share = f"-{split.shard.number}of{split.shard.of}" if split.shard is not None else ""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{safe}".rstrip("-.") + share
