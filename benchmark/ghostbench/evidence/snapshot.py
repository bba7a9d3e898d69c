"""What a run is held to later: outcomes, grades and digests clip by clip, and a few figures of each model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ghostbench.errors import BadInput
from ghostbench.folder.lines import Finite
from ghostbench.folder.manifest import ModelEntry
from ghostbench.folder.run_records import RunRecords
from ghostbench.records import Probability, Seconds
from ghostbench.scoring.account import latency
from ghostbench.scoring.counts import own_answers

LATENCY_TOLERANCE = 5.0
LATENCY_FLOOR_S = 0.05
START_UP_TOLERANCE = 3.0
START_UP_FLOOR_S = 2.0


class Tolerances(BaseModel):
    """How far times may move, as a ratio to the reference; edit them in the file to suit the machine.

    latency_ratio, start_up_ratio : the most that a median latency, or the start-up, may grow.
    latency_floor_s, start_up_floor_s : below this a time always passes: it says more of the machine than of the code.
    """

    model_config = ConfigDict(extra="forbid")

    latency_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = LATENCY_TOLERANCE
    latency_floor_s: Seconds = LATENCY_FLOOR_S
    start_up_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = START_UP_TOLERANCE
    start_up_floor_s: Seconds = START_UP_FLOOR_S


class Answer(BaseModel):
    """What one model said of one clip in one repeat. prompt_sha256, video_sha256 : of its last attempt; that of a video
    only where the row saw one."""

    model_config = ConfigDict(extra="forbid")

    outcome: str
    grade: str | None
    fallback_level: int | None
    prompt_sha256: str | None
    video_sha256: str | None = None


class ModelSnapshot(BaseModel):
    """One row. answers : by "clip" or, with repeats, "clip#repeat". parse_rate : answered of answered and unparseable;
    null where there is neither. latency_p50_s : median wall time of an attempt; null where none was timed."""

    model_config = ConfigDict(extra="forbid")

    coverage: Probability
    parse_rate: Probability | None
    latency_p50_s: Seconds | None
    answers: dict[str, Answer]


class Snapshot(BaseModel):
    """A reference file. frames : SHA-256 of each clip's sampled frames, null where none were decoded."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    dataset: str
    split_sha256: str
    labels_sha256: str
    task: str
    sampling: str | None
    start_up_s: Finite | None
    tolerances: Tolerances = Field(default_factory=Tolerances)
    frames: dict[str, str | None]
    models: dict[str, ModelSnapshot]


def take_snapshot(run: RunRecords, tolerances: Tolerances | None = None) -> Snapshot:
    """What a finished run is, in the form of a reference."""
    manifest = run.manifest
    task = manifest.task
    frames = {
        str(clip): digest if isinstance(digest, str) else None
        for clip, digest in zip(run.clips["clip"], run.clips["frames_sha256"], strict=True)
    }
    return Snapshot(
        dataset=f"{manifest.dataset.name} {manifest.dataset.split}",
        split_sha256=manifest.dataset.split_sha256,
        labels_sha256=manifest.dataset.labels_sha256,
        task=f"{task.name} {task.version} {task.template_sha256 or ''}".rstrip(),
        sampling=manifest.sampling,
        start_up_s=manifest.start_up_s,
        tolerances=tolerances or Tolerances(),
        frames=frames,
        models={name: _model(run, name) for name in run.names},
    )


def read_snapshot(path: Path) -> Snapshot:
    """A reference file. Raises `BadInput` where there is none, or it does not fit."""
    try:
        return Snapshot.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{path} is not there: name a reference, or write one with --update") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(ascii(part).strip("'") for part in first["loc"])
        message = f"{where}: {' '.join(first['msg'].split())}".removeprefix(": ")
        raise BadInput(f"{path} is not a reference ({message}): write it anew with --update") from None


def _model(run: RunRecords, name: str) -> ModelSnapshot:
    rows = run.predictions[run.predictions["model"] == name]
    lines = run.attempts[run.attempts["model"] == name]
    key = ["clip", "repeat"]
    last = lines.sort_values("attempt", kind="stable").drop_duplicates(key, keep="last").set_index(key)
    sent = last[["prompt_sha256", "video_sha256"]].reindex(pd.MultiIndex.from_frame(rows[key]))
    answered = own_answers(rows, substitute=run.manifest.models.get(name, ModelEntry()).substitute)
    tried = int(answered.sum()) + int((rows["outcome"] == "unparseable").sum())
    timed = latency(lines)["wall_s"]
    answers = {}
    for line, prompt, video in zip(rows.to_dict("records"), sent["prompt_sha256"], sent["video_sha256"], strict=True):
        clip = line["clip"] if line["repeat"] == 0 else f"{line['clip']}#{line['repeat']}"
        answers[clip] = Answer(
            outcome=line["outcome"],
            grade=line["grade"] if isinstance(line["grade"], str) else None,
            fallback_level=None if pd.isna(line["fallback_level"]) else int(line["fallback_level"]),
            prompt_sha256=prompt if isinstance(prompt, str) else None,
            video_sha256=video if isinstance(video, str) else None,
        )
    return ModelSnapshot(
        coverage=float(answered.mean()),
        parse_rate=int(answered.sum()) / tried if tried else None,
        latency_p50_s=None if timed is None else timed["p50"],
        answers=answers,
    )
