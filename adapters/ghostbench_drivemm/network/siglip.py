"""The vision tower: SigLIP's encoder in plain torch, operation by operation as transformers' `SiglipVisionModel`.

Only the layers that a checkpoint keeps, and no pooling head. Its modules hold the weights under the names that
checkpoints have.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ghostbench_drivemm.checkpoint.config import (
    PATCH_SIZE,
    PATCHES_PER_SIDE,
    VISION_HEADS,
    VISION_LAYER_NORM_EPS,
    VisionShape,
)
from ghostbench_drivemm.network.unset import Convolution, Embedding, LayerNorm, Linear


class Tower(nn.Module):
    """Patch embeddings and encoder. Weights are not set.

    `post_layernorm` is in every checkpoint, and nothing of DriveMM reads what it would give.
    """

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.embeddings = PatchEmbeddings(shape.width)
        self.encoder = Encoder(shape)
        self.post_layernorm = LayerNorm(shape.width, eps=VISION_LAYER_NORM_EPS)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels [frames, 3, 384, 384] to features [frames, 729, width], before the post layer norm."""
        features: Tensor = self.encoder(self.embeddings(pixels))
        return features


class PatchEmbeddings(nn.Module):
    """A strided convolution, and what stands for each patch's place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patch_embedding = Convolution(3, width, kernel_size=PATCH_SIZE, stride=PATCH_SIZE, padding="valid")
        self.position_embedding = Embedding(PATCHES_PER_SIDE**2, width)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels [frames, 3, 384, 384] in the tower's element type to [frames, 729, width]."""
        patches: Tensor = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        places = torch.arange(PATCHES_PER_SIDE**2, device=pixels.device)[None]
        placed: Tensor = patches + self.position_embedding(places)
        return placed


class Encoder(nn.Module):
    """The layers that are kept."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(shape) for _ in range(shape.layers)])

    def forward(self, hidden: Tensor) -> Tensor:
        """[frames, patches, width] to the same."""
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


class Layer(nn.Module):
    """Attention, then the feed-forward part, each with its norm before it and added to what came in."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.layer_norm1 = LayerNorm(shape.width, eps=VISION_LAYER_NORM_EPS)
        self.self_attn = Attention(shape.width)
        self.layer_norm2 = LayerNorm(shape.width, eps=VISION_LAYER_NORM_EPS)
        self.mlp = FeedForward(shape)

    def forward(self, hidden: Tensor) -> Tensor:
        """[frames, patches, width] to the same."""
        hidden = hidden + self.self_attn(self.layer_norm1(hidden))
        out: Tensor = hidden + self.mlp(self.layer_norm2(hidden))
        return out


class Attention(nn.Module):
    """Attention of each patch to all of its frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_heads = VISION_HEADS
        self.head_dim = width // VISION_HEADS
        self.k_proj = Linear(width, width)
        self.v_proj = Linear(width, width)
        self.q_proj = Linear(width, width)
        self.out_proj = Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """[frames, patches, width] to the same."""
        split = (*hidden.shape[:-1], self.num_heads, self.head_dim)
        query, key, value = (
            part(hidden).view(split).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, scale=self.head_dim**-0.5)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(hidden.shape))
        return out


class FeedForward(nn.Module):
    """Two products with GELU, in its tanh form, between them."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.activation_fn = nn.GELU(approximate="tanh")
        self.fc1 = Linear(shape.width, shape.feed_forward)
        self.fc2 = Linear(shape.feed_forward, shape.width)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., width] to the same."""
        out: Tensor = self.fc2(self.activation_fn(self.fc1(hidden)))
        return out
