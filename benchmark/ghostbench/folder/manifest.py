"""manifest.json: what a run was, as it is written and as it is read."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ghostbench.datasets.clip_ids import clip_id
from ghostbench.errors import BadInput
from ghostbench.folder.misfit import first_misfit
from ghostbench.folder.names import MANIFEST
from ghostbench.folder.seal import write_sealed
from ghostbench.models import remark
from ghostbench.outcomes import Outcome
from ghostbench.plugins.text import printable
from ghostbench.records import MOST_REPEATS, Layout, Seconds
from ghostbench.tasks.base import IN_RETROSPECT
from ghostbench.tasks.sustain import AT_ONCE, Sustain, parse_sustain
from ghostbench.tasks.wording import IN_VIDEO, MAIN
from ghostbench.writing import check_plain, write_json

FORMAT = 2
"""The format of the run folders that are written. 1 had no number: its lines lack the fields that came later."""
READ = (1, 2)
"""The formats that are read."""
RECORDED = "replay"
"""The registered name of the model that gives recorded responses."""
Facts = dict[str, JsonValue]
"""What models, settings and machines say of themselves."""


class OtherFormat(BadInput):
    """A run folder of a format that this version does not read: nothing can be said of what is in it."""


class _Entry(BaseModel):
    """A part of the manifest. Keys that this version does not know are kept as they are."""

    model_config = ConfigDict(extra="allow")


class Stopped(_Entry):
    """Why a model sent nothing more. until : the moment until which its server asked to be left alone, where it did."""

    outcome: Outcome
    message: str = ""
    until: str | None = None


class ModelEntry(_Entry):
    """What the manifest says of one row.

    spec : the registered name. argument : what stood behind its colon. asked_model : the name that the user's settings
    ask the server for. mark : a remark that stands beside the row. identity : what decides which model answers, beside
    its settings; None for one that could not be asked. ladder : the names of its fallback levels, from 1.
    of : the model that a probe's, a wording's or a substitute's row belongs to. probe : the probe's name. variant : the
    wording's; None for the main one. sees_video : whether what it says of a clip was said of the clip's own video, and
    not of the frames that the others saw.
    """

    spec: str = ""
    kind: Literal["local", "remote", "reference"] = "local"
    reference: bool = False
    mark: str | None = None
    argument: str | None = None
    asked_model: str | None = None
    settings: Facts = Field(default_factory=dict)
    identity: Facts | None = None
    needs_frames: bool = True
    sees_video: bool = False
    ladder: list[str] = Field(default_factory=list)
    probe: str | None = None
    variant: str | None = None
    of: str | None = None
    substitute: bool = False
    facts: Facts = Field(default_factory=dict)
    load_s: Seconds | None = None
    stopped: Stopped | None = None
    put_off_until: str | None = None

    @property
    def needs_video(self) -> bool:
        """Whether its requests carried the clip's own video: recorded answers to videos carry nothing, nor does a
        substitute that looks at nothing and has answers to videos in its row."""
        return self.sees_video and self.kind == "remote" and not self.needs_frames

    @property
    def remark(self) -> str | None:
        """What stands beside the row everywhere; None for nothing."""
        return remark(self.mark, sees_video=self.sees_video)

    @property
    def beside(self) -> bool:
        """Whether the row shows a model that has a row of its own: under a probe, or in another wording."""
        return self.probe is not None or self.variant is not None

    @property
    def baseline(self) -> bool:
        """Whether the row is a yardstick. Recorded responses are registered as a reference model, because they are
        looked up by clip, but they are models' answers and contend like them."""
        return self.reference and self.spec != RECORDED


class AnnotatedEntry(_Entry):
    """What an annotation file added: see `ghostbench.records.JoinedAnnotations`."""

    form: str
    sha256: str
    matched: Annotated[int, Field(ge=0)]
    flagged: dict[str, str] = Field(default_factory=dict)
    unmatched: dict[str, str] = Field(default_factory=dict)


class ShardEntry(_Entry):
    """Which share of a split the clips are: see `ghostbench.records.Shard`."""

    number: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1)]
    places: list[Annotated[int, Field(ge=0)]]
    n: Annotated[int, Field(ge=1)]
    split_sha256: str


