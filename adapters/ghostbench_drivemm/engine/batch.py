"""One batch from prompts to answers: packed prefill, the grades, then token by token until every row has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from ghostbench_drivemm.engine.clock import Clock
from ghostbench_drivemm.engine.language import Packed, embed_tokens, padding
from ghostbench_drivemm.engine.options import GenerateOptions, Generation
from ghostbench_drivemm.engine.rows import Chosen, Rules, uniform_draws
from ghostbench_drivemm.engine.sharing import Chunk, Prompt
from ghostbench_drivemm.engine.state import EngineState

Embed = Callable[[Sequence[int], Sequence[int]], Callable[[], Sequence[Tensor]]]
"""Makes ready to embed the prompts at these places, without their first so many positions each."""


class Batch:
    """One batch while it is answered; see `Engine.answer`."""

    def __init__(
        self, engine: EngineState, prompts: Sequence[Prompt], planned: Sequence[Chunk], options: GenerateOptions
    ) -> None:
        self.options = options
        self.weights = engine.weights
        self.language = engine.language
        self.align = engine.align
        self.begun = options.grades.begun if options.grades is not None else ()
        self.planned = planned
        # Rows are filled in the order of the plan.
        self.places = [place for chunk in planned for place in chunk.places]
        self.beginnings = [prompts[place].beginnings for place in self.places]
        self.prompts = [prompts[place].length for place in self.places]
        shared = [own for chunk in planned for own in chunk.shared if own is not None]
        # Held here, since what is kept for other batches may change meanwhile.
        self.known = {own.digest: engine.kept(own.digest) for own in shared if engine.is_kept(own.digest)}
        longest = max(self.prompts) + len(self.begun) + self.align
        further = max(options.max_new_tokens, 0 if options.grades is None else options.grades.deepest)
        self.cache, self.decoder = engine.reserve(len(prompts), longest + further + 2)
        if options.max_new_tokens:
            self.decoder.capture(masked=options.masked, wide=options.goes_ahead)
        # After the capture: recording graphs is no part of any clip's latency.
        self.clock = Clock(self.weights.device)
        self.answers = [Generation() for _ in prompts]
        self.first: list[Tensor] = []
        self.graded: list[Tensor] = []
        self.token_marks: list[Any] = []
        self.faults: list[str | None] = [None] * len(prompts)
        self.texts, self.clips = engine.texts, engine.clips
        self.done: dict[bytes, int] = {}

    @property
    def fixed(self) -> bool:
        """Whether answers begin with the fixed beginning instead of the model's own first tokens."""
        return self.options.grammar is not None and bool(self.begun)

    @torch.inference_mode()
    def run(self, embed: Embed) -> list[Generation]:
        """Answer it; to be called once."""
        row = 0
        marks: list[tuple[int, int, Any, Any, Any]] = []
        for chunk in self.planned:
            ready = embed(chunk.places, chunk.skips)
            start = self.clock.mark()
            embeds = ready()
            embedded = self.clock.mark()
            self._prefill(row, chunk, embeds)
            marks.append((row, len(embeds), start, embedded, self.clock.mark()))
            row += len(embeds)
        self._keep_clips()
        first = torch.cat(self.first)
        graded = torch.cat(self.graded) if self.graded else None
        masses = self._read_grades(graded)
        if self.options.max_new_tokens:
            self._decode(graded if self.fixed and graded is not None else first)
        self._collect(first, graded, masses)
        self._collect_times(marks)
        return [answer for _, answer in sorted(zip(self.places, self.answers, strict=True), key=itemgetter(0))]

    def _prefill(self, first: int, chunk: Chunk, embeds: Sequence[Tensor]) -> None:
        for row, shared in enumerate(chunk.shared, start=first):
            if shared is not None:
                known = self.known.get(shared.digest)
                if known is None:
                    known = self.cache.beginning(self.done[shared.digest], shared.positions)
                self.cache.beginning(row, shared.positions).copy_(known)
                self.answers[row].shared_positions = shared.positions
        logits = self.language.prefill(self._packed(first, chunk.skips, embeds), self.cache)
        if self.begun:
            self.first.append(logits[0::2])
            self.graded.append(logits[1::2])
        else:
            self.first.append(logits)
        for row in range(first, first + len(embeds)):
            for own in self.beginnings[row]:
                self.done.setdefault(own.digest, row)
            texts = [own for own in self.beginnings[row] if own.kind == "text"]
            if texts:
                self.texts.put(texts, self.cache.beginning(row, texts[-1].positions))

    def _keep_clips(self) -> None:
        """Keep what other batches may go on from: what came last, since a clip's moments come in order."""
        covered: set[bytes] = set()
        kept: list[int] = []
        room = self.clips.most_bytes // self.weights.cache_bytes_per_token
        for row in sorted(range(len(self.places)), key=self.places.__getitem__, reverse=True):
            shown = [own for own in self.beginnings[row] if own.kind == "frames"]
            if room > 0 and shown and shown[-1].digest not in covered:
                covered |= {own.digest for own in shown}
                kept.append(row)
                room -= shown[-1].positions
        for row in reversed(kept):
            shown = [own for own in self.beginnings[row] if own.kind == "frames"]
            self.clips.put(shown, self.cache.beginning(row, shown[-1].positions))

    def _packed(self, row: int, skips: Sequence[int], embeds: Sequence[Tensor]) -> Packed:
        begun = embed_tokens(self.weights, self.begun) if self.begun else None
        pieces: list[Tensor] = []
        lengths, reads = [], []
        for skip, own in zip(skips, embeds, strict=True):
            prompt = skip + own.shape[0]
            used = prompt + len(self.begun)
            behind = padding(used, skip, self.align)
            pieces += [own, *([] if begun is None else [begun])]
            if behind:
                # Behind the text, where no position of it attends to; overwritten by the first new tokens.
                pieces.append(own.new_zeros(behind, own.shape[1]))
            lengths.append(used + behind)
            reads.append((prompt - 1, used - 1) if self.begun else (used - 1,))
        return Packed(
            embeds=torch.cat(pieces),
            rows=tuple(range(row, row + len(embeds))),
            lengths=tuple(lengths),
            skips=tuple(skips),
            reads=tuple(reads),
        )

    def _read_grades(self, graded: Tensor | None) -> Tensor | None:
        if self.options.grades is None or graded is None:
            return None
        base = [length + len(self.begun) for length in self.prompts]

        def after(path: Sequence[int]) -> Tensor:
            self.decoder.begin(graded, base)
            for token in path:
                self.decoder.forward([[token]] * len(base))
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
        rules = Rules(options, decoder, count, self.begun if self.fixed else ())
        chosen = Chosen(steps, decoder.rows, self.clock, on_cuda=decoder.tokens.is_cuda)
        draws = uniform_draws(options, steps, decoder.tokens.device, self.places)
        forced = None if options.forced is None else [options.forced[place] for place in self.places]
        for step in range(steps):
            rules.fill()
            if options.keep_logits:
                self._keep_logits()
            if options.sampling is not None and draws is not None:
                at = torch.tensor([[min(len(row.tokens), steps - 1)] for row in rules.rows], device=draws.device)
                own = torch.nn.functional.pad(draws.gather(1, at)[:, 0], (0, decoder.rows - count))
                decoder.sample(options.sampling, own, masked=options.masked)
            else:
                decoder.select(masked=options.masked)
            if forced is not None:
                decoder.force([row[step] if step < len(row) else 0 for row in forced])
            chosen.keep(step, decoder.tokens)
            new = rules.new()
            if step + 1 < steps and any(new):
                decoder.forward(new)
            # The device is busy with the next step while its last tokens are read and the next masks are made.
            ended = rules.add(chosen.read(step)[:count])
            self.token_marks.append(chosen.marks[step])
            if ended:
                break
        for answer, row in zip(self.answers, rules.rows, strict=True):
            answer.output_ids = [*(self.begun if self.fixed else ()), *row.tokens]
            answer.finish, answer.steps, answer.forced_tokens = row.finish, row.steps, row.forced
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
                answer.times.first_token_s = first_token
                answer.times.end_s = ends[min(max(answer.steps, 1), len(ends)) - 1]


def _not_finite(logits: Tensor) -> list[bool]:
    """Of each row, whether any of its logits is not finite."""
    found: list[bool] = (~torch.isfinite(logits).all(-1)).tolist()
    return found
