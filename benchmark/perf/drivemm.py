"""How fast DriveMM answers on one GPU, on random weights of its exact shape, beside plain transformers in the same run.

    python benchmark/perf/drivemm.py --plain --json result.json

Every clip has frames and a question of its own behind the task's system text, and nothing is kept from one pass to the
next; the tokenizer has learnt this project's pages. In the first rows every answer has all of its tokens: end tokens
and the closing of the answer are masked until then. In the rows `closing` answers close by themselves, with and without
taking at once what the grammar forces. The limit is computed from ceilings measured at the start: products at the rate
of an 8192 x 8192 x 8192 one, weights and cached keys and values read once a step at the rate of a large read; positions
that prompts share are counted once.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import copy
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2] / name) for name in ("adapters", "benchmark")]

from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate_prepared
from ghostbench_local.answer.grammar import Grammar, Vocabulary
from ghostbench_local.answer.score import GradeReader

GRADES = GhostProbing.verdict_values
SCHEMA = GhostProbing.schema


def say(*words: object) -> None:
    print(*words, flush=True)


def median_ms(work: Callable[[], object], repeats: int = 20) -> float:
    """Median time of `work` on the device, milliseconds, after three runs to warm up."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def ceilings() -> dict[str, float]:
    """What this card does: bytes/s of a copy (read + written) and of a read, operations/s of a bfloat16 product."""
    source = torch.empty(1 << 31, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    copied = 2 * source.numel() / median_ms(lambda: target.copy_(source))
    words = source.view(torch.int32).view(-1, 1024)
    read = source.numel() / median_ms(lambda: words.sum(dtype=torch.int32))
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    product = 2 * 8192**3 / median_ms(lambda: left @ right)
    return {"copy_bytes_per_s": copied * 1e3, "read_bytes_per_s": read * 1e3, "bf16_flop_per_s": product * 1e3}


def requests(model: DriveMM, count: int, frames: int, prompt_tokens: int) -> list[Any]:
    """Prepared requests with different pixels and texts; `prompt_tokens` counts all that is not visual."""
    random = np.random.default_rng(0)
    base = random.integers(0, 256, (frames, 330, 792, 3), dtype=np.uint8)
    system = GhostProbing.system

    def ask(pixels: Any, text: str) -> Any:
        return model.prepare(pixels, "<image>\n" + text, kind="video", system=system)

    missing = prompt_tokens + 1 - len(ask(base, ".").input_ids)
    if missing < 8:
        raise SystemExit(f"--prompt-tokens must be at least {prompt_tokens - missing + 8}: the task's text has most")
    made: list[Any] = []
    short = 0
    for place in range(count):
        text = "".join(f"{digit}]" for digit in random.integers(0, 10, missing // 2 - 2))
        short = prompt_tokens + 1 - len(ask(base, text).input_ids) if not made else short
        made.append(ask(np.roll(base, 7 * place, axis=2), text + " the" * short))
    if {len(request.input_ids) for request in made} != {prompt_tokens + 1}:
        raise SystemExit(f"the prompts have other lengths than {prompt_tokens} tokens")
    return made


def asked_again(model: DriveMM, prepared: Sequence[Any]) -> list[Any]:
    """The same clips with another question of about the same length each."""
    again = []
    for request in prepared:
        question = request.prompt_text.split("<image>\n")[1].split("<|eot_id|>")[0]
        frames, system = request.visuals[0].frames, GhostProbing.system
        again.append(model.prepare(frames, "<image>\n" + question[::-1], kind="video", system=system))
    return again


def forget(model: DriveMM) -> None:
    """Keep nothing of what was computed before."""
    model.forget()
    engine_of(model).forget()


def limit(
    model: DriveMM, length: int, new: float, batch: int, rates: dict[str, float], shared: float = 0.0
) -> dict[str, float]:
    """Clips per second that the ceilings allow, and their parts in seconds; `shared` positions need no products."""
    shape = model.config
    weights = engine_of(model).weights
    per_layer = sum(getattr(weights.layers[0], name).numel() for name in ("qkv", "out", "gate_up", "down"))
    layers = per_layer * len(weights.layers)
    hidden = shape.hidden_size
    language = 2 * layers * (length - shared) + 2 * length * length * weights.heads * weights.head_size * len(
        weights.layers
    )
    vision = shape.vision
    patches = 729 * 10
    tower = vision.layers * (
        2 * patches * (4 * vision.width**2 + 2 * vision.width * vision.feed_forward) + 4 * patches * 729 * vision.width
    )
    projector = 2 * hidden * (patches * vision.width + 196 * 10 * hidden)
    prefill = (language + tower + projector) / rates["bf16_flop_per_s"]
    read = 2 * (layers + weights.head.numel()) + batch * (length + new / 2) * weights.cache_bytes_per_token
    step = max(read / rates["read_bytes_per_s"], 2 * batch * layers / rates["bf16_flop_per_s"])
    return {
        "prefill_s_per_clip": prefill,
        "step_s": step,
        "generate_clips_per_s": batch / (batch * prefill + new * step),
        "score_clips_per_s": 1 / prefill,
    }


def fast_row(
    model: DriveMM, prepared: Sequence[Any], options: GenerateOptions, repeats: int, *, closing: bool = False
) -> dict[str, Any]:
    """One row of the table: batches answered from prepared requests on; warming up is timed apart."""

    def timed() -> tuple[float, list[Any]]:
        forget(model)
        torch.cuda.synchronize()
        started = time.perf_counter()
        found = generate_prepared(model, prepared, options)
        torch.cuda.synchronize()
        return time.perf_counter() - started, found

    warm, answers = timed()
    torch.cuda.reset_peak_memory_stats()
    walls = []
    for _ in range(repeats):
        wall, answers = timed()
        walls.append(wall)
    wall = statistics.median(walls)
    new = {len(answer.output_ids) for answer in answers}
    if not closing and options.max_new_tokens and new != {options.max_new_tokens}:
        raise SystemExit(f"rows decoded {sorted(new)} tokens instead of {options.max_new_tokens}")
    if closing and any(answer.finish != "closed" for answer in answers):
        raise SystemExit("an answer did not close by itself")
    if any(answer.nonfinite_step is not None for answer in answers):
        raise SystemExit("logits were not finite")
    filled = sum(
        (answer.times.vision_s or 0) / answer.times.chunk + (answer.times.prefill_s or 0) / answer.times.chunk
        for answer in answers
    )
    row = {
        "batch": len(prepared),
        "clips_per_s": len(prepared) / wall,
        "wall_s": walls,
        "warm_up_s": warm,
        "prefill_s_per_clip": filled / len(prepared),
        "vision_s_per_clip": sum((a.times.vision_s or 0) / a.times.chunk for a in answers) / len(prepared),
        "shared_positions": statistics.mean(answer.shared_positions for answer in answers),
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }
    if options.max_new_tokens:
        steps = max(answer.steps for answer in answers)
        first = answers[-1].times.first_token_s
        row |= {
            "tokens": statistics.mean(len(answer.output_ids) for answer in answers),
            "fewest_and_most_tokens": [min(new), max(new)],
            "forced_tokens": statistics.mean(answer.forced_tokens for answer in answers),
            "steps": steps,
            "mean_steps": statistics.mean(answer.steps for answer in answers),
            "first_token_s": first,
            "ms_per_step": 1e3 * (max(answer.times.end_s for answer in answers) - first) / (steps - 1),
            "answers": [answer.output_ids for answer in answers],
        }
    return row


@torch.inference_mode()
def plain_row(model: DriveMM, prepared: Sequence[Any], new: int) -> dict[str, Any]:
    """Plain transformers: embeddings one clip after the other, then `generate` on the batch."""
    from plain_transformers import plain_llama, plain_tower

    language, tower = plain_llama(model), plain_tower(model)
    torch.cuda.reset_peak_memory_stats()

    def embed() -> torch.Tensor:
        from ghostbench_drivemm.network import vision

        rows = []
        for request in prepared:
            pixels = model._on_device(request.visuals[0])
            hidden = tower.embeddings(vision.normalise(pixels, model.dtype))
            features = tower.encoder(inputs_embeds=hidden).last_hidden_state
            pooled = vision.pool(model.projector(features), model.config.mm_spatial_pool_mode)
            tokens = vision.video_tokens(pooled, model.image_newline, model.config)
            ids = torch.from_numpy(request.input_ids).to(model.device)
            text = language.get_input_embeddings()(ids.clamp_min(0))
            mark = int((ids < 0).nonzero()[0, 0])
            rows.append(torch.cat([text[:mark], tokens, text[mark + 1 :]]))
        return torch.stack(rows)

    def timed(tokens: int) -> float:
        torch.cuda.synchronize()
        started = time.perf_counter()
        embeds = embed()
        mask = torch.ones(embeds.shape[:2], dtype=torch.int64, device=embeds.device)
        out = language.generate(
            inputs_embeds=embeds, attention_mask=mask, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens,
            pad_token_id=0, eos_token_id=list(model.eos_ids),
        )  # fmt: skip
        torch.cuda.synchronize()
        if out.shape[1] != tokens:
            raise SystemExit(f"plain generate gave {out.shape[1]} tokens instead of {tokens}")
        return time.perf_counter() - started

    # Every length of the cache is a shape of its own, for which attention makes a plan at its first use.
    timed(new)
    first = statistics.median(timed(1) for _ in range(3))
    whole = timed(new)
    count = len(prepared)
    return {
        "batch": count,
        "clips_per_s": count / whole,
        "ms_per_step": 1e3 * (whole - first) / (new - 1),
        "prefill_s_per_clip": first / count,
        "first_token_s": first,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def open_ended(schema: dict[str, Any], new: int) -> dict[str, Any]:
    """The schema with an evidence so long that no answer closes within `new` tokens."""
    longer = copy.deepcopy(schema)
    longer["properties"]["evidence"] = {"type": "string", "minLength": 32 * new, "maxLength": 33 * new}
    return longer


def show(name: str, row: dict[str, Any], allowed: float) -> None:
    step = f"{row['ms_per_step']:7.2f} ms/step" if "ms_per_step" in row else " " * 15
    first = f"{row['first_token_s']:7.3f} s first" if "first_token_s" in row else " " * 15
    say(
        f"{name:22} batch {row['batch']:4d} {row['clips_per_s']:8.3f} clips/s {step} "
        f"{1e3 * row['prefill_s_per_clip']:7.1f} ms prefill/clip {first} {row['peak_gib']:6.1f} GiB "
        f"{row['clips_per_s'] / allowed:6.1%} of the limit"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=112)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--prompt-tokens", type=int, default=701)
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="measure plain transformers at batch 1 and 32 too")
    parser.add_argument("--rows", default="generate,grammar,closing,score,alone,twice")
    parser.add_argument("--closing-batches", default="8,16,32", help="smaller batches of the rows `closing`")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    import triton

    result: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "triton": triton.__version__,
        "arguments": {key: str(value) for key, value in vars(chosen).items()},
        "ceilings": ceilings(),
        "rows": {},
    }
    if chosen.plain:
        result["transformers"] = version("transformers")
    say({key: value for key, value in result.items() if key != "rows"})
    gc.collect()
    torch.cuda.empty_cache()
    started = time.perf_counter()
    pages = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    model = DriveMM.from_random(DriveMMConfig.full_shape(), corpus=[page.read_text() for page in pages])
    torch.cuda.synchronize()
    result["parameters"] = model.facts["parameters"]
    say(f"{model.facts['parameters']:,} parameters made in {time.perf_counter() - started:.1f} s")
    prepared = requests(model, chosen.batch, chosen.frames, chosen.prompt_tokens)
    length, new = prepared[0].length, chosen.new_tokens
    result["positions"] = length
    text = prepared[0].beginnings[0].positions
    result["shared_text"] = text
    say(
        f"{length} positions a clip, {length - len(prepared[0].input_ids) + 1} of them visual, the first {text} the "
        "same for all"
    )

    def add(name: str, row: dict[str, Any], kind: str) -> None:
        row.pop("answers", None)
        bound = limit(
            model, length, row.get("tokens", new), row["batch"], result["ceilings"], row.get("shared_positions", 0.0)
        )
        result["rows"][name] = {**row, "limit": bound, "fraction": row["clips_per_s"] / bound[f"{kind}_clips_per_s"]}
        show(name, row, bound[f"{kind}_clips_per_s"])
        if chosen.json:
            chosen.json.write_text(json.dumps(result, indent=1))
        gc.collect()
        torch.cuda.empty_cache()

    if chosen.plain:
        for count in (1, 32):
            add(f"plain, batch {count}", plain_row(model, prepared[:count], new), "generate")
    size = model.config.vocab_size
    started = time.perf_counter()
    vocabulary = Vocabulary(model.tokenizer, size, model.eos_ids)
    reader = GradeReader("grade", GRADES, vocabulary)
    grammar = Grammar(open_ended(SCHEMA, new), vocabulary)
    say(f"grammar and grades compiled in {time.perf_counter() - started:.1f} s")
    free = GenerateOptions(max_new_tokens=new, eos_ids=model.eos_ids, ban_eos=True)
    held = GenerateOptions(
        max_new_tokens=new + len(reader.begun), eos_ids=model.eos_ids, ban_eos=True, grammar=grammar, grades=reader
    )
    wanted = chosen.rows.split(",")
    if "generate" in wanted:
        add("engine, no grammar", fast_row(model, prepared, free, chosen.repeats), "generate")
    if "grammar" in wanted:
        add("engine, grammar", fast_row(model, prepared, held, chosen.repeats), "generate")
    if "closing" in wanted:
        closing = GenerateOptions(
            max_new_tokens=256, eos_ids=model.eos_ids, grammar=Grammar(SCHEMA, vocabulary), grades=reader
        )
        smaller = [int(word) for word in chosen.closing_batches.split(",") if word]
        for count in (chosen.batch, *smaller):
            at = "" if count == chosen.batch else f" {count}"
            written = []
            for name, ahead in ((f"closing{at}", True), (f"closing{at}, step by step", False)):
                chosen_options = replace(closing, fast_forward=ahead)
                row = fast_row(model, prepared[:count], chosen_options, chosen.repeats, closing=True)
                written.append(row["answers"])
                add(f"engine, {name}", row, "generate")
            same = sum(one == other for one, other in zip(*written, strict=True))
            fast, slow = (result["rows"][f"engine, closing{at}{how}"] for how in ("", ", step by step"))
            times = fast["clips_per_s"] / slow["clips_per_s"]
            result[f"closing{at}"] = {"same_answers": same, "times": times}
            say(
                f"  {slow['tokens']:.0f} tokens on average ({slow['fewest_and_most_tokens']}), "
                f"{fast['forced_tokens']:.0f} of them forced: {slow['steps']} steps and {fast['steps']}, on average "
                f"{slow['mean_steps']:.0f} and {fast['mean_steps']:.0f}; {times:.3f} times, {same} of {count} answers "
                "equal"
            )
    score = GenerateOptions(max_new_tokens=0, grades=reader)
    if "score" in wanted:
        add("engine, score mode", fast_row(model, prepared[:32], score, chosen.repeats), "score")
    if "alone" in wanted:
        apart = [replace(request, beginnings=()) for request in prepared[:32]]
        add("score, nothing shared", fast_row(model, apart, score, chosen.repeats), "score")
    if "twice" in wanted:
        both = [*prepared[:32], *asked_again(model, prepared[:32])]
        add("score, asked twice", fast_row(model, both, score, chosen.repeats), "score")


if __name__ == "__main__":
    main()
