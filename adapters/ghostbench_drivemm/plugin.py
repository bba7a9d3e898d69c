"""Registers `drivemm` and `drivemm:fp8`. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench import ModelSpec, hookimpl
from ghostbench_drivemm.settings import DriveMMFloat8Settings, DriveMMSettings

_REQUIRES = ("torch", "safetensors", "tokenizers", "huggingface_hub", "llguidance", "pynvml")
_CITATION = """@article{huang2024drivemm,
  author = {Huang, Zhijian and Feng, Chengjian and Yan, Feng and Xiao, Baihui and Jie, Zequn and Zhong, Yujie
            and Liang, Xiaodan and Ma, Lin},
  title = {{DriveMM}: All-in-One Large Multimodal Model for Autonomous Driving},
  journal = {arXiv preprint arXiv:2412.07689}, year = {2024},
}"""


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register `drivemm` and `drivemm:fp8`."""
    register(
        ModelSpec(
            name="drivemm",
            load="ghostbench_drivemm.adapter:DriveMMModel",
            kind="local",
            summary="DriveMM (SigLIP + Llama 3.1 8B) on this machine's GPUs",
            settings=DriveMMSettings,
            sees_examples=True,
            extra="ghostbench[drivemm]",
            citation=_CITATION,
            requires=_REQUIRES,
            ahead="ghostbench_drivemm.ahead:begin",
        )
    )
    register(
        ModelSpec(
            name="drivemm:fp8",
            load="ghostbench_drivemm.adapter_float8:DriveMMFloat8",
            kind="local",
            summary="DriveMM with its language model's products in FP8: faster, and another model than drivemm",
            settings=DriveMMFloat8Settings,
            sees_examples=True,
            extra="ghostbench[drivemm]",
            citation=_CITATION,
            requires=_REQUIRES,
            ahead="ghostbench_drivemm.ahead:begin",
            mark="rounded to FP8",
        )
    )
