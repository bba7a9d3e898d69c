"""What a run was: the manifest's contents, from the plan and from the machine. Never a secret."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghostbench.folder.manifest import (
    AnnotatedEntry,
    DatasetEntry,
    ExampleEntry,
    Facts,
    GitEntry,
    Gpu,
    Hardware,
    Manifest,
    ModelEntry,
    Resumed,
    ShardEntry,
    Stopped,
    TaskEntry,
)
from ghostbench.frames import Frames
from ghostbench.models import SEES_VIDEO_FACT
from ghostbench.plugins.installed import OWN, homes_of, version_of
from ghostbench.records import ExampleFrames, JoinedAnnotations
from ghostbench.redact import Redactor
from ghostbench.running.ask.examples import NO_EXAMPLES
from ghostbench.running.ask.units import ModelState, ladder_of, utc
from ghostbench.running.plan.configured import ConfiguredModel, throughput_settings
from ghostbench.running.plan.contenders import Contender
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import Plan
from ghostbench.tasks.base import Task

_MAY_CHANGE = ("max_attempts", "max_cost")
_COMPUTED_WITH = ("libraries", "arithmetic")
"""Facts of a local model that say how its numbers are rounded."""
_OF_A_CALL = {"patience", "out", "run_id", "resume", "give_up", "tag"}


def start(
    plan: Plan,
    command: list[str],
    start_up_s: float | None,
    redactor: Redactor,
    examples: Mapping[str, Frames] = NO_EXAMPLES,
) -> Manifest:
    """The manifest of a run that begins now; model facts, end and digests are filled in later.

    start_up_s : seconds from the start of the process until the run could begin; None where it was started for others.
    examples : the frames of the clips that wordings show as examples, by the clips' ids.
    """
    options, split = plan.options, plan.split
    return Manifest(
        status="running",
        run_id=plan.run_id,
        command=redactor.command(command),
        options=_options(options, redactor),
        started_at=utc_now(),
        versions=dict(_versions(plan)),
        git=_git(),
        hardware=_hardware(),
        dataset=DatasetEntry(
            name=split.dataset,
            split=split.name,
            data_root=split.data_root,
            layout=split.layout,
            fps=split.fps,
            labels=redactor.location(options.query.labels) if options.query.labels is not None else None,
            labels_sha256=split.labels_sha256,
            annotations=[redactor.location(each.source) for each in split.annotations],
            annotated=[_account(each) for each in split.annotations],
            split_sha256=split.split_sha256,
            filters=list(split.filters),
            skipped_labels=list(split.skipped_labels),
            n=len(split.clips),
            shard=ShardEntry(**dataclasses.asdict(split.shard)) if split.shard is not None else None,
            left_out=dict(split.left_out),
        ),
        task=TaskEntry(
            name=plan.task.name,
            version=plan.task.version,
            template_sha256=plan.task.template_sha256(),
            claim=plan.task.claim,
            moments_per_s=plan.task.moments_per_s,
            sustain=None if plan.sustain is None else str(plan.sustain),
            left_out=list(plan.task.left_out),
            variants={name: variant.template_sha256() for name, variant in plan.variants.items()},
            filmed=plan.filmed.template_sha256() if plan.filmed is not None else None,
        ),
        sampling=str(plan.sampling),
        repeats=options.repeats,
        seed=options.seed,
        max_attempts=options.attempts_limit,
        max_cost=options.max_cost,
        probes=list(plan.probes),
        examples={
            clip: ExampleEntry.model_validate(dataclasses.asdict(ExampleFrames.of(frames)))
            for clip, frames in examples.items()
        },
        models={row.name: _model(row, redactor) for row in plan.rows},
        start_up_s=start_up_s,
    )


def gone_on_with(before: Manifest, now: Manifest) -> Manifest:
    """The manifest of a run that is gone on with: as it was begun, with what may change as it is asked for now.

    before : as the run left it. now : of the same run as it would begin now. `resumed` says what changed, and when.
    """
    changed = {
        key: (was, asked) for key in _MAY_CHANGE if (was := getattr(before, key)) != (asked := getattr(now, key))
    }
    models = {}
    for name, row in before.models.items():
        settings = now.models[name].settings
        changed |= {
            f"models.{name}.settings.{key}": (row.settings.get(key), value)
            for key, value in settings.items()
            if row.settings.get(key) != value
        }
        models[name] = row.model_copy(update={"settings": settings})
    if now.options is not None and now.options.get("cache") is None:
        # What it took from a cache before, it still has.
        now.options["cache"] = (before.options or {}).get("cache")
    resumed = [*before.resumed, *([Resumed(at=utc_now(), changed=changed)] if changed else [])]
    asked_for = {key: getattr(now, key) for key in (*_MAY_CHANGE, "options")}
    state = {"status": "running", "models": models, "resumed": resumed, "digests": {}, "seal": None}
    return before.model_copy(update={**asked_for, **state})


def describe_state(entry: ModelEntry, state: ModelState, redactor: Redactor) -> None:
    """Fill in what is known of a model once it is loaded, or has stopped. One that could not be loaded again keeps what
    it said of itself before."""
    entry.facts = as_recorded(state.facts, redactor) or entry.facts
    recorded = state.configured.choice.spec.kind == "reference" and entry.facts.get(SEES_VIDEO_FACT) is True
    entry.sees_video = entry.sees_video or recorded
    entry.load_s = state.load_s
    entry.identity = entry.identity or _identity(state.configured, redactor)
    entry.stopped = None
    if (stop := state.stopped) is not None:
        message = redactor.message(stop.message)
        entry.stopped = Stopped(outcome=stop.outcome, message=message, until=_stated(stop.until))
    entry.put_off_until = _stated(state.put_off_until) or entry.put_off_until


def as_recorded(facts: Mapping[str, Any], redactor: Redactor) -> Facts:
    """A model's facts as the manifest holds them: JSON values alone, without secrets."""
    recorded: Facts = _plain(facts, redactor)
    return recorded


