"""Read a finished run folder: every line validated, nothing in it trusted.

The line types here have the fields of `ghostbench.records`' lines, with the ranges that a file must keep to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from ghostbench.errors import BadInput
from ghostbench.outcomes import Outcome
from ghostbench.records import GRADES, TRUTHS, AnsweredBy, Grade, Truth

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]

FILES = ("manifest.json", "clips.jsonl", "attempts.jsonl", "predictions.jsonl")
_LAST: dict[tuple[Any, ...], RunRecords] = {}
"""The run that was read last: scoring, reporting and printing one run read its files once."""

NO_ANSWER = "no_answer"
COLUMNS: tuple[str, ...] = (*GRADES, NO_ANSWER)
"""The columns of a confusion matrix."""
STAGES = ("queue_s", "video_decode_s", "preprocess_s", "vision_s", "prefill_s", "first_token_s", "generate_s")
RECORDED = "replay"
"""The registered name of the model that gives recorded responses."""
MEMORY = ("peak_allocated_bytes", "peak_reserved_bytes", "process_bytes")


class ClipLine(TypedDict):
    """A line of clips.jsonl. Times are seconds from the clip's start; frame fields are null where nothing decoded."""

    clip: str
    truth: Truth
    truth_time_s: Seconds | None
    category: int | None
    remark: str | None
    duration_s: Seconds | None
    frame_indices: list[Count] | None
    frame_times_s: list[Finite] | None
    decoder: str | None
    frames_sha256: str | None


class ErrorLine(TypedDict):
    """What went wrong in an attempt, in the words of whoever knew."""

    type: str
    message: str


class StagesLine(TypedDict):
    """Where an attempt's time went, seconds."""

    queue_s: NotRequired[Seconds | None]
    video_decode_s: NotRequired[Seconds | None]
    preprocess_s: NotRequired[Seconds | None]
    vision_s: NotRequired[Seconds | None]
    prefill_s: NotRequired[Seconds | None]
    first_token_s: NotRequired[Seconds | None]
    generate_s: NotRequired[Seconds | None]


class UsageLine(TypedDict):
    """Tokens and money of an attempt."""

    input_tokens: NotRequired[Count | None]
    cached_tokens: NotRequired[Count | None]
    output_tokens: NotRequired[Count | None]
    cost_usd: NotRequired[Seconds | None]


class MemoryLine(TypedDict):
    """Device memory of an attempt's batch, bytes."""

    peak_allocated_bytes: NotRequired[Count | None]
    peak_reserved_bytes: NotRequired[Count | None]
    process_bytes: NotRequired[Count | None]


class AttemptLine(TypedDict):
    """A line of attempts.jsonl."""

    model: str
    clip: str
    repeat: Count
    attempt: Annotated[int, Field(ge=1)]
    fallback_level: Count
    outcome: Outcome
    error: ErrorLine | None
    started_at: str | None
    wall_s: Seconds | None
    wait_s: Seconds | None
    stages: StagesLine | None
    batch_size: Count | None
    usage: UsageLine | None
    memory: MemoryLine | None
    served_model: str | None
    system_fingerprint: NotRequired[str | None]
    request_id: NotRequired[str | None]
    server_request_id: NotRequired[str | None]
    finish_reason: str | None
    grade_probabilities: dict[str, Probability] | None
    frames_sha256: str | None
    prompt_sha256: str | None
    raw: str | None
    notes: NotRequired[list[str] | None]


class PredictionLine(TypedDict):
    """A line of predictions.jsonl."""

    model: str
    clip: str
    repeat: Count
    truth: Truth
    truth_time_s: Seconds | None
    grade: Grade | None
    event_time_s: Seconds | None
    score: Probability | None
    answered_by: AnsweredBy | None
    fallback_level: Count | None
    outcome: Outcome
    attempts: Count


class Stopped(BaseModel):
    """Why a model sent nothing more."""

    outcome: Outcome
    message: str = ""


class ModelEntry(BaseModel):
    """What the manifest says of one row.

    of : the model that a probe's or a substitute's row belongs to. probe : the probe's name.
    asked_model : the name that the user's settings ask the server for. mark : a remark that stands beside the row.
    """

    model_config = ConfigDict(extra="allow")

    spec: str = ""
    kind: Literal["local", "remote", "reference"] = "local"
    argument: str | None = None
    mark: str | None = None
    reference: bool = False
    asked_model: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    needs_frames: bool = True
    ladder: list[str] = Field(default_factory=list)
    facts: dict[str, Any] = Field(default_factory=dict)
    load_s: Seconds | None = None
    stopped: Stopped | None = None
    probe: str | None = None
    of: str | None = None
    substitute: bool = False

    @property
    def baseline(self) -> bool:
        """Whether the row is a yardstick. Recorded responses are registered as a reference model, because they are
        looked up by clip, but they are models' answers and contend like them."""
        return self.reference and self.spec != RECORDED


