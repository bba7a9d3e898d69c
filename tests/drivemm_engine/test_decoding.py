"""The engine computes what plain transformers computes, whatever is computed beside it."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from plain_transformers import plain_llama
from scipy.stats import chisquare

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from ghostbench_drivemm.engine import GenerateOptions, Sampling, engine_of, generate  # noqa: E402
from ghostbench_drivemm.engine.operations import PREFERRED, preferred_attention  # noqa: E402
from ghostbench_drivemm.engine.placed import NewTokens  # noqa: E402

LENGTHS = (37, 5, 64, 120)
STEPS = 24


def prompts(model: Any, lengths: tuple[int, ...] = LENGTHS, seed: int = 1) -> list[Any]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(n, model.config.hidden_size, generator=random).to(model.dtype) for n in lengths]


@torch.no_grad()
def plain(model: Any, embeds: Any, steps: int, forced: list[int] | None = None) -> tuple[list[int], Any]:
    """Tokens and logits of transformers' own forward pass, greedy or following `forced`."""
    language = plain_llama(model)
    output = language(inputs_embeds=embeds[None], use_cache=True)
    tokens, logits = [], []
    for step in range(steps):
        logits.append(output.logits[0, -1].float())
        tokens.append(int(logits[-1].argmax()) if forced is None else forced[step])
        output = language(input_ids=torch.tensor([tokens[-1:]]), past_key_values=output.past_key_values, use_cache=True)
    return tokens, torch.stack(logits)


@pytest.mark.parametrize("heads", [(4, 2), (4, 4), (8, 1)], ids=["grouped", "multi-head", "multi-query"])
def test_a_batch_of_mixed_lengths_gives_plain_greedy_tokens_and_logits(tiny: Any, heads: tuple[int, int]) -> None:
    model = tiny(num_attention_heads=heads[0], num_key_value_heads=heads[1])
    embeds = prompts(model)
    expected = [plain(model, own, STEPS) for own in embeds]
    answers = generate(model, embeds, GenerateOptions(max_new_tokens=STEPS, keep_logits=True))
    for answer, (tokens, logits) in zip(answers, expected, strict=True):
        assert answer.output_ids == tokens
        assert (torch.stack(answer.step_logits) - logits).abs().max() < 1e-4 * logits.abs().max()
        assert answer.nonfinite_step is None
    assert len({tuple(answer.output_ids) for answer in answers}) == len(answers)


def test_every_step_of_a_forced_answer_has_the_plain_logits(tiny: Any) -> None:
    model = tiny()
    embeds = prompts(model)
    random = torch.Generator().manual_seed(5)
    forced = [torch.randint(0, 700, (STEPS,), generator=random).tolist() for _ in embeds]
    answers = generate(model, embeds, GenerateOptions(max_new_tokens=STEPS, forced=forced, keep_logits=True))
    for own, tokens, answer in zip(embeds, forced, answers, strict=True):
        logits = plain(model, own, STEPS, tokens)[1]
        assert answer.output_ids == tokens
        assert (torch.stack(answer.step_logits) - logits).abs().max() < 1e-4 * logits.abs().max()


def test_a_clip_alone_and_in_any_batch_gets_the_same_answer(tiny: Any) -> None:
    model = tiny()
    embeds = prompts(model)
    options = GenerateOptions(max_new_tokens=STEPS)
    together = [answer.output_ids for answer in generate(model, embeds, options)]
    assert [generate(model, [own], options)[0].output_ids for own in embeds] == together
    reverse = [answer.output_ids for answer in generate(model, embeds[::-1], options)]
    assert reverse[::-1] == together
    one_by_one = GenerateOptions(max_new_tokens=STEPS, chunk_tokens=1)
    assert [answer.output_ids for answer in generate(model, embeds, one_by_one)] == together


def test_padding_behind_a_prompt_never_changes_its_answer(tiny: Any) -> None:
    model = tiny()
    embeds = prompts(model)
    options = GenerateOptions(max_new_tokens=STEPS, keep_logits=True)
    without = generate(model, embeds, options)
    engine_of(model).align = 64
    padded = generate(model, embeds, options)
    for one, other in zip(without, padded, strict=True):
        assert one.output_ids == other.output_ids
        assert torch.allclose(torch.stack(one.step_logits), torch.stack(other.step_logits), rtol=1e-4, atol=1e-4)


