"""The language model: a Llama in plain torch, computed operation by operation as transformers' `LlamaForCausalLM`.

Its modules hold the weights under the names that checkpoints have. Answers are computed by the engine, which joins
these weights; the forward pass here is the plain one, that a value which is not finite is traced through.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.network.rotary import Rotary, rotated
from ghostbench_drivemm.network.unset import Embedding, Linear


class Llama(nn.Module):
    """Decoder and head. Weights are not set.

    Raises
    ------
    NotImplementedError
        Another activation than SiLU, or a rope type that is not known.
    """

    def __init__(self, config: DriveMMConfig) -> None:
        super().__init__()
        if config.hidden_act != "silu":
            raise NotImplementedError(f"hidden_act {config.hidden_act}")
        self.config = config
        self.model = Decoder(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False)

    def get_input_embeddings(self) -> nn.Embedding:
        """The embedding of tokens."""
        return self.model.embed_tokens

    def forward(self, embeds: Tensor, last: int = 0) -> Tensor:
        """Logits [batch, positions, vocabulary] of embedded prompts [batch, positions, hidden]; 0 for `last` is all.

        last : how many of the positions at the end.
        """
        hidden = self.model(embeds)
        logits: Tensor = self.lm_head(hidden[:, -last:])
        return logits


class Decoder(nn.Module):
    """Embedding, layers and the last norm."""

    def __init__(self, config: DriveMMConfig) -> None:
        super().__init__()
        self.embed_tokens: nn.Embedding = Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = Rotary(config.rope, config.head_dim, config.max_position_embeddings)

    def forward(self, embeds: Tensor) -> Tensor:
        """Embedded prompts [batch, positions, hidden], all of one length, to what the head reads."""
        cos, sin = self.rotary_emb(embeds, torch.arange(embeds.shape[1], device=embeds.device))
        hidden = embeds
        for layer in self.layers:
            hidden = layer(hidden, cos, sin)
        normed: Tensor = self.norm(hidden)
        return normed


class Layer(nn.Module):
    """Attention, then the feed-forward part, each with its norm before it and added to what came in."""

    def __init__(self, config: DriveMMConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = FeedForward(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[batch, positions, hidden] to the same."""
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), cos, sin)
        out: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return out


class Attention(nn.Module):
    """Causal attention, whose keys and values several heads of queries may have in common."""

    def __init__(self, config: DriveMMConfig) -> None:
        super().__init__()
        hidden, bias = config.hidden_size, config.attention_bias
        self.head_dim = config.head_dim
        self.is_grouped = config.num_key_value_heads < config.num_attention_heads
        queries, keys = config.num_attention_heads * self.head_dim, config.num_key_value_heads * self.head_dim
        self.q_proj = Linear(hidden, queries, bias=bias)
        self.k_proj = Linear(hidden, keys, bias=bias)
        self.v_proj = Linear(hidden, keys, bias=bias)
        self.o_proj = Linear(queries, hidden, bias=bias)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[batch, positions, hidden] to the same; cosines and sines are [positions, head]."""
        split = (*hidden.shape[:-1], -1, self.head_dim)
        query, key, value = (
            part(hidden).view(split).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(
            rotated(query, cos, sin),
            rotated(key, cos, sin),
            value,
            is_causal=hidden.shape[1] > 1,
            scale=self.head_dim**-0.5,
            enable_gqa=self.is_grouped,
        )
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(*hidden.shape[:-1], -1))
        return out


class FeedForward(nn.Module):
    """SiLU of one product times another, and a third of that."""

    def __init__(self, config: DriveMMConfig) -> None:
        super().__init__()
        hidden, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = Linear(hidden, inner, bias=bias)
        self.up_proj = Linear(hidden, inner, bias=bias)
        self.down_proj = Linear(inner, hidden, bias=bias)
        self.act_fn = nn.SiLU()

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., hidden] to the same."""
        out: Tensor = self.down_proj(self.act_fn(self.gate_proj(hidden)) * self.up_proj(hidden))
        return out


class RMSNorm(nn.Module):
    """Root mean square norm, in float32, and rounded before it is multiplied by the weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., width] to the same."""
        wide = hidden.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * scaled.to(hidden.dtype)
