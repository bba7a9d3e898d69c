"""One batch from prompts to answers: packed prefill, the grades, then token by token until every row has ended."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ghostbench_drivemm.engine.cache import KeyValueCache, round_up
from ghostbench_drivemm.engine.clock import Clock
from ghostbench_drivemm.engine.decode import Decoder, bucket
from ghostbench_drivemm.engine.language import Language, Packed, embed_tokens
from ghostbench_drivemm.engine.options import GenerateOptions, Generation
from ghostbench_drivemm.engine.rows import Chosen, Rules, uniform_draws
from ghostbench_drivemm.engine.weights import join

_ALIGN = 64
"""On CUDA prompts take a multiple of this many positions in a prefill: cuDNN makes a plan for every new length."""


class Engine:
    """A language model ready to answer batches. One per model; not for several threads at once."""

    def __init__(self, language_model: Any) -> None:
        self.weights = join(language_model)
        self.language = Language(self.weights)
        self.align = _ALIGN if self.weights.device.type == "cuda" else 1
        self._cache: KeyValueCache | None = None
        self._decoders: dict[int, Decoder] = {}

    def cache_bytes(self, rows: int, positions: int) -> int:
        """Bytes of a cache for so many rows of so many positions, as it would be allocated."""
        return bucket(rows) * round_up(positions) * self.weights.cache_bytes_per_token

    def held_bytes(self) -> int:
        """Bytes of the cache that is allocated now."""
        return 0 if self._cache is None else self.cache_bytes(self._cache.rows, self._cache.capacity)

    def warm(self, rows: int, positions: int, masked: bool) -> None:
        """Allocate the cache for batches of this size and record their graphs."""
        self.reserve(rows, positions)[1].capture(masked=masked)

    def release(self) -> None:
        """Give back the cache and the graphs."""
        self._decoders.clear()
        self._cache = None
        if self.weights.device.type == "cuda":
            torch.cuda.empty_cache()

    def reserve(self, rows: int, positions: int) -> tuple[KeyValueCache, Decoder]:
        """A cache and a decoder for a batch; those of the last batch where they fit."""
        rows = bucket(rows)
        if self._cache is None or not self._cache.fits(rows, positions):
            self.release()
            self._cache = KeyValueCache(self.weights, rows, positions)
        if rows not in self._decoders:
            self._decoders[rows] = Decoder(self.language, self._cache, rows)
        return self._cache, self._decoders[rows]

    def answer(
        self, chunks: Iterable[Callable[[], Sequence[Tensor]]], lengths: Sequence[int], options: GenerateOptions
    ) -> list[Generation]:
        """Answer a batch.

        chunks : each gives the embeddings [length, hidden] of the next few prompts, on the device.
        lengths : of all prompts, in order.
        """
        return _Batch(self, lengths, options).run(chunks)


class _Batch:
    def __init__(self, engine: Engine, lengths: Sequence[int], options: GenerateOptions) -> None:
        self.options = options
        self.weights = engine.weights
        self.language = engine.language
        self.align = engine.align
        self.begun = options.grades.begun if options.grades is not None else ()
        self.prompts = list(lengths)
        longest = max(lengths) + len(self.begun) + self.align
        further = max(options.max_new_tokens, 0 if options.grades is None else options.grades.deepest)
        self.cache, self.decoder = engine.reserve(len(lengths), longest + further + 2)
        if options.max_new_tokens:
            self.decoder.capture(masked=self.masked)
        # After the capture: recording graphs is no part of any clip's latency.
        self.clock = Clock(self.weights.device)
        self.answers = [Generation() for _ in lengths]
        self.first: list[Tensor] = []
        self.graded: list[Tensor] = []
        self.token_marks: list[Any] = []
        self.faults: list[str | None] = [None] * len(lengths)

    @property
    def masked(self) -> bool:
        return self.options.grammar is not None or self.options.ban_eos

    @property
    def fixed(self) -> bool:
        """Whether answers begin with the fixed beginning instead of the model's own first tokens."""
        return self.options.grammar is not None and bool(self.begun)

    @torch.inference_mode()
    def run(self, chunks: Iterable[Callable[[], Sequence[Tensor]]]) -> list[Generation]:
        row = 0
        marks: list[tuple[int, int, Any, Any, Any]] = []
        for chunk in chunks:
            start = self.clock.mark()
            embeds = chunk()
            embedded = self.clock.mark()
            self._prefill(row, embeds)
            marks.append((row, len(embeds), start, embedded, self.clock.mark()))
            row += len(embeds)
        first = torch.cat(self.first)
        graded = torch.cat(self.graded) if self.graded else None
        masses = self._read_grades(graded)
        if self.options.max_new_tokens:
            self._decode(graded if self.fixed and graded is not None else first)
        self._collect(first, graded, masses)
        self._collect_times(marks)
        return self.answers

    def _prefill(self, row: int, embeds: Sequence[Tensor]) -> None:
        logits = self.language.prefill(self._packed(row, embeds), self.cache)
        if self.begun:
            self.first.append(logits[0::2])
            self.graded.append(logits[1::2])
        else:
            self.first.append(logits)

    def _packed(self, row: int, embeds: Sequence[Tensor]) -> Packed:
        begun = embed_tokens(self.weights, self.begun) if self.begun else None
        pieces: list[Tensor] = []
        lengths, reads = [], []
        for own in embeds:
            used = own.shape[0] + len(self.begun)
            padding = -used % self.align
            pieces += [own, *([] if begun is None else [begun])]
            if padding:
                # Behind the text, where no position of it attends to; overwritten by the first new tokens.
                pieces.append(own.new_zeros(padding, own.shape[1]))
            lengths.append(used + padding)
            reads.append((own.shape[0] - 1, used - 1) if self.begun else (used - 1,))
        return Packed(
            embeds=torch.cat(pieces),
            rows=tuple(range(row, row + len(embeds))),
            lengths=tuple(lengths),
            reads=tuple(reads),
        )

    def _read_grades(self, graded: Tensor | None) -> Tensor | None:
        if self.options.grades is None or graded is None:
            return None
        base = [length + len(self.begun) for length in self.prompts]

        def after(path: Sequence[int]) -> Tensor:
            self.decoder.begin(graded, base)
            for token in path:
                self.decoder.force([token] * len(base))
                self.decoder.forward()
            return self.decoder.logits[: len(base)].clone()

        return self.options.grades.masses(graded, after)

    def _decode(self, logits: Tensor) -> None:
        options, decoder, count = self.options, self.decoder, len(self.prompts)
        extra = len(self.begun) if self.fixed else 0
        decoder.begin(logits, [length + extra for length in self.prompts])
        steps = options.max_new_tokens - extra
        if steps <= 0:
            for answer in self.answers:
                answer.output_ids = list(self.begun[: options.max_new_tokens])
            return
        rules = Rules(self.options, decoder, count, self.begun if self.fixed else ())
        chosen = Chosen(steps, decoder.rows, self.clock, on_cuda=decoder.tokens.is_cuda)
        draws = uniform_draws(options, steps, decoder.tokens.device, decoder.rows)
        for step in range(steps):
            if step:
                decoder.forward()
                # The device is busy with the step while its last tokens are read and the next masks are made.
                ended = rules.add(chosen.read(step - 1)[:count])
                self.token_marks.append(chosen.marks[step - 1])
                if all(ended):
                    break
            rules.fill()
            if options.keep_logits:
                self._keep_logits()
            if options.sampling is not None and draws is not None:
                decoder.sample(options.sampling, draws[:, step], masked=self.masked)
            else:
                decoder.select(masked=self.masked)
            if options.forced is not None:
                decoder.force([row[step] if step < len(row) else 0 for row in options.forced])
            chosen.keep(step, decoder.tokens)
        else:
            rules.add(chosen.read(steps - 1)[:count])
            self.token_marks.append(chosen.marks[steps - 1])
        for answer, row in zip(self.answers, rules.rows, strict=True):
            answer.output_ids = [*(self.begun if self.fixed else ()), *row.tokens]
            answer.finish = row.finish
        self.faults = rules.faults

    def _keep_logits(self) -> None:
        for row, answer in enumerate(self.answers):
            answer.step_logits.append(self.decoder.logits[row].clone())

    def _collect(self, first: Tensor, graded: Tensor | None, masses: Tensor | None) -> None:
        options = self.options
        extra = len(self.begun) if self.fixed else 0
        broken = _not_finite(first)
        broken_behind = [False] * len(broken) if graded is None else _not_finite(graded)
        strange = self.decoder.strange.tolist() if options.max_new_tokens else [-1] * len(broken)
        listed = None if masses is None else masses.tolist()
        for row, answer in enumerate(self.answers):
            if options.keep_first or options.keep_logits:
                answer.first_logits = first[row]
            if broken_behind[row]:
                answer.nonfinite_step = extra
            elif broken[row]:
                answer.nonfinite_step = 0
            elif strange[row] >= 0:
                answer.nonfinite_step = extra + strange[row]
            if self.faults[row] is not None and answer.nonfinite_step is None:
                raise RuntimeError(f"{self.faults[row]}, though all logits were finite")
            if listed is not None and not broken[row] and not broken_behind[row]:
                answer.grade_masses = tuple(listed[row])
            if not options.max_new_tokens:
                answer.finish = "score"

    def _collect_times(self, marks: Sequence[tuple[int, int, Any, Any, Any]]) -> None:
        clock = self.clock
        for start_row, count, start, embedded, filled in marks:
            for row in range(start_row, start_row + count):
                times = self.answers[row].times
                times.vision_s, times.prefill_s = clock.between(start, embedded), clock.between(embedded, filled)
                times.chunk = count
                times.end_s = clock.since_start(filled)
        if self.token_marks:
            first_token = clock.since_start(self.token_marks[0])
            ends = [clock.since_start(mark) for mark in self.token_marks]
            for answer in self.answers:
                new = len(answer.output_ids) - (len(self.begun) if self.fixed else 0)
                answer.times.first_token_s = first_token
                answer.times.end_s = ends[min(max(new, 1), len(ends)) - 1]


