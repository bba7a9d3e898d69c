"""Going on with a run: what must be the same, and what the ledger says has been done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghostbench.digests import digest
from ghostbench.errors import BadInput
from ghostbench.folder.ledger import recover
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.manifest import FORMAT, Manifest
from ghostbench.folder.names import MANIFEST
from ghostbench.folder.reading import read_records
from ghostbench.folder.seal import check_seal
from ghostbench.models import Level
from ghostbench.outcomes import NEVER_SENT, TRANSIENT, Outcome
from ghostbench.plugins.registry import printable
from ghostbench.running.ask.units import Ask, ladder_of
from ghostbench.running.plan.configured import throughput_settings
from ghostbench.running.plan.plan import Plan
from ghostbench.running.resume.line_check import WAY_OUT, LineCheck
from ghostbench.running.rules.predictions import AskKey, Last, last_lines
from ghostbench.running.rules.retry import failure_from_ledger, next_step
from ghostbench.running.rules.standing import Standing, refused_by_name

_MUST_MATCH = ("dataset", "task", "sampling", "repeats", "seed", "probes", "models")
_FREE_DATASET_KEYS = ("data_root", "labels", "annotations")
_SAID = ("name", "split", "filters")
_MODEL_KEYS = ("spec", "argument", "settings", "identity", "probe", "variant", "of", "substitute")


def check_same(begun: Manifest, asked: Manifest, plan: Plan) -> None:
    """Raise `BadInput` naming the first setting in which a run's manifest differs from what is asked for now.

    Where files lie may change, their contents may not. `--max-cost` and settings of throughput may change, and
    `--max-attempts` may be raised.
    """
    free = {row.name: throughput_settings(row.configured.settings) for row in plan.rows}
    before, now = begun.as_mapping(), asked.as_mapping()
    now["models"] = _as_far_as_stated(before, now)
    for key in _MUST_MATCH:
        was, wanted = _comparable(key, before.get(key), free), _comparable(key, now.get(key), free)
        if was == wanted:
            continue
        if key == "models" and set(was or ()) != set(wanted):
            raise BadInput(_other_models(before, set(was or ()), set(wanted)))
        names = [key]
        while isinstance(was, dict) and isinstance(wanted, dict):
            differing = _first_said(
                [k for k in (*was, *wanted) if k not in was or k not in wanted or was[k] != wanted[k]]
            )
            names.append(str(differing))
            was, wanted = was.get(differing), wanted.get(differing)
        raise BadInput(_was_started_with(before, ".".join(names), was, wanted))
    _check_same_examples(begun, asked)
    was, wanted = before.get("max_attempts"), now.get("max_attempts")
    if isinstance(was, int) and isinstance(wanted, int) and wanted < was:
        raise BadInput(_was_started_with(before, "max_attempts", was, wanted) + " (it may be raised)")


def _first_said(differing: list[str]) -> str:
    """Of what differs, what the user has said, rather than what follows from it."""
    return next((key for key in _SAID if key in differing), differing[0])


def _check_same_examples(begun: Manifest, asked: Manifest) -> None:
    """Raise `BadInput` where an example shows other pixels than when the run was begun: of one wording there would be
    answers to two prompts."""
    for clip, entry in asked.examples.items():
        was = begun.examples.get(clip)
        if was is None or was.frames_sha256 != entry.frames_sha256:
            raise BadInput(
                f"run '{begun.run_id}' was begun with other frames of the example {printable(clip)}: bring back the "
                "media as it was, or choose another --run-id"
            )


def check_format(folder: Path, before: Manifest) -> None:
    """Raise `BadInput` for a run of another format than this version writes."""
    if before.format != FORMAT:
        raise BadInput(
            f"{folder / MANIFEST} is of format {before.format}, and this version goes on with {FORMAT}; "
            "resume the run with the version of ghostbench that began it, or start a new run"
        )


def check_unchanged(folder: Path, before: Manifest) -> None:
    """Raise `BadInput` naming a file that is not as the run left it when it ended; one that never ended has no say.

    A torn last line, as a kill leaves it, is cut off first.
    """
    if before.status == "complete" and check_seal(folder / MANIFEST) == "broken":
        raise BadInput(f"{folder / MANIFEST} was changed after the run ended; put it back, or start a new run")
    for name, sealed in before.digests.items():
        path = folder / name
        recover(path)
        if not path.is_file() or digest(path) != sealed:
            raise BadInput(f"{path} was changed after the run ended; put it back, or start a new run")


def changed_file(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Name of a file that a model says it was loaded from and that is not as before; None where all are.

    A model that states no files, before or now, has no say.
    """
    was, are = before.get("files"), now.get("files")
    if not isinstance(was, Mapping) or not isinstance(are, Mapping):
        return None
    return next((str(name) for name in sorted({*was, *are}, key=str) if was.get(name) != are.get(name)), None)


