"""Few-shot examples that show frames: what is asked, of what; what is refused, and what stands in the folder of it."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from drawn_data import moving_square, write_dataset, write_video
from two_ways import TWO_WAYS

from ghostbench import BadInput, LocalModel
from ghostbench.datasets.granted import NOTHING, Granted
from ghostbench.datasets.query import SplitQuery
from ghostbench.errors import DecodeFailed, MissingMedia
from ghostbench.evidence.contenders import _examples_apart
from ghostbench.evidence.example_checks import check_examples
from ghostbench.evidence.verify import verify
from ghostbench.folder.reader import Folder
from ghostbench.folder.run_records import read_run_records
from ghostbench.frames import pixels_sha256
from ghostbench.media.far import FarFrames
from ghostbench.plugins.choose import parse_model
from ghostbench.report.write import write_report
from ghostbench.running.ask.examples import Shown, show_examples
from ghostbench.running.ask.places.looking import Looking, Wanted
from ghostbench.running.ask.questions import foresee
from ghostbench.running.ask.units import Ask
from ghostbench.running.dry_run import forecast
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.contenders import Contender
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import Plan, make_plan
from ghostbench.running.plan.variants import check_examples as check_examples_of
from ghostbench.running.plan.variants import examples_of
from ghostbench.running.settle.making import RequestMaker
from ghostbench.tasks.load import load_task
from ghostbench.tasks.wording import MAIN
from ghostbench.viewer.frames import Frames, Sampled
from ghostbench.viewer.runs import Runs

BRIGHT = [f"images_{c}_{i:03}" for c in (1, 2, 3) for i in (1, 2)]
"""The clips of the data set, each brighter than the one before."""
SHOWN = {"clip": "images_3_002.avi", "frames": True, "answer": {"ghost": "no"}}
TASK: dict[str, Any] = {
    **TWO_WAYS,
    "frames": {**TWO_WAYS["frames"], "opening": "{count} frames of {duration:.1f} s:"},
    "variants": {
        "few": {
            "examples": [
                {"clip": "images_1_002", "frames": True, "answer": {"ghost": "yes"}},
                {"clip": "elsewhere", "shows": "A van.", "answer": {"ghost": "yes"}},
                SHOWN,
            ]
        }
    },
}
WORDS = ["--variants", "few", "--sampling", "uniform:2", "--run-id", "r"]


def task_file(folder: Path, **few: Any) -> str:
    path = folder / "task.yaml"
    task = {**TASK, "variants": {"few": {**TASK["variants"]["few"], **few}}}
    path.write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")
    return str(path)


def told(done: Any) -> str:
    """The one line that a refusal is."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("not scored", "examples that are no"))]
    assert len(lines) == 1, done.stderr
    return str(lines[0]).removeprefix("error: ")


