"""How well `bench run` uses a server of the OpenAI kind: in a storm of failures, at full speed, and in memory.

Three parts, each against a loopback server in a process of its own (tests/openai/server), which fails by plan, keeps
its limits and writes its own account:

storm       200 clips; of first attempts 30% meet a 429 with Retry-After, 5% a reset, 5% no answer at all, 2% a web
            page. The server lets through so many requests a minute. Wall time as the server saw it (first request to
            last answer) against the ideal, which is computed by replaying the same failures with no overhead at all: a
            request starts as soon as a place is free, the server's budget has room and its Retry-After is over. Beside
            it, in the same run: the same requests through a plain loop over the SDK with its default retries, at the
            same concurrency, timeout and server. The run's ledger is held against the server's account.
throughput  no failures, 300 ms latency, concurrency 32: requests a second against concurrency / latency, and CPU time a
            request, as the slope between a short and a long run, so that start-up does not count.
memory      resident memory over the long run: its median in the second fifth against that in the last.

    python benchmark/perf/openai_storm.py [--part storm|speed] [--clips 200] [--repeats 25]

Exits with status 1 where a bound is missed: storm over 1.15 × ideal, throughput under 90%, an unequal account.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SERVER = Path(__file__).resolve().parents[2] / "tests" / "openai" / "server"
sys.path.insert(0, str(SERVER))

from loopback_openai import Storm, draw_clips  # noqa: E402

CONCURRENCY = 32
LATENCY_S = 0.3
TIMEOUT_S = 3.0
STORM = {"rate_limited": 0.30, "resets": 0.05, "hangs": 0.05, "garbage": 0.02, "retry_after_s": 2.0, "seed": 1}
BUDGET = {"per_minute": 1200.0, "size": 60.0}
KEY = "sk-loopback-benchmark-key"


@contextmanager
def serving(log: Path, plan: dict[str, Any]) -> Iterator[str]:
    """The server as a process; its base URL."""
    env = {**os.environ, "PYTHONPATH": str(SERVER)}
    command = [sys.executable, "-m", "loopback_openai", str(log), json.dumps(plan)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.terminate()
        process.wait()


def entries(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@dataclass
class Command:
    """A finished process: CPU seconds of itself, and its resident memory over time."""

    cpu_s: float
    wall_s: float
    rss: list[tuple[float, int]]


def run_bench(dataset: Path, out: Path, url: str, run_id: str, *more: str) -> Command:
    """`bench run` of gpt-4.1 against the server."""
    words = [sys.executable, "-m", "ghostbench", "run", "--quiet", "--dataset", str(dataset), "--models", "gpt-4.1"]
    words += ["--out", str(out), "--run-id", run_id, "--sampling", "uniform:10"]
    for name, value in (("base_url", url), ("concurrency", CONCURRENCY), ("timeout_s", TIMEOUT_S)):
        words += ["--set", f"gpt-4.1.{name}={value}"]
    began = time.monotonic()
    process = subprocess.Popen([*words, *more], env={**os.environ, "OPENAI_API_KEY": KEY})
    rss: list[tuple[float, int]] = []
    watching = threading.Thread(target=watch, args=(process, rss))
    watching.start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    watching.join()
    if process.returncode not in {0, 1}:
        raise SystemExit(f"bench run ended with {process.returncode}")
    return Command(usage.ru_utime + usage.ru_stime, time.monotonic() - began, rss)


def watch(process: subprocess.Popen[bytes], rss: list[tuple[float, int]]) -> None:
    seen = psutil.Process(process.pid)
    while process.returncode is None:
        try:
            rss.append((time.monotonic(), seen.memory_info().rss))
        except psutil.Error:
            return
        time.sleep(0.25)


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def seen_wall_s(account: Sequence[dict[str, Any]]) -> float:
    return max(e["ended"] for e in account) - min(e["began"] for e in account)


def ideal_s(keys: Sequence[str]) -> float:
    """The least time for these requests: their first attempts fail as planned, and nothing takes time but the server.

    The better of two orders: first attempts before repeated ones (so that failures come early), and the reverse.
    """
    return min(played_s(keys, repeated_first=False), played_s(keys, repeated_first=True))


def played_s(keys: Sequence[str], *, repeated_first: bool) -> float:
    """Plays the events through: `CONCURRENCY` places, the server's budget, Retry-After; no backoff, no overhead."""
    storm = Storm(**STORM)
    now, level, free = 0.0, BUDGET["size"], CONCURRENCY
    rate = BUDGET["per_minute"] / 60
    fresh, again = list(reversed(keys)), 0
    events: list[tuple[float, int, str]] = []
    while fresh or again or events:
        while (fresh or again) and free and level >= 1:
            free, level = free - 1, level - 1
            fault = None
            if again and (repeated_first or not fresh):
                again -= 1
            else:
                fault = storm.fault_for(fresh.pop(), 1)
            kind = fault.kind if fault is not None else "answer"
            took = {"answer": LATENCY_S, "garbage": LATENCY_S, "hang": TIMEOUT_S}.get(kind, 0.0)
            heapq.heappush(events, (now + took, len(events), kind))
        wake = events[0][0] if events else now
        if (fresh or again) and free and level < 1:
            wake = min(wake, now + (1 - level) / rate) if events else now + (1 - level) / rate
        level = min(BUDGET["size"], level + (wake - now) * rate + 1e-12)
        now = wake
        while events and events[0][0] <= now:
            _, _, kind = heapq.heappop(events)
            if kind == "rested":
                again += 1
                continue
            free += 1
            if kind == "status":
                heapq.heappush(events, (now + STORM["retry_after_s"], len(events), "rested"))
            elif kind != "answer":
                again += 1
    return now


