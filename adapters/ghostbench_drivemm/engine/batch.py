"""One batch from prompts to answers: packed prefill, the grades, then token by token until every row has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ghostbench_drivemm.engine.clock import Clock
from ghostbench_drivemm.engine.language import Packed, embed_tokens
from ghostbench_drivemm.engine.options import GenerateOptions, Generation
from ghostbench_drivemm.engine.rows import Chosen, Rules, uniform_draws
from ghostbench_drivemm.engine.state import EngineState


class Batch:
    """One batch while it is answered; see `Engine.answer`."""

    def __init__(self, engine: EngineState, lengths: Sequence[int], options: GenerateOptions) -> None:
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
            self.decoder.capture(masked=self.options.masked)
        # After the capture: recording graphs is no part of any clip's latency.
        self.clock = Clock(self.weights.device)
        self.answers = [Generation() for _ in lengths]
        self.first: list[Tensor] = []
        self.graded: list[Tensor] = []
        self.token_marks: list[Any] = []
        self.faults: list[str | None] = [None] * len(lengths)

    @property
    def fixed(self) -> bool:
        """Whether answers begin with the fixed beginning instead of the model's own first tokens."""
        return self.options.grammar is not None and bool(self.begun)

    @torch.inference_mode()
    def run(self, chunks: Iterable[Callable[[], Sequence[Tensor]]]) -> list[Generation]:
        """Answer it; to be called once."""
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
                decoder.sample(options.sampling, draws[:, step], masked=self.options.masked)
            else:
                decoder.select(masked=self.options.masked)
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
        uncertain = [False] * len(broken) if masses is None else _not_finite(masses)
        for row, answer in enumerate(self.answers):
            if options.keep_first or options.keep_logits:
                answer.first_logits = first[row]
            if broken_behind[row]:
                answer.nonfinite_step = extra
            elif broken[row]:
                answer.nonfinite_step = 0
            elif uncertain[row]:
                # Letters that verdicts share stand between the fixed beginning and where they part.
                answer.nonfinite_step = extra
            elif strange[row] >= 0:
                answer.nonfinite_step = extra + strange[row]
            if self.faults[row] is not None and answer.nonfinite_step is None:
                raise RuntimeError(f"{self.faults[row]}, though all logits were finite")
            if listed is not None and not (broken[row] or broken_behind[row] or uncertain[row]):
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