class DatasetEntry(_Entry):
    """What the manifest says of the dataset and its labels.

    layout, fps : how the media lies under the data root, and the frames per second of frame folders. annotations :
    where the annotation files lay; annotated : what each of them added. n : clips. shard : which share of a split they
    are, None for all of it. left_out : clips that are not scored, each with the reason, such as being an example.
    """

    name: str
    split: str
    data_root: str | None = None
    layout: Layout = "auto"
    fps: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 30.0
    labels: str | None = None
    labels_sha256: str
    annotations: list[str] = Field(default_factory=list)
    annotated: list[AnnotatedEntry] = Field(default_factory=list)
    split_sha256: str
    filters: list[str] = Field(default_factory=list)
    skipped_labels: list[str] = Field(default_factory=list)
    n: Annotated[int, Field(ge=0)] | None = None
    shard: ShardEntry | None = None
    left_out: dict[str, str] = Field(default_factory=dict)


class TaskEntry(_Entry):
    """What the manifest says of the task.

    sustain : when an alarm holds, as K/N; None where no moments are asked at, and in a folder of an earlier version.
    variants : the other wordings that were asked, by name, each with the digest of its words. filmed : the digest of
    those of the rows that see the video; None where there were none.
    """

    name: str
    version: str | int | None = None
    template_sha256: str | None = None
    claim: str = IN_RETROSPECT
    moments_per_s: float | None = None
    sustain: str | None = None
    left_out: list[str] = Field(default_factory=list)
    variants: dict[str, str] = Field(default_factory=dict)
    filmed: str | None = None

    @property
    def wordings(self) -> dict[str, str | None]:
        """The digests of all words that were asked, by the wording's name, the main one first."""
        filmed = {} if self.filmed is None else {IN_VIDEO: self.filmed}
        return {MAIN: self.template_sha256, **self.variants, **filmed}

    @field_validator("sustain")
    @classmethod
    def _is_a_rule(cls, stated: str | None) -> str | None:
        try:
            return stated if stated is None else str(parse_sustain(stated))
        except BadInput as error:
            raise ValueError(str(error)) from None

    @property
    def sustained(self) -> Sustain:
        """When an alarm holds."""
        return AT_ONCE if self.sustain is None else parse_sustain(self.sustain)


class ExampleEntry(_Entry):
    """What was shown of a clip as an example: see `ghostbench.records.ExampleFrames`."""

    frames_sha256: str
    frame_indices: list[Annotated[int, Field(ge=0)]]
    frame_times_s: list[Seconds]
    duration_s: Seconds
    decoder: str


class GitEntry(_Entry):
    """The revision of the source tree that the run's code was in. dirty : whether it had other changes."""

    revision: str
    dirty: bool = False


class Gpu(_Entry):
    """A device as its driver shows it."""

    name: str
    memory_bytes: int


class Hardware(_Entry):
    """The machine."""

    machine: str | None = None
    system: str | None = None
    processor: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    gpus: list[Gpu] = Field(default_factory=list)


class Resumed(_Entry):
    """When the run was gone on with under other options: each by name, with what it was before and is since then."""

    at: str
    changed: dict[str, tuple[JsonValue, JsonValue]]


class MergedEntry(_Entry):
    """A run that was put together with others: its name, its share, the digest of its manifest, and its machine."""

    run_id: str
    shard: str
    manifest_sha256: str
    hardware: Hardware


def _with_format(stated: Any) -> Any:
    """What a manifest's file states, with its format: the first said `schema_version`, always 1."""
    if not isinstance(stated, dict) or "format" in stated:
        return stated
    return {"format": stated.get("schema_version", 1), **{k: v for k, v in stated.items() if k != "schema_version"}}


class _Head(_Entry):
    """What a manifest of any format says, those to come too: its number, and maybe what wrote it."""

    format: Annotated[int, Field(strict=True)]
    versions: JsonValue = None

    @model_validator(mode="before")
    @classmethod
    def _of_any_format(cls, stated: Any) -> Any:
        return _with_format(stated)