def plain_loop(url: str, bodies: Sequence[list[dict[str, Any]]]) -> Counter[str]:
    """The same requests over the SDK with its default retries: what came of each."""
    import openai

    async def ask(client: openai.AsyncOpenAI, places: asyncio.Semaphore, messages: Any) -> str:
        async with places:
            try:
                done = await client.chat.completions.create(model="gpt-4.1", messages=messages, max_tokens=256)
                return "answered" if json.loads(done.choices[0].message.content or "")["grade"] else "unparseable"
            except (openai.OpenAIError, ValueError, AttributeError, TypeError) as error:
                return f"lost: {type(error).__name__}"

    async def main() -> Counter[str]:
        async with openai.AsyncOpenAI(base_url=url, api_key=KEY, timeout=TIMEOUT_S) as client:
            places = asyncio.Semaphore(CONCURRENCY)
            return Counter(await asyncio.gather(*(ask(client, places, messages) for messages in bodies)))

    return asyncio.run(main())


def messages_of(dataset: Path) -> list[list[dict[str, Any]]]:
    """The requests that `bench run` sends about these clips, as plain messages: encoded beforehand, at no cost here."""
    from ghostbench.media.decode import decode
    from ghostbench.media.sampling import parse_sampling
    from ghostbench.records import TextPart
    from ghostbench.tasks.ghost_probing import GhostProbing
    from ghostbench_remote.images import jpegs

    made = []
    for path in sorted((dataset.parent / "clips").iterdir()):
        frames = decode(str(path), parse_sampling("uniform:10"))
        prompt = GhostProbing().build(frames)
        images = jpegs(frames, 1024)
        user: list[dict[str, Any]] = []
        for part in prompt.parts:
            if isinstance(part, TextPart):
                user.append({"type": "text", "text": part.text})
            else:
                url = f"data:image/jpeg;base64,{images[part.position].decode()}"
                user.append({"type": "image_url", "image_url": {"detail": "high", "url": url}})
        made.append([{"role": "system", "content": prompt.system}, {"role": "user", "content": user}])
    return made


