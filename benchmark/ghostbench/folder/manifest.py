"""manifest.json, as far as scores, tables and comparisons use it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ghostbench.errors import BadInput
from ghostbench.folder.misfit import first_misfit
from ghostbench.folder.names import MANIFEST
from ghostbench.outcomes import Outcome
from ghostbench.records import Layout, Seconds
from ghostbench.writing import check_plain

RECORDED = "replay"
"""The registered name of the model that gives recorded responses."""


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
    """What the manifest says of the dataset and its labels.

    layout, fps : how the media lies under the data root, and the frames per second of frame folders.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    split: str
    data_root: str | None = None
    layout: Layout = "auto"
    fps: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 30.0
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
    digests: dict[str, str] = Field(default_factory=dict)
    start_up_s: Seconds | None = None


def read_manifest(folder: Path) -> Manifest:
    """manifest.json of a run folder, finished or not. Raises `BadInput`, also for a folder with links in it."""
    check_plain(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise BadInput(f"{folder} is no run folder (it has no manifest.json): give the folder that `bench run` wrote")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadInput(f"{path} is not a run's manifest: {first_misfit(error)}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None


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
