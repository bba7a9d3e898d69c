"""Whatever its limit, an answer has at most so many tokens, says why it ended, and has its probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from ghostbench import GRADES  # noqa: E402
from ghostbench.tasks.ghost_probing import SCHEMA  # noqa: E402
from ghostbench_drivemm import DriveMM  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, Sampling, generate  # noqa: E402
from ghostbench_local.answer.grammar import Grammar, Vocabulary  # noqa: E402
from ghostbench_local.answer.score import GradeReader  # noqa: E402

LENGTHS = (37, 5, 64, 120)
LIMITS = range(1, 41)


class Rig:
    """The tiny checkpoint with prompts of mixed lengths, a grammar and a reader of grades."""

    def __init__(self, folder: Path) -> None:
        self.model = DriveMM.from_checkpoint(folder, dtype="float32", device="cpu")
        vocabulary = Vocabulary(self.model.tokenizer, self.model.config.vocab_size, self.model.eos_ids)
        self.grammar = Grammar(SCHEMA, vocabulary)
        self.reader = GradeReader("grade", GRADES, vocabulary)
        random = torch.Generator().manual_seed(3)
        width = self.model.config.hidden_size
        self.prompts = [torch.randn(n, width, generator=random) for n in LENGTHS]

    def answers(self, limit: int, **options: Any) -> list[Any]:
        asked = GenerateOptions(max_new_tokens=limit, eos_ids=self.model.eos_ids, **options)
        return generate(self.model, self.prompts, asked)


@pytest.fixture
def rig(checkpoint: Path) -> Rig:
    return Rig(checkpoint)


@pytest.mark.parametrize("with_grades", [True, False], ids=["grades", "no grades"])
def test_an_answer_under_the_grammar_keeps_any_limit(rig: Rig, with_grades: bool) -> None:
    reader = rig.reader if with_grades else None
    masses = [answer.grade_masses for answer in rig.answers(0, grades=reader)] if with_grades else [None] * 4
    for limit in LIMITS:
        answers = rig.answers(limit, grammar=rig.grammar, grades=reader)
        for answer in answers:
            matcher = rig.grammar.matcher()
            assert len(answer.output_ids) <= limit
            assert matcher.consume_tokens(answer.output_ids)
            assert answer.finish == ("closed" if matcher.is_stopped() else "length")
            assert answer.finish == "closed" or len(answer.output_ids) == limit
            assert answer.nonfinite_step is None
        assert [answer.grade_masses for answer in answers] == masses
        if limit <= len(rig.reader.begun):
            assert {answer.finish for answer in answers} == {"length"}
            if with_grades:
                assert all(answer.output_ids == list(rig.reader.begun[:limit]) for answer in answers)


@pytest.mark.parametrize("with_grades", [True, False], ids=["grades", "no grades"])
def test_a_free_answer_is_the_beginning_of_the_longer_one(rig: Rig, with_grades: bool) -> None:
    reader = rig.reader if with_grades else None
    longest = rig.answers(LIMITS[-1])
    for limit in LIMITS:
        for answer, whole in zip(rig.answers(limit, grades=reader), longest, strict=True):
            assert answer.output_ids == whole.output_ids[:limit]
            ended = whole.finish == "stop" and len(whole.output_ids) <= limit
            assert answer.finish == ("stop" if ended else "length")
            assert (answer.grade_masses is not None) == with_grades


def test_drawn_answers_keep_any_limit(rig: Rig) -> None:
    sampling = Sampling(temperature=1.0, top_p=0.9, seeds=range(len(LENGTHS)))
    for limit in LIMITS:
        for answer in rig.answers(limit, grammar=rig.grammar, grades=rig.reader, sampling=sampling):
            assert len(answer.output_ids) <= limit
            assert rig.grammar.matcher().consume_tokens(answer.output_ids)


def test_a_batch_of_short_limits_does_not_see_the_faults_of_the_one_before(rig: Rig) -> None:
    sound = rig.prompts
    rig.prompts = [torch.full_like(prompt, float("nan")) for prompt in sound]
    assert all(answer.nonfinite_step is not None for answer in rig.answers(8, grammar=rig.grammar, grades=rig.reader))
    rig.prompts = sound
    assert {answer.nonfinite_step for answer in rig.answers(1, grammar=rig.grammar, grades=rig.reader)} == {None}


def test_a_limit_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="max_new_tokens"):
        GenerateOptions(max_new_tokens=-1)
