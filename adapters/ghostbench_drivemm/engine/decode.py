"""Decoding a batch a few tokens at a time: on CUDA each step is two captured graphs, forward and choice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ghostbench_drivemm.engine.cache import KeyValueCache
from ghostbench_drivemm.engine.clock import Clock
from ghostbench_drivemm.engine.language import Language
from ghostbench_drivemm.engine.operations import operations_for
from ghostbench_drivemm.engine.options import Sampling
from ghostbench_drivemm.engine.placed import NewTokens

_BUCKETS = (1, 4, 8, 16, 32)


def bucket(rows: int) -> int:
    """The number of rows that a batch of `rows` is computed with, so that few graphs serve all batch sizes."""
    return next((size for size in _BUCKETS if size >= rows), -(-rows // 16) * 16)


CHOSEN = -1
"""Among a row's new tokens: the one that was chosen last, which the device knows before the host does."""
MOST_NEW = 8
"""Tokens of a row that are computed in one step at most."""
_WIDTHS = (1.25, 2, 4)
"""Tokens of a step, as multiples of its rows, for which graphs are recorded beside that of one token a row."""
_FEW = 200


class Decoder:
    """The state of a batch while it is decoded, in buffers that captured graphs read and write.

    It may be made in or out of inference mode, as nothing is written but in inference mode.

    tokens : [rows] the last chosen tokens. mask : packed bits of allowed tokens. logits : after the last step.
    strange : after how many tokens of the answer a row's logits were first not all finite, -1 if they always were.
    """

    def __init__(self, language: Language, cache: KeyValueCache, rows: int) -> None:
        weights = language.weights
        device = weights.device
        self.rows = rows
        self.vocabulary = weights.head.shape[0]
        self._language, self._cache = language, cache
        self._choose = operations_for(device).choose
        self._graphs: dict[str, torch.cuda.CUDAGraph] = {}
        self._on_cuda = device.type == "cuda"
        self.tokens = torch.zeros(rows, dtype=torch.int64, device=device)
        self.strange = torch.full((rows,), -1, dtype=torch.int64, device=device)
        self.logits = torch.zeros(rows, self.vocabulary, dtype=torch.float32, device=device)
        self.mask = torch.full((rows, -(-self.vocabulary // 32)), -1, dtype=torch.int32, device=device)
        self._widths = _widths(rows)
        self._places = _Places(rows, self._widths[-1], device)
        self._lengths: list[int] = []
        self._prompts: list[int] = []

    @property
    def room(self) -> int:
        """Most tokens of a step, of all rows together."""
        return self._places.tokens

    @torch.inference_mode()
    def begin(self, logits: Tensor, lengths: Sequence[int]) -> None:
        """Start a batch: its prompts' last logits [n, vocabulary], and how many positions each has cached."""
        count = len(lengths)
        self.logits[:count].copy_(logits)
        self.logits[count:].zero_()
        self._lengths, self._prompts = list(lengths), list(lengths)
        self._places.send([()] * count, self._lengths, [0] * count, waiting=count)
        self.strange.fill_(-1)

    @torch.inference_mode()
    def capture(self, *, masked: bool, wide: bool) -> None:
        """Record the graphs if that has not been done; what was in the buffers is lost. Does nothing without CUDA.

        wide : also those of steps with several tokens of a row.
        """
        if not self._on_cuda:
            return
        # The trial runs before a capture store nothing and attend to nothing: no place is in use.
        self._places.send([], [], [], waiting=0)
        work: dict[str, Callable[[], None]] = {_choice(masked): lambda: self._select(masked)}
        for tokens in self._widths if wide else self._widths[:1]:
            work[_forward(tokens)] = partial(self._forward, tokens)
        for name, part in work.items():
            if name not in self._graphs:
                self._graphs[name] = _captured(part)

    @torch.inference_mode()
    def forward(self, new: Sequence[Sequence[int]]) -> None:
        """Compute `logits` after some new tokens of each row, `CHOSEN` among them; rows without any are left alone.

        A row has `MOST_NEW` at most, all together have `room` at most.
        """
        self._places.send(new, self._lengths, [a - b for a, b in zip(self._lengths, self._prompts, strict=True)])
        self._lengths = [length + len(own) for length, own in zip(self._lengths, new, strict=True)]
        total = sum(map(len, new))
        if not self._on_cuda:
            self._forward(total)
            return
        several = max(map(len, new)) > 1
        width = next(width for width in self._widths[several:] if width >= total)
        graph = self._graphs.get(_forward(width))
        if graph is None:
            self._forward(width)
        else:
            graph.replay()

    @torch.inference_mode()
    def select(self, *, masked: bool) -> None:
        """Choose each row's most likely (allowed) token and note logits that are not finite."""
        graph = self._graphs.get(_choice(masked))
        if graph is None:
            self._select(masked)
        else:
            graph.replay()

    @torch.inference_mode()
    def sample(self, sampling: Sampling, draws: Tensor, *, masked: bool) -> None:
        """As `select`, but draw the token: `draws` [rows] in [0, 1) decides, so that no row depends on another."""
        from ghostbench_drivemm.engine.reference import unpack

        logits = self.logits.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        if masked:
            logits = logits.masked_fill(~unpack(self.mask, self.vocabulary), float("-inf"))
        ordered, order = (logits / sampling.temperature).sort(dim=-1, descending=True, stable=True)
        if sampling.top_k is not None:
            ordered[:, sampling.top_k :] = float("-inf")
        shares = ordered.softmax(-1).double()
        before = shares.cumsum(-1) - shares
        kept = shares.masked_fill(before >= sampling.top_p, 0.0)
        reach = kept.cumsum(-1)
        place = torch.searchsorted(reach, (draws * reach[:, -1])[:, None], right=True).clamp_max(self.vocabulary - 1)
        self._chose(order.gather(1, place)[:, 0], torch.isfinite(self.logits).all(-1))

    @torch.inference_mode()
    def force(self, tokens: Sequence[int]) -> None:
        """Replace the tokens chosen last."""
        filled = torch.tensor([*tokens, *[0] * (self.rows - len(tokens))], dtype=torch.int64)
        self.tokens.copy_(filled.pin_memory() if self._on_cuda else filled)

    def _forward(self, tokens: int) -> None:
        places = self._places
        new = places.new(tokens)
        ids = torch.where(new.given >= 0, new.given, self.tokens[new.at.row.clamp_min(0)])
        self.logits.copy_(self._language.step(ids, new.at, self._cache, places.last))

    def _select(self, masked: bool) -> None:
        self._chose(*self._choose(self.logits, self.mask if masked else None))

    def _chose(self, tokens: Tensor, finite: Tensor) -> None:
        self.tokens.copy_(tokens)
        first = ~finite & (self.strange < 0) & (self._places.waits > 0)
        self.strange.copy_(torch.where(first, self._places.before, self.strange))


@dataclass(frozen=True, slots=True)
class _Given:
    """New tokens: those that the host knows, `CHOSEN` for the others, and their places."""

    given: Tensor
    at: NewTokens


class _Places:
    """Where the tokens of a step stand, in one buffer on the device that is filled by one copy.

    last : [rows] each row's last token among them. waits : [rows] 1 where a token is to be chosen after the step.
    before : [rows] tokens of the answer before the one that is.
    """

    def __init__(self, rows: int, tokens: int, device: torch.device) -> None:
        self.rows, self.tokens = rows, tokens
        self._buffer = torch.zeros(3 * tokens + 5 * rows, dtype=torch.int64, device=device)
        # Two in turn: one may still be on its way to the device while the other is filled.
        self._hosts = [torch.zeros(len(self._buffer), dtype=torch.int64) for _ in range(2)]
        self._clock = Clock(device)
        if device.type == "cuda":
            self._hosts = [host.pin_memory() for host in self._hosts]
        self._sent = [self._clock.mark() for _ in self._hosts]
        self._turn = 0
        self._given, self._row, self._position = self._buffer[: 3 * tokens].view(3, tokens)
        self._first, self._count, self.last, self.waits, self.before = self._buffer[3 * tokens :].view(5, rows)

    def new(self, tokens: int) -> _Given:
        """The first so many tokens, in the buffer itself."""
        at = NewTokens(
            row=self._row[:tokens],
            position=self._position[:tokens],
            first=self._first,
            count=self._count,
            most=1 if tokens == self.rows else MOST_NEW,
        )
        return _Given(self._given[:tokens], at)

    def send(
        self, new: Sequence[Sequence[int]], lengths: Sequence[int], before: Sequence[int], waiting: int | None = None
    ) -> None:
        """Place the new tokens of each row behind its `lengths` positions, and its answer's `before` tokens.

        waiting : so many rows wait for a choice; None: those with new tokens.
        """
        self._turn ^= 1
        host = self._hosts[self._turn]
        self._clock.wait(self._sent[self._turn])
        per_token = np.full((3, self.tokens), -1, dtype=np.int64)
        per_row = np.zeros((5, self.rows), dtype=np.int64)
        at = 0
        for row, own in enumerate(new):
            count = len(own)
            per_token[0, at : at + count] = own
            per_token[1, at : at + count] = row
            per_token[2, at : at + count] = range(lengths[row], lengths[row] + count)
            waits = count > 0 if waiting is None else row < waiting
            per_row[:, row] = (at, count, max(at + count - 1, 0), waits, before[row] + count)
            at += count
        host.numpy()[:] = np.concatenate([per_token.ravel(), per_row.ravel()])
        self._buffer.copy_(host, non_blocking=True)
        self._sent[self._turn] = self._clock.mark()


def _widths(rows: int) -> list[int]:
    """Numbers of tokens that steps of so many rows are computed with; in the first, no row has more than one.

    Up to about 200 tokens a step takes as long as it takes to read the weights.
    """
    most = max(MOST_NEW, rows * _WIDTHS[-1])
    return [rows, most] if most <= _FEW else [rows, *(-(-int(rows * times) // 8) * 8 for times in _WIDTHS)]


def _forward(tokens: int) -> str:
    return f"forward {tokens}"


def _choice(masked: bool) -> str:
    return "choose among allowed" if masked else "choose"


_SIDES: dict[int, torch.cuda.Stream] = {}
"""A stream for recording on each device: cuBLAS keeps 32 MiB for each stream that it has ever computed in."""
_CAPTURING = threading.Lock()
"""One recording at a time: replicas on other devices record in threads of their own."""


def _captured(work: Callable[[], None]) -> torch.cuda.CUDAGraph:
    device = torch.cuda.current_device()
    side = _SIDES.setdefault(device, torch.cuda.Stream())  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), torch.inference_mode():
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Named, because torch's own stream for capturing is made once, on whichever device came first.
    with _CAPTURING, torch.inference_mode(), torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
        work()
    return graph
