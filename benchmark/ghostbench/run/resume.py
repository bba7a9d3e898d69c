"""Going on with a run: what must be the same, and what the ledger says has been done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.models import Level
from ghostbench.outcomes import NEVER_SENT
from ghostbench.plugins.registry import printable
from ghostbench.run.ledger import read_lines, recover
from ghostbench.run.manifest import file_sha256
from ghostbench.run.plan import Plan
from ghostbench.run.policy import failure_from_ledger, next_step, put_off_until
from ghostbench.run.predictions import Last, last_lines
from ghostbench.run.predictions import Unit as UnitKey
from ghostbench.run.seal import check_seal
from ghostbench.run.units import Unit, ladder_of

_MUST_MATCH = ("dataset", "task", "sampling", "repeats", "seed", "max_attempts", "probes", "models")
_FREE_DATASET_KEYS = ("data_root", "labels")
_MODEL_KEYS = ("spec", "argument", "settings", "probe", "of", "substitute")


def check_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `BadInput` naming the first setting in which a run's manifest differs from what is asked for now.

    Where files lie may change, their contents may not; `--max-cost` may change.
    """
    for key in _MUST_MATCH:
        was, wanted = _comparable(key, before.get(key)), _comparable(key, now.get(key))
        if was == wanted:
            continue
        part = ""
        if isinstance(was, dict) and isinstance(wanted, dict):
            names = [k for k in (*was, *wanted) if was.get(k) != wanted.get(k)]
            part = f".{names[0]}"
            was, wanted = was.get(names[0]), wanted.get(names[0])
        raise BadInput(
            f"run '{before.get('run_id')}' was started with {key}{part} = {_short(was)}, not {_short(wanted)}; "
            "resume it with its own settings, or choose another --run-id"
        )


def check_unchanged(folder: Path, before: Mapping[str, Any]) -> None:
    """Raise `BadInput` naming a file that is not as the run left it when it ended; one that never ended has no say.

    A torn last line, as a kill leaves it, is cut off first.
    """
    if before.get("status") == "complete" and check_seal(folder / "manifest.json") == "broken":
        raise BadInput(f"{folder / 'manifest.json'} was changed after the run ended; put it back, or start a new run")
    for name, digest in (before.get("digests") or {}).items():
        path = folder / name
        recover(path)
        if not path.is_file() or file_sha256(path) != digest:
            raise BadInput(f"{path} was changed after the run ended; put it back, or start a new run")


def changed_file(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Name of a file that a model says it was loaded from and that is not as before; None where all are.

    A model that states no files, before or now, has no say.
    """
    was, are = before.get("files"), now.get("files")
    if not isinstance(was, Mapping) or not isinstance(are, Mapping):
        return None
    return next((str(name) for name in sorted({*was, *are}, key=str) if was.get(name) != are.get(name)), None)


def what_was_done(attempts: Path, plan: Plan) -> dict[UnitKey, Last]:
    """The state of every unit that the ledger speaks of; a torn last line is cut off first.

    Raises `BadInput` for a line that is none of the ledger's, or of a unit that the run does not have.
    """
    recover(attempts)
    done = last_lines(read_lines(attempts))
    rows, clips = {row.name for row in plan.rows}, {clip.id for clip in plan.split.clips}
    for row, clip, repeat in done:
        if row not in rows or clip not in clips or repeat not in range(plan.options.repeats):
            what = printable(f"model {row}, clip {clip}, repeat {repeat}")
            raise BadInput(
                f"{attempts} has a line of {what}, which run '{plan.run_id}' does not have; "
                "put the ledger back as it was, or start a new run"
            )
    return done


def still_put_off(done: Mapping[UnitKey, Last], before: Mapping[str, Any]) -> Iterator[tuple[str, datetime]]:
    """Rows whose server asked for more time than has passed, with the latest moment (UTC) that it named.

    before : the manifest, as the run left it.
    """
    named: dict[str, list[datetime | None]] = {}
    for (row, _, _), last in done.items():
        named.setdefault(row, []).append(put_off_until(last.error_message))
    for row, entry in before.get("models", {}).items():
        named.setdefault(row, []).append(put_off_until((entry.get("stopped") or {}).get("message")))
    for row, moments in named.items():
        until = max((moment for moment in moments if moment is not None), default=None)
        if until is not None and until > datetime.now(UTC):
            yield row, until


def restore(unit: Unit, last: Last | None, max_attempts: int) -> bool:
    """Put a unit where the ledger left it; True when nothing is left to do for it."""
    if last is None:
        return False
    ladder: tuple[Level, ...] = ladder_of(unit.row.host)
    unit.attempts, unit.level, unit.last = last.attempts, last.fallback_level, last.outcome
    if last.outcome in NEVER_SENT:
        return last.attempts >= max_attempts
    failure = failure_from_ledger(last.outcome, last.error_type)
    step = next_step(failure, level=unit.level, attempts=unit.attempts, max_attempts=max_attempts, ladder=ladder)
    unit.level = step.level
    return not step.again


def _comparable(key: str, value: Any) -> Any:
    if key == "dataset" and isinstance(value, dict):
        return {k: v for k, v in value.items() if k not in _FREE_DATASET_KEYS}
    if key == "models" and isinstance(value, dict):
        return {name: {k: row.get(k) for k in _MODEL_KEYS} for name, row in value.items()}
    return value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"
