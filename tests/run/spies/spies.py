"""Models that misbehave on purpose, registered the way an outside plugin is: by an entry point on the path."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from wordy import WordySettings

import ghostbench
import ghostbench.errors as ghostbench_errors
from ghostbench import (
    Level,
    LocalModel,
    ModelError,
    ModelSpec,
    Nonfinite,
    RateLimited,
    ReferenceModel,
    Refused,
    RemoteModel,
    Reply,
    Request,
    RequestRejected,
    RequestTooLarge,
    Resources,
    Stages,
    TaskSpec,
    Truncated,
    Usage,
    Verdict,
    hookimpl,
    setting,
)


@dataclass(frozen=True)
class SpySettings:
    outcome: str = setting("answered", "name of the error to raise, or answered", network=False)
    after: int = setting(0, "answer this many clips before that", minimum=0)
    times: int = setting(10**9, "raise it at most this often", minimum=0)
    sleep_s: float = setting(0.0, "time that an answer takes", minimum=0)
    batch: int = setting(1, "batch size", minimum=1, throughput=True)
    ladder: bool = setting(False, "whether to declare fallback levels")
    cost_usd: float = setting(0.0, "price of an answer", minimum=0)
    price_known: bool = setting(True, "whether an estimate has a price")
    retry_after_s: float | None = setting(None, "what the server asks for")
    log: str | None = setting(None, "file that gets one line per request", network=False)
    raw: str | None = setting(None, "text to answer instead of a verdict", network=False)
    replicas: int = setting(1, "batches at the same time", minimum=1)
    gate: str | None = setting(None, "file that must be there before it answers a second time", network=False)


class Behaviour:
    def __init__(self, settings: SpySettings) -> None:
        self.settings = settings
        self.asked = 0
        self.raised = 0

    def respond(self, request: Request) -> Reply | ModelError:
        s = self.settings
        self.asked += 1
        if s.log:
            with Path(s.log).open("a") as log:
                log.write(json.dumps({"id": request.id, "level": request.level, "at": time.time()}) + "\n")
        usage = Usage(input_tokens=10, output_tokens=5, cost_usd=s.cost_usd)
        if s.outcome != "answered" and self.asked > s.after and self.raised < s.times:
            self.raised += 1
            kind = getattr(ghostbench, s.outcome, None)
            if kind is None:
                raise RuntimeError("the adapter broke")
            return kind(f"planted {s.outcome}", retry_after_s=s.retry_after_s)
        score = 0.0
        if request.frames is not None:
            score = float(request.frames.pixels[:, ::16, ::16].mean()) / 255
        text = request.write_answer(Verdict(grade="ghost_probing" if score > 0.5 else "normal"))
        return Reply(
            text=s.raw if s.raw is not None else text,
            served_model="spy-1",
            usage=usage,
            grade_probabilities={"ghost_probing": score, "normal": 1 - score},
        )


LADDER = (
    Level(name="careful", settings={"careful": True}, after=(RequestRejected, Nonfinite)),
    Level(name="three frames", max_frames=3, after=(RequestTooLarge,)),
)


class LocalSpy(LocalModel):
    def __init__(self, settings: SpySettings, argument: str | None = None) -> None:
        super().__init__(settings, argument)
        self.behaviour = Behaviour(settings)
        self.ladder = LADDER if settings.ladder else ()

    @property
    def batch_size(self) -> int:
        return self.settings.batch

    def answer(self, requests: Any) -> Any:
        if self.settings.gate is not None and self.behaviour.asked:
            wait_at(Path(self.settings.gate))
        time.sleep(self.settings.sleep_s)
        return [self.behaviour.respond(request) for request in requests]


def kill_oneself(number: int) -> None:
    """Send the signal to this process, and wait for it: another thread may be the one that takes it, when it comes to
    run."""
    os.kill(os.getpid(), number)
    time.sleep(600)


def wait_at(gate: Path) -> None:
    """Say beside the gate that one waits, and wait until it is there."""
    with gate.with_suffix(".waiting").open("a") as waiting:
        waiting.write("x\n")
    while not gate.exists():
        time.sleep(0.02)


class Failing(LocalSpy):
    """Raises the error that its argument names."""

    def __init__(self, settings: SpySettings, argument: str | None = None) -> None:
        super().__init__(replace(settings, outcome=argument or ""), argument)


SAYINGS = {
    "blank": " ",
    "word": "yes",
    "title": "ghost probing",
    "torn": '{"grade": "ghost_probing"',
    "capitals": '{"grade": "Ghost Probing"}',
}


class Saying(LocalSpy):
    """Answers with the text of that name."""

    def __init__(self, settings: SpySettings, argument: str | None = None) -> None:
        super().__init__(replace(settings, raw=SAYINGS[argument or ""]), argument)


class OnGpu(LocalSpy):
    """Says as its served model which GPUs are left to it."""

    def answer(self, requests: Any) -> Any:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        return [replace(reply, served_model=seen) for reply in super().answer(requests)]


class Picky(LocalSpy):
    """Breaks on a whole batch because of one request without frames; logs what each batch was made of."""

    @property
    def parallel_batches(self) -> int:
        return self.settings.replicas

    def answer(self, requests: Any) -> Any:
        time.sleep(self.settings.sleep_s)
        if self.settings.log:
            seen = [request.frames is not None and request.frames.sha256 for request in requests]
            with Path(self.settings.log).open("a") as log:
                log.write(json.dumps(seen) + "\n")
        return [
            Reply(text=request.write_answer(Verdict(grade="normal")), served_model=str(request.frames.pixels.mean()))
            for request in requests
        ]


def scribble(frames: Any, how: str) -> None:
    """Blacken the frames in place, past the mark that says they are read-only."""
    pixels = frames.pixels
    if how == "torch":
        import torch

        torch.from_numpy(pixels)[:, :20] = 0
    elif how == "flags":
        pixels.flags.writeable = True
        pixels[:] = 0
    else:
        ctypes.memset(pixels.ctypes.data, 0, pixels.nbytes)


def what_it_sees(request: Request) -> Reply:
    """An answer whose `served_model` is the brightness of the frames and the size of the schema, as they arrived."""
    seen = f"{request.frames.pixels.mean():.3f} {len(request.prompt.schema)}" if request.frames is not None else "-"
    return Reply(text=request.write_answer(Verdict(grade="normal")), served_model=seen)


class Scribbler(LocalModel):
    """Writes into everything that it is handed, in the way that its argument names, after it has looked."""

    batch_size = 4

    def prepare(self, request: Request) -> Any:
        if request.frames is not None and self.argument == "early":
            scribble(request.frames, "flags")

    def answer(self, requests: Any) -> Any:
        replies = [what_it_sees(request) for request in requests]
        for request in requests:
            request.prompt.schema.clear()
            if request.frames is not None and self.argument != "early":
                request.frames.memo("mine", lambda frames: scribble(frames, "flags"))
                scribble(request.frames, self.argument or "")
                request.frames.times_s = ()
        return replies


class Hanging(LocalModel):
    """Never comes back from what its argument names; answers otherwise."""

    batch_size = 2

    def _hang(self, where: str) -> None:
        while self.argument == where:
            time.sleep(3600)

    def load(self) -> Any:
        self._hang("load")
        return {}

    @property
    def parallel_batches(self) -> int:
        return 1

    def answer(self, requests: Any) -> Any:
        self._hang("answer")
        if self.argument == "thread":
            threading.Thread(target=time.sleep, args=(3600,)).start()
        return [Reply(text=r.write_answer(Verdict(grade="normal"))) for r in requests]

    def close(self) -> None:
        self._hang("close")
        if self.argument == "reading":
            # Closes when that file is there, and says so.
            report, until = Path(os.environ["CLOSES_AFTER"]), time.monotonic() + 300
            while not report.exists() and time.monotonic() < until:
                time.sleep(0.02)
            print("closed after the report" if report.exists() else "closed before the report", flush=True)
            logging.getLogger("closing").warning("was closed")


class Deadly(LocalModel):
    """Ends the process in the way that its argument names, at every clip, or ("…-once") at a dark one only."""

    @property
    def batch_size(self) -> int:
        return 1 if self.argument == "exit" else 3

    def _end(self) -> None:
        how = (self.argument or "").partition("-")[0]
        if how in {"exit", "load"}:
            os._exit(0)
        if how == "block":
            ctypes.PyDLL(None).sleep(3600)
        kill_oneself(signal.Signals[how])

    def load(self) -> Any:
        if self.argument == "load":
            self._end()
        return {}

    def answer(self, requests: Any) -> Any:
        once = (self.argument or "").endswith("-once")
        if not once or any(request.frames.pixels.mean() < 75 for request in requests):
            time.sleep(0.3)
            self._end()
        return [Reply(text=r.write_answer(Verdict(grade="normal"))) for r in requests]


class Unmovable(Refused):
    """An error that can be raised and cannot be taken anywhere else."""

    def __init__(self, message: str, *, lock: Any) -> None:
        super().__init__(message)
        self.lock = lock


class Rogue(LocalModel):
    """Answers; at the darkest clip it does what its argument names to the process that it is in."""

    batch_size = 3

    def load(self) -> Any:
        if self.argument == "load-dies":
            kill_oneself(signal.SIGSEGV)
        if self.argument == "load-dies-once" and not (mark := Path("died-once")).exists():
            mark.touch()
            os._exit(3)
        if self.argument == "leak":
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        return {"lock": threading.Lock()}

    def prepare(self, request: Request) -> Any:
        if self.argument == "hang-early" and self._is_dark(request):
            time.sleep(3600)
        if self.argument == "die-early" and self._is_dark(request):
            os._exit(7)
        return threading.Lock()

    def answer(self, requests: Any) -> Any:
        assert all(request.prepared is not None for request in requests)
        if any(self._is_dark(request) for request in requests):
            what = getattr(self, "_" + (self.argument or "").replace("-", "_"), None)
            if what is not None:
                what()
        dark = Unmovable("no", lock=threading.Lock()) if self.argument == "unmovable" else None
        return [
            dark if dark is not None and self._is_dark(r) else Reply(text=r.write_answer(Verdict(grade="normal")))
            for r in requests
        ]

    def _is_dark(self, request: Request) -> bool:
        return request.frames.pixels.mean() < 75

    def _segfault(self) -> None:
        ctypes.string_at(0)

    def _killed(self) -> None:
        kill_oneself(signal.SIGKILL)

    def _os_exit(self) -> None:
        os._exit(0)

    def _sys_exit(self) -> None:
        sys.exit(0)

    def _abort_elsewhere(self) -> None:
        thread = threading.Thread(target=os.abort)
        thread.start()
        thread.join()

    def _hang(self) -> None:
        time.sleep(3600)

    def _hang_whole(self) -> None:
        ctypes.PyDLL(None).sleep(3600)

    def _freeze(self) -> None:
        kill_oneself(signal.SIGSTOP)

    def _leak(self) -> None:
        import numpy

        held = []
        while True:
            held.append(numpy.empty(1 << 26, numpy.uint8))

    def _flood(self) -> None:
        for _ in range(200):
            os.write(1, b"flood " * 50_000)

    def _close_all(self) -> None:
        os.closerange(3, 1024)
        time.sleep(3600)

    def _children(self) -> None:
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(5)

    def _garbage(self) -> None:
        for number in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if number.readlink().name.startswith("socket:"):
                    os.write(int(number.name), b"\xff" * 4096)
        time.sleep(3600)


class Chatty(LocalModel):
    """Prints by every way there is, and far too much."""

    def load(self) -> Any:
        print("loading chatty")
        return {}

    def answer(self, requests: Any) -> Any:
        print("{}" * 100_000)
        print(f"the key is {os.environ.get('SPY_API_KEY')}", file=sys.stderr)
        os.write(1, b"straight to one\n")
        os.system("echo from a process of mine")
        return [Reply(text=r.write_answer(Verdict(grade="normal"))) for r in requests]


class Closing(LocalModel):
    """Closes a file of the run's, the one that its argument names."""

    def answer(self, requests: Any) -> Any:
        for number in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if number.readlink().name == self.argument:
                    os.close(int(number.name))
        return [Reply(text=r.write_answer(Verdict(grade="normal"))) for r in requests]


