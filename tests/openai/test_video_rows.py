"""Runs with a row that sees the video: what the folder says of it, and what it is never set against."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from loopback_openai import NATIVE_KEY, Fault, Server

import ghostbench
from ghostbench import BadInput, Video
from ghostbench.cli.main import bench
from ghostbench.datasets.granted import NOTHING, Granted
from ghostbench.doctor.examine import Examiner
from ghostbench.doctor.judge import judge
from ghostbench.errors import DecodeFailed, MediaUnreachable
from ghostbench.evidence.compare import compare
from ghostbench.evidence.compare_files import comparison_json, warnings_of
from ghostbench.evidence.contenders import read_field
from ghostbench.evidence.verify import verify
from ghostbench.evidence.video_checks import check_videos
from ghostbench.folder.manifest import read_manifest
from ghostbench.folder.run_records import read_run_records
from ghostbench.media.own_file import read_video
from ghostbench.report.data import RunData
from ghostbench.running.dry_run import designs_of, forecast
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import make_plan

pytest.importorskip("google.genai")

pytestmark = pytest.mark.usefixtures("native_keys")
KEY = NATIVE_KEY
VIDEO = "google-video:gemini-2.5-flash"
FRAMES = "google:gemini-2.5-flash"
SEES = "sees the video, not the frames"
Asked = Callable[..., RunData]


@pytest.fixture
def media(tmp_path: Path, draw_dataset: Callable[[int], Path]) -> Path:
    """A dataset of four drawn clips of this test's own."""
    shutil.copytree(draw_dataset(4).parent, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def ask(native: Server, tmp_path: Path, media: Path) -> Asked:
    def run(run_id: str, models: str, settings: dict[str, Any] | None = None, **options: Any) -> RunData:
        url = f"http://127.0.0.1:{native.port}"
        rows = [name.partition(">")[0] for name in models.split(",") if "google" in name]
        names = {name.partition("=")[2] or name for name in rows}
        given = {"sampling": "uniform:2", "on": "thread", "dataset": str(media / "dataset.yaml"), **options}
        return ghostbench.run(
            models,
            settings={name: {"base_url": url, **(settings or {})} for name in names},
            out=tmp_path / "results",
            run_id=run_id,
            **given,
        )

    return run


def lines_of(folder: Path, name: str = "attempts.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def findings(folder: Path, granted: Granted) -> list[str]:
    found, _ = check_videos(read_run_records(folder), granted)
    return [str(finding) for finding in found]


@pytest.fixture
def just_ask(ask: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """The same without scores and pages, which take longer than the asking: the run's folder."""
    monkeypatch.setattr("ghostbench.running.execute.make_report", lambda folder: {})
    monkeypatch.setattr("ghostbench.running.execute.conclude", lambda folder, terminal, metrics: 0)
    monkeypatch.setattr("ghostbench.api.read_finished", lambda folder: None)
    monkeypatch.setattr("ghostbench.api.read_run", lambda folder: None)

    def run(run_id: str, *given: Any, **options: Any) -> Path:
        ask(run_id, *given, **options)
        return tmp_path / "results" / run_id

    return run


@pytest.mark.slow
def test_the_folder_says_that_a_row_saw_the_video_and_which(ask: Asked, media: Path) -> None:
    run = ask("r", f"{VIDEO}=film,{FRAMES}=still")
    digests = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in (media / "clips").iterdir()}
    frames = {line["clip"]: line["frames_sha256"] for line in lines_of(run.folder, "clips.jsonl")}
    for line in lines_of(run.folder):
        film = line["model"] == "film"
        assert line["outcome"] == "answered"
        assert line["video_sha256"] == (digests[line["clip"]] if film else None)
        assert line["frames_sha256"] == (None if film else frames[line["clip"]])
    assert len({line["prompt_sha256"] for line in lines_of(run.folder) if line["model"] == "film"}) == 1
    rows = run.metrics["models"]
    assert (rows["film"]["mark"], rows["film"].get("sees_video")) == (SEES, True)
    assert (rows["still"]["mark"], rows["still"].get("sees_video")) == (None, None)
    entry = run.manifest.models["film"]
    assert (entry.sees_video, entry.needs_frames, entry.facts["shown"]) == (True, False, "the clip's own media file")
    for name in ("report.md", "report.html", "tables/summary.csv"):
        assert SEES in (run.folder / name).read_text(encoding="utf-8"), name
    assert "The clip follows as a video." in (run.folder / "report.html").read_text(encoding="utf-8")
    granted = Granted.of(data_root=str(media / "clips"), labels=str(media / "labels.csv"))
    checked = verify(run.folder, granted)
    assert checked.findings == ()
    assert "what rows that see the video were shown" in checked.checked
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert all(KEY not in path.read_text(encoding="utf-8", errors="replace") for path in files)


def test_what_saw_the_video_is_never_set_against_what_saw_the_frames(just_ask: Callable[..., Path]) -> None:
    folder = just_ask("r", f"{VIDEO}=film,{FRAMES}=still")
    field = read_field([folder])
    assert [one.name for one in field.contenders] == ["still"]
    assert field.without == {"film": SEES}
    assert f"Not compared with the others: film, which {SEES}." in warnings_of(field)
    assert comparison_json(compare(field))["not_compared"] == {"film": SEES}
    with pytest.raises(BadInput, match="'film' sees the video, not the frames, and 'still' saw the frames: they are"):
        read_field([folder], models=["film", "still"])
    alone = read_field([folder], models=["film"])
    assert warnings_of(alone) == [f"Each of these models {SEES}."]

    # Replayed, the answers keep the mark of what they were given to.
    recording = folder.parent / "film.jsonl"
    recording.write_text("".join(json.dumps(x) + "\n" for x in lines_of(folder) if x["model"] == "film"))
    again = just_ask("again", f"replay:{recording}=film")
    assert read_manifest(again).models["film"].remark == f"{SEES}; recorded"
    assert findings(again, NOTHING) == []
    assert sorted(read_field([folder, again]).without) == ["film (again)", "film (r)"]


def test_verify_names_a_video_that_has_changed_or_is_another_rows(just_ask: Callable[..., Path], media: Path) -> None:
    folder = just_ask("r", f"{VIDEO}=film,motion", repeats=2, limit=2)
    granted = Granted.of(data_root=str(media / "clips"))
    assert findings(folder, granted) == []
    lines = lines_of(folder)
    film = next(line for line in lines if line["model"] == "film")
    # Its frames may be the same ones still: what was seen is another file.
    changed = media / "clips" / f"{film['clip']}.avi"
    changed.write_bytes(changed.read_bytes() + b"\0")
    (found,) = findings(folder, granted)
    assert f"the video of {film['clip']} that was seen is not the one in the media now" in found

    other = next(line for line in lines if line["model"] == "motion")
    other["video_sha256"], film["video_sha256"], film["frames_sha256"] = film["video_sha256"], "0" * 64, "1" * 64
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (folder / "attempts.jsonl").write_text(text, encoding="utf-8")
    told = "\n".join(findings(folder, NOTHING))
    assert f"the video of {film['clip']} was not the same each time" in told
    assert f"film, {film['clip']}, attempt 1 has frames, and the row sees the video" in told
    assert f"motion, {other['clip']}, attempt 1 has the digest of a video, and the row sees none" in told


def test_a_run_that_was_stopped_goes_on_and_asks_no_answered_clip_again(
    just_ask: Callable[..., Path], native: Server
) -> None:
    spent = json.dumps({"error": {"code": 400, "message": "Please enable billing", "status": "FAILED_PRECONDITION"}})
    native.natives.script = [None, Fault("status", 400, {}, spent)]
    first = lines_of(just_ask("r", f"{VIDEO}=film", {"concurrency": 1}))
    assert sorted(line["outcome"] for line in first if line["request_id"]) == ["answered", "quota_exhausted"]
    again = lines_of(just_ask("r", f"{VIDEO}=film", {"concurrency": 1}, resume=True))
    answered = [line["clip"] for line in again if line["outcome"] == "answered"]
    assert len(answered) == len(set(answered)) == 4
    assert len(native.natives.asked("gemini")) == 5


def test_media_that_is_not_there_is_missing_for_the_video_too(just_ask: Callable[..., Path], media: Path) -> None:
    gone, torn, *_ = sorted((media / "clips").iterdir())
    gone.unlink()
    torn.write_bytes(b"no video at all")
    outcomes = {line["clip"]: line["outcome"] for line in lines_of(just_ask("r", f"{VIDEO}=film"))}
    assert (outcomes.pop(gone.stem), outcomes.pop(torn.stem)) == ("missing_media", "decode_failed")
    assert set(outcomes.values()) == {"answered"}


def test_a_storage_that_is_away_is_asked_again_for_the_video(
    just_ask: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = iter([True])

    def read(media: str, clip: str, *opened_with: Any) -> Video:
        if next(away, False):
            raise MediaUnreachable("the storage is away")
        return read_video(media, clip)

    monkeypatch.setattr("ghostbench.running.ask.videos.read_video", read)
    lines = lines_of(just_ask("r", f"{VIDEO}=film", limit=2))
    outcomes = sorted(line["outcome"] for line in lines)
    assert outcomes == ["answered", "answered", "media_unreachable"]
    (failed,) = (line for line in lines if line["outcome"] == "media_unreachable")
    assert (failed["request_id"], failed["video_sha256"]) == (None, None)


def test_clips_that_cannot_be_decoded_here_are_told_of_before_a_video_is_sent(
    just_ask: Callable[..., Path],
    native: Server,
    draw_dataset: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise DecodeFailed("no such decoder")

    monkeypatch.setattr("ghostbench.running.ask.decoding.decode", fail)
    with pytest.raises(BadInput, match="the first 8 clips all fail alike, and nothing was asked: no such decoder"):
        just_ask("r", f"{VIDEO}=film", dataset=str(draw_dataset(8)))
    assert native.natives.bodies == []


def test_answers_to_a_video_are_cached_by_its_bytes(
    just_ask: Callable[..., Path], native: Server, media: Path, tmp_path: Path
) -> None:
    options = {"cache": str(tmp_path / "cache"), "limit": 2}
    first = lines_of(just_ask("a", f"{VIDEO}=film", **options))
    just_ask("b", f"{VIDEO}=film", **options)
    assert len(native.natives.asked("gemini")) == 2
    changed = media / "clips" / f"{first[0]['clip']}.avi"
    changed.write_bytes(changed.read_bytes() + b"\0")
    third = lines_of(just_ask("c", f"{VIDEO}=film", **options))
    assert len(native.natives.asked("gemini")) == 3
    assert sorted(line["from_cache"] is not None for line in third) == [False, True]


def options(models: str, dataset: str = "ghost5", **given: Any) -> Options:
    from ghostbench.datasets.query import SplitQuery

    return Options(models=models, query=SplitQuery(dataset=dataset), **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"probe": "blank"}, "--probe blank would change frames that it is not shown"),
        ({"probe": "noise:3,flip"}, "--probe noise:3,flip would change frames"),
        ({"variants": "terse"}, "--variants terse have no words for a video"),
        ({"task": "ghost-warning"}, "task 'ghost-warning' asks at moments, and a video shows what comes after"),
        ({"task": "ghost-probing-summary"}, "task 'ghost-probing-summary' has no words for a video"),
    ],
)
def test_what_says_nothing_true_of_a_video_is_refused_before_anything_is_sent(
    given: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match=rf"model '{VIDEO}' {SEES}: ") as refused:
        make_plan(options(f"motion,{VIDEO}", **given))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("pair", [f"{FRAMES}>{VIDEO}", f"{VIDEO}>{FRAMES}", f"{VIDEO}>motion"])
def test_no_row_has_answers_to_the_video_among_answers_to_the_frames(pair: str) -> None:
    with pytest.raises(BadInput, match="answers to the video among answers to the frames; name a substitute"):
        make_plan(options(pair))


def test_the_row_of_a_substitute_says_that_its_answers_are_of_the_video(just_ask: Callable[..., Path]) -> None:
    folder = just_ask("r", f"{VIDEO}=film>always,never")
    models = read_manifest(folder).models
    assert {name: entry.sees_video for name, entry in models.items()} == {
        "film": True, "film>always": True, "never": False,
    }  # fmt: skip
    assert findings(folder, NOTHING) == []


def test_clips_that_are_frames_have_no_video(tmp_path: Path) -> None:
    from PIL import Image

    for number in (1, 2):
        folder = tmp_path / "media" / "1" / f"00{number}" / "images"
        folder.mkdir(parents=True)
        for frame in range(3):
            Image.new("RGB", (32, 32)).save(folder / f"{frame + 1:04}.png")
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\nimages_1_001,none\nimages_1_002,none\n")
    (tmp_path / "d.yaml").write_text("name: d\nroot: media\nlayout: frames\nlabels: labels.csv\nsplits: {}\n")
    with pytest.raises(BadInput, match="sees the video, and 2 of 2 clips are frames without one, such as images_1_001"):
        make_plan(options(VIDEO, str(tmp_path / "d.yaml")))


def test_a_dry_run_says_how_many_bytes_of_video_go_out_and_sets_no_video_against_frames() -> None:
    plan = make_plan(options(f"{VIDEO}=film,{FRAMES}=still,motion", repeats=2))
    found = forecast(plan)
    media = sum(path.stat().st_size for path in Path("datasets/ghost5/clips").glob("*.mp4"))
    assert found["film"].video_bytes == 2 * media
    assert found["still"].video_bytes is None
    assert found["film"].requests == found["still"].requests == 10
    assert found["film"].cost_usd is not None
    assert found["film"].cost_usd > 0
    assert designs_of(plan)["models"].models == 2


def test_the_doctor_asks_about_the_video(native: Server) -> None:
    url = f"{VIDEO}.base_url=http://127.0.0.1:{native.port}"
    plan = make_plan(options(VIDEO, settings=(url,)))
    found = Examiner(plan, clips=2, max_cost=1.0).run()
    lines = {line.check: line for line in judge(found)}
    assert {name for name, line in lines.items() if line.judgement == "fail"} == set()
    assert lines["depends on the frames"].why == SEES.join(("it ", ""))
    assert len(native.natives.asked("gemini")) == 4
    assert all("inlineData" in json.dumps(body) for body in native.natives.asked("gemini"))


@pytest.mark.parametrize("words", [["models"], ["models", "google-video"]])
def test_the_list_of_models_says_what_such_a_model_sees(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    said = CliRunner().invoke(bench, words, catch_exceptions=False).output
    assert SEES in " ".join(said.split())
