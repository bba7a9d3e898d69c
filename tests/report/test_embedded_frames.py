"""Frames in report.html: only on request, only the run's own pixels, and the file says so."""

from __future__ import annotations

import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from evidence_data import RunBuilder, clip

from ghostbench.credentials import NO_CREDENTIALS
from ghostbench.datasets.granted import Granted
from ghostbench.datasets.storage import Media
from ghostbench.errors import BadInput
from ghostbench.evidence.verify import verify
from ghostbench.folder.sums import write_sums
from ghostbench.frames import Frames
from ghostbench.media.sampling import parse_sampling
from ghostbench.records import Clip
from ghostbench.report import frame_strips
from ghostbench.report.frame_strips import drawn, drawn_once
from ghostbench.report.write import write_report
from ghostbench.running.ask.decoding import Decoding
from ghostbench.running.ask.pictures import drawing_ahead
from ghostbench.scoring.score import score_run


def run_on_real_frames(folder: Path) -> Path:
    """A run whose one clip is a folder of drawn images, decoded as the runner would."""
    from PIL import Image

    from ghostbench.media.decode import decode

    root = folder / "media"
    images = root / "1" / "001" / "images"
    images.mkdir(parents=True)
    for number in range(1, 13):
        Image.new("RGB", (320, 160), (20 * number, 40, 90)).save(images / f"{number:04d}.png")
    frames = decode(str(images), parse_sampling("uniform:4"))
    line = clip("images_1_001", "ghost_probing", time_s=0.1, frames=frames.times_s)
    line["frames_sha256"] = frames.sha256
    run = RunBuilder([line])
    run.rows("m", ["ghost_probing"])
    dataset = {
        "name": "test", "split": "all", "data_root": str(root), "labels": None, "labels_sha256": "a" * 64,
        "split_sha256": "b" * 64,
    }  # fmt: skip
    written = run.write(folder / "run", dataset=dataset, sampling="uniform:4")
    score_run(written)
    return written


def there(folder: Path) -> Granted:
    """Leave to look for the media where `run_on_real_frames` put it."""
    return Granted.of(data_root=str(folder / "media"))


def pictures(folder: Path) -> int:
    return (folder / "report.html").read_text().count("data:image/jpeg")


