"""Which clips show the scene of another one: twins, which differ in one thing and share road, houses and noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ghostbench.datasets.annotations.join import Source, joined
from ghostbench.datasets.clip_ids import clip_id
from ghostbench.records import Clip


def twins_of(names: Sequence[str], clips: Sequence[Clip], sources: Sequence[Source]) -> dict[str, str]:
    """The ids of the clips that show the scene of one of those named, each with the id of that one.

    names : ids, or files, as a user writes them; those named are no twins of themselves. clips : all that may be meant.
    sources : what else is known of them; files that find their rows by frames know of no twins, and are passed over.

    Raises `ValueError` for a name that is no clip's id.
    """
    wanted = {clip_id(name) for name in names}
    if not wanted:
        return {}
    known = list(clips)
    for source in sources:
        if not source.file.by_frames:
            known, _ = joined(known, source, None)
    scenes = {scene: clip.id for clip in known if clip.id in wanted and (scene := _scene(clip.parameters)) is not None}
    return {
        clip.id: scenes[scene]
        for clip in known
        if clip.id not in wanted and (scene := _scene(clip.parameters)) in scenes and scene is not None
    }


def _scene(parameters: Mapping[str, Any]) -> str | None:
    """The scene of a clip that has twins. Other data sets may say "urban" there, and then nothing of twins."""
    scene, twin = parameters.get("scene"), parameters.get("twin")
    return None if scene is None or twin is None else str(scene)
