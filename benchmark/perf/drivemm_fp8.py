"""DriveMM with float8 products beside the same model in bfloat16: how fast, how much memory, and how far apart.

    python benchmark/perf/drivemm_fp8.py --json result.json

All in one run on one GPU, on random weights of DriveMM's exact shape: single products (time, distance to the same
product in float64) and what rounds before them; score mode and answers that close by themselves, as in `drivemm.py`; a
profile of a prefill by kernel; and the same clips answered by both, beside how far bfloat16 is from itself with fewer
clips in a prefill. How far answers are apart depends on the weights: random ones amplify rounding, in some draws
(`drivemm_checks.py`) more than in others. What trained weights do is measured in a run, with `compare`.
`--device cpu --shape tiny` tries all of it.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import ScalingType, linear, scaled_mm

sys.path[:0] = [str(Path(__file__).parents[2] / name) for name in ("adapters", "benchmark")]

from drivemm import GRADES, SCHEMA, limit, requests
from drivemm import forget as forget_all
from drivemm_checks import DRAWS, redraw
from drivemm_moments import apart, in_batches, made, say, wait

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate_prepared, reference
from ghostbench_drivemm.engine.float8 import Rounded, rounded, runs_on
from ghostbench_drivemm.engine.operations import operations_for
from ghostbench_drivemm.network.rounding import in_float8
from ghostbench_local.answer.grammar import Grammar, Vocabulary
from ghostbench_local.answer.score import GradeReader


def median_ms(work: Callable[[], object], repeats: int = 20) -> float:
    """Median time of `work`, milliseconds, after three runs to warm up."""
    times = []
    for number in range(repeats + 3):
        wait()
        started = time.perf_counter()
        work()
        wait()
        if number >= 3:
            times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


def device_ms(work: Callable[[], object], device: torch.device) -> float:
    """The same by the device's own clock, over eight calls in a row."""
    if device.type != "cuda":
        return median_ms(work, 3)
    for _ in range(3):
        work()
    times = []
    for _ in range(10):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(8):
            work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 8)
    return statistics.median(times)


def distance(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted).norm() / wanted.norm())


def product(x: Rounded, weight: Rounded, *, fast: bool) -> Tensor:
    return scaled_mm(
        x.values, weight.values.t(), x.scales, ScalingType.RowWise, weight.scales.t(), ScalingType.RowWise,
        output_dtype=torch.bfloat16, use_fast_accum=fast,
    )  # fmt: skip


def products(model: DriveMM, tokens: Sequence[int]) -> list[dict[str, Any]]:
    """Each matrix of a layer by itself, for so many tokens; distances over the first 256 of them."""
    device, found = model.device, []
    do = operations_for(device)
    layer = engine_of(model).weights.layers[0]
    for name in ("qkv", "out", "gate_up", "down"):
        matrix: Tensor = getattr(layer, name).weight
        weight = rounded(matrix)
        for count in tokens:
            x = torch.randn(count, matrix.shape[1], device=device).bfloat16()
            given = do.rounded(x)
            some = slice(0, 256)
            exact = x[some].double() @ matrix.double().t()
            table = (given.values[some].double() * given.scales[some]) @ (weight.values.double() * weight.scales).t()
            row: dict[str, Any] = {"matrix": name, "shape": list(matrix.shape), "tokens": count}
            row["bf16_ms"] = device_ms(lambda: linear(x, matrix), device)  # noqa: B023 - called at once
            row["rounding_ms"] = device_ms(lambda: do.rounded(x), device)  # noqa: B023
            row["bf16_to_float64"] = distance(linear(x, matrix)[some], exact)
            for kind, fast in (("exact_sums", False), ("fast_sums", True)):
                own = product(given, weight, fast=fast)[some]
                row[f"{kind}_ms"] = device_ms(lambda: product(given, weight, fast=fast), device)  # noqa: B023
                row[f"{kind}_to_rounded"], row[f"{kind}_to_float64"] = distance(own, table), distance(own, exact)
            work = 2 * count * matrix.numel() / 1e9
            found.append(row)
            say(
                f"{name:8} {matrix.shape[0]:6d} x {matrix.shape[1]:5d} {count:6d} tokens: bf16 {row['bf16_ms']:.3f} ms "
                f"({work / row['bf16_ms']:.0f} TFLOP/s), float8 {row['exact_sums_ms']:.3f} "
                f"({work / row['exact_sums_ms']:.0f}), fast sums {row['fast_sums_ms']:.3f} "
                f"({work / row['fast_sums_ms']:.0f}), rounding {row['rounding_ms']:.3f}; to the rounded numbers' "
                f"{row['exact_sums_to_rounded']:.5f} and {row['fast_sums_to_rounded']:.5f}, to the exact product "
                f"{row['exact_sums_to_float64']:.4f} and {row['fast_sums_to_float64']:.4f} (bf16 "
                f"{row['bf16_to_float64']:.5f})"
            )
    return found


