"""How long loading takes beside reading the files, and what it holds in host memory: a full-shape checkpoint on disk.

    python benchmark/perf/drivemm_loading.py --folder /data/full --json result.json

Writes a checkpoint of random weights in the authors' layout into an empty folder (17 GB; kept for later runs), then
reads its files, then loads it. The page cache is dropped before each where that is allowed, and said where it is not.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

sys.path[:0] = [str(Path(__file__).parents[2] / name) for name in ("adapters", "benchmark")]

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig

SHARD_BYTES = 4_900_000_000
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
)


def named_tensors(model: DriveMM) -> Iterator[tuple[str, Tensor]]:
    """Every tensor under its name in the authors' files."""
    yield from model.language_model.state_dict().items()
    for name, tensor in model.vision_tower.state_dict().items():
        yield f"model.vision_tower.vision_tower.vision_model.{name}", tensor
    for name, tensor in model.projector.state_dict().items():
        yield f"model.mm_projector.{name}", tensor
    if model.image_newline is not None:
        yield "model.image_newline", model.image_newline.data


def write_checkpoint(model: DriveMM, folder: Path) -> None:
    """Write the model in the authors' layout: shards, index, configuration, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in named_tensors(model):
        size += tensor.numel() * tensor.element_size()
        if size > SHARD_BYTES:
            shards.append({})
            size = tensor.numel() * tensor.element_size()
        shards[-1][name] = tensor
    where = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file({name: tensor.cpu().contiguous() for name, tensor in shard.items()}, folder / file, {"format": "pt"})
        where |= dict.fromkeys(shard, file)
    total = sum(tensor.numel() * tensor.element_size() for _, tensor in named_tensors(model))
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    shape = model.config
    config: dict[str, Any] = {
        name: getattr(shape, name)
        for name in (
            "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "hidden_act", "rms_norm_eps", "max_position_embeddings", "mm_projector_type",
            "mm_spatial_pool_mode", "mm_newline_position", "mm_patch_merge_type", "image_aspect_ratio",
        )
    }  # fmt: skip
    rope = dict(shape.rope)
    config |= {
        "model_type": "llama",
        "mm_vision_tower": "google/siglip-so400m-patch14-384",
        "rope_theta": rope.pop("rope_theta"),
        "rope_scaling": rope,
        "eos_token_id": list(shape.eos_token_ids),
        "tokenizer_model_max_length": 32768,
    }
    (folder / "config.json").write_text(json.dumps(config))
    model.tokenizer.save(str(folder / "tokenizer.json"))
    words = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(words))


def drop_cache() -> bool:
    """Make the next read come from the disk. Whether that was allowed."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except OSError:
        return False
    return True


def read_files(folder: Path) -> float:
    """Seconds to read every weight file once, one after the other, 16 MiB at a time."""
    started = time.perf_counter()
    buffer = bytearray(16 << 20)
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass
    return time.perf_counter() - started


LOAD = """
import json, sys, time
sys.path[:0] = {paths!r}
import torch
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
torch.zeros(1, device={device!r})
from ghostbench_drivemm import DriveMM
open("/proc/self/clear_refs", "w").write("5")
before = peak()
started = time.perf_counter()
model = DriveMM.from_checkpoint({folder!r}, device={device!r})
if {device!r} != "cpu":
    torch.cuda.synchronize()
loaded = time.perf_counter() - started
after = peak()
parameters = model.facts["parameters"]
print(json.dumps({{"load_s": loaded, "hashed_after_s": time.perf_counter() - started,
                  "host_peak_growth_gib": (after - before) / 2**20, "parameters": parameters}}))
"""


def load_in_process(folder: Path, device: str) -> dict[str, Any]:
    """Load in a process of its own, whose memory is then its own too."""
    code = LOAD.format(paths=sys.path[:2], folder=str(folder), device=device)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    loaded: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not (chosen.folder / "config.json").is_file():
        started = time.perf_counter()
        model = DriveMM.from_random(DriveMMConfig.full_shape(), device=chosen.device)
        write_checkpoint(model, chosen.folder)
        del model
        print(f"written in {time.perf_counter() - started:.1f} s", flush=True)
    result: dict[str, Any] = {
        "bytes": sum(file.stat().st_size for file in chosen.folder.glob("*.safetensors")),
    }
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    for state in ("cold", "warm"):
        dropped = drop_cache() if state == "cold" else None
        read = read_files(chosen.folder)
        if state == "cold":
            drop_cache()
        loaded = load_in_process(chosen.folder, chosen.device)
        result[state] = {"cache_dropped": dropped, "read_s": read, **loaded, "ratio": loaded["load_s"] / read}
        print(state, json.dumps(result[state]), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
