"""What the moments of a clip cost DriveMM beside one question about all of it, and how exact they stay.

    python benchmark/perf/drivemm_moments.py --json result.json

The task is `ghost-warning` in score mode: a clip of 10 s at 2 frames/s has 20 moments. Timed from prepared requests on,
with nothing kept from one pass to the next but the task's text: the last question alone (`once`), all moments in
batches of 32 as `bench run` has them (`moments`), in smaller ones, and each with nothing of what the others showed
(`anew`). Random weights: of a small shape in float32 for exactness, then of DriveMM's exact shape in bfloat16.
`--device cpu --shape tiny` tries all of it.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from typing_extensions import override

sys.path[:0] = [str(Path(__file__).parents[2] / name) for name in ("adapters", "benchmark")]

from ghostbench.frames import Frames
from ghostbench.records import GRADES
from ghostbench.tasks.ghost_warning import GhostWarning
from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig, VisionShape
from ghostbench_drivemm.engine import GenerateOptions, batch, engine_of, generate_prepared, language
from ghostbench_drivemm.input.frame_digests import FrameDigests
from ghostbench_drivemm.input.prepared import Prepared, Raw
from ghostbench_drivemm.input.question import user_text
from ghostbench_local.answer.grammar import Vocabulary
from ghostbench_local.answer.score import GradeReader, normalised

TASK = GhostWarning()
SMALL = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vision": VisionShape(width=64, feed_forward=96, layers=2),
}
TINY = {**SMALL, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "head_dim": 16, "vocab_size": 4096}


def say(*words: object) -> None:
    print(*words, flush=True)


class Unseen(Raw):
    """Frames that nobody tells from others: they are computed for every question."""

    @property
    @override
    def digests(self) -> Any:
        return None


def clip(seed: int, frames: int) -> Frames:
    """Frames of a clip every half second, each another picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (1, 660, 1584, 3), dtype=np.uint8)
    shown = np.concatenate([np.roll(pixels, 11 * place, axis=2) for place in range(frames)])
    times = tuple(place / 2 for place in range(frames))
    return Frames(shown, indices=tuple(range(frames)), times_s=times, duration_s=frames / 2, decoder="made")


def questions(model: DriveMM, shown: Frames) -> list[Prepared]:
    """The moments of a clip, ready to be asked."""
    ready = []
    for question in TASK.questions(shown):
        assert question.frames is not None
        text = user_text(question.prompt, with_frames=True)
        ready.append(model.prepare(question.frames.pixels, text, kind="video", system=question.prompt.system))
    return ready


def unshared(model: DriveMM, asked: Sequence[Prepared]) -> list[Prepared]:
    """The same, each as if no other had been asked: only the task's text is known."""
    found = []
    for own in asked:
        visual: Any = own.visuals[0]
        if isinstance(visual, Raw):
            visual = Unseen(visual.frames, model.config, FrameDigests(visual.frames))
        found.append(replace(own, visuals=(visual,), beginnings=own.beginnings[:1]))
    return found


def forget(model: DriveMM) -> None:
    """Keep the task's text alone, which every run has after its first clip."""
    model.forget()
    engine_of(model).clips.clear()


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed(model: DriveMM, ask: Callable[[], list[Any]], repeats: int) -> tuple[float, list[Any]]:
    """Median seconds of a pass that begins with nothing but the task's text, after one to warm up; its answers."""
    walls: list[float] = []
    answers: list[Any] = []
    for _ in range(repeats + 1):
        forget(model)
        wait()
        started = time.perf_counter()
        answers = ask()
        wait()
        walls.append(time.perf_counter() - started)
    return statistics.median(walls[1:]), answers


def chances(answers: Sequence[Any]) -> Any:
    """Probabilities [answers, grades]."""
    found = [None if answer.grade_masses is None else normalised(answer.grade_masses) for answer in answers]
    if any(row is None for row in found):
        raise SystemExit("an answer has no probabilities")
    return np.array(found)


def apart(one: Sequence[Any], other: Sequence[Any]) -> dict[str, Any]:
    """How far two lists of answers are apart."""
    left, right = chances(one), chances(other)
    return {
        "largest_difference": float(np.abs(left - right).max()),
        "other_grades": int((left.argmax(1) != right.argmax(1)).sum()),
        "answers": len(left),
    }


def score(model: DriveMM) -> GenerateOptions:
    vocabulary = Vocabulary(model.tokenizer, model.config.vocab_size, model.eos_ids)
    return GenerateOptions(max_new_tokens=0, grades=GradeReader("grade", GRADES, vocabulary))


def made(shape: str, dtype: str, device: str) -> DriveMM:
    """Random weights, those of small shapes spread so that answers differ."""
    config = DriveMMConfig.full_shape()
    if shape != "full":
        config = dataclasses.replace(config, **(SMALL if shape == "small" else TINY))  # type: ignore[arg-type]
    pages = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    if shape == "tiny":
        config = dataclasses.replace(config, eos_token_ids=(3841, 3848, 3849))
    model = DriveMM.from_random(config, dtype=dtype, device=device, corpus=[page.read_text() for page in pages])
    if shape != "full":
        with torch.no_grad():
            for weight in model.language_model.parameters():
                if weight.ndim > 1:
                    weight.mul_(4)
    return model


def in_batches(model: DriveMM, asked: Sequence[Prepared], options: GenerateOptions, size: int) -> list[Any]:
    answers = []
    for start in range(0, len(asked), size):
        answers += generate_prepared(model, asked[start : start + size], options)
    return answers


