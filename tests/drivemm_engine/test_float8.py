"""float8 products: held against numbers rounded by a table of e4m3, within what theory allows."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from plain_transformers import plain_llama

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from ghostbench import GRADES  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate, generate_prepared, reference  # noqa: E402
from ghostbench_drivemm.engine.float8 import ScaledLinear, rounded, runs_on, scaled_product  # noqa: E402
from ghostbench_drivemm.network.numerics import diagnose  # noqa: E402
from ghostbench_drivemm.network.rounding import in_float8  # noqa: E402
from ghostbench_local.answer.grammar import Vocabulary  # noqa: E402
from ghostbench_local.answer.score import GradeReader  # noqa: E402

Floats = npt.NDArray[np.float64]


def e4m3() -> Floats:
    """All finite magnitudes of the format by its definition: sign, 4 bits of exponent with bias 7, 3 of mantissa."""
    codes = [code for code in range(128) if code != 0x7F]
    return np.array([(c & 7) / 8 * 2.0**-6 if c < 8 else (1 + (c & 7) / 8) * 2.0 ** ((c >> 3) - 7) for c in codes])


def nearest(values: Floats) -> Floats:
    """Each value as the nearest of the format, of two equally near that with the even code."""
    table = e4m3()
    middles = (table[1:] + table[:-1]) / 2
    size = np.abs(values)
    code = np.searchsorted(middles, size)
    tie = (code < len(middles)) & (middles[np.minimum(code, len(middles) - 1)] == size)
    return np.sign(values) * table[code + (tie & (code % 2 == 1))]


def by_hand(x: Any) -> tuple[Floats, Floats]:
    """The rows' values and scales."""
    wide = x.double().numpy()
    scales = (np.abs(wide).max(-1, keepdims=True).astype(np.float32) / np.float32(448)).astype(np.float64)
    return nearest((wide / scales).astype(np.float32).astype(np.float64)), scales


def test_rows_are_rounded_to_the_nearest_of_the_format() -> None:
    random = torch.Generator().manual_seed(0)
    x = (torch.randn(40, 48, generator=random) * torch.logspace(-6, 6, 40)[:, None]).bfloat16()
    found = rounded(x)
    values, scales = by_hand(x)
    assert np.array_equal(found.values.double().numpy(), values)
    assert np.array_equal(found.scales.double().numpy(), scales)
    # A quarter of the last place that a magnitude has is half of 2**-3 of it; below the normal ones, of 2**-9.
    wide = x.double().numpy()
    allowed = np.maximum(2.0**-4 * np.abs(wide), 2.0**-10 * scales) * (1 + 1e-6)
    assert (np.abs(values * scales - wide) <= allowed).all()


def test_a_product_is_that_of_the_rounded_numbers_and_as_near_to_the_exact_one_as_rounding_allows() -> None:
    random = torch.Generator().manual_seed(1)
    x, weight = (torch.randn(rows, 96, generator=random).bfloat16() for rows in (33, 80))
    found = scaled_product(rounded(x), rounded(weight)).double().numpy()
    (xs, x_scale), (ws, w_scale) = by_hand(x), by_hand(weight)
    by_table = (xs * x_scale) @ (ws * w_scale).T
    summed = np.abs(xs * x_scale) @ np.abs(ws * w_scale).T
    # One rounding to bfloat16, and 96 sums in float32.
    assert (np.abs(found - by_table) <= 2.0**-8 * np.abs(by_table) + 96 * 2.0**-23 * summed).all()
    wide, matrix = x.double().numpy(), weight.double().numpy()
    off_x = np.maximum(2.0**-4 * np.abs(wide), 2.0**-10 * x_scale)
    off_w = np.maximum(2.0**-4 * np.abs(matrix), 2.0**-10 * w_scale)
    allowed = off_x @ np.abs(matrix).T + np.abs(wide) @ off_w.T + off_x @ off_w.T
    assert (np.abs(found - wide @ matrix.T) <= allowed + 2.0**-7 * np.abs(wide @ matrix.T)).all()
    # Not merely allowed: independent errors of either side come to about 2**-5 of the norm or a little less.
    apart = np.linalg.norm(found - wide @ matrix.T) / np.linalg.norm(wide @ matrix.T)
    assert 0.02 < apart < 0.06