class Talkative(LocalModel):
    """Uses the library's way to speak, and refuses."""

    def load(self) -> Any:
        logging.getLogger("talkative").warning("opening with %s", os.environ.get("SPY_API_KEY"))
        return {}

    def answer(self, requests: Any) -> Any:
        logging.getLogger("talkative").info("not heard")
        logging.getLogger("talkative").warning("looking at a batch")
        return [Refused("no") for _ in requests]


class Restless(LocalModel):
    """Changes whatever the process has in common, as libraries do when they are set up."""

    def answer(self, requests: Any) -> Any:
        os.chdir("/")
        logging.basicConfig(level=logging.DEBUG)
        logging.getLogger().setLevel(logging.DEBUG)
        warnings.simplefilter("error")
        sys.setrecursionlimit(120)
        if sys.stdout is not None:
            sys.stdout.close()
        sys.stdout = sys.stderr = None  # type: ignore[assignment]
        return [Reply(text=r.write_answer(Verdict(grade="normal"))) for r in requests]


class HangingEarly(Hanging):
    """Never comes back from preparing."""

    def prepare(self, request: Request) -> Any:
        time.sleep(3600)


class HangingRemote(RemoteModel):
    """The same behind a network; "deaf" goes on although it is cancelled."""

    async def load(self) -> Any:
        if self.argument == "load":
            await asyncio.sleep(3600)
        return {}

    async def answer(self, request: Request) -> Reply:
        while self.argument in {"answer", "deaf"}:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if self.argument != "deaf":
                    raise
        return Reply(text=request.write_answer(Verdict(grade="normal")))