class Manifest(_Entry):
    """manifest.json.

    format : of the whole folder. command : as it was given, without secrets. options : every option of the run by its
    parameter's name, for `--resume`; None in a folder of an earlier version. max_attempts, max_cost : US dollars; as
    they are since the run was last gone on with. examples : the frames of the clips that wordings show as examples, by
    the clips' ids, which prompts name by their digests. digests : SHA-256 of the ledger's files, hex, by name; {} until
    the run has ended. start_up_s : from the start of the process until the run began. seal : see
    `ghostbench.folder.seal`.
    """

    format: Annotated[int, Field(strict=True)] = FORMAT
    status: Literal["running", "interrupted", "complete"]
    run_id: str
    command: list[str] = Field(default_factory=list)
    options: Facts | None = None
    started_at: str | None = None
    finished_at: str | None = None
    versions: dict[str, str | None] = Field(default_factory=dict)
    git: GitEntry | None = None
    hardware: Hardware = Field(default_factory=Hardware)
    dataset: DatasetEntry
    task: TaskEntry
    sampling: str | None = None
    repeats: Annotated[int, Field(ge=1, le=MOST_REPEATS)] = 1
    seed: int = 0
    max_attempts: int | None = None
    max_cost: float | None = None
    probes: list[str] = Field(default_factory=list)
    examples: dict[str, ExampleEntry] = Field(default_factory=dict)
    models: dict[str, ModelEntry]
    resumed: list[Resumed] = Field(default_factory=list)
    digests: dict[str, str] = Field(default_factory=dict)
    start_up_s: Seconds | None = None
    merged: list[MergedEntry] = Field(default_factory=list)
    seal: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_any_format(cls, stated: Any, info: ValidationInfo) -> Any:
        return _with_format(stated) if info.mode == "json" else stated

    @field_validator("examples")
    @classmethod
    def _are_of_clips(cls, stated: dict[str, ExampleEntry]) -> dict[str, ExampleEntry]:
        for name in stated:
            if clip_id(name) != name:
                raise ValueError(f"the example {name!r} is no clip's id")
        return stated

    def as_mapping(self) -> dict[str, Any]:
        """The manifest as JSON has it."""
        return self.model_dump(mode="json")

    def write(self, folder: Path) -> None:
        """Write the manifest of a run that has not ended into its folder."""
        write_json(folder / MANIFEST, self.as_mapping())

    def write_sealed(self, folder: Path) -> None:
        """Write the manifest of a run that has ended, with its seal."""
        write_sealed(folder / MANIFEST, self.as_mapping())


def has_manifest(folder: Path) -> bool:
    """Whether this is the folder of a run that has begun."""
    return (folder / MANIFEST).is_file()


def _where_runs_are(folder: Path) -> str:
    """Which folder to give in place of one that is no run's: the run's own for a file in it, or one of those below."""
    if folder.is_file() and has_manifest(folder.parent):
        return f"give its folder, {folder.parent}"
    try:
        below = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    except OSError:
        below = []
    if below:
        more = f" (of {len(below)}; see bench ls {shlex.quote(str(folder))})" if len(below) > 1 else ""
        return f"give one below it, such as {printable(str(below[-1]))}{more}"
    return "give the folder that `bench run` wrote"


def read_manifest(folder: Path) -> Manifest:
    """manifest.json of a run folder, finished or not, of any format in `READ`.

    Raises `BadInput`, also for a folder with links in it; `OtherFormat` for one of another format.
    """
    check_plain(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise BadInput(f"{folder} is no run folder (it has no {MANIFEST}): {_where_runs_are(folder)}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        # Another format may say anything of everything but its number.
        _require_known_format(path, data)
        raise BadInput(f"{path} is not a run's manifest: {first_misfit(error)}") from None
    if manifest.format not in READ:
        _require_known_format(path, data)
    return manifest


def _require_known_format(path: Path, data: bytes) -> None:
    """Raise `OtherFormat` where a manifest states a format that is not read, whatever else it holds."""
    try:
        head = _Head.model_validate_json(data)
    except ValidationError:
        return
    if head.format not in READ:
        wrote = head.versions.get("ghostbench") if isinstance(head.versions, dict) else None
        raise OtherFormat(
            f"{path} is of format {head.format}, and this version reads {' and '.join(map(str, READ))}: "
            f"use the version of ghostbench that wrote it{f', {printable(wrote)}' if isinstance(wrote, str) else ''}"
        )


def require_complete(folder: Path, manifest: Manifest) -> None:
    """Raise `BadInput`, with the command that resumes, unless the run has finished."""
    if manifest.status == "complete":
        return
    command = list(manifest.command) or ["bench", "run"]
    if "--resume" not in command:
        if not any(part == "--run-id" or part.startswith("--run-id=") for part in command):
            command += ["--run-id", manifest.run_id]
        command.append("--resume")
    raise BadInput(f"{folder} is not finished (status {manifest.status}): resume it with `{shlex.join(command)}`")