def test_rows_of_nothing_and_values_that_are_not_finite() -> None:
    x = torch.ones(4, 32).bfloat16()
    x[1], x[2, 7], x[3, 9] = 0.0, float("nan"), float("-inf")
    found = scaled_product(rounded(x), rounded(torch.ones(16, 32).bfloat16()))
    assert found[0].tolist() == [32.0] * 16
    assert found[1].tolist() == [0.0] * 16
    assert not torch.isfinite(found[2:]).any()


def test_the_operations_before_a_product_round_what_the_plain_ones_give() -> None:
    random = torch.Generator().manual_seed(2)
    x, residual, gate_up = (torch.randn(6, 32, generator=random).bfloat16() for _ in range(3))
    norm = torch.rand(32, generator=random).bfloat16()
    copied = residual.clone()
    plain = rounded(reference.add_rmsnorm(x, residual, norm, 1e-5))
    fused = reference.add_rmsnorm_rounded(x, copied, norm, 1e-5)
    assert torch.equal(plain.values.float(), fused.values.float())
    assert torch.equal(plain.scales, fused.scales)
    assert torch.equal(residual, copied)
    assert torch.equal(reference.silu_mul_rounded(gate_up).scales, rounded(reference.silu_mul(gate_up)).scales)


@pytest.mark.gpu
def test_the_devices_operations_round_as_they_are_specified_to() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from ghostbench_drivemm.engine import float8_kernels, kernels

    random = torch.Generator("cuda").manual_seed(0)
    x, residual, gate_up = (
        torch.randn(70, width, generator=random, device="cuda").mul(2.0).bfloat16() for width in (4096, 4096, 2 * 14336)
    )
    x[1], x[2, 5], x[3, 7] = 0.0, float("nan"), float("inf")
    norm = torch.rand(4096, generator=random, device="cuda").bfloat16()
    pairs = (
        (float8_kernels.rounded(x), rounded(x)),
        (
            float8_kernels.add_rmsnorm_rounded(x, residual.clone(), norm, 1e-5),
            rounded(kernels.add_rmsnorm(x, residual.clone(), norm, 1e-5)),
        ),
        (float8_kernels.silu_mul_rounded(gate_up), rounded(kernels.silu_mul(gate_up))),
    )
    for one, other in pairs:
        finite = torch.isfinite(other.scales)
        assert torch.equal(torch.isfinite(one.scales), finite)
        assert torch.equal(one.scales[finite], other.scales[finite])
        assert torch.equal(one.values[finite[:, 0]].float(), other.values[finite[:, 0]].float())


def test_this_machine_says_whether_it_computes_them() -> None:
    assert runs_on(torch.device("cpu")) is None


def clip(model: Any, seed: int = 0) -> Any:
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 60, 90, 3), dtype=np.uint8)
    return model.prepare(pixels, "<image>\nWhat is it?", kind="video")


class ByTable(torch.nn.Module):
    """A linear layer whose two sides are rounded by the table and multiplied in float64, once rounded to bfloat16."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        values, scales = by_hand(linear.weight.data)
        self.matrix = values * scales

    def forward(self, x: Any) -> Any:
        values, scales = by_hand(x[0])
        return torch.from_numpy((values * scales) @ self.matrix.T).bfloat16()[None]


def by_table(model: Any) -> Any:
    """The library's Llama with such products in its layers, and no other change."""
    language = copy.deepcopy(plain_llama(model))
    for layer in language.model.layers:
        for part, names in ((layer.self_attn, ("q_proj", "k_proj", "v_proj", "o_proj")),
                            (layer.mlp, ("gate_proj", "up_proj", "down_proj"))):  # fmt: skip
            for name in names:
                setattr(part, name, ByTable(getattr(part, name)))
    return language