def twins(model: DriveMM, tokens: int) -> dict[str, Any]:
    """How many values of the device's rounding operations are not those of their specification."""
    do, device = operations_for(model.device), model.device
    width, inner = model.config.hidden_size, model.config.intermediate_size
    x, residual = (torch.randn(tokens, width, device=device).mul(2.0).bfloat16() for _ in range(2))
    gate_up = torch.randn(tokens, 2 * inner, device=device).mul(3.0).bfloat16()
    x[1], x[2, 5], x[3, 7] = 0.0, float("nan"), float("inf")
    norm = torch.rand(width, device=device).bfloat16()
    kept = [residual.clone() for _ in range(2)]
    pairs = {
        "rounded": (do.rounded(x), rounded(x)),
        "after the norm": (
            do.add_rmsnorm_rounded(x, kept[0], norm, 1e-5),
            rounded(do.add_rmsnorm(x, kept[1], norm, 1e-5)),
        ),
        "after SiLU": (do.silu_mul_rounded(gate_up), rounded(do.silu_mul(gate_up))),
        "after SiLU, by the specification": (do.silu_mul_rounded(gate_up), reference.silu_mul_rounded(gate_up)),
    }
    found: dict[str, Any] = {}
    for name, (one, other) in pairs.items():
        same_scale = torch.equal(one.scales.nan_to_num(-1.0, -1.0, -1.0), other.scales.nan_to_num(-1.0, -1.0, -1.0))
        usable = torch.isfinite(other.scales)[:, 0]
        unlike = (one.values.float() != other.values.float())[usable]
        finite = torch.equal(torch.isfinite(one.scales), torch.isfinite(other.scales))
        found[name] = {"scales_equal": same_scale, "same_rows_finite": finite, "unlike": int(unlike.sum()),
                       "of": unlike.numel()}  # fmt: skip
    found["residuals_equal"] = torch.equal(kept[0].nan_to_num(), kept[1].nan_to_num())
    say(f"rounding on the device and by its specification: {found}")
    return found


def row(model: DriveMM, asked: Sequence[Any], options: GenerateOptions, repeats: int) -> dict[str, Any]:
    """Batches answered from prepared requests on, with nothing kept from before; warming up is timed apart."""
    walls: list[float] = []
    answers: list[Any] = []
    for number in range(repeats + 1):
        forget_all(model)
        wait()
        if number == 1 and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        answers = generate_prepared(model, asked, options)
        wait()
        walls.append(time.perf_counter() - started)
    if any(answer.nonfinite_step is not None for answer in answers):
        raise SystemExit("logits were not finite")
    wall = statistics.median(walls[1:])
    found: dict[str, Any] = {
        "batch": len(asked),
        "clips_per_s": len(asked) / wall,
        "wall_s": walls[1:],
        "warm_up_s": walls[0],
        "prefill_ms_per_clip": 1e3
        * statistics.mean(((a.times.vision_s or 0) + (a.times.prefill_s or 0)) / a.times.chunk for a in answers),
        "vision_ms_per_clip": 1e3 * statistics.mean((a.times.vision_s or 0) / a.times.chunk for a in answers),
        "shared_positions": statistics.mean(a.shared_positions for a in answers),
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None,
    }
    if options.max_new_tokens:
        steps = max(answer.steps for answer in answers)
        first = answers[-1].times.first_token_s
        found |= {
            "tokens": statistics.mean(len(answer.output_ids) for answer in answers),
            "steps": steps,
            "ms_per_step": 1e3 * (max(answer.times.end_s for answer in answers) - first) / (steps - 1),
        }
    return found


