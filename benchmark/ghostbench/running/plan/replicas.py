"""How many replicas of each local model a run has, under which settings, and on which GPUs of this machine."""

from __future__ import annotations

import math
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ghostbench.errors import BadInput
from ghostbench.models import LocalModel, Model, Resources
from ghostbench.plugins.choose import Choice
from ghostbench.plugins.registry import printable
from ghostbench.running.plan.placement import Place
from ghostbench.running.rules.replies import in_words

MOST_REPLICAS = 4096
_SEEN = "CUDA_VISIBLE_DEVICES"
_NUMBER = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica. name : of its worker, for the ledger. gpus : as CUDA is to see them; None: as this process does."""

    name: str
    settings: Any
    gpus: tuple[str, ...] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What is set where it lives."""
        return {} if self.gpus is None else {_SEEN: ",".join(self.gpus)}


class Replicable(Protocol):
    """A configured model, as far as its replicas are concerned."""

    choice: Choice
    model: Model | None
    broken: str | None
    resources: Resources
    replicas: tuple[Replica, ...]


def plan_replicas(configured_models: Mapping[str, Replicable], given: Sequence[str], place: Place) -> None:
    """Give each local model its replicas. given : `MODEL=N` each. place : where they are to live.

    Raises `BadInput` for what does not fit this machine, or is no such thing.
    """
    wanted = _wanted(configured_models, given)
    for row, configured in configured_models.items():
        if isinstance(configured.model, LocalModel):
            try:
                configured.resources = configured.model.resources() or configured.choice.spec.resources
                configured.replicas = _replicas(
                    row, configured.model.replicas(), configured.resources, wanted.get(row), place
                )
            except (BadInput, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - a stranger's code may raise anything
                configured.model, configured.broken = None, printable(in_words(error) or type(error).__name__)
        elif row in wanted and configured.model is not None:
            raise BadInput(f"--replicas {row}={wanted[row]}: only models that are computed here have replicas")


def _wanted(configured_models: Mapping[str, Replicable], given: Sequence[str]) -> dict[str, int]:
    wanted = {}
    for text in given:
        row, equals, number = text.rpartition("=")
        if not equals or not _NUMBER.fullmatch(number) or not 1 <= int(number) <= MOST_REPLICAS:
            raise BadInput(f"--replicas '{printable(text)}' is not of the form MODEL=N, N from 1 to {MOST_REPLICAS}")
        if row not in configured_models:
            raise BadInput(f"--replicas '{printable(text)}': this run has no model '{printable(row)}'")
        wanted[row] = int(number)
    return wanted


def _replicas(
    row: str, named: Sequence[Any], needs: Resources, wanted: int | None, place: Place
) -> tuple[Replica, ...]:
    own = tuple(named)
    if not own:
        raise ValueError("its settings ask for no replica at all")
    count = wanted or len(own)
    if len(own) > 1 and count != len(own):
        raise BadInput(f"--replicas {row}={count}, and its settings ask for {len(own)}; leave one of them out")
    if len(own) > 1 and place == "ray":
        raise BadInput(f"the settings of {row} name devices of this machine; on Ray say --replicas {row}={len(own)}")
    if count == 1:
        return (Replica(row, own[0]),)
    names = [f"{row}#{number}" for number in range(1, count + 1)]
    if place != "ray":
        _check_memory(row, needs, count)
    if len(own) > 1:
        return tuple(map(Replica, names, own))
    if place == "process" and needs.gpus:
        shares = _shares(row, needs.gpus, count)
        return tuple(Replica(name, own[0], share) for name, share in zip(names, shares, strict=True))
    if place == "thread" and needs.gpus:
        raise BadInput(f"--replicas {row}={count}: threads cannot be given GPUs of their own; use --on process")
    return tuple(Replica(name, own[0]) for name in names)


def _shares(row: str, gpus: float, count: int) -> list[tuple[str, ...]]:
    """Which GPUs each replica gets. Raises `BadInput` where there are too few."""
    seen = visible_gpus()
    on_one = max(1, math.floor(1 / gpus)) if gpus < 1 else 1
    each = max(1, int(gpus))
    needed = math.ceil(count / on_one) * each
    if needed > len(seen):
        raise BadInput(
            f"--replicas {row}={count} needs {needed} GPUs, and this machine has {len(seen) or 'none'}; ask for fewer"
        )
    return [tuple(seen[number // on_one * each :][:each]) for number in range(count)]


def visible_gpus() -> list[str]:
    """This machine's GPUs as CUDA names them: those that the environment leaves, else all that the driver tells of."""
    if (told := os.environ.get(_SEEN)) is not None:
        return [name for name in map(str.strip, told.split(",")) if name and name != "-1"]
    try:
        words = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
        count = len(done.stdout.split()) if done.returncode == 0 else 0
    except (OSError, subprocess.TimeoutExpired):
        count = len([path for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit()])
    return [str(number) for number in range(count)]


_MOST_A_CORE = 16
"""Replicas for each processor core of this machine, at most."""


def _check_memory(row: str, needs: Resources, count: int) -> None:
    import psutil

    cores = psutil.cpu_count() or 1
    if count > _MOST_A_CORE * cores:
        raise BadInput(f"{count} replicas of {row} are too many for the {cores} processor cores here; ask for fewer")
    there = int(psutil.virtual_memory().total)
    if needs.memory_bytes * count > there:
        raise BadInput(
            f"{count} replicas of {row} take {needs.memory_bytes * count / 2**30:.3g} GiB, and this machine has "
            f"{there / 2**30:.3g}; ask for fewer"
        )
