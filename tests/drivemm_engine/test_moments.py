"""The moments of a clip are answered from keys and values that grow with it, and every answer is what it is alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from ghostbench.frames import Frames  # noqa: E402
from ghostbench.records import GRADES  # noqa: E402
from ghostbench.tasks.ghost_warning import GhostWarning  # noqa: E402
from ghostbench_drivemm import DriveMM  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate_prepared  # noqa: E402
from ghostbench_drivemm.engine.sharing import BeginningStore  # noqa: E402
from ghostbench_drivemm.input.prepared import Prepared  # noqa: E402
from ghostbench_drivemm.input.question import user_text  # noqa: E402
from ghostbench_local.answer.grammar import Vocabulary  # noqa: E402
from ghostbench_local.answer.score import GradeReader, normalised  # noqa: E402

TASK = GhostWarning()


def clip(seed: int, count: int = 4, order: Sequence[int] = ()) -> Frames:
    """Frames every half second from the start on."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 33, 60, 3), dtype=np.uint8)
    pixels = pixels[list(order)] if order else pixels
    times = tuple(number / 2 for number in range(count))
    return Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=count / 2, decoder="made")


def moments(model: DriveMM, shown: Frames) -> list[Prepared]:
    """What the task asks about a clip, in order, as the model is asked."""
    return [prepared(model, question.frames, question.prompt) for question in TASK.questions(shown)]


def prepared(model: DriveMM, shown: Any, prompt: Any) -> Prepared:
    text = user_text(prompt, with_frames=True)
    # The beginning of the system text alone: these models' tokens are bytes.
    return model.prepare(shown.pixels, text, kind="video", system=prompt.system[:200])


def score(model: DriveMM) -> GenerateOptions:
    vocabulary = Vocabulary(model.tokenizer, model.config.vocab_size, model.eos_ids)
    return GenerateOptions(max_new_tokens=0, grades=GradeReader("grade", GRADES, vocabulary))


def chances(answers: Sequence[Any]) -> Any:
    return np.array([normalised(answer.grade_masses) for answer in answers])


def anew(model: DriveMM, asked: Sequence[Prepared], options: GenerateOptions) -> list[Any]:
    """Each of them as if nothing had been asked before; what was seen is kept meanwhile, being the very same."""
    found = []
    for own in asked:
        engine_of(model).release()
        found += generate_prepared(model, [replace(own, beginnings=())], options)
    model.forget()
    engine_of(model).release()
    return found


def counted(model: DriveMM) -> list[int]:
    """Frames of each call of the vision tower."""
    seen: list[int] = []
    tower = model.encode_frames

    def count(pixels: Any, mode: str | None, *, plainly: bool = False) -> Any:
        seen.append(len(pixels))
        return tower(pixels, mode, plainly=plainly)

    model.encode_frames = count  # type: ignore[method-assign]
    return seen


@pytest.mark.parametrize("position", ["grid", "frame", "one_token", "no_token"])
def test_each_moment_goes_on_from_the_frames_of_the_one_before(position: str, tiny: Callable[..., DriveMM]) -> None:
    model = tiny(mm_newline_position=position)
    asked = moments(model, clip(1, 3))
    ends = [[own for own in each.beginnings if own.kind == "frames"] for each in asked]
    closing = position == "one_token"
    # Two frames by the first moment, three by the others: the clip ends half a second after its last frame.
    assert [len(each) - closing for each in ends] == [2, 3, 3]
    assert ends[1][:2] == ends[0][:2]
    assert ends[2] == ends[1]
    options = score(model)
    wanted = anew(model, asked, options)
    seen = counted(model)
    found = generate_prepared(model, asked, options)
    assert sum(seen) == 3
    assert np.abs(chances(found) - chances(wanted)).max() <= 1e-4
    # One with all frames is computed first; of the others the words alone.
    two, three = ends[0][1].positions, ends[2][-1].positions
    assert [answer.shared_positions for answer in found] == [two, 0, asked[2].length - 1]
    # One by one they come to the same, and no frame is looked at twice.
    model.forget()
    engine_of(model).forget()
    singly = [generate_prepared(model, [each], options)[0] for each in asked]
    assert np.abs(chances(singly) - chances(wanted)).max() <= 1e-4
    assert sum(seen) == 6
    assert [answer.shared_positions for answer in singly] == [0, two, three]


def test_moments_in_any_order_and_batch_are_what_each_is_alone(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    turned = clip(1, order=(3, 2, 1, 0))
    shuffled = clip(1, order=(0, 1, 3, 2))
    asked = [own for shown in (clip(1), turned, shuffled, clip(2, 2)) for own in moments(model, shown)]
    # The same frames in other words, and a moment that is asked again.
    last = TASK.questions(clip(1))[-1]
    variant = replace(last.prompt, parts=(*last.prompt.parts[:-1], replace(last.prompt.parts[-1], text="Warn now?")))
    asked += [prepared(model, last.frames, variant), asked[2], asked[1]]
    options = score(model)
    wanted = chances(anew(model, asked, options))
    assert len({tuple(row) for row in wanted.round(6)}) == 3 + 3 + 2 + 1 + 1
    seen = counted(model)
    random = np.random.default_rng(0)
    for size, kept in ((3, 2 << 30), (len(asked), 1_500_000), (5, 0)):
        engine_of(model).clips = BeginningStore(kept)
        order = random.permutation(len(asked))
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            found = chances(generate_prepared(model, [asked[place] for place in batch], options))
            assert np.abs(found - wanted[batch]).max() <= 1e-4
            assert engine_of(model).clips.held_bytes <= kept
    assert sum(seen) == 4 + 2


def test_answers_in_full_are_the_same_too_and_so_are_those_after_an_interruption(
    checkpoint: Path,
) -> None:
    model = DriveMM.from_checkpoint(checkpoint, dtype="float32", device="cpu")
    asked = moments(model, clip(3, 4))
    options = GenerateOptions(max_new_tokens=8, eos_ids=model.eos_ids, keep_first=True)
    wanted = anew(model, asked, options)
    found = generate_prepared(model, asked[:2], options)
    model.forget()
    engine_of(model).release()
    found += generate_prepared(model, asked[2:], options)
    for one, other in zip(found, wanted, strict=True):
        assert one.output_ids == other.output_ids
        assert torch.allclose(one.first_logits, other.first_logits, rtol=0, atol=1e-4)
    assert [answer.shared_positions for answer in found] == [
        asked[0].beginnings[-2].positions, 0, 0, asked[3].length - 1
    ]  # fmt: skip


def test_words_do_not_take_the_clips_place_in_memory(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    options = score(model)
    generate_prepared(model, moments(model, clip(1)), options)
    engine = engine_of(model)
    held = engine.clips.held_bytes, engine.texts.held_bytes
    assert all(held)
    assert engine.still_to_come_bytes() == engine.clips.most_bytes + engine.texts.most_bytes - sum(held)
    # A longer prompt needs a larger cache, and what is kept stays.
    longer = generate_prepared(model, moments(model, clip(1, 12))[-1:], options)[0]
    assert longer.shared_positions == moments(model, clip(1))[-1].beginnings[-2].positions
    engine.release()
    assert (engine.clips.held_bytes, engine.texts.held_bytes) == (0, 0)