def test_a_model_answers_as_the_library_does_with_products_of_the_rounded_numbers(tiny: Any) -> None:
    plain = tiny(dtype="bfloat16")
    expected = by_table(plain)
    model = in_float8(plain, keep=True)
    layer = model.language_model.model.layers[0]
    assert isinstance(layer.mlp.down_proj, ScaledLinear)
    assert layer.mlp.down_proj.weight.dtype == torch.float8_e4m3fn
    assert model.facts["float8_parameters"] == sum(product.numel() for product in products(plain))
    prepared = model.prepare([], "What is it?", kind="text")
    options = GenerateOptions(max_new_tokens=1, keep_first=True)
    found = generate_prepared(model, [prepared], options)[0].first_logits
    unrounded = generate_prepared(plain, [prepared], options)[0].first_logits
    embeds = model.embed([prepared])[0][None]
    with torch.no_grad():
        exact = expected(inputs_embeds=embeds, logits_to_keep=1).logits[0, 0].float()
        plainly = model.language_model(embeds, last=1)[0, 0].float()
        library = plain_llama(model)(inputs_embeds=embeds, logits_to_keep=1).logits[0, 0].float()

    def apart(one: Any, other: Any) -> float:
        return float((one - other).norm() / other.norm())

    # Sums in float32 or in float64: a product that lies between two bfloat16 numbers may fall either way.
    assert apart(found, exact) < 0.02
    assert apart(found, library) < 0.02
    assert torch.equal(plainly, library)
    assert apart(unrounded, exact) > 2 * apart(found, exact)


def products(model: Any) -> list[Any]:
    return [product for layer in engine_of(model).weights.layers
            for product in (layer.qkv, layer.out, layer.gate_up, layer.down)]  # fmt: skip


def test_the_model_that_is_kept_answers_as_before_and_shares_all_but_the_matrices(tiny: Any) -> None:
    before = tiny(dtype="bfloat16")
    options = GenerateOptions(max_new_tokens=6, keep_first=True)
    first = generate_prepared(before, [clip(before)], options)[0]
    kept = tiny(dtype="bfloat16")
    made = in_float8(kept, keep=True)
    again = generate_prepared(kept, [clip(kept)], options)[0]
    assert torch.equal(first.first_logits, again.first_logits)
    assert first.output_ids == again.output_ids
    assert made.language_model is not kept.language_model
    assert made.language_model.lm_head.weight is kept.language_model.lm_head.weight
    assert made.vision_tower is kept.vision_tower
    assert {str(parameter.dtype) for parameter in kept.language_model.parameters()} == {"torch.bfloat16"}
    assert "float8" not in str(kept.facts)
    assert "float8_e4m3" in made.facts["loaded_dtype"]
    ours, theirs = (sum(product.bytes() for product in products(model)) for model in (made, kept))
    assert theirs / 2 < ours < 0.57 * theirs


def test_without_keeping_it_no_matrix_stays_in_memory(tiny: Any) -> None:
    model = tiny(dtype="bfloat16")
    made = in_float8(model)
    assert made.language_model is model.language_model
    matrices = [own for own in made.language_model.model.layers.parameters() if own.ndim > 1 and own.shape[1] > 1]
    assert {own.dtype for own in matrices} == {torch.float8_e4m3fn}
    with pytest.raises(ValueError, match="float32"):
        in_float8(tiny())


def test_batches_and_steps_give_what_a_clip_alone_gives(tiny: Any) -> None:
    model = in_float8(tiny(dtype="bfloat16", attention_bias=True, mlp_bias=True))
    random = torch.Generator().manual_seed(0)
    embeds = [torch.randn(n, 64, generator=random).bfloat16() for n in (9, 14, 5)]
    options = GenerateOptions(max_new_tokens=8, keep_logits=True, forced=[[5, 6, 7, 8, 9, 10, 11, 12]] * 3)
    together = generate(model, embeds, options)
    for place, own in enumerate(embeds):
        alone = generate(model, [own], GenerateOptions(max_new_tokens=8, keep_logits=True, forced=[options.forced[0]]))
        for one, other in zip(together[place].step_logits, alone[0].step_logits, strict=True):
            assert float((one - other).norm() / other.norm()) < 0.05


def test_a_value_that_is_not_finite_is_found_and_named(tiny: Any) -> None:
    model = in_float8(tiny(dtype="bfloat16"))
    prepared = clip(model)
    assert diagnose(model, prepared) is None
    with torch.no_grad():
        model.language_model.model.layers[1].mlp.up_proj.scale[3] = float("nan")
    vocabulary = Vocabulary(model.tokenizer, model.config.vocab_size, model.eos_ids)
    options = GenerateOptions(max_new_tokens=0, grades=GradeReader("grade", GRADES, vocabulary))
    answer = generate_prepared(model, [prepared], options)[0]
    assert answer.nonfinite_step == 0
    assert answer.grade_masses is None
    found = diagnose(model, prepared)
    assert found is not None
    assert found.module == "language_model.model.layers.1.mlp.up_proj"