def what_was_done(attempts: Path, plan: Plan) -> dict[AskKey, Last]:
    """The state of every unit that the ledger speaks of; a torn last line is cut off first.

    Raises `BadInput` for a line that is none of the ledger's, cannot have been written after those before it, or is of
    a unit that the run does not have.
    """
    recover(attempts)
    return last_lines(_sound(attempts, plan))


def still_put_off(before: Manifest, done: Mapping[AskKey, Last]) -> Iterator[tuple[str, datetime]]:
    """Rows whose server asked for more time than has passed, with the latest moment (UTC) that it named.

    before : the manifest, as the run left it. done : what the ledger says of its units: a row that has stopped for
    nothing and waits for nothing is not asked again for what its server once put off.
    """
    waiting = {key.row for key, last in done.items() if last.outcome in TRANSIENT or last.outcome in NEVER_SENT}
    for row, entry in before.models.items():
        until = _moment(entry.put_off_until)
        if entry.stopped is None and row not in waiting:
            continue
        if until is not None and until > datetime.now(UTC):
            yield row, until


def restore(unit: Ask, last: Last | None, max_attempts: int) -> bool:
    """Put a unit where the ledger left it; True when nothing is left to do for it."""
    if last is None:
        return False
    ladder: tuple[Level, ...] = ladder_of(unit.row.configured)
    unit.attempts, unit.last, unit.lost = last.attempts, last.outcome, last.lost
    unit.standing = Standing.noted(last.fallback_level, last.notes)
    if last.outcome in TRANSIENT:
        unit.uncounted = last.attempts
        return False
    if last.outcome in NEVER_SENT:
        return last.attempts >= max_attempts
    failure = failure_from_ledger(last.outcome, last.error_type, refused_by_name(last.notes))
    step = next_step(
        failure,
        standing=unit.standing,
        attempts=unit.attempts,
        max_attempts=max_attempts,
        ladder=ladder,
        lost=unit.lost if last.outcome is Outcome.WORKER_LOST else 0,
    )
    unit.standing = step.standing
    return not step.again


def _sound(attempts: Path, plan: Plan) -> Iterator[AttemptLine]:
    """The ledger's lines, each held against the lines before it."""
    check = LineCheck.of(plan)
    for number, line in enumerate(read_records(attempts, AttemptLine, way_out=WAY_OUT), start=1):
        check(line, f"{attempts} line {number}")
        yield line


def _was_started_with(before: Mapping[str, Any], key: str, was: Any, wanted: Any) -> str:
    return (
        f"run '{before.get('run_id')}' was started with {printable(key)} = {_short(was)}, not {_short(wanted)}; "
        "resume it with its own settings, or choose another --run-id"
    )


def _other_models(before: Mapping[str, Any], were: set[str], wanted: set[str]) -> str:
    added, left_out = (", ".join(sorted(names)) for names in (wanted - were, were - wanted))
    how = [f"without {_short(added)}"] * bool(added) + [f"with {_short(left_out)} as well"] * bool(left_out)
    return (
        f"run '{before.get('run_id')}' was started {' and '.join(how)}; "
        "leave out --models to go on with the run's own, or choose another --run-id"
    )


def _as_far_as_stated(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked for now of each model, with the identity of before where one of the two states none: a run begun by
    an earlier version, or a model that could not be asked."""
    begun = before.get("models") or {}
    identities = {name: (begun.get(name) or {}).get("identity") for name in now["models"]}
    return {
        name: row
        if row["identity"] is not None and identities[name] is not None
        else {**row, "identity": identities[name]}
        for name, row in now["models"].items()
    }


def _comparable(key: str, value: Any, free: Mapping[str, frozenset[str]]) -> Any:
    if key == "dataset" and isinstance(value, dict):
        return {"annotated": [], **{k: v for k, v in value.items() if k not in _FREE_DATASET_KEYS}}
    if key == "models" and isinstance(value, dict):
        return {name: _model(row, free.get(name, frozenset())) for name, row in value.items()}
    return value


def _model(row: Any, free: frozenset[str]) -> Any:
    if not isinstance(row, dict):
        return row
    kept = {k: row.get(k) for k in _MODEL_KEYS}
    if isinstance(kept["settings"], dict):
        kept["settings"] = {k: v for k, v in kept["settings"].items() if k not in free}
    return kept


def _moment(text: object) -> datetime | None:
    """A moment as a manifest states it; None for anything else."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _short(value: Any) -> str:
    text = printable(_in_words(value))
    return text if len(text) <= 80 else text[:79] + "…"


def _in_words(value: Any) -> str:
    """A value as an option or a run file would have it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_in_words(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ",".join(map(_in_words, value)) or "none"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