def test_an_answer_does_not_see_the_batch_before_it(tiny: Any) -> None:
    model = tiny()
    short = prompts(model, (5,))
    options = GenerateOptions(max_new_tokens=STEPS)
    first = generate(model, short, options)[0].output_ids
    poison = [torch.full((200, model.config.hidden_size), float("nan"))]
    assert generate(model, poison, options)[0].nonfinite_step == 0
    assert generate(model, short, options)[0].output_ids == first


def test_an_end_token_ends_its_row_alone(tiny: Any) -> None:
    model = tiny()
    embeds = prompts(model)
    free = generate(model, embeds, GenerateOptions(max_new_tokens=STEPS))
    end = free[0].output_ids[7]
    stopped = generate(model, embeds, GenerateOptions(max_new_tokens=STEPS, eos_ids=(end,)))
    for one, other in zip(free, stopped, strict=True):
        expected = one.output_ids
        if end in expected:
            expected = expected[: expected.index(end) + 1]
        assert other.output_ids == expected
        assert other.finish == ("stop" if end in one.output_ids else "length")
    banned = generate(model, embeds, GenerateOptions(max_new_tokens=STEPS, eos_ids=(end,), ban_eos=True))
    assert all(end not in answer.output_ids and len(answer.output_ids) == STEPS for answer in banned)


def test_sampling_depends_on_a_rows_seed_and_not_on_its_batch(tiny: Any) -> None:
    model = tiny()
    embeds = prompts(model)

    def sampled(own: list[Any], seeds: list[int]) -> list[list[int]]:
        sampling = Sampling(temperature=2.0, top_p=0.9, seeds=seeds)
        return [
            answer.output_ids
            for answer in generate(model, own, GenerateOptions(max_new_tokens=STEPS, sampling=sampling))
        ]

    together = sampled(embeds, [1, 2, 3, 4])
    assert sampled(embeds, [1, 2, 3, 4]) == together
    assert sampled(embeds[2:3], [3]) == together[2:3]
    assert sampled(embeds[2:3], [4]) != together[2:3]


def test_sampling_draws_from_the_shares_that_top_p_leaves(tiny: Any) -> None:
    model = tiny()
    own = prompts(model, (9,))
    logits = plain(model, own[0], 1)[1][0].double()
    shares = torch.softmax(logits / 0.8, -1)
    ordered, order = shares.sort(descending=True)
    kept = order[(ordered.cumsum(0) - ordered) < 0.7]
    expected = shares[kept] / shares[kept].sum()
    count = 600
    sampling = Sampling(temperature=0.8, top_p=0.7, seeds=range(count))
    drawn = generate(model, own * count, GenerateOptions(max_new_tokens=1, sampling=sampling))
    counts = torch.bincount(torch.tensor([answer.output_ids[0] for answer in drawn]), minlength=len(shares)).double()
    assert counts[kept].sum() == count
    common = expected * count >= 5
    assert common.sum() >= 3
    found = [*counts[kept][common].tolist(), float(counts[kept][~common].sum())]
    wanted = [*(expected[common] * count).tolist(), float((expected[~common] * count).sum())]
    assert chisquare(found, wanted).pvalue > 1e-4


def test_sampling_draws_among_the_most_likely_k_alone(tiny: Any) -> None:
    model = tiny()
    own = prompts(model, (9,))
    best = plain(model, own[0], 1)[1][0].topk(3).indices.tolist()
    sampling = Sampling(temperature=50.0, top_p=1.0, top_k=3, seeds=range(200))
    drawn = generate(model, own * 200, GenerateOptions(max_new_tokens=1, sampling=sampling))
    assert {answer.output_ids[0] for answer in drawn} == set(best)


def test_each_thread_attends_with_what_is_preferred_whatever_others_do() -> None:
    wanted = [int(backend) for backend in PREFERRED]
    before = torch._C._get_sdp_priority_order()

    def look(_: int) -> bool:
        with preferred_attention():
            time.sleep(1e-5)
            found: list[int] = torch._C._get_sdp_priority_order()
        return found[: len(wanted)] == wanted

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as threads:
            assert all(threads.map(look, range(900)))
    finally:
        sys.setswitchinterval(interval)
    assert torch._C._get_sdp_priority_order() == before


