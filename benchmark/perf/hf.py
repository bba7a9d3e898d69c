"""How fast a checkpoint of `hf:` answers on a GPU, and what holding answers to the schema costs.

    python benchmark/perf/hf.py [--checkpoint DIR] [--batch 1,4,16,32] [--frames 10] [--tokens 128]

Without a checkpoint, one with random weights is made, of the shape of Qwen2.5-VL-3B but for its vocabulary. Prints one
JSON line for each batch size: clips a second with the grammar, without it, and in score mode, the stages of a clip,
and the peak of memory.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

_TOP = Path(__file__).parents[2]
sys.path[:0] = [str(_TOP / name) for name in ("adapters", "benchmark", "tests/hugging_face/tiny")]

from ghostbench import Frames, Reply, Request
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench_hf.adapter import HFModel
from ghostbench_hf.settings import HFSettings

TASK = GhostProbing()
VISION = {
    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 2048,
    "fullatt_block_indexes": [7, 15, 23, 31], "window_size": 112,
}  # fmt: skip
TEXT = {
    "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
    "num_key_value_heads": 2, "max_position_embeddings": 32768, "layer_types": ["full_attention"] * 36,
}  # fmt: skip


def made(folder: Path) -> Path:
    """A checkpoint with random weights, of a real one's shape."""
    import tiny_checkpoints
    import transformers

    tiny_checkpoints.qwen2_5_vl(folder)
    stated = json.loads((folder / "config.json").read_text())
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    text = {**stated["text_config"], **TEXT, "rope_parameters": rope}
    vision = {**stated["vision_config"], **VISION}
    keys = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **{key: stated[key] for key in keys})
    with torch.device("cuda"):
        network = transformers.AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    network.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    network.save_pretrained(folder)
    image = json.loads((folder / "preprocessor_config.json").read_text())
    image["size"] = {"shortest_edge": 4 * 28 * 28, "longest_edge": 196 * 28 * 28}
    (folder / "preprocessor_config.json").write_text(json.dumps(image))
    return folder


def request(seed: int, count: int) -> Request:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 660, 1584, 3), dtype=np.uint8)
    times = tuple(0.5 * place for place in range(count))
    frames = Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=count / 2, decoder="drawn")
    return Request(
        id=str(seed), prompt=TASK.build(frames), frames=frames, seed=0, level=0, level_settings={},
        write_answer=TASK.write,
    )  # fmt: skip


def measured(folder: Path, clips: list[Request], batch: int, **settings: Any) -> dict[str, Any]:
    model = HFModel(HFSettings(**settings), str(folder))
    model.check()
    model.check_here()
    model.load()
    asked = [replace(one, prepared=model.prepare(one)) for one in clips[: 2 * batch]]
    model.answer(asked[:batch])
    torch.cuda.synchronize()
    started = time.perf_counter()
    replies = [*model.answer(asked[:batch]), *model.answer(asked[batch:])]
    seconds = time.perf_counter() - started
    model.close()
    first = replies[0]
    if not isinstance(first, Reply):
        return {"failed": f"{type(first).__name__}: {first}"}
    stages = {name: getattr(first.stages, name) for name in ("preprocess_s", "vision_s", "prefill_s", "generate_s")}
    return {
        "clips_per_s": round(len(replies) / seconds, 3),
        "answered": sum(isinstance(reply, Reply) for reply in replies),
        "input_tokens": first.usage.input_tokens,
        "output_tokens": first.usage.output_tokens,
        "stages": {name: None if value is None else round(value, 4) for name, value in stages.items()},
        "peak_gib": round((first.memory.peak_allocated_bytes or 0) / (1 << 30), 2),
        "notes": list(first.notes),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--batch", default="1,4,16,32")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=128)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = given.checkpoint or made(Path(place))
        sizes = [int(size) for size in given.batch.split(",")]
        clips = [request(seed, given.frames) for seed in range(2 * max(sizes))]
        print(json.dumps({"device": torch.cuda.get_device_name(), "torch": torch.__version__}), flush=True)
        for size in sizes:
            for way, settings in (("grammar", {}), ("free", {"grammar": False}), ("score", {"mode": "score"})):
                found = measured(folder, clips, size, batch_size=size, max_new_tokens=given.tokens, **settings)
                print(json.dumps({"batch": size, "way": way, **found}), flush=True)


if __name__ == "__main__":
    main()
