"""Attention of a prompt's last positions: each sees all positions up to its own.

What `scaled_dot_product_attention` computes with torch's `causal_lower_right` mask, by the same kernels in the same
order. That mask's module imports torch's compiler, which takes longer than all of torch's own import and serves nothing
here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.backends.cuda import SDPAParams, can_use_efficient_attention, can_use_flash_attention
from torch.nn import functional

_FLASH_MULTIPLE = 8
"""Features of a head that FlashAttention's kernel takes: what is missing is filled with zeros."""
_LOWER_RIGHT = 2
"""The efficient kernel's name for this mask."""


def attend_lower_right(query: Tensor, key: Tensor, value: Tensor, scale: float, *, grouped: bool) -> Tensor:
    """Attention of the last positions over all.

    query : [prompts, heads, asked, head]. key, value : [prompts, heads or kv_heads, positions, head], more positions
    than are asked. grouped : whether several heads of queries have keys in common.

    Returns [prompts, heads, asked, head].
    """
    given = SDPAParams(query, key, value, None, 0.0, False, grouped)
    if can_use_flash_attention(given):
        head = query.shape[-1]
        if missing := -head % _FLASH_MULTIPLE:
            query, key, value = (functional.pad(part, (0, missing)) for part in (query, key, value))
        found: Tensor = torch.ops.aten._scaled_dot_product_flash_attention(
            query, key, value, 0.0, is_causal=True, return_debug_mask=False, scale=scale
        )[0]
        return found[..., :head]
    if can_use_efficient_attention(given):
        rows: Tensor = torch.ops.aten._efficient_attention_forward(
            *(part.transpose(1, 2) for part in (query, key, value)),
            bias=None,
            cu_seqlens_q=None,
            cu_seqlens_k=None,
            max_seqlen_q=None,
            max_seqlen_k=None,
            dropout_p=0.0,
            custom_mask_type=_LOWER_RIGHT,
            compute_log_sumexp=False,
            scale=scale,
            seqlen_k=None,
        )[0]
        return rows.transpose(1, 2)
    asked, positions = query.shape[2], key.shape[2]
    seen = torch.ones(asked, positions, device=query.device, dtype=torch.bool).tril(positions - asked)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=scale, enable_gqa=grouped)
