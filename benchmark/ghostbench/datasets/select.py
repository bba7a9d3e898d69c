"""Chooses the clips of a run: dataset, labels, split and filters in, one `Split` out."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.datasets import storage
from ghostbench.datasets.annotations.join import Source, joined
from ghostbench.datasets.clip_ids import clip_id, composed
from ghostbench.datasets.definition import Definition, find_definition
from ghostbench.datasets.labels import Labels, read_labels
from ghostbench.datasets.layouts import Where, check_root, find_media
from ghostbench.datasets.listing import Told, silently
from ghostbench.datasets.location import Location
from ghostbench.datasets.query import ALL, LABELS_VARIABLE, ROOT_VARIABLE, SplitQuery
from ghostbench.datasets.scenes import twins_of
from ghostbench.datasets.shards import parse_shard, shard_of, split_sha256
from ghostbench.datasets.splits import read_ids
from ghostbench.errors import BadInput
from ghostbench.plugins import registry
from ghostbench.records import Clip, Split

TWIN = "twin of the example"
"""How the reason begins against a clip that shows the scene of an example; the example's id follows."""
_LABELS_BESIDE = ("labels.csv", "labels.tsv")
_MEDIA_FOLDERS = ("clips", "videos", "frames")


class CountFrames(Protocol):
    """Says when each frame of a clip's media is shown, as `ghostbench.media.count.frame_times` does."""

    def __call__(self, media: str, credentials: Credentials) -> tuple[float, ...]:
        """The times, seconds from the clip's start."""


def with_environment(query: SplitQuery) -> SplitQuery:
    """The query with the data root and labels of GHOSTBENCH_DATA_ROOT and GHOSTBENCH_LABELS, each where neither the
    query nor its dataset names one. Raises `BadInput` as `find_definition` does."""
    root, labels = os.environ.get(ROOT_VARIABLE), os.environ.get(LABELS_VARIABLE)
    if not root and not labels:
        return query
    definition = find_definition(query.dataset)
    own_root, own_labels = query.data_root or definition.root, query.labels or definition.labels
    return dataclasses.replace(
        query,
        data_root=query.data_root if own_root else root or None,
        labels=query.labels if own_labels else labels or None,
    )


def select(
    query: SplitQuery,
    *,
    media: bool = True,
    told: Told = silently,
    frame_times: CountFrames | None = None,
    leave_out: Mapping[str, str] | None = None,
    shown: Sequence[str] = (),
    without_twins: Sequence[str] = (),
) -> Split:
    """The clips of a run, after the filters in the order split, clips, only-available, limit, left out, shard.

    Media is looked for once, here, for the clips that are left: a clip without it has `media` None, and so has every
    clip where no data root is known, or with `media` false, where nobody needs frames and no filter asks for them
    (a data root that the user names must be there all the same).
    told : hears of the folders listed and to be listed, where that takes long.
    frame_times : counts the frames of clips for annotations by frame number; None leaves those unverified.
    leave_out : ids of clips that are to be left out, each with the reason; the split states those that it had.
    shown : ids of clips whose media is needed besides, since they are shown as examples: whatever the filters leave.
    without_twins : ids of clips whose twins are left out as well, since they show the same scene.

    A split list that states SHA-256 digests has them checked when a clip is decoded (`decode_failed` where they
    differ), so that models which need no frames need no media either. `Split.data_root` is the root in use, the
    dataset's own included, local paths absolute, so that a report can find the media again.

    Raises `BadInput` for everything that is wrong with the query, its files, or a result without clips.
    """
    if query.limit is not None and query.limit < 1:
        raise BadInput(f"--limit {query.limit}: must be 1 or more")
    if query.shard is not None:
        parse_shard(query.shard)
    definition = find_definition(query.dataset)
    where = _where(query, definition)
    labels = _labels(query, definition, where)
    filters: list[str] = []
    clips, digests = _split(query, definition, labels, filters)
    if query.clips is not None:
        clips = matching(query.clips, clips, filters)
    if query.only_available:
        clips = _available(_with_media(clips, where, digests, told), where, filters)
    if query.limit is not None and query.limit < len(clips):
        clips = clips[: query.limit]
        filters.append(f"limit={query.limit}")
    sources = _annotations(query, definition)
    reasons = {**_twins(without_twins, clips, labels, sources), **(leave_out or {})}
    clips, left_out = _without(reasons, clips, filters)
    if (media or any(source.file.by_frames for source in sources)) and not query.only_available:
        clips = _with_media(clips, where, digests, told)
    elif where is not None and query.data_root is not None and not query.only_available:
        check_root(where)
    examples = _examples(shown, clips, where, digests)
    credentials = NO_CREDENTIALS if where is None else where.root.credentials
    counting = None if frame_times is None else partial(frame_times, credentials=credentials)
    annotations = []
    for source in sources:
        clips, account = joined(clips, source, counting)
        annotations.append(account)
    split = Split(
        dataset=definition.name,
        name=query.split,
        clips=tuple(clips),
        labels_sha256=labels.sha256,
        split_sha256=split_sha256(clips),
        filters=tuple(filters),
        skipped_labels=labels.skipped,
        data_root=None if where is None else str(where.root),
        credentials=credentials,
        layout=definition.layout,
        fps=definition.fps,
        annotations=tuple(annotations),
        left_out=left_out,
        examples=examples,
    )
    return split if query.shard is None else shard_of(split, query.shard)


