"""Which library holds answers to the grammar at the least cost: llguidance, xgrammar and outlines-core in one run.

    pip install xgrammar outlines-core   # into any environment; where one is absent its row says so
    python benchmark/perf/grammars.py --rows 16 --json result.json

All hold the same text: the task's answer as DriveMM may write it, with bounded strings and numbers. Each library runs
in a process of its own and walks random answers, whose next token is drawn from those that it allows. Times are of the
host, for a whole batch: compiling, a step's masks, and taking a step's tokens. Where the text is fixed, llguidance
allows the tokens that the tokenizer itself would give, the others every way to cut it into tokens. xgrammar's own
compiler of JSON schemas stands beside: it leaves the digits of numbers unbounded, so that not every answer closes.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2] / name) for name in ("adapters", "benchmark")]

from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench_drivemm.network.synthetic import synthetic_tokenizer
from ghostbench_local.answer.grammar import Answers, Grammar, Vocabulary

SIZE = 128256
EOS = 128009
STEPS = 60
Masks = Any
Rows = tuple[Callable[[Masks], None], Callable[[Sequence[int]], None]]
"""Writes a step's masks; takes a step's tokens."""


def tokenizer() -> Any:
    docs = Path(__file__).parents[2] / "docs"
    return synthetic_tokenizer(SIZE, [file.read_text() for file in sorted(docs.glob("*.md"))])


def expression() -> str:
    """The task's answer as one regular expression."""
    letter = r'([^"\\\x00-\x1f\x7f-\x9f]|\\["\\])'
    schema = GhostProbing().build(None).schema["properties"]
    values = []
    for name, value in schema.items():
        kinds = [value["type"]] if isinstance(value["type"], str) else value["type"]
        ways = []
        for kind in kinds:
            if "enum" in value:
                ways.append("|".join(f'"{word}"' for word in value["enum"]))
            elif kind == "string":
                ways.append(f'"{letter}{{0,{value.get("maxLength", 240)}}}"')
            elif kind == "number":
                most = int(value["maximum"])
                digits = len(str(most - 1))
                if str(most - 1) != "3" + "59" + "9" * (digits - 3):
                    raise SystemExit(f"the bounds of {name} are not those that this script knows")
                ways.append(r"([0-9]|[1-9][0-9]{1,2}|[12][0-9]{3}|3[0-5][0-9]{2})(\.[0-9]{1,2})?|3600(\.0{1,2})?")
            else:
                ways.append(kind)
        values.append(f'"{name}":({"|".join(ways)})')
    return r"\{" + ",".join(values) + r"\}"


def by_llguidance(rows: int) -> tuple[float, Rows]:
    vocabulary = Vocabulary(tokenizer(), SIZE, (EOS,))
    started = time.perf_counter()
    grammar = Grammar(GhostProbing().build(None).schema, vocabulary)
    answers = Answers(grammar, rows, (), 4096)

    def take(tokens: Sequence[int]) -> None:
        for row, token in enumerate(tokens):
            answers.add(row, token)

    def fill(masks: Masks) -> None:
        # What the library computes is measured, not what is remembered of it.
        grammar._masks.clear()
        answers.fill(masks, range(rows))

    return time.perf_counter() - started, (fill, take)


def by_xgrammar_schema(rows: int) -> tuple[float, Rows]:
    return by_xgrammar(rows, from_schema=True)


def by_xgrammar(rows: int, *, from_schema: bool = False) -> tuple[float, Rows]:
    import xgrammar

    vocabulary = Vocabulary(tokenizer(), SIZE, (EOS,))
    facts = xgrammar.TokenizerInfo(
        list(vocabulary.spelled), xgrammar.VocabType.RAW, vocab_size=SIZE, stop_token_ids=[EOS]
    )
    started = time.perf_counter()
    compiler = xgrammar.GrammarCompiler(facts, max_threads=os.cpu_count() or 1)
    if from_schema:
        schema = json.dumps(GhostProbing().build(None).schema)
        compiled = compiler.compile_json_schema(schema, any_whitespace=False, separators=(",", ":"))
    else:
        compiled = compiler.compile_regex(expression())
    matchers = [xgrammar.GrammarMatcher(compiled) for _ in range(rows)]
    together = xgrammar.BatchGrammarMatcher(max_threads=os.cpu_count() or 1)

    def take(tokens: Sequence[int]) -> None:
        for matcher, token in zip(matchers, tokens, strict=True):
            if token >= 0:
                matcher.accept_token(token)

    def fill(masks: Masks) -> None:
        together.batch_fill_next_token_bitmask(matchers, masks)

    return time.perf_counter() - started, (fill, take)


