"""What a user can set on every model computed here, each as `--set MODEL.NAME=VALUE`."""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench import setting


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The settings that local models have in common."""

    device: str = setting("cuda", "where to compute: cuda, cuda:N or cpu", network=False)
    devices: str | None = setting(
        None,
        "several GPUs of this machine, e.g. 0,1: one replica of the model on each",
        network=False,
        throughput=True,
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
