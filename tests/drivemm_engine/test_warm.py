"""What is made ready before the first batch is what that batch asks for, and no more is made than there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from ghostbench_drivemm import DriveMM  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate_prepared, in_the_largest  # noqa: E402
from ghostbench_drivemm.engine import language as language_module  # noqa: E402
from ghostbench_drivemm.engine.sharing import Prompt  # noqa: E402
from ghostbench_drivemm.engine.warm import coming_shapes  # noqa: E402
from ghostbench_drivemm.serving.warming import answer_noise, drawn, warm_options  # noqa: E402
from ghostbench_local.answer.forms import Forms  # noqa: E402
from ghostbench_local.answer.grammar import Vocabulary  # noqa: E402

SYSTEM = "Look at the frames of this clip and say whether something came out from where nobody could see it. " * 2


def asked(model: DriveMM, counts: Sequence[int]) -> list[Any]:
    """Prompts about clips of so many frames each, which begin with the same text."""
    made = []
    for seed, count in enumerate(counts):
        frames = np.random.default_rng(seed).integers(0, 256, (count, 33, 60, 3), dtype=np.uint8)
        made.append(model.prepare(frames, "<image>\nGrade this clip.", kind="video", system=SYSTEM))
    return made


@pytest.fixture
def attended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many prompts of what length attention is asked about together; those that have no plan are left out."""
    found: list[tuple[int, int]] = []
    attend = language_module.attend_prompts

    def noting(queries: Any, cached: Any, rows: Any, lengths: Any, scale: float, asked: Any) -> Any:
        whole = [own == length for own, length in zip(asked, lengths, strict=True)]
        alike = all(whole) and len(set(lengths)) == 1 and list(rows) == list(range(rows[0], rows[0] + len(rows)))
        shapes = [(len(rows), lengths[0])] if alike else [(1, n) for n, own in zip(lengths, whole, strict=True) if own]
        found.extend(shape for shape in shapes if shape not in found)
        return attend(queries, cached, rows, lengths, scale, asked)

    monkeypatch.setattr(language_module, "attend_prompts", noting)
    return found


@pytest.mark.parametrize(
    ("counts", "budget"), [([2] * 7, 900), ([2, 3, 2, 3, 2, 2], 900), ([1], 900), ([2, 2], 10_000), ([3, 1] * 3, 1)]
)
@pytest.mark.parametrize("begun", [0, 5])
def test_the_shapes_that_are_planned_are_those_that_the_first_batch_has(
    tiny: Callable[..., DriveMM], attended: list[tuple[int, int]], counts: list[int], budget: int, begun: int
) -> None:
    model = tiny()
    engine = engine_of(model)
    engine.align = 64
    grades: Any = SimpleNamespace(begun=tuple(range(20, 20 + begun)), deepest=2, masses=lambda *_: None)
    options = GenerateOptions(max_new_tokens=2, chunk_tokens=budget, grades=grades if begun else None)
    prepared = asked(model, counts)
    prompts = [Prompt(one.length, one.beginnings) for one in prepared]
    planned = coming_shapes(engine, prompts, options)
    generate_prepared(model, prepared, options)
    assert planned
    assert planned == attended[: len(planned)]
    assert len(attended) - len(planned) <= 1, "only a last chunk, which others might have joined, is not planned for"


def test_a_few_rows_are_answered_in_what_is_there_for_many_and_answered_alike(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    engine = engine_of(model)
    options = GenerateOptions(max_new_tokens=4)
    prepared = asked(model, [2, 2, 3])
    wanted = [answer.output_ids for answer in generate_prepared(model, prepared, options)]
    engine.release()
    _, large = engine.reserve(48, 1200)
    with in_the_largest(engine):
        assert engine.reserve(3, 1000)[1] is large
        assert [answer.output_ids for answer in generate_prepared(model, prepared, options)] == wanted
    assert engine.reserve(3, 1000)[1] is not large, "outside, a small batch has its own"


@pytest.mark.parametrize("score", [False, True])
def test_clips_of_noise_are_all_different_and_answered_as_clips_are(tiny: Callable[..., DriveMM], score: bool) -> None:
    model = tiny()
    engine = engine_of(model)
    forms = Forms("m", Vocabulary(model.tokenizer, model.config.vocab_size, model.eos_ids))
    options = warm_options(forms, score=score, grammar=True)
    with ThreadPoolExecutor(2) as threads:
        clips = list(drawn(model, 2, threads))
        digests = {frame for clip in clips for visual in clip.visuals for frame in visual.digests or ()}
        assert len(digests) == 20, "a frame that is seen twice is computed once, and its kernels meet less"
    assert len({clip.beginnings[0].digest for clip in clips}) == 1, "clips have a task's text in common"
    answers = generate_prepared(model, clips, options)
    assert answers[1].shared_positions > 0, "the second goes on from the text of the first"
    assert engine.texts.held_bytes > 0
    frames = [frame for clip in clips for visual in clip.visuals for frame in visual.digests or ()]
    assert all(model._features.get(frame) is not None for frame in frames)
    answer_noise(model, engine, options, clips)
    assert engine.texts.held_bytes == engine.clips.held_bytes == 0, "nothing is kept: it may be of other weights"
    assert all(model._features.get(frame) is None for frame in frames)