def storm_part(dataset: Path, out: Path) -> bool:
    plan = {"latency_s": LATENCY_S, "storm": STORM, "requests": BUDGET}
    with serving(out / "ours.log", plan) as url:
        command = run_bench(dataset, out, url, "storm")
    account = entries(out / "ours.log")
    bodies = messages_of(dataset)
    with serving(out / "plain.log", plan) as url:
        plain = plain_loop(url, bodies)
    theirs = entries(out / "plain.log")

    attempts, predictions = jsonl(out / "storm/attempts.jsonl"), jsonl(out / "storm/predictions.jsonl")
    keys = list(dict.fromkeys(e["key"] for e in sorted(account, key=lambda e: e["began"])))
    ideal, ours, plain_s = ideal_s(keys), seen_wall_s(account), seen_wall_s(theirs)
    equal = Counter(line["request_id"] for line in attempts) == Counter(entry["client_id"] for entry in account)
    answered = sum(line["outcome"] == "answered" for line in predictions)
    print(f"storm: {len(predictions)} clips, concurrency {CONCURRENCY}, latency {LATENCY_S} s, timeout {TIMEOUT_S} s")
    print(
        f"  server's account: {dict(Counter(e['kind'] for e in account))}, {BUDGET['per_minute']:.0f} requests a minute"
    )
    print(f"  ideal                 {ideal:6.2f} s")
    print(f"  bench run             {ours:6.2f} s  = {ours / ideal:.3f} x ideal; {answered} answered")
    print(f"  plain loop, SDK       {plain_s:6.2f} s  = {plain_s / ideal_s(keys):.3f} x ideal; {dict(plain)}")
    print(
        f"  plain loop's requests {len(theirs)}, of them over the budget {sum(e['kind'] == 'budget' for e in theirs)}"
    )
    print(f"  whole command         {command.wall_s:6.2f} s (start-up, decoding, scoring and report included)")
    print(f"  ledger equal to the server's account: {equal}; each clip once: {len({p['clip'] for p in predictions})}")
    return equal and answered == len(predictions) and ours <= 1.15 * ideal


def speed_part(dataset: Path, out: Path, repeats: int) -> bool:
    commands, accounts = {}, {}
    for count in (1, repeats):
        log = out / f"speed{count}.log"
        with serving(log, {"latency_s": LATENCY_S}) as url:
            commands[count] = run_bench(dataset, out, url, f"speed{count}", "--repeats", str(count))
        accounts[count] = entries(log)
    account, command = accounts[repeats], commands[repeats]
    began, wall = min(e["began"] for e in account), seen_wall_s(account)
    ideal = CONCURRENCY / LATENCY_S
    rate = len(account) / wall
    cpu = (command.cpu_s - commands[1].cpu_s) / (len(account) - len(accounts[1]))
    while_asking = [rss for at, rss in command.rss if began <= at <= began + wall]
    fifth = len(while_asking) // 5
    early, late = statistics.median(while_asking[fifth : 2 * fifth]), statistics.median(while_asking[-fifth:])
    print(f"speed: {len(account)} requests of {request_bytes(dataset) / 1e3:.0f} kB, concurrency {CONCURRENCY}, 300 ms")
    print(f"  throughput {rate:.1f} requests/s of {ideal:.1f} = {rate / ideal:.1%}")
    print(f"  CPU {cpu * 1e3:.2f} ms a request, the whole harness included")
    print(f"  memory {early / 2**20:.0f} MiB in the second fifth, {late / 2**20:.0f} MiB in the last")
    return rate >= 0.9 * ideal


def request_bytes(dataset: Path) -> int:
    first = messages_of(dataset)[0]
    return len(json.dumps(first))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("storm", "speed", "all"), default="all")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--size", default="640x272", help="pixels of the drawn clips")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = draw_clips(root, given.clips, (width, height))
        good = True
        if given.part in {"storm", "all"}:
            good = storm_part(dataset, root) and good
        if given.part in {"speed", "all"}:
            good = speed_part(dataset, root, given.repeats) and good
    print("all bounds kept" if good else "a bound was missed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