def by_outlines(rows: int) -> tuple[float, Rows]:
    import outlines_core

    vocabulary = Vocabulary(tokenizer(), SIZE, (EOS,))
    tokens: dict[bytes, list[int]] = {}
    for place, text in enumerate(vocabulary.spelled):
        if text:
            tokens.setdefault(text, []).append(place)
    known = outlines_core.Vocabulary(EOS, tokens)
    started = time.perf_counter()
    index = outlines_core.Index(expression(), known)
    guides = [outlines_core.Guide(index) for _ in range(rows)]

    def fill(masks: Masks) -> None:
        for row, guide in zip(masks, guides, strict=True):
            guide.write_mask_into(row.ctypes.data, row.size, 4)

    def take(chosen: Sequence[int]) -> None:
        for guide, token in zip(guides, chosen, strict=True):
            if token >= 0:
                guide.advance(token, False)

    return time.perf_counter() - started, (fill, take)


LIBRARIES: dict[str, Callable[[int], tuple[float, Rows]]] = {
    "llguidance": by_llguidance,
    "xgrammar": by_xgrammar,
    "xgrammar, JSON schema": by_xgrammar_schema,
    "outlines-core": by_outlines,
}


def walk(name: str, rows: int) -> dict[str, Any]:
    """Compile, then write random answers: every row takes a random allowed token a step, drawn from its own mask."""
    compile_s, (fill, take) = LIBRARIES[name](rows)
    masks = np.full((rows, SIZE // 32), -1, dtype=np.int32)
    filling, taking = [], []
    draws = np.random.default_rng(0).random((STEPS, rows))
    ended = 0
    for step in range(STEPS):
        # A row whose answer has ended keeps what it has: nothing.
        masks[:] = 0
        started = time.perf_counter()
        fill(masks)
        filling.append(time.perf_counter() - started)
        allowed = [np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")) for row in masks]
        allowed = [tokens[tokens != EOS] for tokens in allowed]
        chosen = [
            int(tokens[int(draw * len(tokens))]) if len(tokens) else -1
            for tokens, draw in zip(allowed, draws[step], strict=True)
        ]
        ended += chosen.count(-1)
        started = time.perf_counter()
        take(chosen)
        taking.append(time.perf_counter() - started)
    return {
        "compile_s": compile_s,
        "masks_ms": 1e3 * statistics.median(filling),
        "masks_ms_max": 1e3 * max(filling),
        "take_ms": 1e3 * statistics.median(taking),
        "share_of_rows_running": 1 - ended / (STEPS * rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--limit", type=float, default=300, help="seconds that a library may take")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=LIBRARIES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.only:
        print(json.dumps(walk(chosen.only, chosen.rows)))
        return
    result: dict[str, Any] = {"rows": chosen.rows, "cores": os.cpu_count(), "libraries": {}}
    for name in LIBRARIES:
        words = [sys.executable, __file__, "--only", name, "--rows", str(chosen.rows)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=chosen.limit, check=False)
        except subprocess.TimeoutExpired:
            print(f"{name:22} not done within {chosen.limit:.0f} s")
            result["libraries"][name] = None
            continue
        if done.returncode:
            print(f"{name:22} {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
            result["libraries"][name] = None
            continue
        row = json.loads(done.stdout.splitlines()[-1])
        result["libraries"][name] = row
        print(
            f"{name:22} compiled in {row['compile_s']:7.3f} s; {chosen.rows} masks in {row['masks_ms']:7.2f} ms "
            f"(at most {row['masks_ms_max']:7.2f}); {chosen.rows} tokens taken in {row['take_ms']:6.2f} ms",
            flush=True,
        )
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
