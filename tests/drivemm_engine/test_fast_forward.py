"""What the grammar forces is taken without its logits: the same answers in fewer steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from ghostbench.tasks.ghost_probing import GhostProbing  # noqa: E402
from ghostbench_drivemm import DriveMM  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, Sampling, generate  # noqa: E402
from ghostbench_drivemm.engine.decode import CHOSEN, MOST_NEW, Decoder  # noqa: E402
from ghostbench_local.answer.grammar import Grammar, Vocabulary  # noqa: E402
from ghostbench_local.answer.score import GradeReader  # noqa: E402

TASK = GhostProbing()
LENGTHS = (37, 5, 64, 120, 9)


def prompts(model: Any, seed: int) -> list[Any]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(n, model.config.hidden_size, generator=random).to(model.dtype) for n in LENGTHS]


def options(model: Any, **more: Any) -> GenerateOptions:
    vocabulary = Vocabulary(model.tokenizer, model.config.vocab_size, model.eos_ids)
    return GenerateOptions(
        **{
            "max_new_tokens": 200,
            "eos_ids": model.eos_ids,
            "grammar": Grammar(TASK.schema, vocabulary),
            "grades": GradeReader("grade", TASK.verdict_values, vocabulary),
            **more,
        }
    )


def both_ways(model: Any, embeds: list[Any], **more: Any) -> tuple[list[Any], list[Any]]:
    return (
        generate(model, embeds, options(model, fast_forward=True, **more)),
        generate(model, embeds, options(model, fast_forward=False, **more)),
    )


@pytest.mark.parametrize("seed", range(6))
def test_answers_are_equal_token_for_token_with_and_without(tiny: Callable[..., DriveMM], seed: int) -> None:
    model = tiny(seed=seed)
    fast, slow = both_ways(model, prompts(model, seed))
    for one, other in zip(fast, slow, strict=True):
        assert one.output_ids == other.output_ids
        assert one.finish == other.finish == "closed"
        assert one.grade_masses == pytest.approx(other.grade_masses)
        assert one.nonfinite_step is None
        Draft202012Validator(TASK.schema).validate(json.loads(model.tokenizer.decode(one.output_ids)))
        assert other.forced_tokens == 0
        # All but the first of each run of forced tokens is a step saved.
        assert one.forced_tokens > 20
        assert one.steps < other.steps - 20


def test_answers_of_a_checkpoint_are_equal_with_and_without(checkpoint: Path) -> None:
    model = DriveMM.from_checkpoint(checkpoint, dtype="float32", device="cpu")
    fast, slow = both_ways(model, prompts(model, 7))
    assert [answer.output_ids for answer in fast] == [answer.output_ids for answer in slow]
    assert sum(answer.steps for answer in fast) < sum(answer.steps for answer in slow)


@pytest.mark.parametrize("limit", [1, 3, 30, 41, 60, 90])
def test_a_limit_cuts_the_same_tokens_off(tiny: Callable[..., DriveMM], limit: int) -> None:
    model = tiny()
    fast, slow = both_ways(model, prompts(model, 1), max_new_tokens=limit)
    assert [(one.output_ids, one.finish) for one in fast] == [(one.output_ids, one.finish) for one in slow]
    assert all(len(one.output_ids) <= limit for one in fast)


def test_draws_stay_with_their_tokens(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    sampling = Sampling(temperature=2.0, top_p=0.95, seeds=range(len(LENGTHS)))
    fast, slow = both_ways(model, prompts(model, 2), sampling=sampling)
    assert [answer.output_ids for answer in fast] == [answer.output_ids for answer in slow]
    assert len({tuple(answer.output_ids) for answer in fast}) == len(LENGTHS)


def test_a_row_that_waits_does_not_hold_up_the_others(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    embeds = prompts(model, 3)
    together = generate(model, embeds, options(model))
    for own, answer in zip(embeds, together, strict=True):
        alone = generate(model, [own], options(model))[0]
        assert alone.output_ids == answer.output_ids
        # A step has room for so many tokens: where all rows have some known at once, a few wait for the next.
        assert alone.steps <= answer.steps <= alone.steps + 5


def test_logits_that_are_not_finite_are_named_by_the_tokens_before_them(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    own = prompts(model, 4)[:1]
    answer = generate(model, own, options(model))[0]
    # The first token behind the grade that was chosen, and that stands nowhere before, is poisoned.
    begun = len(GradeReader("grade", TASK.verdict_values, options(model).grammar.vocabulary).begun)  # type: ignore[union-attr]
    late = next(
        place for place in range(begun + 40, len(answer.output_ids))
        if answer.output_ids[place] not in answer.output_ids[:place]
    )  # fmt: skip
    with torch.no_grad():
        model.language_model.model.embed_tokens.weight[answer.output_ids[late]] = float("nan")
    fast, slow = both_ways(model, own)
    assert fast[0].nonfinite_step == slow[0].nonfinite_step == late + 1


def test_rows_take_any_number_of_tokens_in_one_step(tiny: Callable[..., DriveMM]) -> None:
    from ghostbench_drivemm.engine import engine_of

    model = tiny()
    embeds = prompts(model, 5)
    forced = [[(7 * row + 3 * at) % 700 for at in range(24)] for row in range(len(embeds))]
    stepwise = generate(model, embeds, GenerateOptions(max_new_tokens=24, forced=forced, keep_logits=True))
    engine = engine_of(model)
    generate(model, embeds, GenerateOptions(max_new_tokens=1))
    cache, _ = engine.reserve(len(embeds), 200)
    decoder = Decoder(engine.language, cache, len(embeds))
    decoder.begin(torch.zeros(len(embeds), decoder.vocabulary), list(LENGTHS))
    random = torch.Generator().manual_seed(6)
    done = [0] * len(embeds)
    while min(done) < 23:
        new = []
        for row, at in enumerate(done):
            count = min(int(torch.randint(0, MOST_NEW + 1, (1,), generator=random)), 23 - at)
            count = min(count, decoder.room - sum(map(len, new)))
            new.append(forced[row][at : at + count])
        if new[0]:
            decoder.force([forced[0][done[0]]] * len(embeds))
            new[0][0] = CHOSEN
        if not any(new):
            continue
        decoder.forward(new)
        for row, own in enumerate(new):
            done[row] += len(own)
            if own:
                wanted = stepwise[row].step_logits[done[row]]
                assert torch.allclose(decoder.logits[row], wanted, rtol=1e-4, atol=1e-4)


def test_a_decoder_made_in_inference_mode_is_captured_and_used_outside_of_it(
    tiny: Callable[..., DriveMM], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a model warms up, attention is planned in inference mode; the next batch records its graphs outside."""
    from ghostbench_drivemm.engine import decode, engine_of

    recorded = []

    def record(work: Callable[[], None]) -> None:
        with torch.inference_mode():
            work()
        recorded.append(work)

    monkeypatch.setattr(decode, "_captured", record)
    engine = engine_of(tiny())
    with torch.inference_mode():
        _, decoder = engine.reserve(2, 100)
    monkeypatch.setattr(decoder, "_on_cuda", True)
    decoder.capture(masked=False, wide=True)
    assert len(recorded) >= 2
    monkeypatch.setattr(decoder, "_on_cuda", False)
    decoder.begin(torch.zeros(2, decoder.vocabulary), [3, 4])
    decoder.force([1, 2])
    assert decoder.tokens[:2].tolist() == [1, 2]
