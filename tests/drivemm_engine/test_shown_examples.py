"""Examples are videos of their own before the clip: the same answers by every way, and computed once for all clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from drawn_examples import with_examples  # noqa: E402

from ghostbench import Frames, Reply, Request, RequestTooLarge  # noqa: E402
from ghostbench.tasks.ghost_probing import GhostProbing  # noqa: E402
from ghostbench_drivemm import DriveMM  # noqa: E402
from ghostbench_drivemm.adapter import DriveMMModel  # noqa: E402
from ghostbench_drivemm.adapter_float8 import DriveMMFloat8  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate_prepared  # noqa: E402
from ghostbench_drivemm.input.lengths import frame_length  # noqa: E402
from ghostbench_drivemm.input.prepared import Prepared  # noqa: E402
from ghostbench_drivemm.input.prompt import IMAGE_ID  # noqa: E402
from ghostbench_drivemm.input.question import user_text  # noqa: E402
from ghostbench_drivemm.network.cut import Cut  # noqa: E402
from ghostbench_drivemm.settings import DriveMMFloat8Settings, DriveMMSettings  # noqa: E402

TASK = GhostProbing()
OPTIONS = GenerateOptions(max_new_tokens=4, keep_first=True)


def clip(seed: int, count: int = 2) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 33, 60, 3), dtype=np.uint8)
    times = tuple(0.5 + place for place in range(count))
    return Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=count + 1.0, decoder="drawn")


def behind(seed: int, *examples: int, count: int = 2) -> Request:
    """The clip of that seed behind examples of others, each of one frame more than the one before.

    count : frames of the clip; one of more lasts longer, which is said before they are shown.
    """
    own = clip(seed, count)
    request = Request(
        id=f"clip-{seed}",
        prompt=TASK.build(own),
        frames=own,
        seed=7,
        level=0,
        level_settings={},
        write_answer=TASK.write,
    )
    return with_examples(request, *(clip(example, 1 + place) for place, example in enumerate(examples)))


def prepared(model: DriveMM, request: Request) -> Prepared:
    videos = [frames.pixels for frames in (*request.examples, request.frames)]  # type: ignore[union-attr]
    text = user_text(request.prompt, with_frames=True)
    return model.prepare(videos, text, kind="videos", system=request.prompt.system)


def test_each_example_has_its_mark_where_it_is_told_of() -> None:
    lines = user_text(behind(1, 2, 3).prompt, with_frames=True).split("\n")
    marks = [place for place, line in enumerate(lines) if line == "<image>"]
    assert [lines[place + 1] for place in marks] == [
        f"Frame at 0.50 s: frame 1 of video {number}" for number in (1, 2, 3)
    ]
    assert [sum("The answer to it" in line for line in lines[:place]) for place in marks] == [0, 1, 2]


def test_answers_are_the_same_alone_and_together_and_examples_are_computed_once(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    requests = [behind(1, 5, 6, count=1), behind(3, 5, 6), behind(2, 6, 5, count=1), behind(2, count=1)]
    asked = [prepared(model, request) for request in requests]
    wanted = []
    for own in asked:
        model.forget()
        engine_of(model).release()
        wanted.append(generate_prepared(model, [replace(own, beginnings=())], OPTIONS)[0])
    assert len({tuple(np.round(answer.first_logits.numpy(), 3).tolist()) for answer in wanted}) == 4
    model.forget()
    engine_of(model).release()
    seen: list[int] = []
    tower = model.encode_frames
    model.encode_frames = lambda pixels, mode, **how: seen.append(len(pixels)) or tower(pixels, mode, **how)  # type: ignore
    found = generate_prepared(model, asked, OPTIONS)
    for one, other in zip(found, wanted, strict=True):
        assert one.output_ids == other.output_ids
        assert torch.allclose(one.first_logits, other.first_logits, rtol=1e-4, atol=1e-4)
    text, _, told = (own.positions for own in asked[0].beginnings[:3])
    assert [own.kind for own in asked[0].beginnings] == ["text", "text", "text", "frames", "prompt"]
    assert told > text + 3 * 14 * 14
    assert [answer.shared_positions for answer in found[:3]] == [0, told, text]
    assert sum(seen) <= 1 + 2 + 1 + 2 * 3, "frames of clips and of examples, each once"


def test_what_is_left_out_at_the_beginning_is_what_would_have_come_first(tiny: Callable[..., DriveMM]) -> None:
    model = tiny()
    own = prepared(model, behind(1, 5, 6))
    whole = model.embed([own])[0]
    frame = frame_length(model.config)
    marks = np.flatnonzero(own.input_ids == IMAGE_ID)
    # Of each position: whether a frame has begun there and has not ended.
    inside = [False] * int(marks[0])
    for number, mark in enumerate(marks):
        inside += [place % frame != 0 for place in range(frame * len(own.visuals[number]))]
        inside += [False] * int((*marks, len(own.input_ids))[number + 1] - mark - 1)
    assert len(inside) == own.length
    steps = [skip for skip in range(own.length) if not inside[skip]]
    for skip in {*steps[::17], *(skip for skip in steps if inside[skip - 1] or inside[skip + 1 - own.length])}:
        assert torch.equal(model.embed([own], [skip])[0], whole[skip:])
    with pytest.raises(ValueError, match="inside a frame"):
        Cut.of(own, inside.index(True), model.config)


def test_float8_answers_behind_examples_too(checkpoint: Path) -> None:
    adapter = DriveMMFloat8(DriveMMFloat8Settings(checkpoint=str(checkpoint), device="cpu", mode="score"))
    adapter.load()
    try:
        ready = [replace(one, prepared=adapter.prepare(one)) for one in (behind(1, 5), behind(2, 5), behind(2))]
        chances = [reply.grade_probabilities for reply in adapter.answer(ready) if isinstance(reply, Reply)]
        assert len({tuple(each.values()) for each in chances if each is not None}) == 3
    finally:
        adapter.close()


def test_the_adapter_answers_behind_examples_and_tells_of_too_many(checkpoint: Path) -> None:
    adapter = DriveMMModel(DriveMMSettings(checkpoint=str(checkpoint), device="cpu", dtype="float32", warm_up=False))
    adapter.load()
    try:
        requests = [behind(1, 5), behind(2, 5), behind(2)]
        ready = [replace(request, prepared=adapter.prepare(request)) for request in requests]
        for reply in adapter.answer(ready):
            assert isinstance(reply, Reply)
            assert TASK.parse(reply.text)
        limit = adapter._model.config.position_limit
        assert limit is not None
        with pytest.raises(RequestTooLarge, match=f"the checkpoint allows {limit}"):
            adapter.prepare(behind(1, *range(10, 10 + 2 + int((2 * limit / 196) ** 0.5))))
    finally:
        adapter.close()
