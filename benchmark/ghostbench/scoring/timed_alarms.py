"""Yardsticks of early warning that look at no frame: an alarm at a constant time, in every clip or by its category.

The time is never chosen with a clip's own label in view. For each clip it is the moment that would warn in most of the
*other* clips with a window, the earliest where several do: what somebody would set who knows the collection and not
the clip. From then on the alarm stays. A clip that is over by then has none, nor has any where no other clip has a
window. The row by category does so only where most other clips of the clip's accident category have the event, as
`category-prior` says: what a prompt that names the category would give away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from ghostbench.folder.lines import MomentLine
from ghostbench.folder.run_records import RunRecords
from ghostbench.outcomes import Outcome
from ghostbench.records import Grade
from ghostbench.scoring.references import predicted, repeats
from ghostbench.scoring.watched import asks_at_moments, moments_of, window_of

CONSTANT_TIME: Final = "constant-time"
CATEGORY_TIME: Final = "category-time"


def timed_rows(run: RunRecords, by_category: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The predictions of both yardsticks by name, like `run.predictions`; {} for a run that does not ask at moments.

    by_category : those of `category-prior`.
    """
    if not asks_at_moments(run.clips, run.manifest.task.moments_per_s):
        return {}
    times = constant_times(run.clips)
    everywhere = [True] * len(run.clips) * len(repeats(run))
    said = by_category.sort_values(["repeat", "at"])["grade"] == "ghost_probing"
    return {
        CONSTANT_TIME: _row(run, CONSTANT_TIME, times, everywhere),
        CATEGORY_TIME: _row(run, CATEGORY_TIME, times, said.to_list()),
    }


def constant_times(clips: pd.DataFrame) -> list[float | None]:
    """For each clip the moment, seconds, that lies in most windows of the others; None where no other has a window."""
    within: list[list[float]] = []
    for _, clip in clips.iterrows():
        start_s, event_s, _ = window_of(clip)
        asked = moments_of(clip["questions"])
        event = clip["truth"] == "ghost_probing" and start_s is not None and event_s is not None
        # As `Watched.has_window` has it: a window that is open at the first moment tells nothing.
        open_later = event and bool(asked) and start_s is not None and asked[0] < start_s
        within.append([m for m in asked if open_later and start_s is not None and start_s <= m <= (event_s or 0.0)])
    counted = Counter(moment for moments in within for moment in moments)
    found: list[float | None] = []
    for moments in within:
        others = Counter(counted)
        others.subtract(moments)
        best = max(others.values(), default=0)
        found.append(min(moment for moment, count in others.items() if count == best) if best > 0 else None)
    return found


def _row(run: RunRecords, name: str, times: Sequence[float | None], alarms: Sequence[bool]) -> pd.DataFrame:
    asked = [moments_of(questions) for questions in run.clips["questions"]] * len(repeats(run))
    grades: list[Any] = []
    moments: list[tuple[MomentLine, ...] | None] = []
    for clip, time_s, alarm in zip(asked, [*times] * len(repeats(run)), alarms, strict=True):
        said = tuple(_moment(moment, alarm=alarm and time_s is not None and moment >= time_s) for moment in clip)
        grades.append("ghost_probing" if any(line.grade == "ghost_probing" for line in said) else "normal")
        moments.append(said or None)
    return predicted(run, name, grades=grades, scores=[None] * len(grades), moments=moments)


def _moment(moment_s: float, *, alarm: bool) -> MomentLine:
    grade: Grade = "ghost_probing" if alarm else "normal"
    return MomentLine(moment_s=moment_s, grade=grade, score=None, outcome=Outcome.ANSWERED)
