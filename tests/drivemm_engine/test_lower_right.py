"""Attention of a prompt's last positions is what torch computes with its own mask of that kind, to the last bit."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn.attention.bias import causal_lower_right  # noqa: E402
from torch.nn.functional import scaled_dot_product_attention  # noqa: E402

from ghostbench_drivemm.engine.lower_right import attend_lower_right  # noqa: E402
from ghostbench_drivemm.engine.operations import preferred_attention  # noqa: E402

SHAPES = [
    # heads, heads of keys, asked, positions, head
    (4, 4, 1, 9, 16),
    (4, 2, 5, 37, 16),
    (8, 1, 33, 64, 32),
    (4, 4, 7, 300, 20),
    (2, 1, 3, 40, 320),
]


def assert_equal_to_torchs(shape: tuple[int, ...], dtype: Any, device: str) -> None:
    heads, key_heads, asked, positions, head = shape
    random = torch.Generator(device).manual_seed(positions)

    def drawn(count: int, length: int) -> Any:
        # As the engine has them: heads last in memory for queries, a part of a longer cache for keys and values.
        whole = torch.randn(2, length + 3, count, head, generator=random, device=device).to(dtype)
        return whole[:, :length].transpose(1, 2)

    query, key, value = drawn(heads, asked), drawn(key_heads, positions), drawn(key_heads, positions)
    grouped = heads != key_heads
    if grouped and (dtype == torch.float32 or device == "cpu"):
        key, value, grouped = (*(part.repeat_interleave(heads // key_heads, 1) for part in (key, value)), False)
    with preferred_attention():
        found = attend_lower_right(query, key, value, 0.3, grouped=grouped)
        mask = causal_lower_right(asked, positions)
        expected = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.3, enable_gqa=grouped)
    assert found.shape == (2, heads, asked, head)
    assert torch.equal(found, expected)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_what_torchs_mask_gives(shape: tuple[int, ...], dtype: str) -> None:
    assert_equal_to_torchs(shape, getattr(torch, dtype), "cpu")


@pytest.mark.gpu
def test_it_is_what_torchs_mask_gives_on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    for shape in [*SHAPES, (32, 8, 160, 2800, 128)]:
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            assert_equal_to_torchs(shape, dtype, "cuda")


def test_each_position_sees_all_up_to_its_own_and_none_behind() -> None:
    value = torch.eye(6).expand(1, 1, 6, 6)
    shares = attend_lower_right(torch.zeros(1, 1, 3, 6), torch.randn(1, 1, 6, 6), value, 1.0, grouped=False)
    assert torch.allclose(shares[0, 0], torch.ones(3, 6).tril(3) / torch.tensor([[4.0], [5.0], [6.0]]))