def show(name: str, found: dict[str, Any]) -> None:
    step = f", {found['tokens']:.0f} tokens, {found['ms_per_step']:.2f} ms a step" if "tokens" in found else ""
    allowed = (
        f", {found['clips_per_s'] / found['limit_clips_per_s']:.0%} of the limit"
        if "limit_clips_per_s" in found
        else ""
    )
    say(
        f"{name:26} batch {found['batch']:4d} {found['clips_per_s']:7.2f} clips/s, prefill "
        f"{found['prefill_ms_per_clip']:.1f} ms a clip ({found['vision_ms_per_clip']:.1f} of it vision){step}, peak "
        f"{found['peak_gib'] or 0:.1f} GiB{allowed}"
    )


def profile(model: DriveMM, asked: Sequence[Any], options: GenerateOptions) -> dict[str, Any]:
    """Milliseconds a clip by kind of kernel, and the longest kernels."""
    if model.device.type != "cuda":
        return {}
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    forget_all(model)
    generate_prepared(model, asked, options)
    forget_all(model)
    with profiled(activities=[ProfilerActivity.CUDA]) as seen:
        generate_prepared(model, asked, options)
        wait()
    times = {event.key: event.self_device_time_total / 1e3 / len(asked) for event in seen.key_averages()}
    kinds = {"products": 0.0, "attention": 0.0, "between": 0.0}
    for name, taken in times.items():
        low = name.lower()
        if any(word in low for word in ("fmha", "attention", "flash", "sdpa", "cudnn_generated")):
            kinds["attention"] += taken
        elif any(word in low for word in ("gemm", "cutlass", "nvjet", "xmma", "cublas")):
            kinds["products"] += taken
        else:
            kinds["between"] += taken
    longest = sorted(times.items(), key=lambda item: -item[1])[:14]
    say("  " + ", ".join(f"{kind} {taken:.1f} ms" for kind, taken in kinds.items()))
    for name, taken in longest:
        say(f"    {taken:7.2f} ms {name[:110]}")
    return {"kinds": kinds, "longest": dict(longest)}