def _annotations(query: SplitQuery, definition: Definition) -> list[Source]:
    """Every annotation file, those of the command line first."""
    option = "--annotations"
    places = [storage.accept(location, option) for location in query.annotations]
    own = [definition.annotations] if isinstance(definition.annotations, str) else definition.annotations
    way_out = f"give the file with {option}"
    places += [definition.place("annotations", named, way_out, _given_folders(query)) for named in own]
    return [Source.read(place) for place in places]


def _where(query: SplitQuery, definition: Definition) -> Where | None:
    """Where the media is, None where nobody says."""
    root, within = None, None
    if query.data_root is not None:
        root = storage.accept(query.data_root, "--data-root")
    elif definition.root is not None:
        root = definition.place("root", definition.root, "give the folder or URL of the media with --data-root")
        within = definition.within
    return Where(root=root, layout=definition.layout, fps=definition.fps, within=within) if root is not None else None


def _given_folders(query: SplitQuery) -> list[str]:
    """The local data root of the command line: a dataset's file may name what lies there."""
    root = None if query.data_root is None else storage.accept(query.data_root, "--data-root")
    return [root.shown] if root is not None and root.is_local else []


def _labels(query: SplitQuery, definition: Definition, where: Where | None) -> Labels:
    if query.labels is not None:
        location = storage.accept(query.labels, "--labels")
    elif definition.labels is not None:
        way_out = "give the label file with --labels"
        location = definition.place("labels", definition.labels, way_out, _given_folders(query))
    else:
        beside = labels_beside(where) if where is not None else None
        if beside is None:
            sought = f" and {where.root} has no labels.csv beside its media" if where is not None else ""
            raise BadInput(f"dataset {definition.name} comes without labels{sought}; give a label file with --labels")
        location = beside
    data = storage.read_whole(location, "label file")
    return read_labels(data, f"label file {location}", skip_bad=query.skip_bad_labels)


def labels_beside(where: Where) -> Location | None:
    """A label file in the data root, or next to it where the root is the media folder itself. Raises `BadInput`."""
    root = where.root
    folders = [root]
    parent, _, name = root.shown.rstrip("/").rpartition("/")
    if name in _MEDIA_FOLDERS and parent:
        folders.append(Location(parent, root.credentials))
    for folder in folders:
        try:
            listing = storage.list_folder(folder, within=where.within) or {}
        except Exception as error:  # noqa: BLE001 - each storage package has exceptions of its own
            raise BadInput(
                f"data root {root}: {storage.reason_of(error, root.credentials)}; check path and credentials"
            ) from None
        for name in _LABELS_BESIDE:
            if listing.get(name) == "file":
                return folder.join(name)
    return None


def _with_media(clips: list[Clip], where: Where | None, digests: Mapping[str, str | None], told: Told) -> list[Clip]:
    """The clips with the place of their media, as far as there is any."""
    if where is None:
        return clips
    ids = [clip.id for clip in clips]
    media = find_media(where.root, ids, layout=where.layout, fps=where.fps, within=where.within, told=told)
    _no_media_twice({clip: str(place) for clip, place in media.items()})
    return [
        dataclasses.replace(clip, media=str(dataclasses.replace(media[clip.id], sha256=digests.get(clip.id))))
        if clip.id in media
        else clip
        for clip in clips
    ]


def _split(
    query: SplitQuery, definition: Definition, labels: Labels, filters: list[str]
) -> tuple[list[Clip], dict[str, str | None]]:
    """The named split's clips, and the digests that its list states."""
    if query.split == ALL:
        return list(labels.clips), {}
    if query.split not in definition.splits:
        known = ", ".join([ALL, *sorted(definition.splits)])
        raise BadInput(f"unknown split '{registry.printable(query.split)}' of {definition.name}; known: {known}")
    source = f"split {query.split}"
    way_out = "give the list with --clips @FILE"
    listed = definition.place(f"splits.{query.split}", definition.splits[query.split], way_out, _given_folders(query))
    digests = read_ids(listed, source)
    by_id = {clip.id: clip for clip in labels.clips}
    left_out = [name for name in digests if name not in by_id and name in labels.skipped_ids]
    unlabelled = [name for name in digests if name not in by_id and name not in labels.skipped_ids]
    if unlabelled:
        raise BadInput(
            f"{source}: {len(unlabelled)} of its {len(digests)} clips have no label (first: {unlabelled[0]}); "
            "give the label file that covers the split with --labels"
        )
    if left_out:
        filters.append(f"bad labels: {len(left_out)} of {len(digests)} left out")
    return _not_empty([by_id[name] for name in digests if name in by_id], source), digests


