"""What has to hold on a GPU beside speed: logits against plain transformers, and batches against single clips.

    python benchmark/perf/drivemm_checks.py --json result.json

Random weights of the exact full shape, in several draws. In transformers' own (every matrix and the embedding with
deviation 0.02) each layer outweighs all that came before it and 32 layers amplify any rounding; the others scale the
matrices that write into the residual stream by 1/sqrt(2 layers), as GPT-2's initialisation does, or by the square of
that, and take embeddings of deviation 1, as PaLM's does. Over whole answers, distances of the plain path to itself with
eager attention, and of both to the same weights computed in float32, are measured beside the fast path's: no
implementation in 16 bits can be expected to be nearer than rounding allows. Layer by layer, both are given the very
same inputs, so that nothing is amplified.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path[:0] = [str(Path(__file__).parents[2] / name) for name in ("adapters", "benchmark")]

from plain_transformers import plain_llama

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate
from ghostbench_drivemm.engine.cache import KeyValueCache
from ghostbench_drivemm.engine.language import Language, Packed
from ghostbench_drivemm.engine.placed import NewTokens
from ghostbench_local.answer.grammar import Vocabulary
from ghostbench_local.answer.score import GradeReader

LENGTHS = (700, 1900, 2800, 2743)
STEPS = 16


@dataclass(frozen=True, slots=True)
class Draw:
    """How random weights are scaled. writers : exponent of 1/sqrt(2 layers). embedding : deviation of embeddings."""

    name: str
    writers: int
    embedding: float


DRAWS = (
    Draw("transformers' own", 0, 0.02),
    Draw("writers / sqrt(2 layers)", 1, 0.02),
    Draw("embeddings 1, writers / sqrt(2 layers)", 1, 1.0),
    Draw("embeddings 1, writers / (2 layers)", 2, 1.0),
)


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


def inputs(model: DriveMM, deviation: float) -> list[Tensor]:
    """Random embeddings of prompts of `LENGTHS`."""
    random = torch.Generator(model.device).manual_seed(1)
    shapes = [(length, model.config.hidden_size) for length in LENGTHS]
    return [torch.randn(*s, device=model.device, generator=random).mul(deviation).to(model.dtype) for s in shapes]


def compare(model: DriveMM, deviation: float) -> dict[str, float]:
    """Distances of the logits over a teacher-forced answer: worst step of prompts of mixed lengths in one batch."""
    language = plain_llama(model)
    embeds = inputs(model, deviation)
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


def redraw(model: DriveMM, before: Draw, after: Draw) -> None:
    """Scale the weights of one draw to those of another."""
    language = model.language_model
    language.get_input_embeddings().weight.data.mul_(after.embedding / before.embedding)
    layers = language.model.layers
    factor = math.sqrt(2 * len(layers)) ** (before.writers - after.writers)
    for layer in layers:
        for matrix in (layer.self_attn.o_proj.weight, layer.mlp.down_proj.weight):
            matrix.data.mul_(factor)


@torch.inference_mode()
def compare_layers(model: DriveMM, deviation: float) -> dict[str, float]:
    """Worst distance over all layers of what the head reads after one layer alone, given the plain path's own input.

    Prefill: the last positions of a prompt of 1,900. Steps: the same ones one at a time, over the fast path's cache.
    """
    language = plain_llama(model)
    embeds = inputs(model, deviation)[1]
    length = embeds.shape[0]
    output = language.model(inputs_embeds=embeds[None], output_hidden_states=True, use_cache=False)
    entering = [hidden[0] for hidden in output.hidden_states[:-1]]
    whole = engine_of(model).weights
    last = torch.arange(length - STEPS, length, device=embeds.device)
    filled, stepped = [], []
    for index, hidden in enumerate(entering):
        final = index == len(entering) - 1
        left = output.last_hidden_state[0] if final else language.model.norm(entering[index + 1])
        wanted = language.lm_head(left[last])
        alone = replace(whole, layers=(whole.layers[index],), embedding=hidden)
        fast = Language(alone)
        cache = KeyValueCache(alone, 1, length)
        reads = tuple(range(length - STEPS, length))
        found = fast.prefill(Packed(embeds=hidden, rows=(0,), lengths=(length,), reads=(reads,), skips=(0,)), cache)
        filled.append(distance(found, wanted))
        none = torch.zeros(1, dtype=torch.int64, device=embeds.device)
        rows = []
        for at in last:
            new = NewTokens(row=none, position=at[None], first=none, count=none + 1, most=1)
            rows.append(fast.step(at[None], new, cache, none)[0])
        stepped.append(distance(torch.stack(rows), wanted))
    return {"prefill, worst layer": max(filled), "step, worst layer": max(stepped)}


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
    before = DRAWS[0]
    for draw in DRAWS:
        redraw(model, before, draw)
        before = draw
        add(f"bfloat16, layer by layer, {draw.name}", compare_layers(model, draw.embedding))
        add(f"bfloat16, whole, {draw.name}", compare(model, draw.embedding))
    add(f"bfloat16, batch against one, {before.name}", invariance(model, 48, 1500))
    if chosen.float32:
        del model
        torch.cuda.empty_cache()
        model = DriveMM.from_random(DriveMMConfig.full_shape(), dtype="float32")
        redraw(model, DRAWS[0], DRAWS[1])
        add(f"float32, whole, {DRAWS[1].name}", compare(model, DRAWS[1].embedding))
        add("float32, batch against one", invariance(model, 8, 1500))


if __name__ == "__main__":
    main()