def test_the_plain_model_keeps_its_weights_when_the_engine_joins_them(tiny: Any) -> None:
    model = tiny()
    before = {name: tensor.clone() for name, tensor in model.language_model.state_dict().items()}
    bytes_before = sum(p.untyped_storage().nbytes() for p in model.language_model.parameters())
    engine_of(model)
    after = model.language_model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in model.language_model.parameters()}
    assert sum(storages.values()) == bytes_before


@pytest.mark.gpu
def test_triton_kernels_compute_what_the_reference_says() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from ghostbench_drivemm.engine import kernels, reference

    for dtype, allowed in ((torch.bfloat16, 1e-2), (torch.float16, 2e-3), (torch.float32, 1e-5)):
        torch.manual_seed(0)
        ends = ([1], [1022, 1023, 1024, 1025, 1026], [1024], [], [2295, 2296, 2297, 2298, 2299, 2300, 2301, 2302])
        used = sum(map(len, ends))
        row = torch.tensor([r for r, own in enumerate(ends) for _ in own] + [-1] * 2, device="cuda")
        position = torch.tensor([at for own in ends for at in own] + [-1] * 2, device="cuda")
        count = torch.tensor([len(own) for own in ends], device="cuda")
        new = NewTokens(row=row, position=position, first=count.cumsum(0) - count, count=count, most=8)
        queries = torch.randn(used + 2, 32, 128, device="cuda", dtype=dtype)
        keys, values = (torch.randn(5, 8, 2304, 128, device="cuda", dtype=dtype) for _ in range(2))
        keys[2, :, 1025:] = values[2, :, 1025:] = float("nan")
        found = kernels.attend_new(queries, keys, values, new, 128**-0.5).double()
        wanted = reference.attend_new(queries, keys, values, new, 128**-0.5).double()
        assert (found - wanted).norm() <= allowed * wanted.norm()
        assert not found[used:].any()
        tables = tuple(torch.randn(2304, 64, device="cuda", dtype=dtype) for _ in range(2))
        qkv = torch.randn(used + 2, 48 * 128, device="cuda", dtype=dtype)
        caches = [(torch.zeros_like(keys), torch.zeros_like(values)) for _ in range(2)]
        place = torch.randperm(used + 9, device="cuda")[: used + 2]
        homes = [torch.zeros(used + 9, 32, 128, device="cuda", dtype=dtype) for _ in range(2)]
        for home, cached, into in zip((kernels, reference), caches, homes, strict=True):
            home.rope_store(qkv, tables, position, row, cached, (into, place))
        for one, other in zip((*caches[0], homes[0]), (*caches[1], homes[1]), strict=True):
            assert torch.allclose(one, other, rtol=allowed, atol=allowed)
            assert one.any()
        weight, bias = (torch.randn(1152, device="cuda", dtype=dtype) for _ in range(2))
        for added in (torch.randn(300, 1152, device="cuda", dtype=dtype), None):
            residuals = [torch.full((300, 1152), 0.5, device="cuda", dtype=dtype).cumsum(1) / 99 for _ in range(2)]
            normed = [
                home.add_layernorm(added, residual, weight, bias, 1e-6)
                for home, residual in zip((kernels, reference), residuals, strict=True)
            ]
            assert torch.equal(*residuals)
            assert torch.allclose(*normed, rtol=allowed, atol=allowed)
        gate_up = torch.randn(300, 2 * 1500, device="cuda", dtype=dtype)
        assert torch.allclose(kernels.silu_mul(gate_up), reference.silu_mul(gate_up), rtol=allowed, atol=allowed)
    logits = torch.randn(7, 128256, device="cuda")
    logits[3, 77], logits[4, 128255] = float("nan"), float("inf")
    mask = torch.randint(-(2**31), 2**31 - 1, (7, 4008), device="cuda", dtype=torch.int32)
    for chosen in (mask, None):
        found, wanted = kernels.choose(logits, chosen), reference.choose(logits, chosen)
        assert torch.equal(found[0], wanted[0])
        assert torch.equal(found[1], wanted[1])
