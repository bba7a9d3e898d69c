"""A mistake in ghostbench itself is no outcome of a clip: the run ends, says so, and goes on once it is mended."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from ghostbench.errors import BadInput, DecodeFailed, MediaUnreachable, MissingMedia
from ghostbench.running.settle.faults import FirstClips

# Stands in for a library that changed under us: only where the environment says so, and inside ghostbench's own code.
SABOTAGE = """
    import itertools
    import os

    from ghostbench import hookimpl

    part, _, after = os.environ.get("SABOTAGE", "").partition(":")

    def worn(real):
        calls = itertools.count()
        def call(*given, **named):
            if next(calls) >= int(after):
                raise TypeError("open() got an unexpected keyword argument 'x' of <object at 0x7f00dead>")
            return real(*given, **named)
        return call

    if part == "decoder":
        import ghostbench.media.stream as stream
        stream.check_frame_size = worn(stream.check_frame_size)
    if part == "parser":
        from ghostbench.tasks.ghost_probing import GhostProbing
        GhostProbing.parse = worn(GhostProbing.parse)
    if part == "ledger":
        from ghostbench.folder.ledger import Ledger
        Ledger.append = worn(Ledger.append)

    @hookimpl
    def register_models(register):
        pass
"""


def sabotaged(bench: Any) -> Any:
    site = bench.folder / "site"
    (site / "sabotage.py").write_text(dedent(SABOTAGE))
    info = site / "sabotage-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sabotage\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ghostbench]\nsabotage = sabotage\n")
    return bench


@pytest.mark.slow
@pytest.mark.parametrize("part", ["decoder:0", "decoder:4", "parser:2", "ledger:3"])
def test_a_mistake_of_ours_ends_the_run_and_no_clip_answers_for_it(bench: Any, part: str) -> None:
    given = ["--models", "remote-spy,local-spy", "--run-id", "r"]
    ended = sabotaged(bench).run(*given, SABOTAGE=part)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "this is a fault of ghostbench and of no clip or model: TypeError: open() got" in errors[0]
    assert "please report" in errors[0]
    assert "0x7f00dead" not in errors[0]
    assert errors[0].endswith("go on with: bench run --resume --run-id r --out results")
    assert {line["outcome"] for line in bench.lines("r", "attempts.jsonl")} <= {"answered"}
    assert bench.manifest("r")["status"] == "interrupted"
    gone_on = bench.run(*given, "--resume")
    assert gone_on.returncode == 0, gone_on.stderr
    predictions = bench.lines("r", "predictions.jsonl")
    assert [line["outcome"] for line in predictions] == ["answered"] * 12


@pytest.mark.parametrize("file", ["begun.jsonl", "attempts.jsonl"])
def test_a_file_that_a_model_closed_under_the_run_is_not_called_a_fault_of_ours(bench: Any, file: str) -> None:
    ended = bench.run("--models", f"closing:{file},always", "--on", "thread", "--run-id", "r")
    assert ended.returncode == 2
    (error,) = (line for line in ended.stderr.splitlines() if line.startswith("error: "))
    assert "closed under it (" in error
    assert f"as far as can be told by code of closing:{file}, which computes in the same process" in error
    assert "--run-id r --out results (without a model: --give-up" in error
    assert "make room" not in error
    gone_on = bench.run("--resume", "--run-id", "r", "--give-up", f"closing:{file}", dataset=False)
    assert gone_on.returncode in {0, 1}, gone_on.stderr
    outcomes = {line["model"]: line["outcome"] for line in bench.lines("r", "predictions.jsonl")}
    assert outcomes["always"] == "answered"


def with_clips(bench: Any, count: int, content: bytes) -> list[str]:
    """The words that choose a dataset of so many clips with this content."""
    root = bench.folder / "many"
    root.mkdir()
    clips = [f"images_4_{number:03d}" for number in range(count)]
    for clip in clips:
        (root / f"{clip}.avi").write_bytes(content)
    labels = bench.folder / "labels.csv"
    labels.write_text("video_id,ground_truth_label\n" + "".join(f"{clip},none\n" for clip in clips))
    (bench.folder / "many.yaml").write_text("name: many\nroot: many\nlayout: files\nlabels: labels.csv\nsplits: {}\n")
    return ["--dataset", str(bench.folder / "many.yaml")]


@pytest.mark.parametrize("model", ["remote-spy", "looking-batch"])
def test_where_the_first_clips_all_fail_alike_nothing_is_asked(bench: Any, model: str) -> None:
    whole = next((bench.dataset.parent / "clips").glob("*.avi"))
    given = [*with_clips(bench, 9, b"RIFF but no video"), "--models", model, "--run-id", "r"]
    shutil.copy(whole, bench.folder / "many" / "images_4_008.avi")
    stopped = bench.run(*given, dataset=False)
    assert stopped.returncode == 2
    assert "the first 8 clips all fail alike, and nothing was asked: InvalidDataError" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert bench.lines("r", "attempts.jsonl") == []
    for path in (bench.folder / "many").iterdir():
        shutil.copy(whole, path)
    gone_on = bench.run(*given, "--resume", dataset=False)
    assert gone_on.returncode == 0, gone_on.stderr
    assert [line["outcome"] for line in bench.lines("r", "predictions.jsonl")] == ["answered"] * 9


def failed(clips: FirstClips, count: int, words: str = "torn at byte {}") -> None:
    for number in range(count):
        clips.see(f"clip-{words[:4]}-{number}", DecodeFailed(words.format(number)))


def test_seven_clips_are_no_sign_and_eight_are() -> None:
    clips = FirstClips(decoded=False)
    failed(clips, 7)
    assert not clips.settled
    with pytest.raises(BadInput, match="first 8 clips all fail alike"):
        failed(clips, 8)


def test_one_clip_that_is_decoded_or_fails_otherwise_settles_it() -> None:
    for other in (None, DecodeFailed("another thing")):
        clips = FirstClips(decoded=False)
        failed(clips, 7)
        clips.see("another", other)
        assert clips.settled
        failed(clips, 20)
    failed(FirstClips(decoded=True), 20)


def test_media_that_is_missing_says_nothing_about_decoding() -> None:
    clips = FirstClips(decoded=False)
    for number in range(20):
        clips.see(f"missing-{number}", MissingMedia("no media"))
        clips.see(f"away-{number}", MediaUnreachable("503"))
    assert not clips.settled
    failed(clips, 7)
    assert not clips.settled


def test_what_a_decoder_did_not_raise_is_no_failure_of_the_media(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    from ghostbench.datasets.storage import Media
    from ghostbench.media import images
    from ghostbench.media.decode import decode
    from ghostbench.media.sampling import parse_sampling

    Image.new("RGB", (8, 6)).save(tmp_path / "0001.png")
    media = str(Media(location=str(tmp_path), kind="frames", fps=30.0))
    monkeypatch.setattr(images, "check_frame_size", lambda _width: None)
    with pytest.raises(TypeError, match="positional argument"):
        decode(media, parse_sampling("uniform:1"))
