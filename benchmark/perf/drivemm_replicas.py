"""How much several GPUs of one host answer beside one: a replica on each, in threads of one process.

python benchmark/perf/drivemm_replicas.py --devices 0,1 --json result.json
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

sys.path[:0] = [str(Path(__file__).parents[2] / name) for name in ("adapters", "benchmark")]
sys.path.insert(0, str(Path(__file__).parent))

from drivemm import GRADES, SCHEMA, forget, open_ended, requests

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.engine import GenerateOptions, generate_prepared
from ghostbench_drivemm.serving.replica import replica_on
from ghostbench_local.answer.grammar import Grammar, Vocabulary
from ghostbench_local.answer.score import GradeReader
from ghostbench_local.replica import Replica


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", default="0,1")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    names = [f"cuda:{name}" for name in chosen.devices.split(",")]
    shape = DriveMMConfig.full_shape()
    pages = [page.read_text() for page in sorted((Path(__file__).parents[2] / "docs").glob("*.md"))]

    def load(dtype: str, device: str) -> DriveMM:
        return DriveMM.from_random(shape, dtype=dtype, device=device, corpus=pages)

    replicas = [replica_on(name, load) for name in names]
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda replica: replica.load("bfloat16"), replicas))
    model = replicas[0].model("bfloat16")
    prepared = requests(model, chosen.batch, 10, 700)
    vocabulary = Vocabulary(model.tokenizer, shape.vocab_size, model.eos_ids)
    reader = GradeReader("grade", GRADES, vocabulary)
    options = GenerateOptions(
        max_new_tokens=chosen.new_tokens + len(reader.begun),
        eos_ids=model.eos_ids,
        ban_eos=True,
        grammar=Grammar(open_ended(SCHEMA, chosen.new_tokens), vocabulary),
        grades=reader,
    )

    def work(replica: Replica[DriveMM], batches: int) -> None:
        with torch.cuda.device(replica.device):
            for _ in range(batches):
                forget(replica.model("bfloat16"))
                generate_prepared(replica.model("bfloat16"), prepared, options)
            torch.cuda.synchronize()

    def clips_per_s(used: list[Replica[DriveMM]]) -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(len(used)) as threads:
            list(threads.map(lambda replica: work(replica, chosen.batches), used))
        return len(used) * chosen.batches * chosen.batch / (time.perf_counter() - started)

    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda replica: work(replica, 1), replicas))
    one, every = clips_per_s(replicas[:1]), clips_per_s(replicas)
    result: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "devices": len(names),
        "batch": chosen.batch,
        "one_clips_per_s": one,
        "all_clips_per_s": every,
        "ratio": every / one,
    }
    print(json.dumps(result))
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
