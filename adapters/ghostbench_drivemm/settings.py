"""What a user can set on `drivemm`, each as `--set drivemm.NAME=VALUE`."""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench import setting


@dataclass(frozen=True, slots=True)
class DriveMMSettings:
    """The settings of `drivemm`."""

    checkpoint: str | None = setting(
        None,
        "folder with the checkpoint; none: the public one, from this machine's caches or, with download, the hub",
        network=False,
    )
    revision: str = setting("main", "branch, tag or commit of the public checkpoint", network=False)
    download: bool = setting(False, "fetch the public checkpoint (17 GB) if it is not on this machine", network=True)
    device: str = setting("cuda", "where to compute: cuda, cuda:N or cpu", network=False)
    devices: str | None = setting(
        None, "several GPUs of this machine, e.g. 0,1: one replica of the model on each", network=False
    )
    dtype: str = setting(
        "bfloat16", "type of weights and activations", choices=("bfloat16", "float16", "float32")
    )  # fmt: skip
    mode: str = setting(
        "generate", "generate: write the answer; score: only the grades' probabilities", choices=("generate", "score")
    )
    grammar: bool = setting(True, "hold answers to the task's schema while they are written")
    batch_size: int = setting(
        0, "most clips computed together; 0: as many as memory allows", minimum=0, maximum=1024, throughput=True
    )
    memory_fraction: float = setting(
        0.88, "share of a GPU's memory that may be used", minimum=0.1, maximum=0.98
    )  # fmt: skip
    max_new_tokens: int | None = setting(
        None, "most tokens of an answer; none: the task's limit", minimum=1, maximum=8192
    )
    sampling: str = setting(
        "greedy",
        "greedy: the most likely token; checkpoint: its generation_config.json, seeded by the run's seed",
        choices=("greedy", "checkpoint"),
    )
    image_aspect_ratio: str | None = setting(
        None, "overrides config.json: how frames get square", choices=(None, "pad", "square")
    )
    mm_spatial_pool_mode: str | None = setting(
        None, "overrides config.json: pooling of a frame's tokens", choices=(None, "average", "bilinear", "max")
    )
    mm_newline_position: str | None = setting(
        None,
        "overrides config.json: where newline tokens stand",
        choices=(None, "frame", "grid", "no_token", "one_token"),
    )
    warm_up: bool = setting(
        True, "compile kernels and record graphs of full batches while loading, not while clips wait"
    )
