"""On a GPU: the golden cases, 16-bit types, the way from float16 to float32, and memory that really runs out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from PIL import Image  # noqa: E402

from ghostbench import Frames, Reply, Request  # noqa: E402
from ghostbench.tasks.ghost_probing import GhostProbing  # noqa: E402
from ghostbench_drivemm import DriveMM  # noqa: E402
from ghostbench_drivemm.adapter import DriveMMModel  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate_prepared  # noqa: E402
from ghostbench_drivemm.settings import DriveMMSettings  # noqa: E402

pytestmark = pytest.mark.gpu
TASK = GhostProbing()


@pytest.fixture(autouse=True)
def _device() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture
def whole_memory() -> Iterator[None]:
    """Undoes a limit on this process's device memory."""
    yield
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.0)


def cases(checkpoint: Path) -> list[Path]:
    return sorted((checkpoint.parent / "cases" / checkpoint.name).glob("*.npz"))


def traced(checkpoint: Path, arrays: Path, dtype: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    facts = json.loads(arrays.with_suffix(".json").read_text())
    model = DriveMM.from_checkpoint(checkpoint, dtype=dtype, device="cuda", overrides=facts["config"])
    images = [Image.open(checkpoint.parent / "inputs" / file).convert("RGB") for file in facts["files"]]
    trace = model.trace(images, facts["question"], kind=facts["kind"], max_new_tokens=16)
    return trace, facts, dict(np.load(arrays))


@pytest.mark.parametrize("name", ["ckpt_a", "ckpt_c"])
def test_golden_cases_agree_in_float32(name: str, checkpoint: Path) -> None:
    checkpoint = checkpoint.parent / name
    compared = 0
    for path in cases(checkpoint):
        trace, facts, arrays = traced(checkpoint, path, "float32")
        if facts["kind"] != "text":
            probe = arrays["pixel_probe"]
            assert np.array_equal(trace.pixel_values[: len(probe), :, ::16, ::16], probe), path.stem
        found = trace.inputs_embeds[arrays["embeds_rows"]]
        np.testing.assert_allclose(found, arrays["inputs_embeds"], rtol=0, atol=5e-5, err_msg=path.stem)
        np.testing.assert_allclose(trace.first_logits, arrays["first_logits"], rtol=0, atol=1e-4, err_msg=path.stem)
        # On other hardware a step whose two best logits nearly tie may fall either way.
        if min(facts["top2_margin"]) >= 0.005:
            assert trace.output_ids.tolist() == facts["output_ids"], path.stem
            compared += 1
    assert compared >= 8


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits_stay_as_near_to_float32_as_the_authors_code_does(dtype: str, checkpoint: Path) -> None:
    deviation = json.loads((checkpoint.parent / "cases" / "ckpt_a" / "dtype_deviation.json").read_text())
    for name in ("v5_as_config", "v10_as_config"):
        trace, _, arrays = traced(checkpoint, checkpoint.parent / "cases" / "ckpt_a" / f"{name}.npz", dtype)
        allowed = deviation[f"{name}/{dtype}"]
        apart = np.abs(trace.inputs_embeds[arrays["embeds_rows"]] - arrays["inputs_embeds"]).max()
        assert apart <= 2 * allowed["max_abs_embeds"]
        assert np.abs(trace.first_logits - arrays["first_logits"]).max() <= 2 * allowed["max_abs_first_logits"]
        assert trace.first_logits.argmax() == arrays["first_logits"].argmax()


@pytest.mark.parametrize("aspect", ["pad", "square"])
@pytest.mark.parametrize("size", [(1584, 660), (1920, 1080), (640, 480), (384, 384), (300, 200)])
def test_the_devices_resize_is_pillows_bit_for_bit(aspect: str, size: tuple[int, int]) -> None:
    from ghostbench_drivemm.checkpoint.config import DriveMMConfig
    from ghostbench_drivemm.input.pixels import frame_pixels
    from ghostbench_drivemm.input.resize import FrameResize

    config = replace(DriveMMConfig.full_shape(), image_aspect_ratio=aspect)
    resize = FrameResize(config, torch.device("cuda"))
    assert resize.agrees(*size)
    frames = np.random.default_rng(1).integers(0, 256, (3, size[1], size[0], 3), dtype=np.uint8)
    found = resize(torch.from_numpy(frames).cuda()).cpu().numpy()
    assert np.array_equal(found, np.stack([frame_pixels(Image.fromarray(frame), config) for frame in frames]))


def run(folder: Path, checkpoint: Path, dtype: str) -> list[dict[str, Any]]:
    sets = [f"drivemm.{setting}" for setting in (f"checkpoint={checkpoint}", f"dtype={dtype}")]
    done = subprocess.run(
        [sys.executable, "-m", "ghostbench", "run", "--models", "drivemm", "--run-id", "r", "--quiet",
         *(word for setting in sets for word in ("--set", setting))],
        cwd=folder, env=os.environ, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / "results/r/attempts.jsonl").read_text().splitlines()]