def utc_now() -> str:
    """This moment in UTC, ISO 8601 to the millisecond."""
    return utc(datetime.now(UTC))


def _stated(moment: datetime | None) -> str | None:
    return None if moment is None else utc(moment)


def _options(options: Options, redactor: Redactor) -> Facts:
    """What `--resume` takes from the manifest: every option of the run by its parameter's name, its query's too."""
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    query = given.pop("query")
    given |= {field.name: getattr(query, field.name) for field in dataclasses.fields(query)}
    kept = {name: value for name, value in given.items() if name not in _OF_A_CALL}
    kept["settings"] = redactor.command(kept["settings"])
    kept["cache"] = str(options.cache) if options.cache is not None else None
    kept["annotations"] = [redactor.location(place) for place in options.query.annotations]
    kept = {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}
    return {name: redactor.location(value) if isinstance(value, str) else value for name, value in kept.items()}


def _account(file: JoinedAnnotations) -> AnnotatedEntry:
    return AnnotatedEntry(
        form=file.form,
        sha256=file.sha256,
        matched=file.matched,
        flagged=dict(file.flagged),
        unmatched=dict(file.unmatched),
    )


def _model(row: Contender, redactor: Redactor) -> ModelEntry:
    configured: ConfiguredModel = row.configured
    spec = configured.choice.spec
    argument = configured.choice.argument
    return ModelEntry(
        spec=spec.name,
        kind=spec.kind,
        reference=spec.kind == "reference",
        mark=spec.mark,
        argument=redactor.text(argument) if argument is not None else None,
        asked_model=argument if spec.kind == "remote" else None,
        settings=_plain(redactor.settings(dataclasses.asdict(configured.settings)), redactor),
        identity=_identity(configured, redactor),
        needs_frames=row.needs_frames,
        sees_video=row.sees_video,
        ladder=[level.name for level in ladder_of(configured)],
        probe=row.probe,
        variant=row.variant,
        of=row.of,
        substitute=row.substitute,
    )


def _identity(configured: ConfiguredModel, redactor: Redactor) -> Facts | None:
    """What decides which model answers, beside its settings; None for one that cannot be asked."""
    return None if configured.broken is not None else as_recorded(redactor.settings(configured.identity), redactor)