def matching(pattern: str, clips: Sequence[Clip], filters: list[str]) -> list[Clip]:
    """The clips of a glob over ids, or of "@FILE"; what was chosen by is added to `filters`. Raises `BadInput`."""
    chosen: Callable[[str], bool]
    if pattern.startswith("@"):
        ids = read_ids(storage.accept(pattern[1:], "--clips"), "--clips")
        inside = {clip.id for clip in clips}
        outside = [name for name in ids if name not in inside]
        if outside:
            raise BadInput(f"--clips {pattern}: '{outside[0]}' is not in the split; correct the list or the split")
        chosen = ids.__contains__
    else:

        def chosen(name: str) -> bool:
            return fnmatch.fnmatchcase(name, composed(pattern))

    kept = [clip for clip in clips if chosen(clip.id)]
    filters.append(f"clips={storage.without_credentials(pattern)}")
    example = clips[0].id
    return _not_empty(kept, f"--clips {registry.printable(pattern)}", f"; ids look like '{example}'")


def _available(clips: list[Clip], where: Where | None, filters: list[str]) -> list[Clip]:
    if where is None:
        raise BadInput("--only-available: no data root is known; give the media's folder with --data-root")
    kept = [clip for clip in clips if clip.media is not None]
    filters.append(f"only-available: {len(kept)} of {len(clips)}")
    return _not_empty(kept, "--only-available", f"; {where.root} holds no media of these clips, check --data-root")


def _twins(names: Sequence[str], clips: Sequence[Clip], labels: Labels, sources: Sequence[Source]) -> dict[str, str]:
    """Those of the clips that are twins of clips named, each with the reason against it."""
    try:
        found = twins_of(names, labels.clips, sources)
    except ValueError as error:
        raise BadInput(f"a clip to be left out: {registry.printable(str(error))}") from None
    return {clip.id: f"{TWIN} {found[clip.id]}" for clip in clips if clip.id in found}


def _without(reasons: Mapping[str, str], clips: list[Clip], filters: list[str]) -> tuple[list[Clip], dict[str, str]]:
    """The clips but for those that have a reason against them, and those with their reasons."""
    try:
        reasons = {clip_id(name): reason for name, reason in reasons.items()}
    except ValueError as error:
        raise BadInput(f"a clip to be left out: {registry.printable(str(error))}") from None
    left_out = {clip.id: reasons[clip.id] for clip in clips if clip.id in reasons}
    alike = {_loosely(clip.id): clip.id for clip in clips}
    for name in reasons:
        meant = alike.get(_loosely(name))
        if meant is not None and name not in left_out:
            raise BadInput(
                f"{reasons[name]}: the clip {registry.printable(name)} is not in the dataset, and "
                f"{registry.printable(meant)} is: write its id as the dataset does"
            )
    if left_out:
        filters.append(f"left out: {len(left_out)} of {len(clips)}")
        clips = _not_empty([clip for clip in clips if clip.id not in left_out], "the examples of the wordings")
    return clips, left_out


def _examples(
    shown: Sequence[str], clips: Sequence[Clip], where: Where | None, digests: Mapping[str, str | None]
) -> dict[str, str]:
    """Where the media of each clip is that is shown as an example. Raises `BadInput` where there is none, and where it
    is that of a clip which is asked about."""
    ids = list(dict.fromkeys(map(clip_id, shown)))
    if not ids:
        return {}
    if where is None:
        raise BadInput(f"the frames of the example {registry.printable(ids[0])} are shown; say where with --data-root")
    media = find_media(where.root, ids, layout=where.layout, fps=where.fps, within=where.within)
    for name in ids:
        if name not in media:
            raise BadInput(
                f"the frames of the example {registry.printable(name)} are shown, and {where.root} holds no media of "
                "it: bring it there, or name another clip in the task file"
            )
    asked = {clip.id: storage.Media.parse(clip.media).location for clip in clips if clip.media is not None}
    _no_media_twice({**asked, **{name: media[name].location for name in ids}})
    return {name: str(dataclasses.replace(media[name], sha256=digests.get(name))) for name in ids}


def _loosely(name: str) -> str:
    """A clip's id without its case and a file's ending."""
    stem, dot, ending = name.rpartition(".")
    return (stem if dot and ending.isalnum() and len(ending) <= 4 else name).casefold()


def _no_media_twice(places: Mapping[str, str]) -> None:
    """Raise `BadInput` where two ids lead to the same media: one clip would count twice."""
    owner: dict[str, str] = {}
    for clip, place in places.items():
        if owner.setdefault(place, clip) != clip:
            raise BadInput(f"clips {owner[place]} and {clip} are the same media; keep one of them in the label file")


def _not_empty(clips: list[Clip], what: str, way_out: str = "") -> list[Clip]:
    if not clips:
        raise BadInput(f"{what}: no clips are left{way_out}")
    return clips
