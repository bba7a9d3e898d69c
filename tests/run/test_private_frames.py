"""What a model writes into its frames, or anything else that it is handed, is seen by nobody else."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np
import pytest

from ghostbench.frames import Frames

NOTE = "the model wrote into its own copy of the frames"


def frames(count: int = 3) -> Frames:
    pixels = np.arange(count * 4 * 5 * 3, dtype=np.uint8).reshape(count, 4, 5, 3)
    return Frames(
        pixels, indices=tuple(range(count)), times_s=tuple(map(float, range(count))), duration_s=9.0, decoder="drawn"
    )


@pytest.mark.slow
def test_writers_change_neither_each_other_nor_their_own_next_look(bench: Any) -> None:
    pytest.importorskip("torch")
    writers = [f"scribbler:{how}" for how in ("torch", "flags", "ctypes", "early")]
    rows = [*writers, "remote-scribbler", "local-spy"]
    done = bench.run(
        "--models", ",".join(rows), "--repeats", "2", "--probe", "blank,shuffled", "--run-id", "r", "--quiet"
    )
    assert done.returncode == 0, done.stderr
    lines = bench.lines("r", "attempts.jsonl")
    assert {line["outcome"] for line in lines} == {"answered"}
    sighted = [line for line in lines if not line["model"].startswith("local-spy")]
    for clip in {line["clip"] for line in lines}:
        for probe in ("", "+blank", "+shuffled"):
            seen = {
                line["served_model"]
                for line in sighted
                if line["clip"] == clip and line["model"].partition("+")[2] == probe.lstrip("+")
            }
            assert len(seen) == 1, (clip, probe, seen)
    noted = {line["model"].partition("+")[0] for line in lines if NOTE in line["notes"]}
    assert noted == {*writers, "remote-scribbler"}
    assert all(line["notes"] == ([] if line["model"].startswith("local-spy") else [NOTE]) for line in lines)
    blank = {line["served_model"].split()[0] for line in sighted if line["model"].endswith("+blank")}
    assert blank == {"128.000"}
    for prediction in bench.lines("r", "predictions.jsonl"):
        assert prediction["outcome"] == "answered"


def test_what_is_written_into_private_frames_is_theirs_alone_and_can_be_told() -> None:
    whole = frames()
    before = whole.pixels.copy()
    mine, yours = whole.private(), whole.private()
    assert not mine.altered()
    assert np.array_equal(mine.pixels, before)
    assert not mine.pixels.flags.writeable
    assert not mine.altered()
    ctypes.memset(mine.pixels.ctypes.data + before.nbytes - 1, 255, 1)
    assert mine.altered()
    assert not yours.altered()
    assert np.array_equal(whole.pixels, before)
    assert np.array_equal(yours.pixels, before)
    assert np.array_equal(mine.private().pixels, before)
    assert mine.renewed().altered() is False
    assert whole.renewed() is whole


def test_frames_turned_into_another_shape_are_altered() -> None:
    mine = frames().private()
    mine.pixels.shape = (3, 60)
    assert mine.altered()


def test_only_what_cannot_be_changed_is_computed_for_all_models_at_once() -> None:
    whole, counts = frames(), {"text": 0, "list": 0}

    def build(kind: str, value: Any) -> Any:
        def builder(given: Frames) -> Any:
            counts[kind] += 1
            given.pixels.flags.writeable = True
            given.pixels[:] = 0
            return value

        return builder

    mine, yours = whole.private(), whole.private()
    assert mine.memo("text", build("text", ("a", b"b", 1))) == yours.memo("text", build("text", ())) == ("a", b"b", 1)
    mine.memo("list", build("list", [1])).append(2)
    assert yours.memo("list", build("list", [1])) == [1]
    assert mine.memo("list", build("list", [])) == [1, 2]
    assert counts == {"text": 1, "list": 2}
    assert not mine.altered()
    assert whole.pixels.any()


def test_a_models_memo_never_stands_in_for_the_harness_own() -> None:
    whole = frames()
    whole.private().memo("prompt", lambda _: "mine")
    assert whole.memo("prompt", lambda _: "the task's") == "the task's"


def test_several_threads_look_and_remember_at_the_same_time() -> None:
    whole = frames()
    mine = whole.private()

    def look() -> None:
        for number in range(200):
            mine.memo(number, lambda given: given.pixels.sum())
            assert mine.pixels.sum() == whole.pixels.sum()

    threads = [threading.Thread(target=look, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