class DatasetEntry(BaseModel):
    """What the manifest says of the dataset and its labels."""

    model_config = ConfigDict(extra="allow")

    name: str
    split: str
    data_root: str | None = None
    labels: str | None = None
    labels_sha256: str
    split_sha256: str
    filters: list[str] = Field(default_factory=list)
    skipped_labels: list[str] = Field(default_factory=list)
    n: int | None = None


class TaskEntry(BaseModel):
    """What the manifest says of the task."""

    model_config = ConfigDict(extra="allow")

    name: str
    version: str | int | None = None
    template_sha256: str | None = None


class Manifest(BaseModel):
    """manifest.json, as far as scores, tables and comparisons use it."""

    model_config = ConfigDict(extra="allow")

    schema_version: Literal[1] = 1
    status: Literal["running", "interrupted", "complete"]
    run_id: str
    command: list[str] = Field(default_factory=list)
    started_at: str | None = None
    finished_at: str | None = None
    versions: dict[str, str | None] = Field(default_factory=dict)
    git: dict[str, Any] | None = None
    hardware: dict[str, Any] = Field(default_factory=dict)
    dataset: DatasetEntry
    task: TaskEntry
    sampling: str | None = None
    repeats: Annotated[int, Field(ge=1)] = 1
    seed: int = 0
    probes: list[str] = Field(default_factory=list)
    models: dict[str, ModelEntry]
    substitutes: dict[str, Any] = Field(default_factory=dict)
    digests: dict[str, str] = Field(default_factory=dict)
    start_up_s: Seconds | None = None


@dataclass(frozen=True, slots=True)
class RunRecords:
    """A finished run folder in memory.

    clips : one row a clip in the split's order, indexed 0..n-1, with the fields of `ClipLine`.
    attempts : one row a line of attempts.jsonl, in file order, with the fields of `AttemptLine`; `stages`,
        `usage` and `memory` are spread into columns of their own, `notes` is a list. Missing values are NaN or None.
    predictions : one row a (model, clip, repeat), in file order, with the fields of `PredictionLine`, and `at`, the
        clip's row in `clips`.
    names : the rows of every table, in the manifest's order.
    """

    folder: Path
    manifest: Manifest
    clips: pd.DataFrame
    attempts: pd.DataFrame
    predictions: pd.DataFrame
    names: tuple[str, ...]


def read_run_records(folder: Path) -> RunRecords:
    """Read manifest.json, clips.jsonl, attempts.jsonl and predictions.jsonl of a finished run.

    Raises `BadInput` for a folder that is no run, a run that has not finished, and a line that does not fit. The frames
    of the result are shared: do not change them.
    """
    manifest = read_manifest(folder)
    require_complete(folder, manifest)
    key = (folder.resolve(), *(_signature(folder / name) for name in FILES))
    if key not in _LAST:
        _LAST.clear()
        _LAST[key] = _read(folder, manifest)
    return _LAST[key]


