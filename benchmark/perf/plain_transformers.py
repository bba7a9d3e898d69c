"""transformers' own Llama and SigLIP over a loaded model's weights: what ours are measured and tested against."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.engine.float8 import ScaledLinear

_SHARED = (nn.Linear, nn.Embedding, ScaledLinear)
"""Modules that are torch's or the engine's, and are taken as they are, so that a change to one is seen by both."""


def llama_config(config: DriveMMConfig) -> Any:
    """The configuration of the language model as transformers has it."""
    return LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        hidden_act=config.hidden_act,
        max_position_embeddings=config.max_position_embeddings,
        rms_norm_eps=config.rms_norm_eps,
        attention_bias=config.attention_bias,
        mlp_bias=config.mlp_bias,
        tie_word_embeddings=False,
        rope_parameters=dict(config.rope),
        bos_token_id=None,
        eos_token_id=list(config.eos_token_ids),
        pad_token_id=None,
    )


def plain_llama(model: DriveMM) -> Any:
    """A `LlamaForCausalLM` with the very weights of the model's language model."""
    config = llama_config(model.config)
    with torch.device("meta"):
        made = LlamaForCausalLM(config)
    made.model.rotary_emb = LlamaRotaryEmbedding(config).to(model.device)
    for name, module in model.language_model.named_modules():
        if isinstance(module, _SHARED):
            made.set_submodule(name, module)
        elif name.endswith("norm"):
            made.get_submodule(name).weight = module.weight
    assert not any(parameter.is_meta for parameter in made.parameters())
    return made.eval()


def plain_tower(model: DriveMM) -> Any:
    """A `SiglipVisionModel` with the very weights of the model's vision tower."""
    shape = model.config.vision
    config = SiglipVisionConfig(
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=16,
        num_channels=3,
        image_size=384,
        patch_size=14,
        hidden_act="gelu_pytorch_tanh",
        layer_norm_eps=1e-6,
        attention_dropout=0.0,
        vision_use_head=False,
    )
    with torch.device("meta"):
        made = SiglipVisionModel(config)
    made.load_state_dict(model.vision_tower.state_dict(), strict=True, assign=True)
    made.embeddings.position_ids = torch.arange(27 * 27, device=model.device)[None]
    return made.eval()
