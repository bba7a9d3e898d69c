"""How long loading DriveMM takes, beside the time that reading the same files takes, in one run.

Writes random weights in the checkpoint's layout (four shards, the public checkpoint's exact shape unless `--small`),
then times, several rounds each and alternating, with the page cache dropped before and with it warm:

* `read 1`, `read 4`: the files' bytes read into one small buffer by one thread, by four
* `load`: `DriveMM.from_checkpoint`, all checks included, hashing apart

and prints the ratio of the medians of `load` to those of the faster reading, and the largest anonymous host memory
while loading (page-locked staging buffers included; the page cache is the kernel's and not a copy).

    python benchmark/perf/drivemm_loading.py --folder /somewhere/with/18GB [--device cuda] [--rounds 3] [--small]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.assembly import random_tensor, tensor_shapes
from ghostbench_drivemm.config import DriveMMConfig, VisionShape
from ghostbench_drivemm.synthetic import synthetic_tokenizer

SHARDS = 4
BLOCK = 32 << 20
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
)


def small(config: DriveMMConfig) -> DriveMMConfig:
    return dataclasses.replace(
        config,
        vocab_size=4096,
        hidden_size=512,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=64,
        vision=VisionShape(width=256, feed_forward=512, layers=4),
        eos_token_ids=(3841,),
    )


def write_checkpoint(config: DriveMMConfig, folder: Path, device: torch.device) -> dict[str, float]:
    """A checkpoint of random weights; returns the sum of each tensor, to compare after loading."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = list(tensor_shapes(config).items())
    total = sum(torch.Size(shape).numel() for _, shape in shapes)
    generator = torch.Generator(device).manual_seed(0)
    sums, weight_map, shard, number, size = {}, {}, {}, 1, 0
    for place, (name, shape) in enumerate(shapes):
        tensor = random_tensor(name, shape, torch.bfloat16, generator)
        sums[name] = float(tensor.double().sum())
        shard[name] = tensor.cpu()
        size += tensor.numel()
        if size >= total * number / SHARDS or place == len(shapes) - 1:
            file = f"model-{number:05d}-of-{SHARDS:05d}.safetensors"
            save_file(shard, folder / file)
            weight_map.update(dict.fromkeys(shard, file))
            shard, number = {}, number + 1
    index = {"metadata": {"total_size": 2 * total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    write_texts(config, folder)
    return sums


def write_texts(config: DriveMMConfig, folder: Path) -> None:
    raw = {key: facts["value"] for key, facts in config.described().items() if key != "unused"}
    rope = raw.pop("rope")
    raw.update(model_type="llama", rope_parameters=rope, eos_token_id=list(raw.pop("eos_token_ids")))
    if not raw["image_grid_pinpoints"]:
        del raw["image_grid_pinpoints"]
    (folder / "config.json").write_text(json.dumps(raw))
    synthetic_tokenizer(config.vocab_size).save(str(folder / "tokenizer.json"))
    special = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(special))


def read_files(files: list[Path], threads: int) -> None:
    """Every byte once, in blocks, each thread into its own buffer."""
    blocks = [(file, offset) for file in files for offset in range(0, file.stat().st_size, BLOCK)]
    local = threading.local()
    descriptors = {file: os.open(file, os.O_RDONLY) for file in files}

    def read(block: tuple[Path, int]) -> None:
        if not hasattr(local, "buffer"):
            local.buffer = bytearray(BLOCK)
        os.preadv(descriptors[block[0]], [local.buffer], block[1])

    with ThreadPoolExecutor(max_workers=threads) as pool:
        list(pool.map(read, blocks))
    for descriptor in descriptors.values():
        os.close(descriptor)


def drop_from_cache(files: list[Path]) -> None:
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


@contextmanager
def watched_memory(peak: list[int]) -> Iterator[None]:
    """Appends the growth of this process's anonymous and shared memory while the block runs, bytes."""

    def now() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))

    start, highest, done = now(), 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.01):
            highest = max(highest, now() - start)

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    done.set()
    thread.join()
    peak.append(highest)


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def check(model: DriveMM, sums: dict[str, float]) -> None:
    """What was loaded is what was written."""
    found = dict(model.language_model.named_parameters())
    for name, tensor in found.items():
        assert float(tensor.detach().double().sum()) == sums[name], name
    prefix = "model.vision_tower.vision_tower.vision_model."
    for name, tensor in model.vision_tower.named_parameters():
        assert float(tensor.detach().double().sum()) == sums[prefix + name], name


def main() -> None:
    parser = argparse.ArgumentParser(description="Time loading beside reading.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    config = small(DriveMMConfig.full_shape()) if options.small else DriveMMConfig.full_shape()
    sums = write_checkpoint(config, options.folder, device)
    files = sorted(options.folder.glob("*.safetensors"))
    size = sum(file.stat().st_size for file in files)
    print(f"{size / 1e9:.2f} GB in {len(files)} files, device {device}, torch {torch.__version__}")
    if device.type == "cuda":
        print(torch.cuda.get_device_name(device))
    peaks: list[int] = []

    def load() -> None:
        with watched_memory(peaks):
            model = DriveMM.from_checkpoint(options.folder, dtype="bfloat16", device=options.device)
        models.append(model)

    models: list[DriveMM] = []
    load()
    check(models.pop(), sums)
    actions: dict[str, Callable[[], object]] = {
        "read 1": lambda: read_files(files, 1),
        "read 4": lambda: read_files(files, 4),
        "load": load,
    }
    for state in ("cold", "warm"):
        times: dict[str, list[float]] = {name: [] for name in actions}
        for _ in range(options.rounds):
            for name, action in actions.items():
                if state == "cold":
                    drop_from_cache(files)
                times[name].append(timed(action))
                while models:
                    models.pop().facts  # noqa: B018  (waits for the hashing threads, which are not part of loading)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, values in times.items():
            rates = " ".join(f"{value:.2f}" for value in values)
            print(
                f"{state} {name}: median {medians[name]:.2f} s ({size / medians[name] / 1e9:.1f} GB/s), rounds {rates}"
            )
        best = min(medians["read 1"], medians["read 4"])
        print(f"{state} load / faster reading: {medians['load'] / best:.2f}")
    print(f"largest growth of host memory while loading: {max(peaks) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
