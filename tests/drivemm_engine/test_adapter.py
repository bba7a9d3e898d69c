"""DriveMM in the harness: outcomes, fallback levels, batches that shrink, and the same answers by every way."""

from __future__ import annotations

import gc
import json
import os
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from warm_process import run_bench

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from PIL import Image  # noqa: E402

import ghostbench  # noqa: E402
from ghostbench import (  # noqa: E402
    GRADES,
    BadInput,
    Frames,
    Nonfinite,
    OutOfMemory,
    Reply,
    Request,
    RequestRejected,
    RequestTooLarge,
    Resources,
    Truncated,
)
from ghostbench.tasks.ghost_probing import GhostProbing  # noqa: E402
from ghostbench.tasks.summary import GhostProbingSummary  # noqa: E402
from ghostbench_drivemm import DriveMM  # noqa: E402
from ghostbench_drivemm.adapter import DriveMMModel  # noqa: E402
from ghostbench_drivemm.input.prompt import SYSTEM_TEXT  # noqa: E402
from ghostbench_drivemm.serving.replica import replica_on  # noqa: E402
from ghostbench_drivemm.settings import DriveMMSettings  # noqa: E402

TASK = GhostProbing()
RUN = ("--clips", "ghost5_0[12]", "--sampling", "uniform:2", "--quiet")


def frames(seed: int, count: int = 2) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 60, 90, 3), dtype=np.uint8)
    times = tuple(0.5 + place for place in range(count))
    return Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=count + 1.0, decoder="drawn")


def request(seed: int, task: Any = TASK, **more: Any) -> Request:
    own = frames(seed)
    return Request(
        id=f"request-{seed}",
        prompt=task.build(own),
        frames=own,
        seed=7,
        level=0,
        level_settings={},
        write_answer=task.write,
        **more,
    )


def look_at(model: DriveMMModel) -> None:
    model.check()
    model.check_here()


def loaded(checkpoint: Path, **settings: Any) -> DriveMMModel:
    model = DriveMMModel(
        DriveMMSettings(**{"checkpoint": str(checkpoint), "device": "cpu", "dtype": "float32", **settings})
    )
    look_at(model)
    model.load()
    return model


def answers(model: DriveMMModel, seeds: tuple[int, ...], task: Any = TASK) -> list[Any]:
    asked = [request(seed, task) for seed in seeds]
    return list(model.answer([replace(one, prepared=model.prepare(one)) for one in asked]))


