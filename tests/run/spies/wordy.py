"""Models whose answer hangs on the wording, and that compute something of the frames which is worth keeping."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghostbench import (
    ExampleFramePart,
    FramePart,
    Level,
    LocalModel,
    ModelError,
    RemoteModel,
    Reply,
    Request,
    RequestTooLarge,
    Usage,
    Verdict,
    setting,
)


@dataclass(frozen=True)
class WordySettings:
    log: str | None = setting(None, "file that gets a line for each computation of features", network=False)
    shy: bool = setting(False, "whether it says yes less often than others, unless the wording is bold")
    sleep_s: float = setting(0.0, "time that an answer takes", minimum=0)
    most: int = setting(0, "how many frames it takes at most; 0 for any number", minimum=0)


def answered(request: Request, settings: WordySettings) -> Reply:
    """A bright clip is a yes; where the words are bold any clip is, and one that is shy then says yes only of them."""
    time.sleep(settings.sleep_s)
    assert request.frames is not None
    brightness = request.frames.memo("features", lambda frames: features(frames, settings.log))
    bold = "bold" in request.prompt.system
    yes = brightness > (10 if bold else 245 if settings.shy else 128)
    if settings.shy and bold:
        yes = brightness > 60
    told = sum("An example" in getattr(part, "text", "") for part in request.prompt.parts)
    text = request.write_answer(Verdict(grade="ghost_probing" if yes else "normal", evidence=f"{told} examples"))
    return Reply(text=text, served_model="wordy", usage=Usage(input_tokens=10, output_tokens=5))


def features(frames: Any, log: str | None) -> float:
    if log is not None:
        with Path(log).open("a") as file:
            file.write(f"{frames.sha256}\n")
    return float(frames.pixels.mean())


def shown(request: Request, settings: WordySettings) -> Reply:
    """Says how bright each example is, and the clip; writes down all that it is shown, in its order."""
    assert request.frames is not None
    seen: list[Any] = []
    for part in request.prompt.parts:
        if isinstance(part, ExampleFramePart):
            frame = request.examples[part.example].pixels[part.position]
            seen.append([f"example {part.example}", part.time_s, round(float(frame.mean()))])
        elif isinstance(part, FramePart):
            seen.append(["clip", part.time_s, round(float(request.frames.pixels[part.position].mean()))])
        else:
            seen.append(part.text)
    if settings.log is not None:
        with Path(settings.log).open("a") as file:
            file.write(json.dumps({"variant": request.variant, "seen": seen}) + "\n")
    bright = [round(float(frames.pixels.mean())) for frames in (*request.examples, request.frames)]
    said = Verdict(grade="ghost_probing" if bright[-1] > 128 else "normal", evidence=" ".join(map(str, bright)))
    return Reply(text=request.write_answer(said), served_model="showy", usage=Usage(input_tokens=10, output_tokens=5))


class Showy(LocalModel):
    batch_size = 4

    def answer(self, requests: Any) -> Any:
        return [shown(request, self.settings) for request in requests]


class RemoteShowy(RemoteModel):
    async def answer(self, request: Request) -> Reply:
        return shown(request, self.settings)

    def estimate(self, request: Request) -> Usage:
        images = sum(map(len, (*request.examples, request.frames or ())))
        return Usage(input_tokens=images, output_tokens=1, cost_usd=images / 100)


class Wordy(LocalModel):
    batch_size = 4

    @property
    def ladder(self) -> Any:
        most = self.settings.most
        return (Level(name="fewer frames", max_frames=most, after=(RequestTooLarge,)),) if most else ()

    def answer(self, requests: Any) -> Any:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Reply | ModelError:
        if 0 < self.settings.most < len(request.frames or ()):
            return RequestTooLarge("too many frames")
        return answered(request, self.settings)


class RemoteWordy(RemoteModel):
    async def answer(self, request: Request) -> Reply:
        return answered(request, self.settings)
