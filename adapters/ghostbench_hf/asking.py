"""A batch of requests, answered by transformers' own `generate` and judged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from ghostbench import (
    GRADES,
    ModelError,
    Nonfinite,
    Reply,
    Request,
    RequestRejected,
    Stages,
    Truncated,
    Usage,
    Verdict,
)
from ghostbench_hf.inputs import Inputs, together
from ghostbench_hf.loading import Checkpoint
from ghostbench_hf.watch import Watch
from ghostbench_local import memory
from ghostbench_local.answer.grammar import Grammar
from ghostbench_local.answer.score import GradeReader, normalised
from ghostbench_local.batching import Batch
from ghostbench_local.replica import Replica


@dataclass(frozen=True)
class Form:
    """How requests are answered that have schema and limit in common.

    limit : most tokens of an answer. reader : None where the task's schema fixes no verdict. score : read the grades'
    probabilities and write nothing.
    """

    limit: int
    grammar: Grammar | None
    reader: GradeReader | None
    score: bool


@dataclass
class _Told:
    """What came of a batch: of each row its tokens, where it stopped being numbers, and its grades' probabilities."""

    tokens: list[list[int]]
    finish: list[str | None]
    nonfinite: list[int | None]
    masses: list[list[float]] | None
    first_token_s: float
    end_s: float
    vision_s: float | None


