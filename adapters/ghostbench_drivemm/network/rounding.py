"""A model whose decoder layers multiply in float8: `drivemm:fp8`."""

from __future__ import annotations

import copy

import torch

from ghostbench_drivemm.engine.float8 import round_layers
from ghostbench_drivemm.network.model import DriveMM


def in_float8(model: DriveMM, *, keep: bool = False) -> DriveMM:
    """The model with the products of its language model's layers in float8. Everything else is the very same tensors.

    keep : whether the given model stays as it is, and its matrices in memory; else it is not to be used any more.

    Raises
    ------
    ValueError
        The model is not in bfloat16, or on a GPU a matrix has sides that are no multiples of 16.
    """
    if model.dtype != torch.bfloat16:
        raise ValueError(f"float8 products stand among bfloat16 numbers, and this model is in {model.dtype}")
    made = copy.copy(model)
    if keep:
        shared = {
            id(tensor): tensor for tensor in (*model.language_model.parameters(), *model.language_model.buffers())
        }
        made.language_model = copy.deepcopy(model.language_model, shared)
    elements = round_layers(made.language_model)
    made.note_facts({"loaded_dtype": "bfloat16, then float8_e4m3 in part", "float8_parameters": elements})
    return made