class HangingBatch(RemoteModel):
    """Goes through a batch interface and lets hear nothing of itself there; "patient" says so before it is silent."""

    batched = True  # type: ignore[assignment]

    async def answer(self, request: Request) -> Any:
        raise AssertionError("never reached")

    def encode(self, request: Request) -> bytes:
        while self.argument == "encode":
            time.sleep(3600)
        return json.dumps([request.id, request.write_answer(Verdict(grade="normal"))]).encode()

    async def answer_batch(self, lines: Path, journal: Any) -> Any:
        for line in lines.read_text().splitlines():
            if self.argument == "patient":
                journal.expect_silence(1.0)
                await asyncio.sleep(1.0)
            request_id, text = json.loads(line)
            yield request_id, Reply(text=text)
            while self.argument in {"answer", "deaf"}:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    if self.argument != "deaf":
                        raise


class RemoteScribbler(RemoteModel):
    """The same, behind a network."""

    async def answer(self, request: Request) -> Reply:
        reply = what_it_sees(request)
        request.prompt.schema.clear()
        if request.frames is not None:
            scribble(request.frames, "ctypes")
        return reply


class RemoteSpy(RemoteModel):
    def __init__(self, settings: SpySettings, argument: str | None = None) -> None:
        super().__init__(settings, argument)
        self.behaviour = Behaviour(settings)
        self.ladder = LADDER if settings.ladder else ()

    def estimate(self, request: Request) -> Usage:
        price = self.settings.cost_usd if self.settings.price_known else None
        return Usage(input_tokens=10, output_tokens=5, cost_usd=price)

    async def answer(self, request: Request) -> Reply:
        await asyncio.sleep(self.settings.sleep_s)
        result = self.behaviour.respond(request)
        if isinstance(result, ModelError):
            raise result
        return result


