"""What prompts begin with alike is computed once, and every answer stays what it is alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ghostbench_drivemm import DriveMM  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, Sampling, engine_of, generate_prepared  # noqa: E402
from ghostbench_drivemm.engine.sharing import BeginningStore, Prompt, chunks  # noqa: E402
from ghostbench_drivemm.input.beginning import Beginning  # noqa: E402
from ghostbench_drivemm.input.prepared import Prepared  # noqa: E402
from ghostbench_drivemm.network.features import FeatureCache  # noqa: E402

SYSTEM = "Look at the frames of this clip and say whether something came out from where nobody could see it. " * 2
QUESTIONS = ("Grade this clip.", "Answer with the object only, please.", "鬼探头?")


def frames(seed: int, count: int = 2) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, 33, 60, 3), dtype=np.uint8)


def ask(model: DriveMM, seed: int, question: int, system: str = SYSTEM, count: int = 2) -> Prepared:
    text = "<image>\n" + QUESTIONS[question]
    return model.prepare(frames(seed, count), text, kind="video", system=system)


def alone(prepared: Prepared) -> Prepared:
    """The same, as if nobody knew what it shows."""
    return replace(prepared, beginnings=())


def watched(model: DriveMM) -> list[int]:
    """How many frames each call of the vision tower is given."""
    seen: list[int] = []
    tower = model.encode_frames

    def count(pixels: Any, mode: str | None, *, plainly: bool = False) -> Any:
        seen.append(len(pixels))
        return tower(pixels, mode, plainly=plainly)

    model.encode_frames = count  # type: ignore[method-assign]
    return seen


OPTIONS = GenerateOptions(max_new_tokens=12, keep_first=True)


def test_variants_repeats_and_other_clips_get_the_answers_that_they_get_alone(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    asked = [
        ask(model, 1, 0), ask(model, 2, 0), ask(model, 1, 1), ask(model, 1, 0), ask(model, 3, 2, system="Short."),
        ask(model, 2, 1), ask(model, 1, 2, count=1),
    ]  # fmt: skip
    wanted = []
    for prepared in asked:
        model.forget()
        engine_of(model).release()
        wanted.append(generate_prepared(model, [alone(prepared)], OPTIONS)[0])
    for chunk in (1, 1000, 100_000):
        model.forget()
        engine_of(model).release()
        found = generate_prepared(model, asked, replace(OPTIONS, chunk_tokens=chunk))
        for one, other in zip(found, wanted, strict=True):
            assert one.output_ids == other.output_ids
            assert torch.allclose(one.first_logits, other.first_logits, rtol=1e-4, atol=1e-4)
        text = asked[0].beginnings[0].positions
        frame, video = (own.positions for own in asked[0].beginnings[1:3])
        assert text >= 64
        assert [answer.shared_positions for answer in found] == [
            0, text, video, asked[0].length - 1, 0, video, frame
        ]  # fmt: skip


def test_the_text_of_a_task_is_computed_once_for_all_batches(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    first = generate_prepared(model, [ask(model, 1, 0)], OPTIONS)[0]
    again = generate_prepared(model, [ask(model, 2, 0)], OPTIONS)[0]
    assert (first.shared_positions, again.shared_positions) == (0, ask(model, 2, 0).beginnings[0].positions)
    assert again.output_ids == generate_prepared(model, [alone(ask(model, 2, 0))], OPTIONS)[0].output_ids
    other = generate_prepared(model, [ask(model, 1, 0, system=SYSTEM.replace("frames", "pictures"))], OPTIONS)[0]
    assert other.shared_positions == 0


def test_frames_go_through_the_vision_tower_once(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    seen = watched(model)
    first = generate_prepared(model, [ask(model, 1, 0), ask(model, 1, 1)], OPTIONS)
    assert sum(seen) == 2
    # In another batch, in another order, and some of them beside others: what a probe and what moments show.
    turned = model.prepare(frames(1)[::-1].copy(), "<image>\n" + QUESTIONS[0], kind="video", system=SYSTEM)
    more = model.prepare(
        np.concatenate([frames(1), frames(2, 1)]), "<image>\n" + QUESTIONS[0], kind="video", system=SYSTEM
    )
    found = generate_prepared(model, [ask(model, 1, 0), turned, more], OPTIONS)
    assert sum(seen) == 3
    assert found[0].output_ids == first[0].output_ids
    for prepared, answer in zip((turned, more), found[1:], strict=True):
        model.forget()
        fresh = generate_prepared(model, [alone(prepared)], OPTIONS)[0]
        assert torch.allclose(fresh.first_logits, answer.first_logits, rtol=1e-4, atol=1e-4)
    assert sum(seen) == 3 + 2 + 3


def test_features_that_were_kept_are_the_very_same(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    first = model.embed([ask(model, 1, 0)])[0]
    assert torch.equal(model.embed([ask(model, 1, 0)])[0], first)
    rest = model.embed([ask(model, 1, 0)], [ask(model, 1, 0).beginnings[1].positions])[0]
    assert torch.equal(rest, first[-len(rest) :])


def test_each_row_keeps_its_own_seed_when_rows_are_computed_in_another_order(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    asked = [ask(model, 1, 0), ask(model, 1, 1), ask(model, 2, 0), ask(model, 1, 2)]
    sampling = Sampling(temperature=3.0, top_p=1.0, seeds=[11, 12, 13, 14])
    found = generate_prepared(model, asked, replace(OPTIONS, sampling=sampling))
    for seed, prepared, answer in zip(sampling.seeds, asked, found, strict=True):
        own = replace(OPTIONS, sampling=replace(sampling, seeds=[seed]))
        assert generate_prepared(model, [alone(prepared)], own)[0].output_ids == answer.output_ids


def test_what_is_kept_stays_within_its_bound() -> None:
    one = torch.zeros(4, 8)
    features = FeatureCache(most_bytes=3 * 4 * 8 * 4)
    for number in range(4):
        features.put(bytes([number]), one)
        features.get(b"\0")
    assert [features.get(bytes([number])) is not None for number in range(4)] == [True, False, True, True]
    store = BeginningStore(most_bytes=3 * 10 * 8 * 4)
    computed = torch.arange(2 * 20 * 8, dtype=torch.float32).view(2, 20, 8)
    for number in range(4):
        store.put([Beginning(5, bytes([number]), "frames")], computed + number)
        assert torch.equal(store.get(b"\0"), computed[:, :5])
    assert [bytes([number]) in store for number in range(4)] == [True, False, True, True]


def test_a_clip_that_goes_on_is_kept_once_and_no_further_than_there_is_room() -> None:
    computed = torch.arange(2 * 20 * 8, dtype=torch.float32).view(2, 20, 8)
    chain = [Beginning(positions, bytes([positions]), "frames") for positions in (5, 10, 15, 20)]
    store = BeginningStore(most_bytes=computed[:, :16].numel() * 4)
    for count, positions in ((1, 5), (2, 10), (1, 10), (4, 15), (3, 15)):
        store.put(chain[:count], computed)
        assert store.held_bytes == computed[:, :positions].numel() * 4
    assert [own.digest in store for own in chain] == [True, True, True, False]
    assert torch.equal(store.get(chain[1].digest), computed[:, :10])
    store.put([Beginning(19, b"too long", "frames")], computed)
    assert [own.digest in store for own in chain] == [True, True, True, False]
    store.put([Beginning(3, b"other", "frames")], -computed)
    assert not any(own.digest in store for own in chain)
    assert torch.equal(store.get(b"other"), -computed[:, :3])
    store.clear()
    assert store.held_bytes == 0
    assert b"other" not in store


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 2), st.integers(70, 90)), max_size=12),
    st.integers(1, 2000),
    st.sets(st.integers(0, 2)),
)
def test_every_prompt_is_planned_once_behind_what_it_begins_with(
    asked: list[tuple[int, int, int, int]], budget: int, kept: set[int]
) -> None:
    prompts = []
    for text, video, question, more in asked:
        first = Beginning(100, bytes([text]), "text")
        shown = [Beginning(200 + 100 * last, bytes([text, *range(last + 1)]), "frames") for last in range(video)]
        length = (shown[-1] if shown else first).positions + more
        whole = Beginning(length - 1, bytes([text, video, question, more]), "prompt")
        prompts.append(Prompt(length, (first, *shown, whole)))
    planned = chunks(prompts, budget, {bytes([text]) for text in kept}.__contains__)
    assert sorted(place for chunk in planned for place in chunk.places) == list(range(len(asked)))
    done = {bytes([text]) for text in kept}
    for chunk in planned:
        computed = 0
        for place, shared in zip(chunk.places, chunk.shared, strict=True):
            known = [own for own in prompts[place].beginnings if own.digest in done]
            assert shared == (known[-1] if known else None)
            computed += prompts[place].length - (shared.positions if shared else 0)
        assert len(chunk.places) == 1 or computed <= budget
        # Nothing that is worth sharing is computed twice.
        made = [
            own.digest for place, shared in zip(chunk.places, chunk.shared, strict=True)
            for own in prompts[place].beginnings if own.positions - (shared.positions if shared else 0) >= 64
        ]  # fmt: skip
        assert len(made) == len(set(made))
        done |= {own.digest for place in chunk.places for own in prompts[place].beginnings}