def test_a_run_accounts_for_time_and_memory_on_the_device(tmp_path: Path, checkpoint: Path) -> None:
    for line in run(tmp_path, checkpoint, "bfloat16"):
        assert line["outcome"] == "answered"
        assert TASK.parse(line["raw"])
        assert sum(line["grade_probabilities"].values()) == pytest.approx(1.0)
        memory, stages = line["memory"], line["stages"]
        assert 0 < memory["peak_allocated_bytes"] <= memory["peak_reserved_bytes"]
        assert memory["process_bytes"] is None or memory["process_bytes"] > memory["peak_reserved_bytes"]
        assert 0 < stages["vision_s"] + stages["prefill_s"] <= stages["first_token_s"] * 1.01
        assert stages["generate_s"] > 0


@pytest.mark.parametrize("mode", ["generate", "score"])
def test_what_was_computed_before_the_weights_were_there_is_in_no_answer(checkpoint: Path, mode: str) -> None:
    settings = DriveMMSettings(checkpoint=str(checkpoint), device="cuda", mode=mode)
    adapter = DriveMMModel(settings)
    adapter.load()
    adapter.warm_up()
    warm = adapter._model
    plain = DriveMM.from_checkpoint(checkpoint, dtype="bfloat16", device="cuda")
    for module in ("language_model", "vision_tower", "projector"):
        wanted = dict(getattr(plain, module).named_parameters())
        for name, parameter in getattr(warm, module).named_parameters():
            assert torch.equal(parameter, wanted[name]), name
    engine = engine_of(warm)
    assert engine.texts.held_bytes == engine.clips.held_bytes == 0
    assert not warm._features._tokens
    noise = np.random.default_rng(1).integers(0, 256, (3, 4, 90, 160, 3), dtype=np.uint8)
    options = GenerateOptions(max_new_tokens=12, keep_first=True)
    found = []
    for model in (warm, plain):
        prepared = [model.prepare(clip, f"<image>\nIs it {number}?", kind="video") for number, clip in enumerate(noise)]
        found.append(generate_prepared(model, prepared, options))
    for one, other in zip(*found, strict=True):
        assert one.first_logits is not None
        assert other.first_logits is not None
        distance = (one.first_logits - other.first_logits).norm() / other.first_logits.norm()
        assert distance < 0.01
    adapter.close()


def test_an_overflow_in_float16_is_named_and_float32_answers_beside_it(tmp_path: Path, checkpoint: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)
        tensors = load_file(file)
        if "model.layers.1.mlp.down_proj.weight" in tensors:
            tensors["model.layers.1.mlp.down_proj.weight"].fill_(30_000.0)
            save_file(tensors, file, {"format": "pt"})
    by_clip: dict[str, list[Any]] = {}
    for line in run(tmp_path, folder, "float16"):
        by_clip.setdefault(line["clip"], []).append((line["outcome"], line["fallback_level"]))
        if line["outcome"] == "nonfinite":
            assert "language_model.model.layers.1.mlp.down_proj in float16" in line["error"]["message"]
    assert set(map(tuple, by_clip.values())) == {(("nonfinite", 0), ("answered", 1))}


def request(model: DriveMMModel, seed: int) -> Request:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 60, 90, 3), dtype=np.uint8)
    frames = Frames(
        pixels, indices=tuple(range(4)), times_s=(0.5, 1.5, 2.5, 3.5), duration_s=4.0, decoder="drawn"
    )  # fmt: skip
    asked = Request(
        id=str(seed), prompt=TASK.build(frames), frames=frames, seed=0, level=0, level_settings={},
        write_answer=TASK.write,
    )  # fmt: skip
    return replace(asked, prepared=model.prepare(asked))


@pytest.mark.usefixtures("whole_memory")
def test_memory_that_runs_out_halves_the_batch_and_changes_no_answer(checkpoint: Path) -> None:
    settings = DriveMMSettings(checkpoint=str(checkpoint), device="cuda", dtype="float32", warm_up=False)
    model = DriveMMModel(settings)
    model.load()
    requests = [request(model, seed) for seed in range(24)]
    free = model.answer(requests)
    model._replica.release()
    whole = torch.cuda.get_device_properties(0).total_memory
    peak = max(reply.memory.peak_reserved_bytes for reply in free)
    tried = {}
    for percent in range(100, 20, -5):
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(percent / 100 * peak / whole)
        tight = model.answer(requests)
        tried[percent] = [getattr(found, "notes", found) for found in tight]
        halved = all(isinstance(found, Reply) for found in tight) and any(found.notes for found in tight)
        if halved:
            break
    assert halved, tried
    assert all("batch halved" in " ".join(found.notes) for found in tight)
    assert [reply.text for reply in tight] == [reply.text for reply in free]
    assert max(reply.batch_size for reply in tight) < 24
    model.close()