@pytest.mark.slow
def test_frames_of_a_dataset_are_found_by_its_own_layout_and_rate(tmp_path: Path) -> None:
    from PIL import Image
    from warm_process import run_bench

    images = tmp_path / "media" / "1" / "001" / "images"
    images.mkdir(parents=True)
    for number in range(1, 31):
        Image.new("RGB", (64, 32), (8 * number, 40, 90)).save(images / f"{number:04d}.png")
    (tmp_path / "media" / "images_1_001.avi").write_bytes(b"of another layout, and no video")
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\nimages_1_001,1s: ghost probing\n")
    (tmp_path / "slow.yaml").write_text("name: slow\nroot: media\nlayout: frames\nlabels: labels.csv\nfps: 10\n")
    words = ["run", "--dataset", "slow.yaml", "--models", "motion", "--sampling", "fps:2", "--run-id", "r", "--quiet"]
    assert run_bench(words, cwd=tmp_path, env=os.environ).returncode == 0
    run = tmp_path / "results" / "r"
    (line,) = map(json.loads, (run / "clips.jsonl").read_text().splitlines())
    assert line["duration_s"] == 3.0
    words = ["report", str(run), "--embed-frames", "--data-root", "media"]
    done = run_bench(words, cwd=tmp_path, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert pictures(run) == len(line["frame_indices"]) == 6
    assert not [found for found in verify(run, there(tmp_path)).findings if found.file == "report.html"]


def test_frames_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    folder = run_on_real_frames(tmp_path)
    write_report(folder)
    assert pictures(folder) == 0
    assert "licence" not in (folder / "report.html").read_text()


@pytest.mark.slow
def test_frames_of_free_media_are_in_the_page_unless_asked_to_leave_them_out(tmp_path: Path) -> None:
    from warm_process import run_bench

    words = ["run", "--models", "always,motion", "--out", str(tmp_path), "--run-id", "r", "--quiet"]
    assert run_bench(words, cwd=tmp_path, env=dict(os.environ), timeout=120).returncode == 0
    folder = tmp_path / "r"
    sampled = sum(len(json.loads(line)["frame_indices"]) for line in (folder / "clips.jsonl").read_text().splitlines())
    page = (folder / "report.html").read_text()
    assert page.count("data:image/jpeg") == sampled > 20
    assert "holds frames of ghost5, which anybody may pass on" in page
    assert str(tmp_path) not in page
    assert verify(folder).findings == ()
    # A run that only says that it is of that dataset gets no frames: its own are others.
    clips = (folder / "clips.jsonl").read_text()
    (folder / "clips.jsonl").write_text(re.sub(r'"frames_sha256": ?"[0-9a-f]{8}', '"frames_sha256":"' + "0" * 8, clips))
    write_report(folder)
    assert pictures(folder) == 0
    (folder / "clips.jsonl").write_text(clips)
    write_report(folder, embed_frames=False)
    assert pictures(folder) == 0


def test_embedded_frames_are_the_sampled_ones_and_the_page_says_that_it_holds_them(tmp_path: Path) -> None:
    folder = run_on_real_frames(tmp_path)
    write_report(folder, embed_frames=True, granted=there(tmp_path))
    assert pictures(folder) == 4
    assert "Their licence may forbid passing it on" in (folder / "report.html").read_text()
    verdict = verify(folder, there(tmp_path))
    assert not [finding for finding in verdict.findings if finding.file == "report.html"]
    assert not [note for note in verdict.notes if "frames" in note]


def test_another_picture_in_a_frames_place_is_found_though_every_digest_was_written_anew(tmp_path: Path) -> None:
    folder = run_on_real_frames(tmp_path)
    write_report(folder, embed_frames=True, granted=there(tmp_path))
    page = (folder / "report.html").read_text()
    first, second, *_ = dict.fromkeys(re.findall(r"data:image/jpeg;base64,[^\"]+", page))
    (folder / "report.html").write_text(page.replace(first, second, 1))
    write_sums(folder)
    found = [str(finding) for finding in verify(folder, there(tmp_path)).findings if finding.file == "report.html"]
    assert found == ["report.html: the frames of images_1_001 are not those whose digest clips.jsonl records"]


def test_frames_whose_media_is_gone_are_said_not_to_be_compared_and_the_rest_still_is(tmp_path: Path) -> None:
    folder = run_on_real_frames(tmp_path)
    write_report(folder, embed_frames=True, granted=there(tmp_path))
    shutil.rmtree(tmp_path / "media" / "1")
    verdict = verify(folder, there(tmp_path))
    assert not [finding for finding in verdict.findings if finding.file == "report.html"]
    assert any("embedded frames" in note and "not compared with the media" in note for note in verdict.notes)
    page = (folder / "report.html").read_text()
    (folder / "report.html").write_text(page.replace("Their licence may forbid", "Their licence allows", 1))
    write_sums(folder)
    assert [finding.file for finding in verify(folder, there(tmp_path)).findings].count("report.html") == 1


def test_a_clip_that_is_the_same_file_is_drawn_once_and_another_of_its_name_anew(tmp_path: Path) -> None:
    clips = sorted((Path(__file__).parents[2] / "datasets" / "ghost5").rglob("*.mp4"))
    shutil.copy(clips[0], tmp_path / "clip.mp4")
    asked = (Media(location=str(tmp_path / "clip.mp4")), parse_sampling("uniform:2"), NO_CREDENTIALS)
    first = drawn_once(*asked)
    assert first == drawn(*asked)
    assert drawn_once(*asked) is first
    shutil.copy(clips[1], tmp_path / "clip.mp4")
    assert drawn_once(*asked) == drawn(*asked) != first


async def test_a_run_of_few_free_clips_draws_them_when_it_decodes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sorted((Path(__file__).parents[2] / "datasets" / "ghost5").rglob("*.mp4"))[0]
    media, sampling = Media(location=str(shutil.copy(source, tmp_path / "clip.mp4"))), parse_sampling("uniform:2")
    want = drawn(media, sampling, NO_CREDENTIALS)
    with ThreadPoolExecutor(1) as pool:
        draw = drawing_ahead("ghost5", 5, sampling)
        decoding = Decoding(pool, sampling, tmp_path, draw=draw)
        decoded = await decoding.decode(Clip(id="c", truth="normal", media=str(media)))
    assert isinstance(decoded.frames, Frames)
    monkeypatch.setattr(frame_strips, "drawn", None)
    assert drawn_once(media, sampling, NO_CREDENTIALS) == want


@pytest.mark.parametrize(("dataset", "clips"), [("dada2000", 5), ("ghost5", 9), ("of-a-file", 5)])
def test_a_run_draws_no_other_clips(dataset: str, clips: int) -> None:
    assert drawing_ahead(dataset, clips, parse_sampling("uniform:2")) is None


def test_other_pixels_than_the_runs_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    folder = run_on_real_frames(tmp_path)
    for path in (tmp_path / "media" / "1" / "001" / "images").iterdir():
        Image.new("RGB", (320, 160), (9, 9, 9)).save(path)
    with pytest.raises(BadInput, match="other frames now than in the run"):
        write_report(folder, embed_frames=True, granted=there(tmp_path))


def test_media_that_is_gone_is_bad_input(tmp_path: Path) -> None:
    folder = run_on_real_frames(tmp_path)
    shutil.rmtree(tmp_path / "media" / "1" / "001")
    with pytest.raises(BadInput, match=r"images_1_001|no clips|media"):
        write_report(folder, embed_frames=True, granted=there(tmp_path))


def test_media_that_moved_is_found_where_the_user_says_and_nowhere_else(tmp_path: Path) -> None:
    folder = run_on_real_frames(tmp_path)
    with pytest.raises(BadInput, match=rf"--data-root \(the run had it in {tmp_path / 'media'}\)"):
        write_report(folder, embed_frames=True)
    (tmp_path / "media").rename(tmp_path / "moved")
    moved = Granted.of(data_root=str(tmp_path / "moved"))
    write_report(folder, embed_frames=True, granted=moved)
    assert pictures(folder) == 4
    assert not [note for note in verify(folder, moved).notes if "embedded frames" in note]
    assert [note for note in verify(folder).notes if "say where the media is with --data-root" in note]
