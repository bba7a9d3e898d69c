"""Registers `drivemm`. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench import ModelSpec, hookimpl
from ghostbench_drivemm.settings import DriveMMSettings

_CITATION = """@article{huang2024drivemm,
  author = {Huang, Zhijian and Feng, Chengjian and Yan, Feng and Xiao, Baihui and Jie, Zequn and Zhong, Yujie
            and Liang, Xiaodan and Ma, Lin},
  title = {{DriveMM}: All-in-One Large Multimodal Model for Autonomous Driving},
  journal = {arXiv preprint arXiv:2412.07689}, year = {2024},
}"""


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register `drivemm`."""
    register(
        ModelSpec(
            name="drivemm",
            load="ghostbench_drivemm.adapter:DriveMMModel",
            kind="local",
            summary="DriveMM (SigLIP + Llama 3.1 8B) on this machine's GPUs",
            settings=DriveMMSettings,
            extra="ghostbench[drivemm]",
            citation=_CITATION,
            requires=("torch", "transformers", "safetensors", "tokenizers", "huggingface_hub", "llguidance", "pynvml"),
        )
    )