def _not_finite(logits: Tensor) -> list[bool]:
    """Of each row, whether any of its logits is not finite."""
    found: list[bool] = (~torch.isfinite(logits).all(-1)).tolist()
    return found


_ENGINES: weakref.WeakKeyDictionary[Any, Engine] = weakref.WeakKeyDictionary()


def engine_of(model: Any) -> Engine:
    """The engine of a loaded model's language model; made at the first call."""
    language_model = model.language_model
    if language_model not in _ENGINES:
        _ENGINES[language_model] = Engine(language_model)
    return _ENGINES[language_model]


def generate(model: Any, embeds: Sequence[Tensor], options: GenerateOptions) -> list[Generation]:
    """Answer prompts whose embeddings [length, hidden] are on the model's device.

    Raises `torch.OutOfMemoryError` if the batch does not fit.
    """
    lengths = [own.shape[0] for own in embeds]
    chunks = [
        (lambda first=first, last=last: embeds[first:last]) for first, last in spans(lengths, options.chunk_tokens)
    ]
    return engine_of(model).answer(chunks, lengths, options)


def generate_prepared(model: Any, prepared: Sequence[Any], options: GenerateOptions) -> list[Generation]:
    """Answer prepared requests: vision and prefill go through the device a few requests at a time.

    Pixels that are still being made are waited for when their turn has come.
    """
    lengths = [request.length for request in prepared]

    def chunks() -> Iterator[Callable[[], Sequence[Tensor]]]:
        for first, last in spans(lengths, options.chunk_tokens):
            together = prepared[first:last]
            # Outside of what is timed as vision: the device may have to wait for pixels here, but for nothing else.
            for request in together:
                request.wait()
            yield partial(model.embed, together)

    return engine_of(model).answer(chunks(), lengths, options)


def spans(lengths: Sequence[int], budget: int) -> list[tuple[int, int]]:
    """Consecutive runs of prompts of up to `budget` positions together, at least one prompt each."""
    found, first, total = [], 0, 0
    for place, length in enumerate(lengths):
        if place > first and total + length > budget:
            found.append((first, place))
            first, total = place, 0
        total += length
    return [*found, (first, len(lengths))] if lengths else []
