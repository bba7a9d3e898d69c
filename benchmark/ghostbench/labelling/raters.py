"""Label and annotation files as raters: who said what of which clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ghostbench.datasets import storage
from ghostbench.datasets.annotations.join import read_annotations
from ghostbench.datasets.annotations.rows import Annotation, NamedRows
from ghostbench.datasets.labels import read_labels
from ghostbench.datasets.layouts import find_media
from ghostbench.datasets.location import Location
from ghostbench.datasets.spreadsheet import meant, table_rows, table_text
from ghostbench.errors import BadInput
from ghostbench.label import is_doubted
from ghostbench.labelling.boris import is_boris, read_boris
from ghostbench.labelling.forms import is_label_studio, is_via, read_label_studio, read_via
from ghostbench.labelling.log import FRAMES, is_log, parse
from ghostbench.labelling.rating import Rating
from ghostbench.labelling.via_project import is_via_project, read_via_project
from ghostbench.media.count import frame_times
from ghostbench.plugins.text import printable
from ghostbench.records import Clip


@dataclass(frozen=True, slots=True)
class Rater:
    """One annotator, or one file that says when.

    name : unique among all. ratings : by clip id. again : of clips that were asked a second time, what was said then.
    media : of clips that were looked at in a file, its SHA-256, where that was written down.
    """

    name: str
    form: str
    ratings: Mapping[str, Rating]
    again: Mapping[str, Rating] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)

    @property
    def silent(self) -> bool:
        """Whether it says of no clip what it shows."""
        return all(rating.truth is None for rating in self.ratings.values())


def read_raters(places: Sequence[str], *, data_root: str | None = None, skip_bad: bool = False) -> list[Rater]:
    """The raters of these files, in their order.

    A file of `bench label`, of VIA or of BORIS is a rater; one of Label Studio is as many as it names. A label file is
    one for each name in its column `annotator`, and one for the rows that name nobody. An annotation file is one that
    says when things happen; one whose rows are found by the number of frames needs the media.

    places : paths or fsspec URLs. data_root : where the media is. skip_bad : leave bad label rows out.

    Raises `BadInput` for a file that cannot be used, and for one that is named twice: it agrees with itself.
    """
    told = [str(Path(place).resolve()) if storage.accept(place, "bench agree").is_local else place for place in places]
    twice = next((place for place, each in zip(places, told, strict=True) if told.count(each) > 1), None)
    if twice is not None:
        raise BadInput(f"{printable(twice)} is named twice: a file agrees with itself; name each once")
    raters: list[Rater] = []
    waiting: list[tuple[int, str, bytes]] = []
    for place in places:
        data = storage.read_whole(storage.accept(place, "bench agree"), "label file")
        if is_log(data):
            log = parse(data, place)
            looked_at = ((clip, draft.media) for (clip, _), draft in log.drafts.items())
            seen = {clip: media for clip, media in looked_at if media is not None and media != FRAMES}
            raters.append(Rater(log.annotator, "labels of bench label", log.ratings(0), log.ratings(1), seen))
        elif is_via(data):
            raters.append(Rater(_file_name(place), "VIA", read_via(data, place)))
        elif is_via_project(data):
            raters.append(Rater(_file_name(place), "VIA", read_via_project(data, place)))
        elif is_boris(data):
            raters.append(Rater(_file_name(place), "BORIS", read_boris(data, place)))
        elif is_label_studio(data):
            found = read_label_studio(data, place)
            raters += [Rater(name, "Label Studio", ratings) for name, ratings in found.items()]
        elif _is_label_file(data, place):
            raters += _annotators(data, place, skip_bad=skip_bad)
        else:
            waiting.append((len(raters), place, data))
    root = None if data_root is None else storage.accept(data_root, "--data-root")
    clips = _clips(raters, root)
    for before, (at, place, data) in enumerate(waiting):
        raters.insert(at + before, _silent(data, place, clips, root))
    return list(_named_apart(raters))


def _is_label_file(data: bytes, place: str) -> bool:
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")) or data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    names = ("video_id", "ground_truth_label")
    header = next(table_rows(table_text(data, place, names), names, place), (1, []))[1]
    return set(names) <= {meant(cell) for cell in header}


def _annotators(data: bytes, place: str, *, skip_bad: bool) -> list[Rater]:
    by_name: dict[str, dict[str, Rating]] = {}
    for clip in read_labels(data, place, skip_bad=skip_bad).clips:
        name = clip.labels.annotator or _file_name(place)
        by_name.setdefault(name, {})[clip.id] = Rating(
            truth=clip.truth,
            event_s=clip.truth_time_s,
            labels=clip.labels,
            doubted=is_doubted(clip.labels, clip.remark),
        )
    return [Rater(name, "labels", ratings) for name, ratings in by_name.items()]


def _silent(data: bytes, place: str, clips: Sequence[Clip], root: Location | None) -> Rater:
    file = read_annotations(data, place)
    if file.by_frames and root is None:
        raise BadInput(f"{place}: its rows are found by the clips' frames; say where the clips are with --data-root")
    if not clips and isinstance(file, NamedRows):
        clips = [Clip(id=name, truth="normal") for name in file.rows]
    found = file.join(clips, partial(frame_times, credentials=root.credentials) if root is not None else None)
    ratings = {
        clip: Rating(truth=row.truth, labels=row.labels)
        for clip, row in found.items()
        if isinstance(row, Annotation) and (row.labels.stated() or row.truth is not None)
    }
    if not ratings:
        raise BadInput(f"{place}: says nothing of these clips; give a file of the same dataset")
    return Rater(_file_name(place), file.form, ratings)


def _clips(raters: Iterable[Rater], root: Location | None) -> list[Clip]:
    """Every clip that a label file names, with its media where that is known."""
    ids = list(dict.fromkeys(clip for rater in raters for clip in rater.ratings))
    media = {}
    if root is not None:
        media = find_media(root, ids, layout="auto", fps=30.0)
    return [Clip(id=name, truth="normal", media=str(media[name]) if name in media else None) for name in ids]


def _file_name(place: str) -> str:
    return place.rstrip("/").rpartition("/")[2]


def _named_apart(raters: Iterable[Rater]) -> Iterable[Rater]:
    taken: dict[str, int] = {}
    for rater in raters:
        taken[rater.name] = taken.get(rater.name, 0) + 1
        yield rater if taken[rater.name] == 1 else replace(rater, name=f"{rater.name} ({taken[rater.name]})")