class Dumper(LocalModel):
    """Writes down everything that can be reached from a request."""

    def answer(self, requests: Any) -> Any:
        import pickle

        with Path(os.environ["SPY_DUMP"]).open("ab") as dump:
            for request in requests:
                seen: set[int] = set()
                dump.write(repr(request).encode() + b"\n")
                self._walk(request, dump, seen)
                dump.write(pickle.dumps([request.prompt, request.level_settings]))
        return [Reply(text=r.write_answer(Verdict(grade="normal"))) for r in requests]

    def _walk(self, value: Any, dump: Any, seen: set[int]) -> None:
        if id(value) in seen or isinstance(value, type) or type(value).__module__ == "numpy":
            return
        seen.add(id(value))
        if isinstance(value, str | int | float | bytes | bool | type(None)):
            dump.write(repr(value).encode() + b"\n")
            return
        if isinstance(value, dict):
            for key, item in value.items():
                self._walk(key, dump, seen)
                self._walk(item, dump, seen)
        elif isinstance(value, list | tuple | set | frozenset):
            for item in value:
                self._walk(item, dump, seen)
        else:
            names = [*getattr(value, "__dict__", {}), *getattr(type(value), "__slots__", ())]
            for name in names:
                self._walk(getattr(value, name, None), dump, seen)
            for bound in (getattr(value, "__self__", None), getattr(value, "__closure__", None)):
                self._walk(bound, dump, seen)


