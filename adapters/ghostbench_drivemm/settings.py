"""What a user can set on `drivemm`, each as `--set drivemm.NAME=VALUE`."""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench import setting
from ghostbench_local.settings import LocalSettings


@dataclass(frozen=True, slots=True)
class DriveMMSettings(LocalSettings):
    """The settings of `drivemm`."""

    checkpoint: str | None = setting(
        None,
        "folder with the checkpoint; none: the public one, from this machine's caches or, with download, the hub",
        network=False,
    )
    revision: str = setting("main", "branch, tag or commit of the public checkpoint", network=False)
    download: bool = setting(False, "fetch the public checkpoint (17 GB) if it is not on this machine", network=True)
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


FLOAT8 = "float8_e4m3"
"""What stands for the type of `drivemm:fp8`'s products."""


@dataclass(frozen=True, slots=True)
class DriveMMFloat8Settings(DriveMMSettings):
    """The settings of `drivemm:fp8`."""

    dtype: str = setting(
        FLOAT8, "type of the products in the language model's layers; all else is bfloat16", choices=(FLOAT8,)
    )
    compare: int = setting(
        0,
        "have bfloat16 answer the first batches too, up to so many answers or more, and show how far both are apart",
        minimum=0,
        maximum=1_000_000,
        throughput=True,
    )
