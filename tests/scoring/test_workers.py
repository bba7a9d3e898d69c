"""What each worker of a model did: by the time in which the model was at work, whenever that was."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ghostbench.scoring.account import workers


def attempts(*told: tuple[str, int, float]) -> list[dict[str, Any]]:
    """Answered attempts of two seconds: by whom, of which clip, begun at which second of a day."""
    return [
        {
            "started_at": (pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(seconds=begun_s)).isoformat(),
            "queue_s": 0.0,
            "wall_s": 2.0,
            "outcome": "answered",
            "worker": worker,
            "clip": str(clip),
            "repeat": 0,
            "moment_s": None,
        }
        for worker, clip, begun_s in told
    ]


AT_ONCE = [("m#1", 1, 0.0), ("m#2", 2, 0.0), ("m#1", 3, 2.0), ("m#2", 4, 2.0)]


def test_a_run_that_was_gone_on_with_days_later_took_its_workers_no_days() -> None:
    whole = workers(pd.DataFrame(attempts(*AT_ONCE)))
    assert whole is not None
    assert whole["by_name"]["m#1"] == {"attempts": 2, "answered": 2, "clips_per_s": 0.5, "ended_s": 4.0}
    later = [(worker, clip, begun_s + (3 * 86_400 if clip > 2 else 0)) for worker, clip, begun_s in AT_ONCE]
    assert workers(pd.DataFrame(attempts(*later))) == whole
    # Lines stand in the order in which attempts ended, and in a merged run shard by shard.
    assert workers(pd.DataFrame(attempts(*reversed(later)))) == whole


def test_who_has_nothing_left_while_another_works_is_idle() -> None:
    told = workers(pd.DataFrame(attempts(*AT_ONCE, ("m#1", 5, 4.0), ("m#1", 6, 86_400.0))))
    assert told is not None
    assert {name: share["ended_s"] for name, share in told["by_name"].items()} == {"m#1": 8.0, "m#2": 4.0}
    assert told["idle_at_the_end"] == pytest.approx(0.25)