class Unloadable(LocalModel):
    def load(self) -> Any:
        raise ghostbench.Unavailable("no such device")

    def answer(self, requests: Any) -> Any:
        raise AssertionError("never reached")


class OwnOutcome(ModelError):
    outcome: ClassVar[Any] = "an outcome of my own"


class Mute(Refused):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise KeyError("no words")


class Speechless(Exception):
    """The same, of no type that the harness knows."""

    def __str__(self) -> str:
        raise KeyError("no words")


BROKEN_REPLIES: dict[str, Any] = {
    "no-usage": {"usage": None},
    "no-stages": {"stages": None},
    "served-object": {"served_model": object()},
    "finish-object": {"finish_reason": object()},
    "batch-text": {"batch_size": "4"},
    "note-object": {"notes": (object(),)},
    "half-tokens": {"usage": Usage(input_tokens=1.5)},  # type: ignore[arg-type]
    "age-of-the-world": {"stages": Stages(vision_s=4e17)},
    "rounding": {"grade_probabilities": {"ghost_probing": -1e-10, "normal": 1 + 1e-10}},
    "probability-list": {"grade_probabilities": [0.2, 0.8]},
    "read-only": {"grade_probabilities": MappingProxyType({"ghost_probing": 0.25, "normal": 0.75})},
}
BROKEN_ERRORS: dict[str, Any] = {
    "bare-error": ModelError("neither this nor that"),
    "own-outcome": OwnOutcome("x"),
    "mute": Mute("x"),
    "media-error": ghostbench_errors.DecodeFailed("not mine to say"),
    "text-for-reply": Refused("no", reply="text"),  # type: ignore[arg-type]
    "nan-in-error": Truncated("cut", reply=Reply(text="", usage=Usage(cost_usd=float("nan")))),
    "pause-text": RateLimited("slow down", retry_after_s="soon"),  # type: ignore[arg-type]
    "pause-nan": RateLimited("slow down", retry_after_s=float("nan")),
}


class CarelessRemote(RemoteModel):
    """Lets out of its coroutine what must end neither the request's record nor the run."""

    async def admit(self, request: Request) -> None:
        if self.argument == "cancel-early":
            raise asyncio.CancelledError

    async def answer(self, request: Request) -> Any:
        if self.argument == "cancel":
            raise asyncio.CancelledError
        if self.argument == "exit":
            sys.exit(0)
        if self.argument == "slow-close":
            await asyncio.sleep(600)
        if self.argument in {"cancel-close", "exit-close", "exit-estimate"}:
            return Reply(text=request.write_answer(Verdict(grade="normal")))
        if self.argument == "speechless":
            raise Speechless
        if self.argument == "mute":
            raise Mute("x")
        raise ModelError("neither this nor that")

    def estimate(self, request: Request) -> Usage:
        if self.argument == "exit-estimate":
            sys.exit(0)
        return Usage()

    async def aclose(self) -> None:
        if self.argument == "cancel-close":
            raise asyncio.CancelledError
        if self.argument == "slow-close":
            await asyncio.sleep(600)
        if self.argument == "exit-close":
            sys.exit(0)


