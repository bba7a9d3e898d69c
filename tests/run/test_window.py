"""Frames are held by their bytes, shared by those who need them at once, and let go."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghostbench.datasets.query import SplitQuery
from ghostbench.errors import MediaError, MediaUnreachable
from ghostbench.frames import Frames
from ghostbench.records import Clip
from ghostbench.running.ask import decoding as decoding_module
from ghostbench.running.ask.decoding import Decoded
from ghostbench.running.ask.way import Way
from ghostbench.running.ask.window import FrameWindow, StorageGivenUp, frames_budget
from ghostbench.running.plan.options import Options
from ghostbench.running.rules.patience import Patience

QUICK = Patience(outage_s=5.0, first_s=0.02, longest_s=0.1)


def clips(count: int) -> list[Clip]:
    return [Clip(id=f"c{number}", truth="normal", media=f"c{number}") for number in range(count)]


class Decoder:
    """Decodes clips of so many bytes, and remembers which; fails with `failures` first."""

    def __init__(self, size: int = 3000, failures: list[MediaError] | None = None) -> None:
        self.size = size
        self.decoded: Counter[str] = Counter()
        self.failures = failures or []
        self.at_once = self.most_at_once = 0

    async def decode(self, clip: Clip) -> Decoded:
        self.decoded[clip.id] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.002)
        self.at_once -= 1
        if self.failures:
            return Decoded(self.failures.pop(0), 0.002)
        pixels = np.zeros((1, self.size // 3, 1, 3), dtype=np.uint8)
        return Decoded(Frames(pixels, indices=(0,), times_s=(0.0,), duration_s=1.0, decoder="drawn"), 0.002)


def window(decoder: Decoder, budget: int, wanted: bool = False) -> FrameWindow:
    return FrameWindow(decoder, budget, Way(QUICK), lambda _: wanted)  # type: ignore[arg-type]


async def test_who_has_clips_decoded_ahead_learns_when_they_are_and_when_they_never_will_be() -> None:
    decoder = Decoder()
    frames = window(decoder, 100_000, wanted=True)
    await asyncio.wait_for(frames.begin(clips(3)), 10)
    assert sum(decoder.decoded.values()) == 3
    assert await frames.begin([]) == []
    begun = frames.begin(clips(8)[3:])
    await frames.close()
    assert {type(came) for came in await asyncio.wait_for(begun, 10)} == {asyncio.CancelledError}


async def test_no_more_bytes_are_held_than_the_budget_and_no_one_waits_for_ever() -> None:
    decoder = Decoder()
    frames = window(decoder, 10_000)
    most = 0

    async def use(clip: Clip) -> None:
        nonlocal most
        async with frames.lent(clip) as decoded:
            assert isinstance(decoded.frames, Frames)
            most = max(most, frames.held_bytes)
            await asyncio.sleep(random.random() / 200)

    async with asyncio.timeout(10):
        await asyncio.gather(*(use(clip) for clip in clips(60) for _ in range(2)))
    assert 6000 <= most <= 10_000
    assert frames.held_bytes == 0


async def test_one_clip_is_held_whatever_its_size() -> None:
    frames = window(Decoder(size=30_000), 10_000)

    async def use(clip: Clip) -> None:
        async with frames.lent(clip):
            assert frames.held_bytes == 30_000

    async with asyncio.timeout(10):
        await asyncio.gather(*(use(clip) for clip in clips(5)))


async def test_before_a_size_is_known_clips_are_decoded_one_at_a_time() -> None:
    decoder = Decoder(size=30_000)
    frames = window(decoder, 40_000)
    async with asyncio.timeout(10):
        await asyncio.gather(*(hold(frames, clip) for clip in clips(8)))
    assert decoder.most_at_once == 1


async def hold(frames: FrameWindow, clip: Clip) -> None:
    async with frames.lent(clip):
        await asyncio.sleep(0.001)


async def test_who_needs_a_clip_at_the_same_time_shares_it_and_who_comes_later_has_it_decoded_again() -> None:
    decoder = Decoder()
    frames = window(decoder, 10_000)
    await asyncio.gather(*(hold(frames, clip) for clip in clips(3) for _ in range(4)))
    assert set(decoder.decoded.values()) == {1}
    await hold(frames, clips(1)[0])
    assert decoder.decoded["c0"] == 2


async def test_what_others_still_want_is_kept_as_long_as_there_is_room() -> None:
    decoder = Decoder()
    frames = window(decoder, 10_000, wanted=True)
    for clip in clips(10):
        await hold(frames, clip)
    assert frames.held_bytes <= 10_000
    for clip in clips(2):
        await hold(frames, clip)
    assert (decoder.decoded["c0"], decoder.decoded["c1"]) == (1, 1), (
        "those that come next are kept, the latest give way"
    )


async def test_a_failure_is_everyones_who_waits_and_no_one_elses() -> None:
    decoder = Decoder(failures=[MediaUnreachable("503")])
    frames = window(decoder, 10_000)

    async def outcome(clip: Clip) -> type:
        async with frames.lent(clip) as decoded:
            return type(decoded.frames)

    clip = clips(1)[0]
    assert set(await asyncio.gather(*(outcome(clip) for _ in range(3)))) == {MediaUnreachable}
    assert await outcome(clip) is Frames
    assert decoder.decoded["c0"] == 2


async def test_a_storage_that_stays_away_is_given_up() -> None:
    frames = FrameWindow(
        Decoder(failures=[MediaUnreachable("503")] * 1000),  # type: ignore[arg-type]
        10_000,
        Way(Patience(outage_s=0.3, first_s=0.02, longest_s=0.05)),
    )

    async def until_given_up(clip: Clip) -> None:
        while True:
            await hold(frames, clip)

    async with asyncio.timeout(20):
        for failed in await asyncio.gather(*(until_given_up(clip) for clip in clips(6)), return_exceptions=True):
            assert isinstance(failed, StorageGivenUp)


async def test_what_is_cancelled_while_it_waits_or_holds_takes_no_room() -> None:
    frames = window(Decoder(), 3000)
    tasks = [asyncio.create_task(hold(frames, clip)) for clip in clips(20)]
    await asyncio.sleep(0.005)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(20):
        await hold(frames, clips(1)[0])


def test_the_budget_is_a_share_of_memory() -> None:
    assert 2**26 < frames_budget() <= 16 * 2**30


class Storage:
    """Stands before the decoder: unreachable for a while from its first use, for all or for one clip for good."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, away_s: float, lost: str = "") -> None:
        self.decode, self.away_s, self.lost = decoding_module.decode, away_s, lost
        self.back_at: float | None = None
        monkeypatch.setattr(decoding_module, "decode", self)

    def __call__(self, media: Any, sampling: Any, credentials: Any) -> Frames:
        self.back_at = self.back_at or time.monotonic() + self.away_s
        if time.monotonic() < self.back_at or (self.lost and self.lost in str(media)):
            raise MediaUnreachable("503 from the storage")
        return self.decode(media, sampling)


