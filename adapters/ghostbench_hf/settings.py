"""What a user can set on a checkpoint, each as `--set MODEL.NAME=VALUE`."""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench import setting
from ghostbench_local.settings import LocalSettings


@dataclass(frozen=True, slots=True)
class HFSettings(LocalSettings):
    """The settings of `hf:REPO_OR_DIR`."""

    revision: str = setting("main", "branch, tag or commit of a repository", network=False)
    download: bool = setting(False, "fetch a repository that is not on this machine from the hub", network=True)
    frames_as: str = setting(
        "images",
        "images: each frame a picture with its time; video: all frames as the model's own video input",
        choices=("images", "video"),
    )
    attention: str | None = setting(
        None,
        "how attention is computed; none: as transformers chooses for the model",
        choices=(None, "eager", "sdpa", "flash_attention_2", "flash_attention_3"),
    )
