"""What the replicas of one model tell of themselves, as one model's facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ghostbench.errors import Unavailable


def facts_of_all(facts: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first replica's facts, with what others tell otherwise under `by_worker`.

    facts : of each replica that could be loaded, by its worker's name; at least one. The fact `warm_up_s` names the
    worker before each device.

    Raises `Unavailable` where two were loaded from different files: one row would hold two models' answers.

    >>> facts_of_all({"m#1": {"dtype": "half", "load_s": 1.0}, "m#2": {"dtype": "half", "load_s": 2.0}})
    {'dtype': 'half', 'load_s': 1.0, 'replicas': 2, 'by_worker': {'m#2': {'load_s': 2.0}}}
    """
    plain = {worker: dict(each or {}) for worker, each in facts.items()}
    first = next(iter(plain.values()))
    for worker, each in plain.items():
        if each.get("files") != first.get("files"):
            raise Unavailable(f"its replica {worker} was loaded from other files than the first one")
    told = {**first, "replicas": len(plain)}
    differs = {
        worker: {name: value for name, value in each.items() if first.get(name) != value and name != "warm_up_s"}
        for worker, each in plain.items()
    }
    if any(differs.values()):
        told["by_worker"] = {worker: each for worker, each in differs.items() if each}
    if any("warm_up_s" in each for each in plain.values()):
        told["warm_up_s"] = {
            f"{worker} {device}".strip(): seconds
            for worker, each in plain.items()
            for device, seconds in _by_device(each.get("warm_up_s")).items()
        }
    return told


def _by_device(seconds: object) -> Mapping[str, object]:
    if isinstance(seconds, Mapping):
        return seconds
    return {} if seconds is None else {"": seconds}
