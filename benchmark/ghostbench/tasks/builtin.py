"""The tasks that come with ghostbench."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench.plugins.hookspecs import TaskSpec, hookimpl


@hookimpl
def register_tasks(register: Callable[[TaskSpec], None]) -> None:
    """Register the tasks that come with ghostbench."""
    register(
        TaskSpec(
            name="ghost-probing",
            load="ghostbench.tasks.ghost_probing:GhostProbing",
            summary="one of three grades for a clip, as JSON, with time, actor, occluder and evidence",
        )
    )
    register(
        TaskSpec(
            name="ghost-probing-summary",
            load="ghostbench.tasks.summary:GhostProbingSummary",
            summary="the older action summary: JSON whose free-text key_actions says what happens",
        )
    )
    register(
        TaskSpec(
            name="ghost-probing-zh",
            load="ghostbench.tasks.written_task:GhostProbingZh",
            summary="ghost-probing asked in Chinese (鬼探头), with the same grades and the same schema",
        )
    )
    register(
        TaskSpec(
            name="ghost-warning",
            load="ghostbench.tasks.ghost_warning:GhostWarning",
            summary="early warning: at moments, with what was seen until then, whether to warn now",
        )
    )
