"""All that crosses a boundary between stages can cross one between processes."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostbench import errors, records
from ghostbench.datasets.location import Location
from ghostbench.frames import Frames
from ghostbench.records import Prompt, Reply, Request, Usage, Verdict
from ghostbench.tasks.load import load_task


def again(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def frames(count: int = 3) -> Frames:
    pixels = np.arange(count * 4 * 5 * 3, dtype=np.uint8).reshape(count, 4, 5, 3)
    times_s = tuple(position / 2 for position in range(count))
    return Frames(pixels, indices=tuple(range(count)), times_s=times_s, duration_s=9.0, decoder="drawn")


def kinds(module: ModuleType) -> Iterator[type]:
    for value in vars(module).values():
        if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__:
            yield value


def own_errors(base: type[BaseException] = Exception) -> Iterator[type[BaseException]]:
    for kind in base.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
        yield from own_errors(kind)


st.register_type_strategy(Frames, st.builds(frames, st.integers(1, 4)))
st.register_type_strategy(Callable, st.just(load_task("ghost-probing").write))  # type: ignore[arg-type]
JSON = st.dictionaries(st.text(max_size=5), st.recursive(st.integers() | st.text(), st.lists, max_leaves=4), max_size=3)
RECORDS = sorted(kinds(records), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", [kind for kind in RECORDS if kind is not Request], ids=lambda kind: kind.__name__)
def test_every_record_comes_through(kind: type) -> None:
    @settings(max_examples=10, deadline=None)
    @given(st.builds(kind, **({"schema": JSON} if kind is Prompt else {})))
    def comes_through(record: Any) -> None:
        assert repr(again(record)) == repr(record)  # NaN is not equal to itself

    comes_through()


@pytest.mark.parametrize("name", ["ghost-probing", "ghost-probing-summary"])
def test_a_request_comes_through_with_the_way_to_write_its_answer(name: str) -> None:
    task, seen = load_task(name), frames()
    request = Request(
        id="r", prompt=task.build(seen), frames=seen.private(), seed=1, level=0, level_settings={},
        write_answer=task.write,
    )  # fmt: skip
    there = again(request)
    assert there.prompt == request.prompt
    assert there.frames.sha256 == seen.sha256
    verdict = Verdict(grade="ghost_probing", event_time_s=1.5, actor="child", occluder="van", evidence="ran")
    assert there.write_answer(verdict) == task.write(verdict)


def test_frames_come_through_without_what_was_computed_of_them() -> None:
    whole = frames()
    whole.memo("lock", lambda _: threading.Lock())
    there = again(whole)
    assert np.array_equal(there.pixels, whole.pixels)
    assert not there.pixels.flags.writeable
    facts = ("indices", "times_s", "duration_s", "decoder", "sha256")
    assert [getattr(there, name) for name in facts] == [getattr(whole, name) for name in facts]
    assert there.memo("lock", lambda _: "anew") == "anew"


def test_private_frames_come_through_as_they_were_and_stay_private() -> None:
    mine = frames().private()
    assert mine._pixels is None
    mine.pixels.flags.writeable = True
    mine.pixels[:] = 7
    there = again(mine)
    assert np.array_equal(there.pixels, frames().pixels)
    assert not there.altered()
    there.pixels.flags.writeable = True
    there.pixels[0] = 9
    assert there.altered()


@pytest.mark.parametrize("kind", sorted(set(own_errors()), key=lambda kind: kind.__name__), ids=lambda k: k.__name__)
def test_every_error_comes_through_with_all_that_it_carries(kind: type[Exception]) -> None:
    failure: Any = kind("what happened")
    carried = {"reply": Reply(text="so far", usage=Usage(output_tokens=3)), "retry_after_s": 2.5, "refuses": ("seed",)}
    for name, value in carried.items():
        if hasattr(failure, name):
            setattr(failure, name, value)
    there = again(failure)
    assert type(there) is kind
    assert str(there) == "what happened"
    assert vars(there) == vars(failure)


def test_credentials_are_handed_over_and_never_shown() -> None:
    location = Location.given("https://user:geheim@host/clips?sig=abcd1234")
    there = again(location).join("1.avi")
    assert there.full == "https://user:geheim@host/clips/1.avi?sig=abcd1234"
    for text in (repr(location), repr(again(location.credentials)), str(there), f"{there}"):
        assert "geheim" not in text
        assert "abcd1234" not in text
    assert "geheim" not in there.credentials.hide("refused: geheim")
