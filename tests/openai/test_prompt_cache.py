"""The moments of a clip are asked so that a server's prompt cache serves them, and what it serves is accounted for."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback_openai import Server

import ghostbench
from ghostbench_openai.body import BodyOptions, build_body
from ghostbench_remote import images

IMAGE = re.compile(rb'"data:image/jpeg;base64,([^"]+)"')


def test_requests_of_a_clip_begin_with_the_bytes_of_the_one_before(bench: Any, server: Server) -> None:
    server.chat.keep_bodies = server.chat.prompt_cache = True
    given = ["--task", "ghost-warning", "--sampling", "fps:12", "--moments", "4/s", "--limit", "3", "--quiet"]
    done = bench.run(*given)
    assert done.returncode == 0, done.stderr
    by_clip: dict[bytes, list[bytes]] = defaultdict(list)
    for body in server.chat.raw:
        by_clip[IMAGE.findall(body)[0]].append(body)
    assert sorted(len(bodies) for bodies in by_clip.values()) == [4, 4, 4]
    for bodies in by_clip.values():
        for before, after in pairwise(bodies):
            shown = len(IMAGE.findall(before))
            assert len(IMAGE.findall(after)) > shown
            until = list(IMAGE.finditer(before))[-1].end() + len(b"}}")
            assert after[:until] == before[:until], "everything up to the last frame of the moment before"
    lines = bench.lines("attempts.jsonl")
    later = [line["usage"] for line in lines if line["moment_s"] > 0.25]
    assert all(usage["cached_tokens"] > 0.3 * usage["input_tokens"] for usage in later)
    cached = sum(line["usage"]["cached_tokens"] for line in lines)
    metrics = json.loads((bench.folder / "results" / "r" / "metrics.json").read_text(encoding="utf-8"))
    usage = metrics["models"]["gpt-4.1"]["usage"]
    assert usage["cached_tokens"] == cached
    # GPT-4.1: 2 dollars a million tokens, a quarter of that from the cache, 8 for what it writes.
    sent, written = usage["input_tokens"], usage["output_tokens"]
    assert usage["cost_usd"] == pytest.approx((2 * (sent - cached) + 0.5 * cached + 8 * written) / 1e6)
    with (bench.folder / "results" / "r" / "tables" / "cost.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["cached_tokens"]) == cached


def test_a_frame_is_encoded_once_for_all_moments_and_models(make_request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    plain = images._encode

    def counted(pixels: Any, max_side: int) -> bytes:
        encoded.append(max_side)
        return plain(pixels, max_side)

    monkeypatch.setattr(images, "_encode", counted)
    options = BodyOptions(
        model="m", limit_field="max_tokens", temperature=None, seed=None, detail="", max_side=512,
        max_output_tokens=9, stream=False, logprobs=False,
    )  # fmt: skip
    request = make_request(count=5)
    for _ in ("one model", "another"):
        for moment in range(1, 6):
            seen = request.frames.take(tuple(range(moment))).private()
            prompt = request.prompt
            parts = [part for part in prompt.parts if getattr(part, "position", 0) < moment]
            build_body(_with(request, seen, parts), options)
    assert len(encoded) == 5


def test_a_frame_is_encoded_once_for_all_services_wordings_and_repeats_of_a_run(
    server: Server, tmp_path: Path, draw_dataset: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("anthropic")
    pytest.importorskip("google.genai")
    key = os.environ["OPENAI_API_KEY"]
    for name in ("ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, key)
    encoded: list[tuple[str, int]] = []
    plain = images._encode

    def counted(pixels: Any, max_side: int) -> bytes:
        encoded.append((hashlib.sha256(pixels.tobytes()).hexdigest(), max_side))
        return plain(pixels, max_side)

    monkeypatch.setattr(images, "_encode", counted)
    # Scores and pages are not what is asked about.
    monkeypatch.setattr("ghostbench.running.execute.make_report", lambda folder: {})
    monkeypatch.setattr("ghostbench.running.execute.conclude", lambda folder, terminal, metrics: 0)
    for reading in ("read_finished", "read_run"):
        monkeypatch.setattr(f"ghostbench.api.{reading}", lambda folder: None)
    form = yaml.safe_load(files("ghostbench.tasks").joinpath("written", "ghost-probing.yaml").read_text("utf-8"))
    task = tmp_path / "task.yaml"
    mine = {**form, "name": "mine", "variants": {"brief": {"question": "Grade it."}}}
    task.write_text(yaml.safe_dump(mine, sort_keys=False), "utf-8")
    host = f"http://127.0.0.1:{server.port}"
    urls = {"gpt-4.1": f"{host}/v1", "claude": host, "gemini": host}
    ghostbench.run(
        "gpt-4.1,anthropic:claude-sonnet-4-5=claude,google:gemini-2.5-flash=gemini",
        settings={name: {"base_url": url, "max_side": 512} for name, url in urls.items()},
        task=str(task), variants="all", repeats=2, probe="shuffled", dataset=str(draw_dataset(6)), limit=1,
        sampling="uniform:3", on="thread", out=tmp_path / "results", run_id="r",
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "results" / "r" / "attempts.jsonl").read_text().splitlines()]
    answered = [line for line in lines if line["outcome"] == "answered"]
    assert len(answered) == 3 * 3 * 2, "services, rows of each, repeats"
    assert list(Counter(encoded).values()) == [2, 2, 2], "once for the clip, once for what the probe makes of it"


def _with(request: Any, frames: Any, parts: Any) -> Any:
    from dataclasses import replace

    return replace(request, frames=frames, prompt=replace(request.prompt, parts=tuple(parts)))