def bench(folder: Path, checkpoint: Path, *settings: str) -> dict[str, Any]:
    words = [f"drivemm.{setting}" for setting in (f"checkpoint={checkpoint}", "device=cpu", "dtype=float32", *settings)]
    sets = [part for word in words for part in ("--set", word)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = run_bench(["run", "--models", "drivemm", "--run-id", "r", *RUN, *sets], cwd=folder, env=env, timeout=700)
    assert "Traceback" not in done.stderr
    run = folder / "results" / "r"
    lines = [json.loads(line) for line in (run / "attempts.jsonl").read_text().splitlines()]
    metrics = json.loads((run / "metrics.json").read_text())["models"]["drivemm"]
    return {"status": done.returncode, "attempts": lines, "metrics": metrics}


def here(folder: Path, checkpoint: Path, *, resume: bool = False, **settings: str) -> dict[str, Any]:
    """The same run in this process, which has torch already."""
    given = {"checkpoint": str(checkpoint), "device": "cpu", "dtype": "float32", **settings}
    run = ghostbench.run(
        "drivemm", settings={"drivemm": given}, clips="ghost5_0[12]", sampling="uniform:2", on="thread",
        out=folder / "results", run_id="r", resume=resume,
    )  # fmt: skip
    lines = (folder / "results" / "r" / "attempts.jsonl").read_text().splitlines()
    return {"attempts": [json.loads(line) for line in lines], "metrics": run.metrics["models"]["drivemm"]}


def test_a_run_with_the_grammar_gives_answers_whatever_the_weights(tmp_path: Path, checkpoint: Path) -> None:
    run = bench(tmp_path, checkpoint)
    assert run["status"] == 0
    assert run["metrics"]["coverage"] == 1.0
    for line in run["attempts"]:
        assert line["outcome"] == "answered"
        assert TASK.parse(line["raw"]).grade in GRADES
        assert sum(line["grade_probabilities"].values()) == pytest.approx(1.0)
        assert line["finish_reason"] == "closed"
        assert line["usage"]["output_tokens"] <= TASK.max_output_tokens
        stages = line["stages"]
        assert all(stages[name] is not None for name in ("preprocess_s", "vision_s", "prefill_s", "generate_s"))
        assert stages["first_token_s"] >= stages["prefill_s"]


def test_a_checkpoint_from_the_hub_librarys_cache_is_pinned_in_the_manifest(tmp_path: Path, checkpoint: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "hub" / "models--DriveMM--DriveMM"
    shutil.copytree(checkpoint, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
    sets = ("--set", "drivemm.device=cpu", "--set", "drivemm.mode=score")
    done = run_bench(
        ["run", "--models", "drivemm", "--run-id", "r", *RUN, *sets],
        cwd=tmp_path,
        env={**kept, "HF_HUB_CACHE": str(tmp_path / "hub"), "XDG_CACHE_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        timeout=700,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "results/r/manifest.json").read_text())["models"]["drivemm"]["facts"]
    assert facts["source"] == {"repository": "DriveMM/DriveMM", "revision": "main", "commit": commit}


def test_a_checkpoint_that_cannot_be_had_is_told_in_one_line_on_the_terminal(tmp_path: Path) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
    sets = ("--set", "drivemm.device=cpu", "--set", "drivemm.download=true")
    done = run_bench(
        ["run", "--models", "drivemm", "--run-id", "r", *RUN, *sets],
        cwd=tmp_path,
        env={**kept, "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        timeout=700,
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "2 unavailable (HF_HUB_OFFLINE is set and DriveMM/DriveMM@main is not on this machine: unset it, or" in line


def test_a_run_is_not_gone_on_with_under_other_weights(tmp_path: Path, checkpoint: Path) -> None:
    folder, run = tmp_path / "checkpoint", tmp_path / "results" / "r"
    shutil.copytree(checkpoint, folder)
    first = here(tmp_path, folder, mode="score")
    lines = (run / "attempts.jsonl").read_text().splitlines(keepends=True)
    (run / "attempts.jsonl").write_text(lines[0])
    killed = {**json.loads((run / "manifest.json").read_text()), "status": "running", "digests": {}, "seal": None}
    (run / "manifest.json").write_text(json.dumps(killed))
    shutil.rmtree(folder)
    shutil.copytree(checkpoint.parent / "ckpt_c", folder)
    for _ in range(2):
        mixed = here(tmp_path, folder, mode="score", resume=True)
        assert mixed["metrics"]["outcomes"] == {"answered": 1, "unavailable": 1}
        assert len(mixed["attempts"]) == 1
        manifest = json.loads((run / "manifest.json").read_text())["models"]["drivemm"]
        assert "config.json is not the one that the run was begun with" in manifest["stopped"]["message"]
        assert manifest["facts"]["files"] == killed["models"]["drivemm"]["facts"]["files"]
    shutil.rmtree(folder)
    shutil.copytree(checkpoint, folder)
    whole = here(tmp_path, folder, mode="score", resume=True)
    scores = [{line["clip"]: line["grade_probabilities"] for line in one["attempts"]} for one in (first, whole)]
    assert scores[0].keys() == scores[1].keys()
    for clip, probabilities in scores[0].items():
        assert scores[1][clip] == pytest.approx(probabilities, rel=1e-4)


def test_a_run_without_the_grammar_covers_nothing_and_says_so(tmp_path: Path, checkpoint: Path) -> None:
    run = bench(tmp_path, checkpoint, "grammar=false")
    assert run["status"] == 1
    assert run["metrics"]["coverage"] == 0.0
    # Some end by themselves, and the limit cuts off the others.
    assert {line["outcome"] for line in run["attempts"]} == {"truncated", "unparseable"}
    assert all(sum(line["grade_probabilities"].values()) == pytest.approx(1.0) for line in run["attempts"])


def test_an_overflow_in_float16_is_nonfinite_and_float32_answers_as_a_recorded_level(
    tmp_path: Path, checkpoint: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)
        tensors = load_file(file)
        name = "model.layers.1.mlp.down_proj.weight"
        if name in tensors:
            tensors[name].fill_(30_000.0)
            save_file(tensors, file, {"format": "pt"})
    run = here(tmp_path, folder, dtype="float16")
    by_clip: dict[str, list[Any]] = {}
    for line in run["attempts"]:
        by_clip.setdefault(line["clip"], []).append((line["outcome"], line["fallback_level"]))
        if line["outcome"] == "nonfinite":
            assert "language_model.model.layers.1.mlp.down_proj in float16" in line["error"]["message"]
            assert "largest finite magnitude before it" in line["error"]["message"]
    assert set(map(tuple, by_clip.values())) == {(("nonfinite", 0), ("answered", 1))}
    assert run["metrics"]["fallbacks"] == {"1": 2}
    assert run["metrics"]["coverage"] == 1.0


@pytest.mark.parametrize("limit", [1, 5, 20])
def test_an_answer_that_its_limit_cuts_off_is_truncated_and_keeps_its_probabilities(
    limit: int, checkpoint: Path
) -> None:
    scored = answers(loaded(checkpoint, mode="score"), (1, 2))
    cut = answers(loaded(checkpoint, max_new_tokens=limit), (1, 2))
    for error, score in zip(cut, scored, strict=True):
        assert isinstance(error, Truncated)
        assert f"within {limit} tokens" in str(error)
        assert error.reply.finish_reason == "length"
        assert error.reply.usage.output_tokens == limit
        assert error.reply.grade_probabilities == pytest.approx(score.grade_probabilities, rel=1e-5)


def test_score_mode_has_the_probabilities_of_generate_mode_and_answers_their_largest(checkpoint: Path) -> None:
    written, scored = (answers(loaded(checkpoint, mode=mode), (1, 2, 3)) for mode in ("generate", "score"))
    for one, other in zip(written, scored, strict=True):
        assert other.grade_probabilities == pytest.approx(one.grade_probabilities, rel=1e-5)
        assert TASK.parse(other.text).grade == max(GRADES, key=other.grade_probabilities.__getitem__)
        assert other.finish_reason == "score"
        assert other.usage.output_tokens == 0


@pytest.mark.parametrize("settings", [{"mode": "score"}, {"grammar": False}])
def test_a_value_that_arises_behind_the_fixed_beginning_alone_is_named(
    checkpoint: Path, settings: dict[str, Any]
) -> None:
    adapter = loaded(checkpoint, **settings)
    model = adapter._replica.model("float32")
    asked = request(1)
    ready = adapter.prepare(asked)
    begun = adapter._forms.reader(asked.prompt.verdict_field, asked.prompt.verdict_values).begun
    planted = next(token for token in begun if token not in ready.prepared.input_ids)
    with torch.no_grad():
        model.language_model.get_input_embeddings().weight[planted] = float("inf")
    found = answers(adapter, (1,))[0]
    assert isinstance(found, Nonfinite)
    assert "language_model.model.embed_tokens" in str(found)


def test_frames_are_made_in_threads_and_their_time_is_counted(checkpoint: Path) -> None:
    model = loaded(checkpoint)
    asked = request(1)
    ready = model.prepare(asked)
    assert ready.seconds > ready.text_s > 0
    alone = model._model.prepare(
        [Image.fromarray(pixels) for pixels in frames(1).pixels], "<image>\n", kind="video"
    )  # fmt: skip
    assert np.array_equal(ready.prepared.visuals[0], alone.visuals[0])
    model.close()


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "meta", "mps", "xpu:0"])
def test_a_device_that_is_none_is_refused_in_one_line(checkpoint: Path, device: str) -> None:
    model = DriveMMModel(DriveMMSettings(checkpoint=str(checkpoint), device=device))
    with pytest.raises(BadInput, match=r"drivemm\.device"):
        model.check()


def test_score_mode_refuses_a_task_without_fixed_verdicts(checkpoint: Path) -> None:
    model = loaded(checkpoint, mode="score")
    assert all(isinstance(found, RequestRejected) for found in answers(model, (1,), GhostProbingSummary()))


def test_the_summary_task_is_answered_without_probabilities(checkpoint: Path) -> None:
    found = answers(loaded(checkpoint), (1,), GhostProbingSummary())[0]
    assert isinstance(found, Reply)
    assert found.grade_probabilities is None
    GhostProbingSummary().parse(found.text)


def test_a_batch_that_does_not_fit_is_halved_remembered_and_noted(checkpoint: Path) -> None:
    expected = [found.text for found in answers(loaded(checkpoint), (1, 2, 3, 4, 5))]
    model = loaded(checkpoint)
    limit = 4

    def run_out(_module: Any, inputs: tuple[Any, ...]) -> None:
        if inputs[0].shape[0] > limit:
            raise torch.OutOfMemoryError("planted")

    tower = model._replica.model("float32").vision_tower
    hook = tower.get_submodule("embeddings").register_forward_pre_hook(run_out)
    found = answers(model, (1, 2, 3, 4, 5))
    assert [reply.text for reply in found] == expected
    assert all("batch halved to 2" in " ".join(reply.notes) for reply in found)
    assert [reply.batch_size for reply in found] == [2, 2, 2, 2, 1]
    assert model.batch_size == 2
    again = answers(model, (1, 2))
    assert [reply.notes for reply in again] == [(), ()]
    limit = 0
    assert all(isinstance(error, OutOfMemory) for error in answers(model, (6, 7, 8)))
    hook.remove()


def at_level(model: DriveMMModel, seeds: tuple[int, ...], **level_settings: Any) -> list[Any]:
    asked = [replace(request(seed), level_settings=level_settings) for seed in seeds]
    return list(model.answer([replace(one, prepared=model.prepare(one)) for one in asked]))


def plant_shortage(model: Any, most_frames: int, kind: str = "torch's own") -> Any:
    """Run out of memory in the vision tower from so many frames on; a hook to remove."""

    def run_out(_module: Any, inputs: tuple[Any, ...]) -> None:
        if inputs[0].shape[0] > most_frames and kind == "torch's own":
            raise torch.OutOfMemoryError("planted")
        if inputs[0].shape[0] > most_frames:
            torch.empty(1 << 50)

    return model.vision_tower.get_submodule("embeddings").register_forward_pre_hook(run_out)


def test_memory_that_a_library_asked_for_in_vain_halves_the_batch_too(checkpoint: Path) -> None:
    model = loaded(checkpoint)
    plant_shortage(model._model, 4, "past torch's own")
    assert [reply.batch_size for reply in answers(model, (1, 2, 3, 4))] == [2, 2, 2, 2]


def test_a_shortage_in_one_type_makes_no_batch_of_another_smaller(checkpoint: Path) -> None:
    model = loaded(checkpoint, dtype="bfloat16")
    plant_shortage(model._replica.model("float32"), 2)
    assert [reply.batch_size for reply in at_level(model, (1, 2, 3), dtype="float32")] == [1, 1, 1]
    assert model.batch_size == 4
    assert [reply.batch_size for reply in answers(model, (1, 2, 3))] == [3, 3, 3]


def test_weights_that_do_not_fit_beside_the_others_are_tried_once_and_spoil_no_later_batch(checkpoint: Path) -> None:
    model = loaded(checkpoint, dtype="bfloat16")
    tried = []

    def load(dtype: str, device: str) -> Any:
        tried.append(dtype)
        if dtype == "float32":
            raise torch.OutOfMemoryError("planted")
        return model._model

    model._replica = replica_on("cpu", load)
    found = at_level(model, (1, 2, 3, 4), dtype="float32")
    assert all(isinstance(error, OutOfMemory) and "weights do not fit" in str(error) for error in found)
    assert tried == ["float32"]
    assert [reply.batch_size for reply in answers(model, (1, 2, 3))] == [3, 3, 3]


def test_an_answer_stays_nonfinite_where_memory_is_too_short_to_look_for_the_place(checkpoint: Path) -> None:
    model = loaded(checkpoint)
    with torch.no_grad():
        model._model.language_model.lm_head.weight[3, 5] = float("nan")
    tower = model._model.vision_tower.get_submodule("embeddings")

    seen = []

    def run_out(_module: Any, inputs: tuple[Any, ...]) -> None:
        seen.append(inputs[0].shape[0])
        if sum(seen) > 4:
            raise torch.OutOfMemoryError("planted")

    tower.register_forward_pre_hook(run_out)
    for error in answers(model, (1, 2)):
        assert isinstance(error, Nonfinite)
        assert "not enough memory" in str(error)
        assert error.reply.notes == ()


def test_a_replica_is_loaded_and_answers_in_one_thread_whoever_asks(checkpoint: Path) -> None:
    model = loaded(checkpoint)
    threads: dict[Any, set[int]] = {}

    def load(dtype: str, device: str) -> Any:
        made = DriveMM.from_checkpoint(checkpoint, dtype=dtype, device=device)
        threads[made] = {threading.get_ident()}
        made.vision_tower.get_submodule("embeddings").register_forward_pre_hook(
            lambda *_: threads[made].add(threading.get_ident())
        )
        return made

    model._replica = replica_on("cpu", load)
    model._replica.load("float32")
    with ThreadPoolExecutor(4) as asking:
        found = list(asking.map(lambda seed: answers(model, (seed,))[0], range(8)))
    assert all(isinstance(reply, Reply) for reply in found)
    assert [len(own) for own in threads.values()] == [1]
    model.close()


def test_each_gpu_that_the_settings_name_is_a_replica_of_its_own() -> None:
    model = DriveMMModel(DriveMMSettings(devices="0, 2", batch_size=8))
    assert model.replicas() == [DriveMMSettings(device=f"cuda:{name}", batch_size=8) for name in (0, 2)]
    assert model.resources() == Resources(gpus=0)
    assert DriveMMModel(DriveMMSettings()).resources() == Resources(gpus=1)
    assert DriveMMModel(DriveMMSettings(device="cpu")).resources() == Resources(gpus=0)


def test_sampling_with_the_checkpoints_settings_is_seeded_and_free_of_the_batch(checkpoint: Path) -> None:
    model = loaded(checkpoint, sampling="checkpoint")
    together = [found.text for found in answers(model, (1, 2, 3))]
    assert [answers(model, (seed,))[0].text for seed in (1, 2, 3)] == together
    assert together != [found.text for found in answers(loaded(checkpoint), (1, 2, 3))]


def test_a_seed_below_zero_draws_as_any_other_does(checkpoint: Path) -> None:
    model = loaded(checkpoint, sampling="checkpoint")
    drawn = {}
    for seed in (-7, 7, -8):
        asked = replace(request(1), seed=seed)
        drawn[seed] = [model.answer([replace(asked, prepared=model.prepare(asked))])[0].text for _ in range(2)]
    assert all(one == again for one, again in drawn.values())
    assert len({one for one, _ in drawn.values()}) == 3


def test_a_closed_model_keeps_no_weights(checkpoint: Path) -> None:
    model = loaded(checkpoint)
    weights = weakref.ref(model._model.language_model)
    answers(model, (1,))
    model.close()
    gc.collect()
    assert weights() is None


def test_answers_depend_on_the_frames(checkpoint: Path) -> None:
    first, second = answers(loaded(checkpoint, mode="score"), (1, 2))
    assert first.grade_probabilities != second.grade_probabilities


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"checkpoint": "/nowhere/at-all"}, "nowhere"),
        ({"devices": "0,0"}, "devices"),
        ({"devices": "x"}, "devices"),
        ({"devices": "0"}, "devices=0 and .*device=cpu"),
        ({"revision": "v1.0"}, "revision"),
    ],
)
def test_what_the_user_must_mend_is_told_in_one_line(checkpoint: Path, settings: dict[str, str], words: str) -> None:
    model = DriveMMModel(DriveMMSettings(**{"checkpoint": str(checkpoint), "device": "cpu", **settings}))
    with pytest.raises(BadInput, match=words) as caught:
        look_at(model)
    assert "\n" not in str(caught.value)


def test_a_prompt_longer_than_the_checkpoint_allows_is_too_large(tmp_path: Path, checkpoint: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    file = folder / "config.json"
    file.chmod(0o644)
    file.write_text(json.dumps({**json.loads(file.read_text()), "tokenizer_model_max_length": 500}))
    with pytest.raises(RequestTooLarge, match="500"):
        loaded(folder).prepare(request(1))


def test_a_mark_in_the_tasks_words_stands_for_no_picture(checkpoint: Path) -> None:
    from ghostbench_drivemm.input.question import user_text

    class Odd(GhostProbing):
        question = "Is <image> here?"

    text = user_text(Odd().build(frames(0)), with_frames=True)
    assert text.count("<image>") == 1
    assert "frame 2 of the video" in text
    assert isinstance(answers(loaded(checkpoint), (1,), Odd())[0], Reply)


class AuthorsSystem(GhostProbing):
    """The task under the system text that `trace` uses."""

    system = SYSTEM_TEXT


def test_trace_gives_the_tokens_that_the_harness_gets(checkpoint: Path) -> None:
    from ghostbench_drivemm.input.question import user_text

    adapter = loaded(checkpoint, grammar=False, max_new_tokens=20)
    model = adapter._replica.model("float32")
    asked = request(2, AuthorsSystem())
    found = answers(adapter, (1, 2, 3), AuthorsSystem())[1]
    question = user_text(asked.prompt, with_frames=True)
    images = [Image.fromarray(pixels) for pixels in frames(2).pixels]
    traced = model.trace(images, question, kind="video", max_new_tokens=20)
    assert isinstance(found, Truncated)
    assert model.tokenizer.decode(traced.output_ids.tolist(), skip_special_tokens=True) == found.reply.text