class CarelessBatch(RemoteModel):
    """Goes through a batch interface, and fails there as its argument names."""

    batched = True  # type: ignore[assignment]

    async def answer(self, request: Request) -> Any:
        raise AssertionError("never reached")

    def estimate(self, request: Request) -> Usage:
        if self.argument == "estimate" and request.id != "price":
            raise ZeroDivisionError
        if self.argument == "exit-estimate":
            sys.exit(0)
        return Usage(cost_usd=0.01)

    def encode(self, request: Request) -> bytes:
        if self.argument == "exit-encode":
            sys.exit(0)
        return json.dumps([request.id, request.write_answer(Verdict(grade="normal"))]).encode()

    async def answer_batch(self, lines: Path, journal: Any) -> Any:
        for line in lines.read_text().splitlines():
            request_id, text = json.loads(line)
            yield request_id, Reply(text=text)
            if self.argument == "exit-answer":
                sys.exit(0)
            if self.argument == "cancel-answer":
                raise asyncio.CancelledError


@dataclass(frozen=True)
class WiseSettings:
    home: Path | None = setting(None, "a folder")  # noqa: RUF009
    words: tuple[str, ...] = setting(("a", "b"), "some words", network=False)
    share: float = setting(0.5, "a share")
    api_key: str | None = setting(None, "a key")

    def __post_init__(self) -> None:
        if "z" in self.words:
            raise ValueError("z is no word")


class Wise(LocalModel):
    def answer(self, requests: Any) -> Any:
        return [Reply(text=r.write_answer(Verdict(grade="normal"))) for r in requests]


class Careless(LocalModel):
    """Breaks the adapter's contract in the way its argument names."""

    @property
    def ladder(self) -> Any:
        bare = [Level(name="a", after=RequestRejected)]  # type: ignore[arg-type]
        final = [Level(name="after all", after=(Refused,))]
        odd = {"no-ladder": None, "odd-ladder": ["float32"], "bare-ladder": bare, "final-ladder": final}
        return odd.get(self.argument or "", ())

    def check(self) -> None:
        if self.argument == "bad-check":
            raise KeyError("x")
        if self.argument == "exit-check":
            sys.exit(0)

    def load(self) -> Any:
        if self.argument == "slow-load":
            time.sleep(600)
        return {}

    def prepare(self, request: Request) -> Any:
        if self.argument == "exit-early":
            sys.exit(0)

    def close(self) -> None:
        if self.argument == "exit-close":
            sys.exit(0)

    def answer(self, requests: Any) -> Any:
        if self.argument in BROKEN_REPLIES:
            text = requests[0].write_answer(Verdict(grade="normal"))
            return [Reply(text=text, **BROKEN_REPLIES[self.argument]) for _ in requests]
        if self.argument in BROKEN_ERRORS:
            return [BROKEN_ERRORS[self.argument] for _ in requests]
        if self.argument == "exit":
            sys.exit(0)
        if self.argument == "speechless":
            raise Speechless
        if self.argument == "exit-close":
            return [Reply(text=r.write_answer(Verdict(grade="normal"))) for r in requests]
        return {
            "too-few": [],
            "none": [None for _ in requests],
            "bytes": [Reply(text=b"x") for _ in requests],  # type: ignore[arg-type]
            "probability": [Reply(text="{}", grade_probabilities={"ghost_probing": float("nan")}) for _ in requests],
            "surrogate": [Reply(text="\ud800 not an answer") for _ in requests],
        }[self.argument or ""]


