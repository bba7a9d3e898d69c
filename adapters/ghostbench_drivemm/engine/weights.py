"""The language model's weights as the engine reads them: queries, keys and values in one matrix, gate and up in one.

The model's own parameters become views into the joined matrices, so that nothing is held twice and the plain forward
pass (which the diagnosis of non-finite values runs) keeps computing with the very same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ghostbench_drivemm.engine.float8 import Rounded, ScaledLinear
from ghostbench_drivemm.engine.products import Product, Scaled, Stored


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One decoder layer: its norms, and what it multiplies with."""

    input_norm: Tensor
    qkv: Product
    out: Product
    post_norm: Tensor
    gate_up: Product
    down: Product


@dataclass(frozen=True, slots=True)
class LanguageWeights:
    """All of a Llama, with the sizes that the engine needs.

    inverse_frequencies : [head / 2] float32 of the rotary embedding; rope_scale multiplies cosines and sines.
    """

    layers: tuple[LayerWeights, ...]
    embedding: Tensor
    norm: Tensor
    head: Tensor
    eps: float
    heads: int
    kv_heads: int
    head_size: int
    inverse_frequencies: Tensor
    rope_scale: float

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.device

    @property
    def dtype(self) -> torch.dtype:
        """What they are stored in, float8 matrices aside, which is also the type of activations and cache."""
        return self.head.dtype

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of keys and values of one position, all layers."""
        return 2 * len(self.layers) * self.kv_heads * self.head_size * self.head.element_size()

    def rope_tables(self, capacity: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of positions 0 … capacity - 1, [capacity, head / 2], rounded as Llama rounds them."""
        at = torch.arange(capacity, device=self.device, dtype=torch.float32)[:, None]
        angle = at * self.inverse_frequencies.to(self.device, torch.float32)
        return (angle.cos() * self.rope_scale).to(self.dtype), (angle.sin() * self.rope_scale).to(self.dtype)


def join(model: Any) -> LanguageWeights:
    """Join the weights of a `ghostbench_drivemm.network.llama.Llama` in place. Calling it again is harmless."""
    config, inner = model.config, model.model
    layers = []
    for layer in inner.layers:
        attention, mlp = layer.self_attn, layer.mlp
        layers.append(
            LayerWeights(
                input_norm=layer.input_layernorm.weight.data,
                qkv=_joined((attention.q_proj, attention.k_proj, attention.v_proj)),
                out=_joined((attention.o_proj,)),
                post_norm=layer.post_attention_layernorm.weight.data,
                gate_up=_joined((mlp.gate_proj, mlp.up_proj)),
                down=_joined((mlp.down_proj,)),
            )
        )
    rotary = inner.rotary_emb
    return LanguageWeights(
        layers=tuple(layers),
        embedding=inner.embed_tokens.weight.data,
        norm=inner.norm.weight.data,
        head=model.lm_head.weight.data,
        eps=config.rms_norm_eps,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_size=config.head_dim,
        inverse_frequencies=rotary.inv_freq.float(),
        rope_scale=float(rotary.attention_scaling),
    )


def _joined(parts: tuple[Any, ...]) -> Product:
    weight = merged([part.weight for part in parts])
    biases = [part.bias for part in parts if part.bias is not None]
    bias = merged(biases) if biases else None
    if isinstance(parts[0], ScaledLinear):
        return Scaled(Rounded(weight, merged([part.scale for part in parts])), bias)
    return Stored(weight, bias)


def merged(parts: Sequence[Tensor]) -> Tensor:
    """One tensor [sum of outputs, …] that holds the parts [outputs, …] below each other.

    The parts become views into it. Parts that already lie below each other in memory are left where they are.
    """
    first = parts[0].data
    home = first.untyped_storage()
    outputs, expected = 0, first.data_ptr()
    for part in parts:
        if part.data_ptr() != expected or part.untyped_storage().data_ptr() != home.data_ptr():
            break
        outputs += part.shape[0]
        expected += part.numel() * part.element_size()
    else:
        return first.as_strided((outputs, *first.shape[1:]), first.stride(), first.storage_offset())
    whole = torch.cat([part.data for part in parts])
    start = 0
    for part in parts:
        part.data = whole[start : start + part.shape[0]]
        start += part.shape[0]
    return whole