def with_whole_attention(ask: Callable[[], list[Any]]) -> list[Any]:
    """The same with attention over whole prompts, also where few of their positions are computed."""
    kept = language.is_short
    try:
        batch.is_short = language.is_short = lambda computed, length: False  # type: ignore[attr-defined]
        return ask()
    finally:
        batch.is_short = language.is_short = kept  # type: ignore[attr-defined]


def exactness(model: DriveMM, frames: int, clips: int) -> dict[str, Any]:
    """Answers of the growing cache beside those of each moment asked by itself, in order and out of it."""
    options = score(model)
    asked = [own for seed in range(clips) for own in questions(model, clip(seed, frames))]
    alone = in_batches(model, unshared(model, asked), options, 1)
    result: dict[str, Any] = {"moments": len(asked)}
    for name, order, size in (
        ("one batch", list(range(len(asked))), len(asked)),
        ("in eights", list(range(len(asked))), 8),
        ("singly", list(range(len(asked))), 1),
        ("shuffled", np.random.default_rng(0).permutation(len(asked)).tolist(), 7),
    ):
        forget(model)
        found = in_batches(model, [asked[place] for place in order], options, size)
        result[name] = apart(found, [alone[place] for place in order])
        say(f"  {name:10} {result[name]}")
    forget(model)
    together = in_batches(model, unshared(model, asked), options, len(asked))
    result["unshared, other batches"] = apart(together, alone)
    say(f"  nothing shared, in one batch instead of singly: {result['unshared, other batches']}")
    return result


def speed(model: DriveMM, frames: int, clips: int, repeats: int) -> dict[str, Any]:
    """Seconds of each way, and how they compare."""
    options = score(model)
    of_clips = [questions(model, clip(seed, frames)) for seed in range(clips)]
    asked = [own for moments in of_clips for own in moments]
    last = [moments[-1] for moments in of_clips]
    alone = unshared(model, asked)
    generate_prepared(model, asked[:1], options)
    whole = len(asked)
    result: dict[str, Any] = {
        "clips": clips,
        "moments": whole,
        "positions": [own.length for own in of_clips[0]],
        "text_positions": asked[0].beginnings[0].positions,
    }
    once, _ = timed(model, lambda: generate_prepared(model, last, options), repeats)
    result["once_s"] = once
    say(f"  once      {1e3 * once:8.1f} ms  ({last[0].length} positions, {clips} clips)")
    ways: dict[str, tuple[Callable[[], list[Any]], int]] = {
        "moments": (lambda: in_batches(model, asked, options, 32), repeats),
        "whole attention": (lambda: with_whole_attention(lambda: in_batches(model, asked, options, 32)), repeats),
        "in eights": (lambda: in_batches(model, asked, options, 8), repeats),
        "singly": (lambda: in_batches(model, asked, options, 1), repeats),
        "anew": (lambda: in_batches(model, alone, options, 32), 1),
    }
    answers: dict[str, list[Any]] = {}
    for name, (ask, times) in ways.items():
        try:
            seconds, answers[name] = timed(model, ask, times)
        except RuntimeError as error:
            # What the others come to is worth knowing all the same.
            say(f"  {name}: {error}")
            continue
        computed = sum(own.length - answer.shared_positions for own, answer in zip(asked, answers[name], strict=True))
        result[name] = {"s": seconds, "times_once": seconds / once, "computed_positions": computed}
        stages = {
            stage: sum((getattr(a.times, stage) or 0) / a.times.chunk for a in answers[name])
            for stage in ("vision_s", "prefill_s")
        }
        result[name] |= stages
        say(
            f"  {name:16} {1e3 * seconds:8.1f} ms = {seconds / once:6.2f} x once, {computed} positions computed, "
            f"vision {1e3 * stages['vision_s']:.1f} ms, prefill {1e3 * stages['prefill_s']:.1f} ms"
        )
        if name != "moments" and "moments" in answers:
            result[name] |= apart(answers[name], answers["moments"])
            say(f"    to the moments in batches of 32: {result[name]['largest_difference']:.2e} at most, "
                f"{result[name]['other_grades']} of {whole} other grades")  # fmt: skip
    if {"anew", "moments"} <= answers.keys():
        result["anew_to_moments"] = result["anew"]["s"] / result["moments"]["s"]
        say(f"  anew / moments: {result['anew_to_moments']:.2f}")
    if torch.cuda.is_available():
        result["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", default="full", choices=("full", "tiny"), help="of the timed model")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--clips", type=int, default=4, help="clips of the rows with several")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    cuda = torch.cuda.is_available() and chosen.device != "cpu"
    result: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "torch": torch.__version__,
        "arguments": {key: str(value) for key, value in vars(chosen).items()},
    }
    say(result)

    def keep(name: str, part: Callable[[], dict[str, Any]]) -> None:
        say(name)
        started = time.perf_counter()
        result[name] = part()
        say(f"  ({time.perf_counter() - started:.1f} s)")
        if chosen.json:
            chosen.json.write_text(json.dumps(result, indent=1))

    def free() -> None:
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()

    small = "small" if chosen.shape == "full" else "tiny"
    keep("float32, small shape", lambda: exactness(made(small, "float32", chosen.device), min(chosen.frames, 8), 2))
    free()
    dtype = "bfloat16" if cuda else "float32"
    model = made(chosen.shape, dtype, chosen.device)
    keep(f"{dtype}, one clip", lambda: speed(model, chosen.frames, 1, chosen.repeats))
    keep(f"{dtype}, {chosen.clips} clips", lambda: speed(model, chosen.frames, chosen.clips, chosen.repeats))


if __name__ == "__main__":
    main()