def settled(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "r" / name).read_text(encoding="utf-8").splitlines()]


def run(folder: Path, dataset: Path, **options: Any) -> int:
    from rich.console import Console

    from ghostbench.running.execute import execute
    from ghostbench.running.terminal import Terminal

    query = SplitQuery(dataset=str(dataset))
    usual = {"models": "motion,always", "patience": QUICK, "on": "thread"}
    given = Options(query=query, out=folder, run_id="r", **{**usual, **options})
    return execute(given, ["bench", "run"], Terminal(out=Console(stderr=True), err=Console(stderr=True), quiet=True))


@pytest.mark.slow
def test_a_storage_that_is_away_for_a_while_loses_no_clip(
    tmp_path: Path, drawn_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghostbench.evidence.verify import verify

    Storage(monkeypatch, away_s=0.8)
    assert run(tmp_path, drawn_dataset, models="motion,always", probe="blank") == 0
    outcomes = Counter((p["model"], p["outcome"]) for p in settled(tmp_path, "predictions.jsonl"))
    assert outcomes == {(row, "answered"): 6 for row in ("motion", "motion+blank", "always")}
    lines = settled(tmp_path, "attempts.jsonl")
    away = [line for line in lines if line["outcome"] == "media_unreachable"]
    assert away
    assert all(line["request_id"] is None and line["error"]["message"] == "503 from the storage" for line in away)
    assert all(line["wait_s"] > 0 for line in away if line["attempt"] > 1)
    assert all(clip["frames_sha256"] for clip in settled(tmp_path, "clips.jsonl"))
    assert verify(tmp_path / "r").findings == ()


@pytest.mark.slow
def test_media_that_stay_unreachable_are_asked_for_again_when_resumed(
    tmp_path: Path, drawn_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghostbench.evidence.verify import verify

    storage = Storage(monkeypatch, away_s=0.0, lost="images_2_001")
    assert run(tmp_path, drawn_dataset, max_attempts=2) == 0
    outcomes = Counter(p["outcome"] for p in settled(tmp_path, "predictions.jsonl") if p["model"] == "motion")
    assert outcomes == {"answered": 5, "media_unreachable": 1}
    lost = [line for line in settled(tmp_path, "attempts.jsonl") if line["outcome"] == "media_unreachable"]
    assert [(line["model"], line["attempt"]) for line in lost] == [("motion", 1), ("motion", 2)]
    storage.lost = ""
    assert run(tmp_path, drawn_dataset, max_attempts=2, resume=True) == 0
    assert {p["outcome"] for p in settled(tmp_path, "predictions.jsonl")} == {"answered"}
    assert all(clip["frames_sha256"] for clip in settled(tmp_path, "clips.jsonl"))
    assert verify(tmp_path / "r").findings == ()
