"""Models for the conformance kit: a sound one of each kind, and one that breaks each rule and no other."""

import asyncio
import itertools
import logging
import os
from dataclasses import replace

import numpy as np

from ghostbench import (
    LocalModel,
    ReferenceModel,
    RemoteModel,
    Reply,
    Stages,
    Verdict,
)


def sound_reply(request, extra=0.0):
    """A reply that depends on the pixels alone."""
    p = float(np.clip(request.frames.pixels[..., 0].mean() / 255 + extra, 0, 1))
    verdict = Verdict(grade="ghost_probing" if p > 0.3 else "normal", evidence=f"brightness {p:.4f}")
    return Reply(text=request.write_answer(verdict), grade_probabilities={"ghost_probing": p})


def raised(reply, by):
    """The reply with a higher probability, in the same words."""
    return replace(reply, grade_probabilities={"ghost_probing": reply.grade_probabilities["ghost_probing"] + by})


class Local(LocalModel):
    """Sound. `fault` is what its next answer fails with."""

    fault = None

    @property
    def batch_size(self):
        return 4

    def answer(self, requests):
        if self.fault is not None:
            raise self.fault
        return [sound_reply(request) for request in requests]


class Remote(RemoteModel):
    """Sound. `fault` is what its next answer fails with."""

    fault = None

    async def answer(self, request):
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return sound_reply(request)


class Reference(ReferenceModel):
    """Sound: it knows the labels."""

    def answer(self, clip, request):
        return Reply(text=request.write_answer(Verdict(grade="normal", evidence="as ever")))


class Reversed(Local):
    def answer(self, requests):
        return super().answer(requests)[::-1]


class Rotated(Local):
    def answer(self, requests):
        replies = super().answer(requests)
        return replies[1:] + replies[:1]


class MixedUp(Remote):
    """Keeps the current request on itself, where the next one overwrites it."""

    async def answer(self, request):
        self.request = request
        await asyncio.sleep(0.01)
        return await super().answer(self.request)


class BatchDependent(Local):
    def answer(self, requests):
        return [sound_reply(request, extra=0.01 * len(requests)) for request in requests]


class Restless(Local):
    """A slightly higher score each time, within what batches may differ by."""

    def __init__(self, settings, argument=None):
        super().__init__(settings, argument)
        self.asked = itertools.count()

    def answer(self, requests):
        noise = 1e-5 * next(self.asked)
        return [raised(sound_reply(request), noise) for request in requests]


class Constant(Local):
    def answer(self, requests):
        return [Reply(text="the same to all") for _ in requests]


class Overconfident(Local):
    def answer(self, requests):
        return [Reply(text=sound_reply(r).text, grade_probabilities={"ghost_probing": 1.5}) for r in requests]


class Short(Local):
    def answer(self, requests):
        return super().answer(requests)[:1]


class Wordless(Local):
    def answer(self, requests):
        return [Reply(text=None) for _ in requests]


class Timeless(Local):
    def answer(self, requests):
        return [Reply(text=sound_reply(r).text, stages=Stages(prefill_s=float("nan"))) for r in requests]


class Raw(Local):
    def answer(self, requests):
        return [sound_reply(r).text for r in requests]


class Offset(Remote):
    """The other way to ask, which gives something else."""

    async def answer(self, request):
        return sound_reply(request, extra=0.2)


class TwoWays(Remote):
    """Has a batch interface; its test says nothing of it."""

    def encode(self, request):
        return b"{}"

    async def answer_batch(self, lines, journal):
        for item in ():
            yield item


class TellsFacts(Remote):
    async def load(self):
        return {"headers": {"Authorization": os.environ.get("KIT_API_KEY")}}


class TellsEnvironment(Remote):
    async def load(self):
        return {"environment": dict(os.environ)}


class TellsError(Remote):
    async def answer(self, request):
        if self.fault is not None:
            try:
                raise ValueError(f"no such key: {os.environ.get('KIT_API_KEY')}")
            except ValueError as error:
                raise type(self.fault)("refused") from error
        return sound_reply(request)


class TellsLog(Remote):
    async def answer(self, request):
        logging.getLogger("kit").debug("sending key %s", os.environ.get("KIT_API_KEY"))
        return await super().answer(request)


class Scribbler(Local):
    """Marks a corner that its answer does not depend on."""

    def answer(self, requests):
        replies = super().answer(requests)
        for request in requests:
            request.frames.pixels.flags.writeable = True
            request.frames.pixels[0, 0, 0, 1] ^= 255
            request.frames.pixels.flags.writeable = False
        return replies


class Unlocker(Local):
    def answer(self, requests):
        for request in requests:
            request.frames.pixels.flags.writeable = True
        return super().answer(requests)


class Retimer(Local):
    def answer(self, requests):
        replies = super().answer(requests)
        for request in requests:
            request.frames.times_s = tuple(0.0 for _ in request.frames.times_s)
        return replies


class TakesExample(Local):
    """Takes the first frames that it is shown for the clip."""

    def answer(self, requests):
        return [sound_reply(replace(r, frames=r.examples[0]) if r.examples else r) for r in requests]


class SpoilsExample(Local):
    def answer(self, requests):
        for request in requests:
            for frames in request.examples:
                frames.pixels.flags.writeable = True
                frames.pixels[:] = 0
        return super().answer(requests)
