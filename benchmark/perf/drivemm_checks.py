"""What has to hold on a GPU beside speed: logits against plain transformers, and batches against single clips.

    python benchmark/perf/drivemm_checks.py --json result.json

Random weights of the exact full shape. Draws: transformers' own (every matrix with deviation 0.02), whose 32 equal
layers amplify any rounding, and one whose matrices that write into the residual stream are scaled by 1/sqrt(2 layers),
as GPT-2's initialisation does, and by the square of that. Distances of the plain path to itself with eager attention,
and of both to the same weights computed in float32, are measured beside the fast path's: no implementation in 16 bits
can be expected to be nearer than rounding allows.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path[:0] = [str(Path(__file__).parents[2] / name) for name in ("adapters", "benchmark")]

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.config import DriveMMConfig
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate
from ghostbench_drivemm.grammar import Vocabulary
from ghostbench_drivemm.score import GradeReader

LENGTHS = (700, 1900, 2800, 2743)
STEPS = 16


def distance(found: Tensor, wanted: Tensor) -> float:
    """Norm of the difference over the norm of what is wanted, of the worst step."""
    apart = (found.double() - wanted.double()).norm(dim=-1) / wanted.double().norm(dim=-1)
    return float(apart.max())


@torch.inference_mode()
def plain_steps(language: Any, embeds: Tensor, tokens: list[int]) -> Tensor:
    """Logits of plain transformers before each of these tokens, [steps, vocabulary]."""
    output = language(inputs_embeds=embeds[None], use_cache=True, logits_to_keep=1)
    steps = [output.logits[0, -1].float()]
    for token in tokens[:-1]:
        step = torch.tensor([[token]], device=embeds.device)
        output = language(input_ids=step, past_key_values=output.past_key_values, use_cache=True)
        steps.append(output.logits[0, -1].float())
    return torch.stack(steps)


def inputs(hidden: int, dtype: torch.dtype, deviation: float) -> list[Tensor]:
    random = torch.Generator("cuda").manual_seed(1)
    return [
        torch.randn(n, hidden, device="cuda", generator=random).mul(deviation).to(dtype) for n in LENGTHS
    ]  # fmt: skip


def compare(model: DriveMM, deviation: float) -> dict[str, float]:
    """Distances of the logits over a teacher-forced answer: worst step of prompts of mixed lengths in one batch."""
    language = model.language_model
    embeds = inputs(model.config.hidden_size, model.dtype, deviation)
    random = torch.Generator().manual_seed(2)
    forced = [torch.randint(0, 100_000, (STEPS,), generator=random).tolist() for _ in embeds]
    plain = [plain_steps(language, own, tokens) for own, tokens in zip(embeds, forced, strict=True)]
    options = GenerateOptions(max_new_tokens=STEPS, forced=forced, keep_logits=True)
    fast = [torch.stack(answer.step_logits) for answer in generate(model, embeds, options)]
    alone = []
    for own, tokens in zip(embeds, forced, strict=True):
        options = GenerateOptions(max_new_tokens=STEPS, forced=[tokens], keep_logits=True)
        alone.append(torch.stack(generate(model, [own], options)[0].step_logits))
    engine_of(model).release()
    implementation = language.config._attn_implementation
    language.set_attn_implementation("eager")
    eager = [plain_steps(language, own, tokens) for own, tokens in zip(embeds, forced, strict=True)]
    language.set_attn_implementation(implementation)
    exact = truth(language, embeds, forced)
    pairs = {
        "fast to plain": (fast, plain),
        "fast to float32": (fast, exact),
        "plain to float32": (plain, exact),
        "plain with eager attention to plain": (eager, plain),
        "fast alone to fast in a batch": (alone, fast),
    }
    return {name: max(distance(a, b) for a, b in zip(*pair, strict=True)) for name, pair in pairs.items()}


def truth(language: Any, embeds: list[Tensor], forced: list[list[int]]) -> list[Tensor]:
    """The same weights, widened to float32 and computed plainly."""
    wide = copy.deepcopy(language).float()
    steps = [plain_steps(wide, own.float(), tokens) for own, tokens in zip(embeds, forced, strict=True)]
    del wide
    torch.cuda.empty_cache()
    return steps


def scale_writers(model: DriveMM) -> None:
    """Scale what writes into the residual stream as GPT-2's initialisation does; once more, and it is 1/(2 layers)."""
    layers = model.language_model.model.layers
    for layer in layers:
        for matrix in (layer.self_attn.o_proj.weight, layer.mlp.down_proj.weight):
            matrix.data.mul_(1 / math.sqrt(2 * len(layers)))


def invariance(model: DriveMM, count: int, length: int) -> dict[str, float]:
    """How often the most likely grade of a clip differs between a batch of `count` and a batch of one."""
    reader = GradeReader(
        "grade",
        ("ghost_probing", "potential_ghost_probing", "normal"),
        Vocabulary(model.tokenizer, model.config.vocab_size, model.eos_ids),
    )
    random = torch.Generator("cuda").manual_seed(3)
    embeds = [
        torch.randn(length + 7 * place, model.config.hidden_size, device="cuda", generator=random).to(model.dtype)
        for place in range(count)
    ]
    options = GenerateOptions(max_new_tokens=0, grades=reader)
    together = torch.tensor([answer.grade_masses for answer in generate(model, embeds, options)])
    alone = torch.tensor([generate(model, [own], options)[0].grade_masses for own in embeds])
    together, alone = (masses / masses.sum(-1, keepdim=True) for masses in (together, alone))
    engine_of(model).release()
    return {
        "clips": count,
        "differing grades": float((together.argmax(-1) != alone.argmax(-1)).float().mean()),
        "largest difference of a probability": float((together - alone).abs().max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--float32", action="store_true", help="repeat in float32 (34 GB of weights)")
    chosen = parser.parse_args()
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}

    def add(name: str, values: dict[str, float]) -> None:
        found[name] = values
        print(f"{name}: " + "; ".join(f"{key} {value:.3g}" for key, value in values.items()), flush=True)
        if chosen.json:
            chosen.json.write_text(json.dumps(found, indent=1))

    model = DriveMM.from_random(DriveMMConfig.full_shape())
    add("bfloat16, deviation 0.02", compare(model, 0.02))
    scale_writers(model)
    add("bfloat16, residual writers scaled", compare(model, 1.0))
    add("bfloat16, batch against one", invariance(model, 48, 1500))
    scale_writers(model)
    add("bfloat16, residual writers scaled twice", compare(model, 1.0))
    if chosen.float32:
        del model
        torch.cuda.empty_cache()
        model = DriveMM.from_random(DriveMMConfig.full_shape(), dtype="float32")
        scale_writers(model)
        add("float32, residual writers scaled", compare(model, 1.0))
        add("float32, batch against one", invariance(model, 8, 1500))


if __name__ == "__main__":
    main()
