"""The models of several runs on the clips that the runs have in common, and what the runs must have alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from ghostbench.errors import BadInput
from ghostbench.folder.lines import NO_ANSWER
from ghostbench.folder.manifest import ModelEntry
from ghostbench.folder.run_records import RunRecords, read_run_records
from ghostbench.models import SEES_VIDEO
from ghostbench.plugins.text import printable
from ghostbench.report.titles import GRADE_TITLES
from ghostbench.scoring.counts import own_answers
from ghostbench.scoring.intervals import Ints
from ghostbench.scoring.references import TRIVIAL, trivial_rows
from ghostbench.scoring.slices import doubted_clips
from ghostbench.scoring.views import Basis, Bools, View, alarms, by_clip, cells
from ghostbench.scoring.watched import asks_at_moments

KEYS = ("dataset", "labels", "split", "task", "sampling", "moments", "sustain", "repeats")
"""What runs must have alike to be compared, by the word that `--allow` takes."""
NOT_ASKED = "not_asked"
_WORDS = {**GRADE_TITLES, NOT_ASKED: "not recorded"}


@dataclass(frozen=True, slots=True)
class Contender:
    """One model on the common clips.

    name : unique among all, with the run's id where two runs have a model of that name.
    rows : its predictions for the common clips; `at` is the clip's place among them.
    answered : whether each row has an answer of the model's own.
    asked : per common clip, whether the model was asked at all (a recording may hold no answer for it).
    sees_video : whether it saw the video, and not the frames.
    trivial : the predictions of its own run's trivial baselines for the common clips; empty for a baseline.
    """

    name: str
    rows: pd.DataFrame
    answered: Bools
    asked: Bools
    trivial: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    sees_video: bool = False

    def table(self, positive: Bools, view: View, basis: Basis) -> Ints:
        """tp, fp, fn, tn per common clip, int [clips, 4]; all zero where the basis leaves the clip out."""
        at = self.rows["at"].to_numpy()
        found = by_clip(cells(positive[at], alarms(self.rows["grade"], view), self.answered, basis), at, len(positive))
        if basis != "answered":
            found[~self.asked] = 0
        return found

    def said(self, clips: int) -> list[str]:
        """Per common clip what the model says of it, in words; with repeats, how often it says what."""
        words: list[dict[str, int]] = [{} for _ in range(clips)]
        grades = self.rows["grade"].astype(object).to_numpy()
        for at, grade, answered in zip(self.rows["at"], grades, self.answered, strict=True):
            word = _WORDS[grade if answered else NO_ANSWER if self.asked[at] else NOT_ASKED]
            words[at][word] = words[at].get(word, 0) + 1
        return [
            next(iter(each)) if len(each) == 1 else ", ".join(f"{word} ×{each[word]}" for word in sorted(each))
            for each in words
        ]


@dataclass(frozen=True, slots=True)
class Field:
    """Several runs made comparable.

    contenders : the models. baselines : the first run's trivial baselines, and whatever else is a yardstick.
    chosen : whether the models were named one by one.
    clips : ids of the clips that all runs have. positive : whether each is a ghost probing, by the first run's labels.
    doubted : whether that is doubted.
    differences : what the runs do not have alike, in words; each was allowed.
    relabelled : common clips whose truth is not the same in all runs.
    without : models that are not compared with the others, each with the reason: they did not see the same.
    of_videos : whether those that are compared saw the video, and not the frames.
    """

    runs: tuple[RunRecords, ...]
    clips: tuple[str, ...]
    positive: Bools
    doubted: Bools
    contenders: tuple[Contender, ...]
    baselines: tuple[Contender, ...]
    chosen: bool
    differences: tuple[str, ...]
    relabelled: tuple[str, ...]
    without: Mapping[str, str] = field(default_factory=dict)
    of_videos: bool = False

    @property
    def titles(self) -> list[str]:
        """What each run is called here; see `run_titles`."""
        return run_titles(self.runs)

    @property
    def at_moments(self) -> bool:
        """Whether the runs ask at moments: what is compared is then warnings, and no yes and no of whole clips."""
        return _at_moments(self.runs[0])


def run_titles(runs: Sequence[RunRecords]) -> list[str]:
    """What each of these runs is called: its id; runs of one id, made on two machines say, are numbered as they were
    named, from 1."""
    ids = [run.manifest.run_id for run in runs]
    return [name if ids.count(name) == 1 else f"{name} #{number}" for number, name in enumerate(ids, 1)]


def _at_moments(run: RunRecords) -> bool:
    return asks_at_moments(run.clips, run.manifest.task.moments_per_s)


def read_field(folders: Sequence[Path], allow: Collection[str] = (), models: Sequence[str] = ()) -> Field:
    """Read runs and put their models side by side.

    allow : keys of `KEYS` in which the runs may differ. models : take these alone, by the names that they have in the
    runs (then all of that name) or in the comparison; where none is named all but probes and other wordings.

    Models that saw the video are left out beside those that saw the frames: theirs is other evidence.

    Raises `BadInput` for models of both kinds that were named, a folder that is no finished run, runs of which some ask
    at moments and others about whole clips, runs that differ in a key that is not allowed, no common clips, or a model
    that no run has.
    """
    runs = tuple(read_run_records(folder) for folder in folders)
    asking = [run for run in runs if _at_moments(run)]
    if 0 < len(asking) < len(runs):
        other = next(run for run in runs if run not in asking)
        raise BadInput(
            f"{asking[0].folder} asks at moments, and {other.folder} about whole clips: a warning is no yes of a whole "
            "clip; compare runs of one kind"
        )
    differences = _differences(runs)
    refused = [key for key in differences if key not in allow]
    if refused:
        said = "; ".join(differences[key] for key in refused)
        ways = " ".join(f"--allow {key}" for key in refused)
        raise BadInput(f"the runs differ in {said}: compare runs made alike, or mix them knowingly with {ways}")
    everywhere = set.intersection(*(set(run.clips["clip"]) for run in runs))
    common = [str(clip) for clip in runs[0].clips["clip"] if clip in everywhere]
    if not common:
        raise BadInput("the runs have no clip in common: compare runs on the same dataset")
    truths = [run.clips.set_index("clip")["truth"].loc[common] for run in runs]
    relabelled = tuple(
        clip for place, clip in enumerate(common) if any(t.iloc[place] != truths[0].iloc[place] for t in truths)
    )
    contenders, baselines, without = _contenders(runs, common, models)
    return Field(
        runs=runs,
        clips=tuple(common),
        positive=np.asarray(truths[0] == "ghost_probing", dtype=np.bool_),
        doubted=doubted_clips(runs[0].clips)[runs[0].clips["clip"].isin(everywhere).to_numpy()],
        contenders=contenders,
        baselines=baselines,
        chosen=bool(models),
        differences=tuple(differences.values()),
        relabelled=relabelled,
        without=without,
        of_videos=any(one.sees_video for one in contenders),
    )


def _differences(runs: Sequence[RunRecords]) -> dict[str, str]:
    found = {}
    wordings, examples = _wordings_apart(runs), _examples_apart(runs)
    if wordings:
        found["task"] = f"task (the wording {', '.join(wordings)} is not the same in all runs that have it)"
    elif examples:
        found["task"] = f"task (the example {', '.join(examples)} has not the same frames in all runs that show it)"
    for key in KEYS:
        values = [_value(run, key) for run in runs]
        if len(set(values)) > 1:
            each = ", ".join(f"{name} has {value}" for name, value in zip(run_titles(runs), values, strict=True))
            found[key] = f"{key} ({each})"
    return found


def _wordings_apart(runs: Sequence[RunRecords]) -> list[str]:
    """The names of wordings that two runs have in other words."""
    digests: dict[str, set[str]] = {}
    for run in runs:
        for name, digest in run.manifest.task.variants.items():
            digests.setdefault(name, set()).add(digest)
    return [printable(name) for name, found in digests.items() if len(found) > 1]


def _examples_apart(runs: Sequence[RunRecords]) -> list[str]:
    """The examples of which two runs show other frames, though they sample alike: words that show them make two prompts
    then, under one name."""
    digests: dict[tuple[str | None, str], set[str]] = {}
    for run in runs:
        for clip, entry in run.manifest.examples.items():
            digests.setdefault((run.manifest.sampling, clip), set()).add(entry.frames_sha256)
    return [printable(clip) for (_, clip), found in digests.items() if len(found) > 1]


def _value(run: RunRecords, key: str) -> str:
    manifest = run.manifest
    task = manifest.task
    return {
        "dataset": manifest.dataset.name,
        "labels": manifest.dataset.labels_sha256[:12],
        "split": f"{manifest.dataset.split} {manifest.dataset.split_sha256[:12]}",
        "task": f"{task.name} {task.version} {(task.template_sha256 or '')[:12]}".rstrip(),
        "sampling": manifest.sampling or "none",
        "moments": "none" if task.moments_per_s is None else f"{task.moments_per_s:g}/s",
        "sustain": str(task.sustained) if _at_moments(run) else "none",
        "repeats": str(manifest.repeats),
    }[key]


@dataclass(frozen=True, slots=True)
class _Entry:
    run: RunRecords
    name: str
    entry: ModelEntry

    @property
    def trivial(self) -> bool:
        return self.name in TRIVIAL and self.entry.spec == self.name

    @property
    def rows(self) -> pd.DataFrame:
        return self.run.predictions[self.run.predictions["model"] == self.name]


def _contenders(
    runs: Sequence[RunRecords], common: Sequence[str], models: Sequence[str]
) -> tuple[tuple[Contender, ...], tuple[Contender, ...], dict[str, str]]:
    """The models, the baselines, and models that are left out, with the reason. A run of baselines alone compares
    those."""
    place = {clip: index for index, clip in enumerate(common)}
    entries = [_Entry(run, name, run.manifest.models.get(name, ModelEntry())) for run in runs for name in run.names]
    yardsticks = [each for each in entries if each.entry.baseline and not each.trivial]
    of_models = [each for each in entries if not each.entry.baseline]
    # A model under a probe or in another wording contends only where it is named.
    entrants = [each for each in of_models if models or not each.entry.beside] or yardsticks
    trivial = [trivial_rows(run) for run in runs]
    if not entrants:
        entrants, trivial = [each for each in entries if each.run is runs[0]], [{} for _ in runs]
    beside = [each for each in yardsticks if each not in entrants]
    names = [each.name for each in (*entrants, *beside)] + list(trivial[0])
    place_of = {id(run): index for index, run in enumerate(runs)}
    titles = run_titles(runs)

    def label(each: _Entry) -> str:
        return each.name if names.count(each.name) == 1 else f"{each.name} ({titles[place_of[id(each.run)]]})"

    labels = [label(each) for each in entrants]
    twice = next((name for name in labels if labels.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"two models would be called '{printable(twice)}': compare their runs apart")
    chosen, without = _of_one_evidence(_chosen({label(each): each for each in entrants}, models), models)
    if not any(each.entry.sees_video for each in chosen.values()):
        # The row of a yardstick that stood in for a model that saw the video has that model's answers.
        without |= {label(each): SEES_VIDEO for each in beside if each.entry.sees_video}
        beside = [each for each in beside if not each.entry.sees_video]
    own = [{name: _on(rows, place) for name, rows in found.items()} for found in trivial]
    contenders = [
        replace(
            _contender(title, each.rows, place, each.entry.substitute, own[place_of[id(each.run)]]),
            sees_video=each.entry.sees_video,
        )
        for title, each in chosen.items()
    ]
    baselines = [_contender(name, rows, place) for name, rows in trivial[0].items()]
    baselines += [_contender(label(each), each.rows, place) for each in beside]
    return tuple(contenders), tuple(baselines), without


def _of_one_evidence(chosen: Mapping[str, _Entry], models: Sequence[str]) -> tuple[dict[str, _Entry], dict[str, str]]:
    """The entrants without those that saw the video, where others saw the frames; and those left out, with the reason.

    Raises `BadInput` where models of both kinds were named.
    """
    filmed = [title for title, each in chosen.items() if each.entry.sees_video]
    if not filmed or len(filmed) == len(chosen):
        return dict(chosen), {}
    framed = next(title for title in chosen if title not in filmed)
    if models:
        raise BadInput(
            f"'{printable(filmed[0])}' {SEES_VIDEO}, and '{printable(framed)}' saw the frames: they are not compared, "
            "since their evidence was not the same; name models of one kind with --models"
        )
    return {title: each for title, each in chosen.items() if title not in filmed}, dict.fromkeys(filmed, SEES_VIDEO)


def _chosen(entrants: Mapping[str, _Entry], models: Sequence[str]) -> dict[str, _Entry]:
    """The entrants that `models` name, in their order there; all of them where none is named."""
    if not models:
        return dict(entrants)
    found: dict[str, _Entry] = {}
    for name in models:
        meant = {title: each for title, each in entrants.items() if name in (title, each.name)}
        if not meant:
            near = get_close_matches(name, list(entrants), n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"they have {', '.join(entrants)}"
            raise BadInput(f"the runs have no model '{printable(name)}'; {printable(hint)}")
        found.update(meant)
    return found


def _on(rows: pd.DataFrame, place: Mapping[str, int]) -> pd.DataFrame:
    """The rows of the common clips, `at` their place among them."""
    rows = rows[rows["clip"].isin(place)].copy()
    rows["at"] = rows["clip"].map(place).astype("int64")
    return rows


def _contender(
    name: str,
    rows: pd.DataFrame,
    place: Mapping[str, int],
    substitute: bool = False,
    trivial: Mapping[str, pd.DataFrame] | None = None,
) -> Contender:
    rows = _on(rows, place)
    asked = np.zeros(len(place), dtype=np.bool_)
    asked[rows["at"][(rows["outcome"] != "not_recorded").to_numpy()]] = True
    return Contender(name, rows, own_answers(rows, substitute=substitute), asked, trivial or {})