def side_by_side(model: DriveMM, asked: Sequence[Any], options: GenerateOptions) -> dict[str, Any]:
    """The same clips in bfloat16, in bfloat16 with fewer of them in a prefill, and with float8 products."""
    in_bfloat16 = in_batches(model, asked, options, 32)
    forget_all(model)
    # Two clips a prefill instead of four: other numbers of tokens in a product, which may round it otherwise.
    again = in_batches(model, asked, replace(options, chunk_tokens=6_000), 32)
    engine_of(model).release()
    forget_all(model)
    made_of_it = in_float8(model, keep=True)
    rounded_too = in_batches(made_of_it, asked, options, 32)
    engine_of(made_of_it).release()
    forget_all(made_of_it)
    return {
        "float8_to_bfloat16": apart(rounded_too, in_bfloat16),
        "bfloat16_in_smaller_prefills": apart(again, in_bfloat16),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", choices=("full", "small", "tiny"), default="full")
    parser.add_argument("--clips", type=int, default=96, help="clips that are answered by both")
    parser.add_argument("--batch", type=int, default=112, help="answers that are written together")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--prompt-tokens", type=int, default=701)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    result: dict[str, Any] = {"torch": torch.__version__, "arguments": {k: str(v) for k, v in vars(chosen).items()}}
    if device.type == "cuda":
        result["device"] = torch.cuda.get_device_name()
    say(result)

    def keep(name: str, value: Any) -> None:
        result[name] = value
        if chosen.json:
            chosen.json.write_text(json.dumps(result, indent=1), encoding="utf-8")

    def clear() -> None:
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()

    reason = runs_on(device)
    if reason is not None:
        raise SystemExit(f"no float8 products on {device}: {reason}")
    plain = made(chosen.shape, "bfloat16", chosen.device)
    rates = ceilings(plain, device)
    keep("ceilings", rates)
    say(f"ceilings: {rates}")
    keep("twins", twins(plain, 300))
    keep("products", products(plain, (11_264, 112) if chosen.shape == "full" else (300, 12)))
    asked = requests(plain, max(chosen.batch, chosen.clips), chosen.frames, chosen.prompt_tokens)
    vocabulary = Vocabulary(plain.tokenizer, plain.config.vocab_size, plain.eos_ids)
    reader = GradeReader("grade", GRADES, vocabulary)
    score = GenerateOptions(max_new_tokens=0, grades=reader)
    closing = GenerateOptions(
        max_new_tokens=256, eos_ids=plain.eos_ids, grammar=Grammar(SCHEMA, vocabulary), grades=reader
    )

    def rows(name: str, model: DriveMM) -> None:
        together = 4 if chosen.shape == "full" else 2
        for kind, options, count in (("score", score, 32), ("closing", closing, chosen.batch)):
            found = row(model, asked[:count], options, chosen.repeats)
            shared, new = found["shared_positions"], found.get("tokens", 0.0)
            found |= bounds(model, asked[0].length, new, found["batch"], rates, shared, kind, float8=name == "float8")
            keep(f"{name}, {kind}", found)
            show(f"{name}, {kind}", found)
            if kind == "score":
                keep(f"{name}, profile", profile(model, asked[:together], options))
        engine_of(model).release()
        forget_all(model)
        clear()

    rows("bfloat16", plain)
    before = DRAWS[0]
    for draw in (DRAWS[0], DRAWS[-1]):
        if chosen.shape == "full":
            redraw(plain, before, draw)
        before = draw
        found = side_by_side(plain, asked[: chosen.clips], score)
        keep(f"apart, {draw.name}", found)
        say(f"{draw.name}: {found}")
        clear()
    del plain
    clear()
    rows("float8", in_float8(made(chosen.shape, "bfloat16", chosen.device)))
    for kind in ("score", "closing"):
        one, other = (result[f"{name}, {kind}"]["clips_per_s"] for name in ("float8", "bfloat16"))
        say(f"{kind}: float8 is {one / other:.2f} times as fast")


def ceilings(model: DriveMM, device: torch.device) -> dict[str, float]:
    """Bytes/s of a large read, and operations/s of square products in either type."""
    side = 8192 if model.config.hidden_size > 1024 else 512
    source = torch.empty(side * side * 16, dtype=torch.uint8, device=device).random_()
    words = source.view(torch.int32).view(-1, 1024)
    read = source.numel() / device_ms(lambda: words.sum(dtype=torch.int32), device)
    left, right = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    work = 2e3 * side**3
    one, other = rounded(left), rounded(right)
    return {
        "read_bytes_per_s": read * 1e3,
        "bf16_flop_per_s": work / device_ms(lambda: left @ right, device),
        "float8_flop_per_s": work / device_ms(lambda: product(one, other, fast=False), device),
        "float8_fast_sums_flop_per_s": work / device_ms(lambda: product(one, other, fast=True), device),
    }


def bounds(
    model: DriveMM, length: int, new: float, batch: int, rates: dict[str, float], shared: float, kind: str,
    *, float8: bool,
) -> dict[str, float]:  # fmt: skip
    """What the ceilings allow; float8 matrices at that type's rate, and half of the bytes."""
    found = limit(model, length, new, batch, rates, shared)
    prefill, step = found["prefill_s_per_clip"], found["step_s"]
    if float8:
        weights = engine_of(model).weights
        matrices = [own for layer in weights.layers for own in (layer.qkv, layer.out, layer.gate_up, layer.down)]
        elements = sum(own.numel() for own in matrices)
        work = 2 * elements * (length - shared)
        prefill += work / rates["float8_flop_per_s"] - work / rates["bf16_flop_per_s"]
        step -= (2 * elements - sum(own.bytes() for own in matrices)) / rates["read_bytes_per_s"]
    whole = prefill if kind == "score" else prefill + new * step / batch
    return {"limit_prefill_s": prefill, "limit_step_s": step, "limit_clips_per_s": 1 / whole}


if __name__ == "__main__":
    main()
