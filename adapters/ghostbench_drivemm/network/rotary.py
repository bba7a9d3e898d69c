"""Rotary position embeddings: the frequencies of each rope type, operation by operation as transformers computes them.

Sources: RoFormer (arXiv:2104.09864) for `default`; position interpolation (arXiv:2306.15595) for `linear`; Meta's
Llama 3.1 code for `llama3`; YaRN (arXiv:2309.00071), with DeepSeek's `mscale`, for `yarn`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Rotary(nn.Module):
    """Cosines and sines of positions.

    Attributes
    ----------
    inv_freq : radians a position, [head / 2], always float32.
    attention_scaling : what cosines and sines are multiplied by; 1 but for `yarn`.
    """

    inv_freq: Tensor

    def __init__(self, rope: Mapping[str, Any], head: int, positions: int) -> None:
        super().__init__()
        frequencies, self.attention_scaling = frequencies_of(rope, head, positions)
        self.register_buffer("inv_freq", frequencies, persistent=False)

    def forward(self, like: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [positions, head], each half of a head alike, rounded to `like`'s element type."""
        angles = positions[:, None].float() * self.inv_freq
        both = torch.cat((angles, angles), dim=-1)
        cos, sin = both.cos() * self.attention_scaling, both.sin() * self.attention_scaling
        return cos.to(like.dtype), sin.to(like.dtype)


def frequencies_of(rope: Mapping[str, Any], head: int, positions: int) -> tuple[Tensor, float]:
    """Frequencies [head / 2] in float32 on the CPU, and the factor of cosines and sines.

    Parameters
    ----------
    rope : `rope_type`, `rope_theta` and that type's factors, as in `DriveMMConfig.rope`.
    head : features of a head, even.
    positions : the model's `max_position_embeddings`.

    Raises
    ------
    NotImplementedError
        The rope type is not known.
    """
    kind = rope["rope_type"]
    if kind not in _KINDS:
        raise NotImplementedError(f"rotary embeddings of type {kind}")
    # Where modules are made without memory, these are numbers all the same: no file holds them.
    with torch.device("cpu"):
        return _KINDS[kind](rope, head, positions)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Queries or keys [..., positions, head] turned by their positions' angles."""
    left, right = x.chunk(2, dim=-1)
    return (x * cos) + (torch.cat((-right, left), dim=-1) * sin)


def _powers(rope: Mapping[str, Any], head: int) -> Tensor:
    powers: Tensor = rope["rope_theta"] ** (torch.arange(0, head, 2, dtype=torch.float32) / head)
    return powers


def _default(rope: Mapping[str, Any], head: int, positions: int) -> tuple[Tensor, float]:
    del positions
    return 1.0 / _powers(rope, head), 1.0


def _linear(rope: Mapping[str, Any], head: int, positions: int) -> tuple[Tensor, float]:
    del positions
    return 1.0 / _powers(rope, head) / rope["factor"], 1.0


def _llama3(rope: Mapping[str, Any], head: int, positions: int) -> tuple[Tensor, float]:
    """Long waves are stretched by the factor, short ones left, and those between blended."""
    del positions
    plain = 1.0 / _powers(rope, head)
    factor, trained = rope["factor"], rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    wave = 2 * math.pi / plain
    stretched = torch.where(wave > trained / low, plain / factor, plain)
    share = (trained / wave - low) / (high - low)
    blended = (1 - share) * stretched / factor + share * stretched
    between = ~(wave < trained / high) & ~(wave > trained / low)
    return torch.where(between, blended, stretched), 1.0


def _yarn(rope: Mapping[str, Any], head: int, positions: int) -> tuple[Tensor, float]:
    """Few turns within the trained length are stretched, many are left, and those between blended along a ramp."""
    factor, base = rope["factor"], rope["rope_theta"]
    trained = rope.get("original_max_position_embeddings") or positions

    def place(turns: float) -> float:
        """The feature that makes so many turns within the trained length."""
        found: float = head * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(base))
        return found

    first = max(math.floor(place(rope.get("beta_fast") or 32)), 0)
    last: float = min(math.ceil(place(rope.get("beta_slow") or 1)), head - 1)
    if first == last:
        last += 0.001
    ramp = torch.clamp((torch.arange(head // 2, dtype=torch.float32) - first) / (last - first), 0, 1)
    left = 1 - ramp
    powers = _powers(rope, head)
    frequencies = 1.0 / (factor * powers) * (1 - left) + 1.0 / powers * left
    return frequencies, _yarn_scaling(rope, factor)


def _yarn_scaling(rope: Mapping[str, Any], factor: float) -> float:
    def scale(by: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * by * math.log(factor) + 1.0

    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        return scale(rope["mscale"]) / scale(rope["mscale_all_dim"])
    return scale(1.0)


_KINDS: Mapping[str, Callable[[Mapping[str, Any], int, int], tuple[Tensor, float]]] = {
    "default": _default,
    # Equal up to the `position_limit` of the configuration, beyond which no prompt goes.
    "dynamic": _default,
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
}
