"""Registers the datasets that come with the package."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench.plugins.hookspecs import DatasetSpec, hookimpl

_DADA_2000 = """@inproceedings{fang2019dada,
  author = {Fang, Jianwu and Yan, Dingxin and Qiao, Jiahuan and Xue, Jianru and Wang, He and Li, Sen},
  title = {{DADA-2000}: Can Driving Accident be Predicted by Driver Attention? Analyzed by A Benchmark},
  booktitle = {2019 IEEE Intelligent Transportation Systems Conference (ITSC)},
  pages = {4303--4309}, year = {2019},
  doi = {10.1109/ITSC.2019.8917218},
}"""


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register ghost5, ghost-grid and dada2000."""
    register(
        DatasetSpec(
            name="ghost5",
            load="ghostbench.datasets.embedded:ghost5",
            summary="five rendered clips that come with the package",
            free_media=True,
        )
    )
    register(
        DatasetSpec(
            name="ghost-grid",
            load="ghostbench.datasets.embedded:ghost_grid",
            summary="49 rendered clips, each scene with twins that differ in one thing (see bench render)",
            free_media=True,
        )
    )
    register(
        DatasetSpec(
            name="dada2000",
            load="ghostbench.datasets.embedded:dada2000",
            summary="DADA-2000 dashcam accidents; bring the media (--data-root) and the labels (--labels)",
            citation=_DADA_2000,
        )
    )