def _plain(value: Any, redactor: Redactor) -> Any:
    """Facts as JSON can hold them: unknown types become their text."""
    if isinstance(value, Mapping):
        return {redactor.text(str(k)): _plain(v, redactor) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v, redactor) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return redactor.message(str(value))


def _versions(plan: Plan) -> dict[str, str]:
    """Versions of Python, of this package and of everything that decoding, scoring and the chosen models rest on."""
    packages = {"av", "numpy", "pandas", "PIL", "scipy", "sklearn", "statsmodels"}
    for configured in plan.configured_models:
        packages |= _packages(configured)
    return {"python": platform.python_version(), **_installed(packages)}


def adapter_versions(configured: ConfiguredModel) -> dict[str, str]:
    """Versions of this package, of the model's own, and of those that it needs."""
    return _installed(_packages(configured))


def model_key(
    manifest: Manifest, row: Contender, state: ModelState, task: Task, sources: Mapping[str, str]
) -> dict[str, Any]:
    """What decides a row's answers beside its requests, as JSON: the model, its weights and code, and the task.

    manifest : the run's. sources : digests of the model's code, by package, as `sources_of` gives them. For a local
    model this machine counts too, and what it was computed with, since these decide how numbers are rounded.
    """
    entry, spec = manifest.models[row.name], row.configured.choice.spec
    free = throughput_settings(row.configured.settings)
    machine = None
    if spec.kind == "local":
        # This one: a run that is gone on with may have been begun on another, which its manifest states.
        here = _hardware()
        machine = [here.processor, here.cores, [gpu.name for gpu in here.gpus]]
    return {
        "spec": entry.spec,
        "argument": entry.argument,
        "settings": {name: value for name, value in entry.settings.items() if name not in free},
        "identity": entry.identity,
        "files": _plain(state.facts.get("files"), Redactor()),
        "code": {"python": platform.python_version(), **adapter_versions(row.configured)},
        "computed_with": _computed_with(state.facts),
        "sources": dict(sources),
        "machine": machine,
        "task": [task.name, task.template_sha256()],
    }


def _computed_with(facts: Mapping[str, Any]) -> list[Any]:
    """What the replicas of a local model tell of the libraries and devices that they compute with, each once: which of
    them answers is open."""
    others = facts.get("by_worker")
    told = []
    for own in ({}, *(others.values() if isinstance(others, Mapping) else ())):
        each = {**facts, **(own if isinstance(own, Mapping) else {})}
        told.append(_plain([each.get(name) for name in _COMPUTED_WITH], Redactor()))
    return [one for _, one in sorted({json.dumps(one, sort_keys=True): one for one in told}.items())]


def _packages(configured: ConfiguredModel) -> set[str]:
    return {*configured.choice.spec.requires, configured.choice.spec.load.partition(".")[0]}


def _installed(packages: set[str]) -> dict[str, str]:
    """Versions of this distribution and of those that packages are from."""
    names = {OWN, *homes_of(package.partition(".")[0] for package in packages)}
    versions = {name: version_of(name) for name in sorted(names, key=str.lower)}
    return {name: version for name, version in versions.items() if version is not None}


def _git() -> GitEntry | None:
    """The revision of the source tree that this package runs from; None for an installed package."""
    here = Path(__file__).resolve().parent

    def ask(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        if ask("ls-files", "--error-unmatch", str(here / "__init__.py")):
            return GitEntry(revision=ask("rev-parse", "HEAD"), dirty=bool(ask("status", "--porcelain", "-uno")))
    except (OSError, subprocess.SubprocessError):
        pass
    return None


def _hardware() -> Hardware:
    import psutil

    return Hardware(
        machine=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=psutil.cpu_count(logical=True),
        memory_bytes=psutil.virtual_memory().total,
        gpus=_gpus(),
    )


def _processor() -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or None


def _gpus() -> list[Gpu]:
    """The NVIDIA GPUs that the driver shows, by name and memory; [] without the driver's library."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # noqa: BLE001 - no package, no driver, or no device: then there is nothing to list
        return []
    found = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle).total
        found.append(Gpu(name=str(pynvml.nvmlDeviceGetName(handle)), memory_bytes=int(memory)))
    pynvml.nvmlShutdown()
    return found