@pytest.mark.slow
def test_examples_are_shown_as_the_clip_is_and_before_it(bench: Any, tmp_path: Path) -> None:
    given = ["--task", task_file(tmp_path), *WORDS, "--models", "showy,remote-showy,always"]
    given += [f"--set={name}.log={tmp_path / name}" for name in ("showy", "remote-showy")]
    done = bench.run(*given, "--on", "process", "--limit", "4", "--probe", "blank")
    assert done.returncode == 0, done.stderr
    assert "not scored, as examples are told with their answers: images_1_002\n" in done.stderr
    assert "examples that are no clips of this run: elsewhere;" in done.stderr, "the other one is shown by its frames"
    asked = [clip for clip in BRIGHT[:4] if clip != "images_1_002"]
    assert [line["clip"] for line in bench.lines("r", "clips.jsonl")] == asked
    metrics = bench.metrics("r")["models"]
    rows = ["", "@few", "+blank"]
    assert list(metrics) == [
        *(f"{m}{row}" for m in ("showy", "remote-showy") for row in rows),
        "always",
    ]
    for name in ("showy", "remote-showy"):
        seen = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        few = [each["seen"] for each in seen if each["variant"] == "few"]
        assert len(few) == 3
        for parts in few:
            first, second, last = parts[:6], parts[7:13], parts[13:]
            assert first[0] == "An example, of another clip: 2 frames of 1.0 s:"
            assert [part[0] for part in first[2:5:2]] == ["example 0", "example 0"]
            assert first[5] == 'The answer to it: {"ghost": "yes"}'
            assert parts[6] == 'An example, of another clip: A van.\nThe answer to it: {"ghost": "yes"}'
            assert second[0] == first[0]
            assert second[5] == 'The answer to it: {"ghost": "no"}'
            assert last[0] == "2 frames of 1.0 s:"
            assert [part[0] for part in last[2:5:2]] == ["clip", "clip"]
            assert [part[1] for part in last[2:5:2]] == [part[1] for part in first[2:5:2]]
            assert first[2][2] < second[2][2], "each its own pixels"
            assert not any("images_" in str(part) for part in parts)
        others = [each["seen"] for each in seen if each["variant"] is None]
        assert not any("example" in str(parts) for parts in others)
    lines = bench.lines("r", "attempts.jsonl")
    for clip in asked:
        own = {line["model"]: line for line in lines if line["clip"] == clip}
        assert own["showy"]["frames_sha256"] == own["showy@few"]["frames_sha256"], "those of the clip, and no others"
        assert own["showy"]["prompt_sha256"] != own["showy@few"]["prompt_sha256"]
        assert own["showy+blank"]["frames_sha256"] != own["showy"]["frames_sha256"]
    stated = bench.manifest("r")["examples"]
    assert sorted(stated) == ["images_1_002", "images_3_002"], "the second is beyond the limit, and shown"
    assert len({each["frames_sha256"] for each in stated.values()}) == 2
    assert [len(each["frame_times_s"]) for each in stated.values()] == [2, 2]
    assert not set(stated) & set(asked)
    report = (bench.folder / "results" / "r" / "report.md").read_text()
    assert "[a frame of the example]" in report
    assert "Examples shown" in report
    sound = verify(bench.folder / "results" / "r")
    assert sound.findings == ()
    assert "examples in the prompts" in sound.checked
    assert "what was shown of examples" not in sound.checked
    assert any("the frames of examples were not compared with the media" in note for note in sound.notes)


def planned(bench: Any, tmp_path: Path, media: Path | None = None, **options: Any) -> Plan:
    """The plan of a run that asks gpt-4.1 of the wording."""
    query = SplitQuery(dataset=str(bench.dataset), data_root=None if media is None else str(media))
    given = {"models": "gpt-4.1", "settings": ("gpt-4.1.base_url=http://127.0.0.1:9/v1",), **options}
    return make_plan(Options(query=query, task=task_file(tmp_path), variants="few", sampling="uniform:2", **given))


def test_a_dry_run_counts_the_images_of_examples(bench: Any, tmp_path: Path) -> None:
    rows = forecast(planned(bench, tmp_path, models="gpt-4.1,motion"))
    assert list(rows) == ["gpt-4.1", "gpt-4.1@few", "motion"], "who reads no words is asked in no other"
    main, few = rows["gpt-4.1"], rows["gpt-4.1@few"]
    assert (main.requests, few.requests) == (4, 4)
    assert main.cost_usd is not None
    assert few.cost_usd is not None
    image = 85 + 170  # a tile, at 64 x 48 pixels
    assert few.input_tokens - main.input_tokens > 4 * 4 * image
    assert few.cost_usd > main.cost_usd


