"""Checkpoints of the Hugging Face hub, or of a folder, as models: those that transformers' Auto classes load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from ghostbench import ModelSpec, hookimpl
from ghostbench_hf.settings import HFSettings


def row_name(argument: str) -> str:
    """The row's name in the tables where the user gave none: the folder's or repository's own, without its owner's."""
    return PurePath(argument).name or argument


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register the family `hf:REPO_OR_DIR`."""
    register(
        ModelSpec(
            name="hf",
            load="ghostbench_hf.adapter:HFModel",
            kind="local",
            summary="a Hugging Face checkpoint (image-text-to-text) on this machine",
            settings=HFSettings,
            sees_examples=True,
            family="REPO_OR_DIR",
            row_name=row_name,
            extra="ghostbench[hf]",
            requires=("torch", "transformers", "safetensors", "tokenizers", "huggingface_hub", "llguidance", "pynvml"),
        )
    )
