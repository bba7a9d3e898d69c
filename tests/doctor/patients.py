"""Models for the doctor: a sound one, and one for each thing that can be wrong with a model."""

import itertools
import os
import time

from ghostbench import (
    LocalModel,
    ModelSpec,
    Nonfinite,
    RateLimited,
    Refused,
    RemoteModel,
    Reply,
    RequestRejected,
    Usage,
    Verdict,
    hookimpl,
)

LOCAL = (
    "Sound Blind Timed Restless Wavering Companion Undefined Crashing Unloadable Refusing Single Unsized "
    "Orderless Choosy StuckLoading StuckAnswering StuckPreparing Vanishing"
)
REMOTE = "Priced Unpriced BlindRemote Busy Dear"


@hookimpl
def register_models(register):
    for kind, names in (("local", LOCAL), ("remote", REMOTE)):
        for name in names.split():
            register(ModelSpec(name=name.lower(), load=f"patients:{name}", kind=kind, summary=name))
    register(ModelSpec(name="frameless", load="patients:Blind", kind="local", summary="f", needs_frames=False))
    register(ModelSpec(name="absent", load="no_such_module:Model", kind="local", summary="its module is not there"))


def reply(request, p, evidence="seen", **more):
    verdict = Verdict(grade="ghost_probing" if p > 0.3 else "normal", evidence=evidence)
    return Reply(text=request.write_answer(verdict), grade_probabilities={"ghost_probing": p}, **more)


def brightness(request):
    """Of the first quarter of the frames, so that their order counts."""
    pixels = request.frames.pixels
    return float(pixels[: max(1, len(pixels) // 4)].mean()) / 255


class Sound(LocalModel):
    @property
    def batch_size(self):
        return 4

    def answer(self, requests):
        return [reply(request, brightness(request), batch_size=len(requests)) for request in requests]


class Single(Sound):
    @property
    def batch_size(self):
        return 1


class Blind(Sound):
    """Never looks at its frames."""

    def answer(self, requests):
        return [reply(request, 0.5) for request in requests]


class Timed(Sound):
    """Looks at timestamps and nothing else: another answer for each clip all the same."""

    def answer(self, requests):
        return [reply(r, r.frames.duration_s / 100, evidence=f"{r.frames.times_s}"[:200]) for r in requests]


class Choosy(Sound):
    """Says what it cannot do without, for that request alone."""

    def answer(self, requests):
        return [RequestRejected("no frames") if r.frames is None else reply(r, brightness(r)) for r in requests]


class Orderless(Sound):
    def answer(self, requests):
        return [reply(request, round(float(request.frames.pixels.mean()) / 255, 9)) for request in requests]


class Restless(Sound):
    """Blind, and another answer each time: what looks like a change of frames is its own."""

    def __init__(self, settings, argument=None):
        super().__init__(settings, argument)
        self.asked = itertools.count()

    def answer(self, requests):
        return [reply(request, (next(self.asked) * 0.37) % 1) for request in requests]


class Wavering(Restless):
    """Blind, without scores, and in other words each time."""

    def answer(self, requests):
        verdict = Verdict(grade="normal", evidence=f"thought {next(self.asked)}")
        return [Reply(text=request.write_answer(verdict)) for request in requests]


class Companion(Sound):
    def answer(self, requests):
        return [reply(request, min(1.0, brightness(request) + 0.05 * len(requests))) for request in requests]


class Undefined(Sound):
    def answer(self, requests):
        return [Nonfinite("logits hold NaN") for _ in requests]


class Crashing(Sound):
    def answer(self, requests):
        return [reply(request, float("nan")) for request in requests]


class Vanishing(Sound):
    def answer(self, requests):
        os._exit(0)


class Unloadable(Sound):
    def load(self):
        raise OSError("weights.safetensors: no such file")


class StuckLoading(Sound):
    def load(self):
        time.sleep(3600)


class StuckAnswering(Sound):
    def answer(self, requests):
        time.sleep(3600)


class StuckPreparing(Sound):
    def prepare(self, request):
        time.sleep(3600)


class Refusing(Sound):
    def answer(self, requests):
        replies = super().answer(requests)
        return [Refused("I would rather not"), *replies[1:]]


class Unsized(Sound):
    def answer(self, requests):
        return super().answer(requests)[:-1]


class Priced(RemoteModel):
    price = 0.01

    async def answer(self, request):
        return reply(
            request, brightness(request), usage=Usage(input_tokens=1000, output_tokens=50, cost_usd=self.price / 2)
        )

    def estimate(self, request):
        return Usage(input_tokens=1000, output_tokens=256, cost_usd=self.price)


class Dear(Priced):
    price = 7.0


class Unpriced(Priced):
    async def answer(self, request):
        return reply(request, brightness(request), usage=Usage(input_tokens=1000))

    def estimate(self, request):
        return Usage()


class BlindRemote(Unpriced):
    async def answer(self, request):
        return reply(request, 0.5)


class Busy(Unpriced):
    """Says once that it is busy."""

    said = False

    async def answer(self, request):
        if not self.said:
            self.said = True
            raise RateLimited("slow down", retry_after_s=0.01)
        return await super().answer(request)