class NoOp(ReferenceModel):
    def answer(self, clip: Any, request: Request) -> Reply:
        return Reply(text=request.write_answer(Verdict(grade="normal")))


@hookimpl
def register_tasks(register: Any) -> None:
    register(TaskSpec(name="touchy", load="touchy:Touchy", summary="a spy"))
    register(TaskSpec(name="five-of-ten", load="asking:FiveOfTen", summary="a spy"))
    register(TaskSpec(name="study", load="asking:Study", summary="a spy"))
    register(TaskSpec(name="three-moments", load="asking:ThreeMoments", summary="a spy"))
    register(TaskSpec(name="worded-moments", load="asking:WordedMoments", summary="a spy"))


@hookimpl
def register_models(register: Any) -> None:
    def spec(name: str, target: str, kind: Any, **more: Any) -> None:
        register(ModelSpec(name=name, load=f"spies:{target}", kind=kind, summary="a spy", **more))

    for name, target, kind in (("wordy", "Wordy", "local"), ("remote-wordy", "RemoteWordy", "remote")):
        register(ModelSpec(name=name, load=f"wordy:{target}", kind=kind, summary="a spy", settings=WordySettings))
    for name, target, kind in (("showy", "Showy", "local"), ("remote-showy", "RemoteShowy", "remote")):
        load = f"wordy:{target}"
        register(
            ModelSpec(name=name, load=load, kind=kind, summary="a spy", settings=WordySettings, sees_examples=True)
        )
    spec("local-spy", "LocalSpy", "local", settings=SpySettings)
    spec("remote-spy", "RemoteSpy", "remote", settings=SpySettings)
    spec("failing", "Failing", "local", settings=SpySettings, family="ERROR")
    spec("saying", "Saying", "local", settings=SpySettings, family="NAME", needs_frames=False)
    spec("on-gpu", "OnGpu", "local", settings=SpySettings, resources=Resources(gpus=1))
    spec("picky", "Picky", "local", settings=SpySettings)
    spec("blind-spy", "LocalSpy", "local", settings=SpySettings, needs_frames=False)
    spec("blind-remote", "RemoteSpy", "remote", settings=SpySettings, needs_frames=False)
    spec("scribbler", "Scribbler", "local", family="HOW")
    spec("remote-scribbler", "RemoteScribbler", "remote")
    spec("hanging", "Hanging", "local", family="WHERE", needs_frames=False)
    spec("deadly", "Deadly", "local", family="HOW")
    spec("rogue", "Rogue", "local", family="HOW")
    spec("chatty", "Chatty", "local", needs_frames=False)
    spec("closing", "Closing", "local", family="FILE", needs_frames=False)
    spec("talkative", "Talkative", "local", needs_frames=False)
    spec("restless", "Restless", "local", needs_frames=False)
    spec("hanging-early", "HangingEarly", "local", needs_frames=False)
    spec("hanging-remote", "HangingRemote", "remote", family="WHERE", needs_frames=False)
    spec("hanging-batch", "HangingBatch", "remote", family="WHERE", needs_frames=False)
    spec("dumper", "Dumper", "local")
    spec("unloadable", "Unloadable", "local")
    spec("unimportable", "Missing", "local", needs_frames=False)
    spec("careless", "Careless", "local", family="HOW", needs_frames=False)
    spec("careless-remote", "CarelessRemote", "remote", family="HOW", needs_frames=False)
    spec("careless-batch", "CarelessBatch", "remote", family="HOW", needs_frames=False)
    spec("looking-batch", "CarelessBatch", "remote")
    spec("wise", "Wise", "local", settings=WiseSettings, needs_frames=False)
    spec("nameless", "Careless", "local", family="HOW", row_name=lambda argument: 1 / 0)
    spec("needy-within", "LocalSpy", "local", requires=("no_such_package.part",), extra="ghostbench[needy]")
    spec("no-op", "NoOp", "reference", needs_frames=False)
    spec("needy", "LocalSpy", "local", requires=("no_such_package",), extra="ghostbench[needy]")