class HFBatch(Batch[Checkpoint]):
    """Requests that are computed together. decode : makes text of tokens, without the special ones."""

    def __init__(
        self, replica: Replica[Checkpoint], dtype: str, form: Form, decode: Callable[[Sequence[int]], str]
    ) -> None:
        super().__init__(replica, dtype)
        self._form, self._decode = form, decode

    @override
    def positions(self, request: Request) -> int:
        return _inputs(request).length

    @override
    def compute(self, requests: Sequence[Request], model: Checkpoint) -> dict[str, Reply | ModelError]:
        alike: dict[tuple[object, ...], list[Request]] = {}
        for request in requests:
            alike.setdefault(_inputs(request).shape, []).append(request)
        results: dict[str, Reply | ModelError] = {}
        for group in alike.values():
            memory.reset(model.device)
            told = self._told([_inputs(request) for request in group], model)
            used = memory.read(model.device)
            for place, request in enumerate(group):
                results[request.id] = self._judged(request, told, place, used, len(group))
        return results

    @torch.inference_mode()
    def _told(self, inputs: Sequence[Inputs], model: Checkpoint) -> _Told:
        form, rows = self._form, len(inputs)
        # Where answers have one beginning, the model need not write it, and the grades are read behind it.
        begun = form.reader.begun if form.reader is not None and (form.score or form.grammar is not None) else ()
        with _timed(model, inputs) as vision:
            batch = self._batch(inputs, model, begun)
            if form.score or len(begun) >= form.limit:
                watch = self._generate(inputs, batch, Watch(rows, model.eos_ids, None, (), 1), model, 1)
                # The token was only read: no answer is written, and none is over.
                watch.written, watch.over = [[] for _ in inputs], [False] * rows
            else:
                watch = Watch(rows, model.eos_ids, form.grammar, begun, form.limit)
                self._generate(inputs, batch, watch, model, form.limit - len(begun))
            end_s = time.perf_counter() - watch.started
        tokens = [[*([] if form.score else begun), *written][: form.limit] for written in watch.written]
        return _Told(
            tokens=tokens,
            finish=["score" if form.score else self._finish(watch, place, model) for place in range(rows)],
            nonfinite=self._nonfinite(watch),
            masses=self._masses(inputs, model, watch, begun),
            first_token_s=watch.first_token_s or 0.0,
            end_s=end_s,
            vision_s=vision.seconds,
        )

    def _batch(self, inputs: Sequence[Inputs], model: Checkpoint, behind: Sequence[int]) -> dict[str, Tensor]:
        kind = model.network.dtype
        return {
            name: tensor.to(model.device, kind) if tensor.is_floating_point() else tensor.to(model.device)
            for name, tensor in together(inputs, model.pad_id, behind).items()
        }

    def _generate(
        self, inputs: Sequence[Inputs], batch: dict[str, Tensor], watch: Watch, model: Checkpoint, limit: int
    ) -> Watch:
        watch.started = time.perf_counter()
        with model.features.of(inputs):
            model.network.generate(**batch, max_new_tokens=limit, pad_token_id=model.pad_id, **watch.hooks)
        return watch

    def _masses(
        self, inputs: Sequence[Inputs], model: Checkpoint, watch: Watch, begun: Sequence[int]
    ) -> list[list[float]] | None:
        """Probability mass of each grade behind the fixed beginning, also where the answer does not begin with it."""
        reader = self._form.reader
        if reader is None:
            return None

        def behind(path: Sequence[int]) -> Tensor:
            batch = self._batch(inputs, model, (*reader.begun, *path))
            read = self._generate(inputs, batch, Watch(len(inputs), model.eos_ids, None, (), 1), model, 1)
            assert read.first is not None
            return read.first

        first = watch.first if begun and watch.first is not None else behind(())
        masses: list[list[float]] = reader.masses(first.float(), behind).tolist()
        return masses

    def _finish(self, watch: Watch, place: int, model: Checkpoint) -> str | None:
        written = watch.written[place]
        if watch.nonfinite[place] is not None:
            return None
        if written and written[-1] in model.eos_ids:
            return "stop"
        return "closed" if watch.over[place] else "length"

    @staticmethod
    def _nonfinite(watch: Watch) -> list[int | None]:
        faults = [None] * len(watch.nonfinite) if watch.answers is None else watch.answers.faults
        # A token against the grammar can only have been chosen from scores that were no numbers.
        chosen = [len(own) if fault is not None else None for fault, own in zip(faults, watch.written, strict=True)]
        return [one if one is not None else other for one, other in zip(watch.nonfinite, chosen, strict=True)]

    def _judged(self, request: Request, told: _Told, place: int, used: Any, size: int) -> Reply | ModelError:
        form, tokens, finish = self._form, told.tokens[place], told.finish[place]
        shares = None if told.masses is None else normalised(told.masses[place])
        chances: dict[str, float] | None = None if shares is None else dict(zip(GRADES, shares, strict=True))
        text = self._decode(tokens)
        if form.score:
            text = "" if chances is None else request.write_answer(Verdict(grade=max(GRADES, key=chances.__getitem__)))
        inputs = _inputs(request)
        reply = Reply(
            text=text,
            finish_reason=finish,
            usage=Usage(input_tokens=inputs.length, cached_tokens=0, output_tokens=len(tokens)),
            stages=Stages(
                preprocess_s=inputs.seconds,
                vision_s=told.vision_s,
                prefill_s=told.first_token_s,
                first_token_s=told.first_token_s,
                generate_s=max(0.0, told.end_s - told.first_token_s),
            ),
            memory=used,
            batch_size=size,
            grade_probabilities=chances,
            notes=tuple(self.notes),
        )
        step = told.nonfinite[place]
        if step is not None:
            return Nonfinite(f"logits of step {step} are not finite, in {self.dtype}", reply=reply)
        if told.masses is not None and not all(map(math.isfinite, told.masses[place])):
            return Nonfinite(f"the grades' probabilities are no numbers, in {self.dtype}", reply=reply)
        if form.score and chances is None:
            words = "the model gives none of the grades a probability above 0, so that none is the likeliest"
            return RequestRejected(words, reply=reply)
        if finish == "length":
            return Truncated(f"the answer did not close within {form.limit} tokens", reply=reply)
        return reply


@dataclass
class _Vision:
    """Time spent in the vision encoder so far; None where it has not been seen."""

    seconds: float | None = None
    began: float = 0.0


@contextmanager
def _timed(model: Checkpoint, inputs: Sequence[Inputs]) -> Iterator[_Vision]:
    """Times what goes through the vision encoder; the device is waited for at its beginning and end. Where nothing has
    to go through it any more, that is no time."""
    vision = _Vision()
    if model.features.shared and all(one.pictures is not None for one in inputs):
        vision.seconds = 0.0

    def now() -> float:
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        return time.perf_counter()

    def begin(*_: Any) -> None:
        vision.began = now()

    def end(*_: Any) -> None:
        vision.seconds = (vision.seconds or 0.0) + now() - vision.began

    if model.vision is None:
        yield vision
        return
    hooks = [model.vision.register_forward_pre_hook(begin), model.vision.register_forward_hook(end)]
    try:
        yield vision
    finally:
        for hook in hooks:
            hook.remove()


def _inputs(request: Request) -> Inputs:
    assert isinstance(request.prepared, Inputs)
    return request.prepared
