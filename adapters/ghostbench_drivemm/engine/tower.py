"""The vision tower on a GPU in 16 bits: SigLIP's layers with joined projections and fused activations."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ghostbench_drivemm.engine.operations import operations_for, preferred_attention
from ghostbench_drivemm.engine.weights import merged


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Tensor
    bias: Tensor
    eps: float


@dataclass(frozen=True, slots=True)
class _Layer:
    norm1: _Norm
    qkv: Tensor
    qkv_bias: Tensor
    out: nn.Linear
    norm2: _Norm
    fc1: nn.Linear
    fc2: nn.Linear


class FastTower:
    """A `ghostbench_drivemm.network.siglip.Tower`, same function: normalised pixels in, last layer's output out.

    Queries, keys and values come from one product, tanh-GELU is part of the product before it, and what is added to the
    residual stream is added where its norm is taken. The tower's parameters become views into the joined ones.
    """

    def __init__(self, tower: nn.Module) -> None:
        self._embeddings = tower.get_submodule("embeddings")
        layers = tower.get_submodule("encoder").get_submodule("layers")
        self._layers = [_joined(layer) for layer in layers.children()]
        self._heads: int = next(layers.children()).get_submodule("self_attn").num_heads  # type: ignore[assignment]
        self._do = operations_for(self._layers[0].qkv.device)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalised pixels [frames, 3, 384, 384] to features [frames, 729, width], before the post layer norm."""
        patched = self._patches(pixels)
        frames, patches, width = patched.shape
        residual = patched.view(-1, width)
        x: Tensor | None = None
        for layer in self._layers:
            qkv = functional.linear(self._normed(x, residual, layer.norm1), layer.qkv, layer.qkv_bias)
            query, key, value = qkv.view(frames, patches, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            with preferred_attention():
                mixed = functional.scaled_dot_product_attention(query, key, value)
            x = layer.out(mixed.transpose(1, 2).reshape(-1, width))
            flat = self._normed(x, residual, layer.norm2)
            # cuBLAS's fused GELU is the tanh form, which is SigLIP's own; it rounds once instead of twice.
            active = torch._addmm_activation(layer.fc1.bias, flat, layer.fc1.weight.t(), use_gelu=True)
            x = layer.fc2(active)
        return (residual if x is None else residual.add_(x)).view_as(patched)

    def _normed(self, x: Tensor | None, residual: Tensor, norm: _Norm) -> Tensor:
        return self._do.add_layernorm(x, residual, norm.weight, norm.bias, norm.eps)

    def _patches(self, pixels: Tensor) -> Tensor:
        """Patch embeddings with their positions: the strided convolution as one matrix product."""
        convolution = self._embeddings.get_submodule("patch_embedding")
        weight: Tensor = convolution.weight  # type: ignore[assignment]
        bias: Tensor = convolution.bias  # type: ignore[assignment]
        positions: Tensor = self._embeddings.get_submodule("position_embedding").weight  # type: ignore[assignment]
        frames, channels, height, width = pixels.shape
        size = weight.shape[-1]
        down, across = height // size, width // size
        tiles = pixels[:, :, : down * size, : across * size].reshape(frames, channels, down, size, across, size)
        flat = tiles.permute(0, 2, 4, 1, 3, 5).reshape(frames, down * across, -1)
        return functional.linear(flat, weight.flatten(1), bias) + positions


_TOWERS: weakref.WeakKeyDictionary[nn.Module, FastTower] = weakref.WeakKeyDictionary()


def fast_tower(tower: nn.Module) -> FastTower:
    """The fast form of a tower; made at the first call."""
    if tower not in _TOWERS:
        _TOWERS[tower] = FastTower(tower)
    return _TOWERS[tower]


def _joined(layer: nn.Module) -> _Layer:
    attention, mlp = layer.get_submodule("self_attn"), layer.get_submodule("mlp")
    parts = [attention.get_submodule(name) for name in ("q_proj", "k_proj", "v_proj")]
    return _Layer(
        norm1=_norm(layer.get_submodule("layer_norm1")),
        qkv=merged([part.weight for part in parts]),  # type: ignore[misc]
        qkv_bias=merged([part.bias for part in parts]),  # type: ignore[misc]
        out=attention.get_submodule("out_proj"),  # type: ignore[arg-type]
        norm2=_norm(layer.get_submodule("layer_norm2")),
        fc1=mlp.get_submodule("fc1"),  # type: ignore[arg-type]
        fc2=mlp.get_submodule("fc2"),  # type: ignore[arg-type]
    )


def _norm(norm: nn.Module) -> _Norm:
    return _Norm(norm.weight, norm.bias, norm.eps)  # type: ignore[arg-type]
