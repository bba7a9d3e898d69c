"""Which models may have taken a run's process down before, and are therefore asked after all the others.

Whoever's request was under way when the process ended is under suspicion. What the others answer, and what it costs, is
on disk before a suspect is loaded again. The suspect that lost least comes first, and the very requests that were under
way come last and one by one: the innocent are cleared, and what does it twice is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ghostbench.folder.begun import Lost
from ghostbench.outcomes import Outcome
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.plan import Plan
from ghostbench.running.rules.predictions import AskKey, Last


def suspects_of(plan: Plan, done: Mapping[AskKey, Last], lost: Lost) -> list[ConfiguredModel]:
    """The models under suspicion, in the order in which they are to be asked."""
    counts = Counter(lost.loading)
    for key, last in done.items():
        counts[key.row] += last.lost
    by_model = {
        configured: sum(counts[row.name] for row in plan.rows if row.configured is configured)
        for configured in plan.configured_models
    }
    return sorted(
        (configured for configured, count in by_model.items() if count), key=lambda configured: by_model[configured]
    )


def struck(last: Last | None) -> bool:
    """Whether the last thing known of a unit is that it was under way when the process ended."""
    return last is not None and last.outcome is Outcome.WORKER_LOST
