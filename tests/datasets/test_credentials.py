"""Credentials of a data root's URL: handed to all that read its media, known to nothing else, and in no file."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from drawn_data import moving_square, write_video

from ghostbench import api
from ghostbench.datasets import storage
from ghostbench.datasets.granted import Granted, media_place
from ghostbench.datasets.layouts import find_media
from ghostbench.datasets.location import Location
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.errors import MediaUnreachable
from ghostbench.media.decode import decode
from ghostbench.media.every import every_frame
from ghostbench.media.sampling import parse_sampling
from ghostbench.records import Split
from ghostbench.running.ask.decoding import Decoding
from ghostbench.running.ask.far import FarAway
from ghostbench.running.ask.places.looking import Seen, Wanted
from ghostbench.running.ask.places.worker_model import Assignment, WorkerModel
from ghostbench.running.dry_run import forecast
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import Plan, make_plan
from ghostbench.viewer.labels import labelling_of

ROOT = "guarded://anna:pa55word@vault"
SECRETS = ("anna:", "pa55word")
NAME = "images_1_001"
TEN = parse_sampling("uniform:10")


@pytest.fixture(autouse=True)
def vault(guarded: Any, tmp_path: Path) -> None:
    """A clip with its label, in a storage that asks for a password."""
    path = tmp_path / "clip.mkv"
    write_video(path, moving_square(10, frames=20), fps=10)
    guarded.pipe_file(f"/vault/clips/{NAME}.mkv", path.read_bytes())
    guarded.pipe_file("/vault/labels.csv", f"video_id,ground_truth_label\n{NAME},none\n".encode())


def query(root: str = ROOT) -> SplitQuery:
    return SplitQuery(dataset="dada2000", data_root=root)


def the_plan(**options: Any) -> Plan:
    return make_plan(Options(query=query(), models="motion", **options))


def media_of(split: Split) -> str:
    (clip,) = split.clips
    assert clip.media == f"guarded://vault/clips/{NAME}.mkv"
    return clip.media


def test_a_run_reads_a_guarded_root_and_writes_down_no_password(tmp_path: Path) -> None:
    run = api.run("motion", dataset="dada2000", data_root=ROOT, out=str(tmp_path / "out"), run_id="r", on="thread")
    assert run.predictions["outcome"].tolist() == ["answered"]
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_text("utf-8", "replace") for secret in SECRETS), path


def test_what_one_was_given_another_does_not_know() -> None:
    split = select(query())
    media = media_of(split)
    assert decode(media, TEN, split.credentials).duration_s == pytest.approx(2.0)
    with pytest.raises(MediaUnreachable, match="refused"):
        decode(media, TEN)
    with pytest.raises(MediaUnreachable, match="refused"), storage.open_media(Location(media)):
        pass
    open_root = storage.accept("guarded://elsewhere", "--data-root")
    assert open_root.join("clips").full == "guarded://elsewhere/clips"


def test_a_dry_run_and_the_threads_of_a_run_read_it() -> None:
    plan = the_plan()
    assert forecast(plan)["motion"].unavailable_clips == 0
    split = plan.split
    with ThreadPoolExecutor(1) as pool:
        decoding = Decoding(pool, plan.sampling, split.data_root, split.credentials)
        decoded = asyncio.run(decoding.decode(split.clips[0]))
    assert decoded.frames.sha256 == decode(media_of(split), plan.sampling, split.credentials).sha256


def test_workers_elsewhere_are_handed_them_with_their_assignment(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    given: list[Assignment] = []
    cluster: Any = SimpleNamespace(
        what_is_missing=lambda *_: None, start=lambda assignment, *_: given.append(assignment)
    )
    plan = the_plan(on="ray")
    with ThreadPoolExecutor(1) as pool:
        (place,) = FarAway(plan, cluster, pool).places(plan.configured_models[0], 1)
    place._start(False)
    model = WorkerModel(given[0])
    came = threading.Event()
    told: list[Any] = []

    def reply(found: Any) -> None:
        told.append(found)
        came.set()

    model.take("look", 1, Wanted(media_of(plan.split)), reply)
    assert came.wait(60)
    assert isinstance(told[0], Seen)
    for text in (repr(given), repr(plan.split), caplog.text):
        assert not any(secret in text for secret in SECRETS)


def test_what_shows_or_labels_the_clips_of_a_guarded_root_reads_it(tmp_path: Path) -> None:
    granted = Granted.of(data_root=ROOT)
    where = media_place(granted, "dada2000", None, "auto", 30.0)
    found = find_media(where.root, [NAME], layout=where.layout, fps=where.fps)
    assert len(list(every_frame(str(found[NAME]), [], where.root.credentials))) == 20
    desk = labelling_of([query()], "ben", tmp_path / "ben.jsonl")
    assert len(list(every_frame(str(desk.clips[NAME].media), [], desk.credentials[NAME]))) == 20
    assert not any(secret in repr((granted, desk)) for secret in SECRETS)