def test_media_of_an_example_that_is_not_there_or_broken_ends_the_run(bench: Any, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    shutil.copytree(bench.dataset.parent / "clips", clips)
    (clips / "images_3_002.avi").write_bytes(b"no video")
    with pytest.raises(BadInput, match=r"the frames of the example images_3_002 are shown, and cannot .*name another"):
        show_examples(planned(bench, tmp_path, clips))
    (clips / "images_3_002.avi").unlink()
    with pytest.raises(BadInput, match="holds no media of it"):
        planned(bench, tmp_path, clips)
    blind = planned(bench, tmp_path, clips, models="always,replay:" + recorded(tmp_path), settings=())
    assert blind.split.examples == {}, "who is shown nothing needs none of it"


def recorded(folder: Path) -> str:
    path = folder / "recorded.jsonl"
    lines = [{"clip": clip, "raw": '{"ghost": "no"}', "variant": each} for clip in BRIGHT for each in (None, "few")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"{path}=old"


def test_models_that_see_no_frames_are_asked_without_those_of_examples(bench: Any, tmp_path: Path) -> None:
    given = ["--task", task_file(tmp_path), *WORDS, "--models", f"replay:{recorded(tmp_path)}", "--quiet"]
    assert bench.run(*given).returncode == 0
    assert bench.manifest("r")["examples"] == {}
    assert [line["clip"] for line in bench.lines("r", "clips.jsonl")] == [BRIGHT[0], *BRIGHT[2:5]]
    assert verify(bench.folder / "results" / "r").findings == ()


@pytest.mark.slow
def test_other_pixels_of_an_example_are_found_by_resume_and_by_verify(bench: Any, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    shutil.copytree(bench.dataset.parent / "clips", clips)
    labels = bench.dataset.parent / "labels.csv"
    given = ["--task", task_file(tmp_path), *WORDS, "--models", "remote-showy", "--data-root", str(clips)]
    assert bench.run(*given, "--quiet").returncode == 0
    run, granted = bench.folder / "results" / "r", Granted.of(data_root=str(clips), labels=str(labels))
    sound = verify(run, granted)
    assert sound.findings == ()
    assert "what was shown of examples" in sound.checked
    assert not any("examples were not compared" in note for note in sound.notes)
    write_report(run, embed_frames=True, granted=granted)
    page = (run / "report.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('<script type="application/json" id="data">')[2].partition("</script>")[0])
    assert [(each["id"], each["told"], len(each["frames"])) for each in data["examples"]] == [
        ("images_1_002", [["few", '{"ghost": "yes"}']], 2),
        ("images_3_002", [["few", '{"ghost": "no"}']], 2),
    ]
    assert verify(run, granted).findings == ()
    swapped = page.replace(data["examples"][0]["frames"][0], data["examples"][1]["frames"][0])
    (run / "report.html").write_text(swapped, encoding="utf-8")
    assert any("the frames of images_1_002 are not those" in each.message for each in verify(run, granted).findings)
    (run / "report.html").write_text(page, encoding="utf-8")
    viewed = Runs(bench.folder / "results").clip("r", BRIGHT[0])
    assert [(each["clip"], each["told"]) for each in viewed["examples"]] == [
        ("images_1_002", [["few", '{"ghost": "yes"}']]),
        ("images_3_002", [["few", '{"ghost": "no"}']]),
    ]
    sampled = Sampled.of(Folder.open(run), "images_3_002")
    reel = Frames(granted).reel(Folder.open(run).header.dataset, sampled)
    while not reel.done:
        reel.wait()
    assert (reel.error, reel.same) == (None, True)
    write_video(clips / "images_3_002.avi", moving_square(7))
    assert "was begun with other frames of the example images_3_002" in told(bench.run(*given, "--resume"))
    assert [finding.message for finding in verify(run, granted).findings] == [
        "the example images_3_002 has other frames now than in the run"
    ]
    (clips / "images_3_002.avi").write_bytes(b"no video")
    (clips / "images_1_002.avi").unlink()
    (note,) = [note for note in verify(run, granted).notes if "these examples" in note]
    assert note.startswith("the frames of these examples could not be compared with the media: images_1_002 (it is not")
    assert "images_3_002 (InvalidDataError" in note
    records = read_run_records(run)
    entry = records.manifest.examples["images_3_002"]
    for changed, found in (
        ({"frames_sha256": "0" * 64}, "with other words or examples than are stated"),
        ({"frame_times_s": [0.25, 0.8]}, "with other words or examples than are stated"),
    ):
        examples = {**records.manifest.examples, "images_3_002": entry.model_copy(update=changed)}
        edited = replace(records, manifest=records.manifest.model_copy(update={"examples": examples}))
        assert sum(found in finding.message for finding in check_examples(edited, NOTHING)[0]) == 4
    other = {**records.manifest.examples, "images_3_002": entry.model_copy(update={"frames_sha256": "0" * 64})}
    apart = replace(records, manifest=records.manifest.model_copy(update={"examples": other}))
    blind = replace(records, manifest=records.manifest.model_copy(update={"examples": {}}))
    assert [_examples_apart([records, each]) for each in (records, blind, apart)] == [[], [], ["images_3_002"]]
    for clip, found in ((None, "does not say which frames of the example images_3_002"), (BRIGHT[0], "is scored")):
        examples = {clip or "images_1_002": entry, "images_1_002": records.manifest.examples["images_1_002"]}
        edited = replace(records, manifest=records.manifest.model_copy(update={"examples": examples}))
        assert any(found in finding.message for finding in check_examples(edited, NOTHING)[0])


def test_a_clip_that_is_an_example_under_another_name_is_not_scored(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    labels = {"images_1_001": "none", "images_1_002": "none", "images_3_001": "none"}
    for number, clip in enumerate(labels):
        write_video(tmp_path / "clips" / f"{clip}.avi", moving_square(40 + 40 * number))
    shutil.copyfile(tmp_path / "clips" / "images_1_001.avi", tmp_path / "clips" / "images_3_002.avi")
    dataset = write_dataset(tmp_path, labels)
    given = ["--dataset", str(dataset), "--task", task_file(tmp_path, examples=[SHOWN]), *WORDS]
    said = bench.run(*given, "--models", "remote-showy", "--quiet", dataset=False)
    assert "images_1_001 shows the frames of the example images_3_002 under another name" in said.stderr
    assert said.returncode == 2


def test_a_model_that_cannot_be_shown_them_is_refused_before_anything_runs(bench: Any, tmp_path: Path) -> None:
    said = told(bench.run("--task", task_file(tmp_path), *WORDS, "--models", "remote-showy,wordy"))
    assert said == (
        "the wording few shows the frames of examples, and model 'wordy' cannot be shown them; leave it out, or leave "
        "the wording out of --variants"
    )
    assert not (bench.folder / "results").exists()


def test_a_task_at_moments_is_refused(tmp_path: Path) -> None:
    few = load_task(task_file(tmp_path)).variants()["few"]
    row = Contender(name="x@few", configured=ConfiguredModel(parse_model("hf:x"), None, None), variant="few", of="x")
    check_examples_of([row], {"few": few})
    with pytest.raises(BadInput, match="two-ways' shows the frames of examples in its main wording"):
        check_examples_of([row], {MAIN: few})
    type(few).at_moments = True
    with pytest.raises(BadInput, match="asks at moments, of which an example has none"):
        check_examples_of([row], {"few": few})


def test_a_worker_elsewhere_decodes_examples_itself_and_finds_others(bench: Any, tmp_path: Path) -> None:
    plan = planned(bench, tmp_path)
    known = show_examples(plan)
    configured = ConfiguredModel(parse_model("hf:x"), None, LocalModelThatSees(None))
    told = Shown.of(known, plan.split.examples)
    maker = RequestMaker(plan.task, 0, limited=False, variants=plan.variants, far=plan.sampling, examples=told)
    clip = plan.split.clips[0]
    looking = Looking(plan.task, pickle.loads(pickle.dumps(plan.variants)), plan.sampling, "worker")
    seen = looking.look(Wanted(clip.media))
    foresee(seen.frames, seen.told, seen.others)
    unit = Ask(Contender(name="x@few", configured=configured, variant="few", of="x"), clip, 0, frames=seen.frames)
    request = pickle.loads(pickle.dumps(maker.make(unit).request))
    assert [type(each) for each in request.examples] == [FarFrames, FarFrames], "media paths travel, and pixels do not"
    shown = looking.shown(request)
    assert [each.sha256 for each in shown.examples] == [known[clip].sha256 for clip in ("images_1_002", "images_3_002")]
    assert [pixels_sha256(each.pixels) for each in shown.examples] == [each.sha256 for each in shown.examples]
    first, second = request.examples
    swapped = FarFrames(first.facts, second.recipe)
    with pytest.raises(DecodeFailed, match="the frames of an example are not those that were decoded elsewhere"):
        looking.shown(replace(request, examples=(swapped, second)))
    gone = FarFrames(first.facts, replace(first.recipe, media=str(tmp_path / "gone.avi")))
    with pytest.raises(MissingMedia, match="the frames of an example cannot be had here: the media is no longer"):
        looking.shown(replace(request, examples=(gone, second)))


class LocalModelThatSees(LocalModel):
    def answer(self, requests: Any) -> Any:
        raise NotImplementedError


def test_an_example_that_a_task_shows_and_forgets_to_name_is_not_scored_either(tmp_path: Path) -> None:
    few = load_task(task_file(tmp_path)).variants()["few"]
    type(few).example_clips = ("elsewhere",)
    why = "example of the wording few"
    assert examples_of({"few": few}) == {"elsewhere": why, "images_1_002": why, "images_3_002.avi": why}