def _signature(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _read(folder: Path, manifest: Manifest) -> RunRecords:
    import pandas as pd

    clips = pd.DataFrame(
        _columns(folder / "clips.jsonl", TypeAdapter(ClipLine), _flat, tuple(ClipLine.__annotations__)),
    )
    if clips.empty:
        raise BadInput(f"{folder / 'clips.jsonl'} has no clips: run `bench run` again")
    if clips["clip"].duplicated().any():
        twice = str(clips["clip"][clips["clip"].duplicated()].iloc[0])
        raise BadInput(f"{folder / 'clips.jsonl'} names the clip {twice!a} twice: run `bench run` again")
    predictions = _read_predictions(folder, clips)
    attempts = _read_attempts(folder)
    seen = list(dict.fromkeys(predictions["model"]))
    names = [name for name in manifest.models if name in set(seen)]
    names += [name for name in seen if name not in manifest.models]
    return RunRecords(folder, manifest, clips, attempts, predictions, tuple(names))


def read_manifest(folder: Path) -> Manifest:
    """manifest.json of a run folder, finished or not. Raises `BadInput`."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise BadInput(f"{folder} is no run folder (it has no manifest.json): give the folder that `bench run` wrote")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadInput(f"{path} is not a run's manifest: {_first(error)}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None


def require_complete(folder: Path, manifest: Manifest) -> None:
    """Raise `BadInput`, with the command that resumes, unless the run has finished."""
    import shlex

    if manifest.status == "complete":
        return
    command = list(manifest.command) or ["bench", "run"]
    if "--resume" not in command:
        if not any(part == "--run-id" or part.startswith("--run-id=") for part in command):
            command += ["--run-id", manifest.run_id]
        command.append("--resume")
    raise BadInput(f"{folder} is not finished (status {manifest.status}): resume it with `{shlex.join(command)}`")


def _read_predictions(folder: Path, clips: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    path = folder / "predictions.jsonl"
    frame = pd.DataFrame(_columns(path, TypeAdapter(PredictionLine), _flat, tuple(PredictionLine.__annotations__)))
    if frame.empty:
        raise BadInput(f"{path} has no predictions: run `bench run` again")
    place = pd.Series(range(len(clips)), index=clips["clip"].to_numpy())
    at = frame["clip"].map(place)
    if at.isna().any():
        row = int(at.isna().to_numpy().argmax())
        raise BadInput(f"{path}, line {row + 1}: the clip {frame['clip'].iloc[row]!a} is not in clips.jsonl")
    frame["at"] = at.astype("int64")
    truths = pd.Series(clips["truth"].to_numpy()).iloc[frame["at"]].to_numpy()
    wrong = frame["truth"].to_numpy() != truths
    if wrong.any():
        raise BadInput(f"{path}, line {int(wrong.argmax()) + 1}: the truth is not the one in clips.jsonl")
    twice = frame.duplicated(["model", "clip", "repeat"]).to_numpy()
    if twice.any():
        raise BadInput(f"{path}, line {int(twice.argmax()) + 1}: this model, clip and repeat were there already")
    sizes = frame.groupby("model", sort=False).size()
    want = len(clips) * (int(frame["repeat"].max()) + 1)
    if (sizes != want).any():
        name = str(sizes.index[int((sizes != want).to_numpy().argmax())])
        raise BadInput(f"{path} has {int(sizes[name])} lines for {name!a}, not one a clip and repeat ({want})")
    for column, values in (
        ("truth", TRUTHS),
        ("grade", GRADES),
        ("outcome", [str(o) for o in Outcome]),
        ("answered_by", ["model", "substitute"]),
    ):
        frame[column] = pd.Categorical(frame[column], categories=list(values))
    for column in ("truth_time_s", "event_time_s", "score", "fallback_level"):
        frame[column] = frame[column].astype("float64")
    return frame


def _read_attempts(folder: Path) -> pd.DataFrame:
    import pandas as pd

    path = folder / "attempts.jsonl"
    names = [name for name in AttemptLine.__annotations__ if name not in ("stages", "usage", "memory", "error")]
    usage = tuple(UsageLine.__annotations__)
    numbers = ["wall_s", "wait_s", "batch_size", *STAGES, *usage, *MEMORY]
    order = (*names, "error_type", "error_message", *STAGES, *usage, *MEMORY)

    def spread(line: AttemptLine) -> Mapping[str, Any]:
        error: Mapping[str, Any] = line["error"] or {}
        return {
            **line,
            **(line["stages"] or {}),
            **(line["usage"] or {}),
            **(line["memory"] or {}),
            "error_type": error.get("type"),
            "error_message": error.get("message"),
        }

    frame = pd.DataFrame(_columns(path, TypeAdapter(AttemptLine), spread, order))
    for column in numbers:
        frame[column] = frame[column].astype("float64")
    frame["outcome"] = pd.Categorical(frame["outcome"], categories=[str(o) for o in Outcome])
    return frame


def _flat(line: Any) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = line
    return fields


def _columns(
    path: Path, adapter: TypeAdapter[T], spread: Callable[[T], Mapping[str, Any]], names: tuple[str, ...]
) -> dict[str, list[Any]]:
    """A JSON-lines file as columns, one list a name; equal short strings are held once."""
    known: dict[str, str] = {}
    columns: dict[str, list[Any]] = {name: [] for name in names}
    shared = [columns[name] for name in names]
    for number, text in _lines(path):
        try:
            fields = spread(adapter.validate_json(text))
        except ValidationError as error:
            raise BadInput(f"{path}, line {number}: {_first(error)}") from None
        for column, name in zip(shared, names, strict=True):
            value = fields.get(name)
            if isinstance(value, str):
                value = str(value) if len(value) > 128 else known.setdefault(value, str(value))
            column.append(value)
    return columns


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise BadInput(f"{path} is missing: the run folder is not whole") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None


def _first(error: ValidationError) -> str:
    """The first thing that did not fit, in one line without the offending text."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(ascii(part).strip("'") for part in first["loc"])
    message = " ".join(first["msg"].split())
    return f"{where}: {message}" if where else message
