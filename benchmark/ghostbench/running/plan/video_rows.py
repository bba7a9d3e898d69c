"""Rows of models that see a clip's own video: what they can be asked, and what is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ghostbench.errors import BadInput
from ghostbench.media.own_file import has_video
from ghostbench.models import RemoteModel
from ghostbench.plugins.text import printable
from ghostbench.records import Clip
from ghostbench.running.plan.contenders import Contender
from ghostbench.tasks.base import Task


def video_wording(
    rows: Sequence[Contender], task: Task, probes: Collection[str], variants: Collection[str]
) -> Task | None:
    """The wording in which the rows are asked that see the video; None where there is no such row.

    Raises `BadInput` for what says nothing true of such a row: moments, probes on frames, tasks and variants that have
    no words for a video, and a substitute that sees other than the row that it stands in for.
    """
    seeing = next((row for row in rows if row.sees_video), None)
    if seeing is None:
        return None
    who = f"model '{printable(seeing.name)}' sees the video, not the frames"
    out = "leave it out, or run it by itself without"
    for row in rows:
        main = next((each for each in rows if row.substitute and each.name == row.of), row)
        if row.looks and main.looks and row.sees_video != main.sees_video:
            raise BadInput(
                f"row '{printable(row.name)}' would have answers to the video among answers to the frames; name a "
                f"substitute that sees what '{printable(main.name)}' sees"
            )
    if task.at_moments:
        raise BadInput(
            f"{who}: task '{printable(task.name)}' asks at moments, and a video shows what comes after; leave it out"
        )
    if probes:
        raise BadInput(
            f"{who}: --probe {printable(','.join(probes))} would change frames that it is not shown; {out} --probe"
        )
    if variants:
        raise BadInput(f"{who}: --variants {printable(','.join(variants))} have no words for a video; {out} --variants")
    wording = task.in_video()
    if wording is None:
        raise BadInput(
            f"{who}: task '{printable(task.name)}' has no words for a video; write some into a task file, under video"
        )
    same = isinstance(wording, Task) and all(
        getattr(wording, field) == getattr(task, field)
        for field in ("name", "version", "schema", "at_moments", "max_output_tokens")
    )
    if not same or wording.template_sha256() == task.template_sha256():
        raise BadInput(
            f"the words for a video of task '{printable(task.name)}' must be of the same name, version and schema in "
            "other words; repair the task"
        )
    return wording


def check_videos(rows: Sequence[Contender], clips: Sequence[Clip]) -> None:
    """Raise `BadInput` where a row sees the video and clips have none, or where its requests would go by the file."""
    for row in rows:
        if not row.sees_video:
            continue
        model = row.configured.model
        if isinstance(model, RemoteModel) and model.batched:
            raise BadInput(
                f"model '{printable(row.name)}' sees the video, which no batch interface takes; leave that out"
            )
        framed = [clip for clip in clips if clip.media is not None and not has_video(clip.media)]
        if framed:
            raise BadInput(
                f"model '{printable(row.name)}' sees the video, and {len(framed)} of {len(clips)} clips are frames "
                f"without one, such as {printable(framed[0].id)}: give it video files, or leave the model out"
            )
