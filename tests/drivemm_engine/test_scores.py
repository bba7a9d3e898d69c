"""Probabilities of the grades are the model's own, summed over every way to write a grade."""

from __future__ import annotations

from typing import Any

import pytest
from plain_transformers import plain_llama

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from ghostbench import GRADES  # noqa: E402
from ghostbench.tasks.ghost_probing import SCHEMA  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, generate  # noqa: E402
from ghostbench_local.answer.grammar import Grammar, Vocabulary  # noqa: E402
from ghostbench_local.answer.score import GradeReader, normalised  # noqa: E402


def vocabulary(model: Any) -> Vocabulary:
    return Vocabulary(model.tokenizer, model.config.vocab_size, model.eos_ids)


@torch.no_grad()
def plain_masses(model: Any, embeds: Any, begun: tuple[int, ...], values: tuple[str, ...]) -> list[float]:
    """The same by brute force: every sequence of tokens that begins to spell a value, until one value is left."""
    language, tokens = plain_llama(model), vocabulary(model).spelled
    texts = [(value + '"').encode() for value in values]
    masses = [0.0] * len(values)

    def follow(path: tuple[int, ...], written: bytes, reach: float) -> None:
        rows = torch.cat([embeds, language.get_input_embeddings()(torch.tensor([*begun, *path]))])
        shares = torch.softmax(language(inputs_embeds=rows[None]).logits[0, -1].double(), -1)
        for token, spelled in enumerate(tokens):
            after = written + spelled
            fits = [
                place for place, text in enumerate(texts)
                if spelled and text.startswith(written) and (text.startswith(after) or after.startswith(text))
            ]  # fmt: skip
            if len(fits) == 1:
                masses[fits[0]] += reach * float(shares[token])
            elif fits:
                follow((*path, token), after, reach * float(shares[token]))

    follow((), b"", 1.0)
    return masses


@pytest.mark.parametrize(
    "values",
    [GRADES, ("normal", "normally", "no"), ("aab", "aac", "b")],
    ids=["the task's grades", "one inside another", "alike at first"],
)
def test_probabilities_equal_the_sum_over_all_spellings(tiny: Any, values: tuple[str, ...]) -> None:
    model = tiny()
    random = torch.Generator().manual_seed(4)
    embeds = [torch.randn(n, 64, generator=random) for n in (11, 30)]
    reader = GradeReader("grade", values, vocabulary(model))
    answers = generate(model, embeds, GenerateOptions(max_new_tokens=0, grades=reader))
    for own, answer in zip(embeds, answers, strict=True):
        assert answer.finish == "score"
        assert answer.output_ids == []
        assert answer.grade_masses == pytest.approx(plain_masses(model, own, reader.begun, values), rel=1e-4)


def test_values_that_are_alike_for_long_are_read_at_the_very_end_of_the_cache(tiny: Any) -> None:
    model = tiny()
    values = ("a long way alike, then one", "a long way alike, then two", "b")
    reader = GradeReader("grade", values, vocabulary(model))
    for length in range(128 - len(reader.begun) - 4, 128 - len(reader.begun) + 1):
        embeds = [torch.randn(length, 64, generator=torch.Generator().manual_seed(4))]
        answer = generate(model, embeds, GenerateOptions(max_new_tokens=0, grades=reader))[0]
        expected = plain_masses(model, embeds[0], reader.begun, values)
        assert answer.grade_masses == pytest.approx(expected, rel=1e-4, abs=1e-30)


def test_a_value_that_is_not_finite_behind_letters_that_verdicts_share_is_no_probability_and_noticed(tiny: Any) -> None:
    model = tiny()
    words = vocabulary(model)
    reader = GradeReader("grade", ("xxb", "xxc", "b"), words)
    embeds = [torch.randn(n, 64, generator=torch.Generator().manual_seed(4)) for n in (11, 30)]
    options = GenerateOptions(max_new_tokens=0, grades=reader)
    assert {answer.nonfinite_step for answer in generate(model, embeds, options)} == {None}
    with torch.no_grad():
        model.language_model.get_input_embeddings().weight[words.spelled.index(b"x")] = float("inf")
    for answer in generate(model, embeds, options):
        assert answer.grade_masses is None
        assert answer.nonfinite_step is not None


def test_score_mode_and_both_ways_to_generate_read_the_same_probabilities(tiny: Any) -> None:
    model = tiny()
    random = torch.Generator().manual_seed(4)
    embeds = [torch.randn(n, 64, generator=random) for n in (11, 30, 18)]
    words = vocabulary(model)
    reader, grammar = GradeReader("grade", GRADES, words), Grammar(SCHEMA, words)
    score = generate(model, embeds, GenerateOptions(max_new_tokens=0, grades=reader))
    free = generate(model, embeds, GenerateOptions(max_new_tokens=12, grades=reader))
    held = generate(model, embeds, GenerateOptions(max_new_tokens=256, grades=reader, grammar=grammar))
    bare = generate(model, embeds, GenerateOptions(max_new_tokens=12))
    for one, two, three, four in zip(score, free, held, bare, strict=True):
        assert one.grade_masses == two.grade_masses == three.grade_masses
        assert two.output_ids == four.output_ids
        text = model.tokenizer.decode(three.output_ids)
        assert text.startswith('{"grade":"')
        assert three.finish == "closed"


def test_probabilities_of_nothing_are_none() -> None:
    assert normalised((0.0, 0.0, 0.0)) is None
    assert normalised((float("nan"), 0.0, 1.0)) is None
    assert normalised((1.0, 3.0)) == (0.25, 0.75)
