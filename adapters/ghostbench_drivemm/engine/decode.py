"""Decoding a batch one token at a time: on CUDA each step is two captured graphs, forward and choice."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor

from ghostbench_drivemm.engine.cache import KeyValueCache
from ghostbench_drivemm.engine.language import Language
from ghostbench_drivemm.engine.operations import operations_for
from ghostbench_drivemm.engine.options import Sampling

_BUCKETS = (1, 2, 4, 8, 16, 24, 32)


def bucket(rows: int) -> int:
    """The number of rows that a batch of `rows` is computed with, so that few graphs serve all batch sizes."""
    return next((size for size in _BUCKETS if size >= rows), -(-rows // 16) * 16)


def buckets(most: int) -> list[int]:
    """The sizes that batches of up to `most` rows are computed with: the small ones, and the largest."""
    return sorted({size for size in _BUCKETS if size <= most} | {bucket(most)})


class Decoder:
    """The state of a batch while it is decoded, in buffers that captured graphs read and write.

    tokens : [rows] the last chosen tokens. lengths : [rows] positions in the cache. active : [rows] 1 while a row is
    being decoded. mask : packed bits of allowed tokens. logits : of the last step. strange : first step whose logits
    were not all finite, -1 if none.
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
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)
        self.active = torch.zeros(rows, dtype=torch.int64, device=device)
        self.strange = torch.full((rows,), -1, dtype=torch.int64, device=device)
        self._step = torch.zeros((), dtype=torch.int64, device=device)
        self.logits = torch.zeros(rows, self.vocabulary, dtype=torch.float32, device=device)
        self.mask = torch.full((rows, -(-self.vocabulary // 32)), -1, dtype=torch.int32, device=device)
        self._slots = torch.arange(rows, device=device)

    def begin(self, logits: Tensor, lengths: list[int]) -> None:
        """Start a batch: its prompts' last logits [n, vocabulary], and how many positions each has cached."""
        count = len(lengths)
        self.logits[:count].copy_(logits)
        self.logits[count:].zero_()
        self.lengths.copy_(_padded(lengths, self.rows, self.lengths))
        self.active.copy_(_padded([1] * count, self.rows, self.active))
        self.strange.fill_(-1)
        self._step.zero_()

    def capture(self, *, masked: bool) -> None:
        """Record the graphs if that has not been done; what was in the buffers is lost. Does nothing without CUDA."""
        if not self._on_cuda:
            return
        # The trial runs before a capture write into the cache: at position 0 of rows that hold nothing yet.
        self.active.zero_()
        self.lengths.zero_()
        for name, work in (("forward", self._forward), (_choice(masked), lambda: self._select(masked))):
            if name not in self._graphs:
                self._graphs[name] = _captured(work)

    @torch.inference_mode()
    def forward(self) -> None:
        """Compute `logits` for the tokens chosen last."""
        self._run("forward")

    @torch.inference_mode()
    def select(self, *, masked: bool) -> None:
        """Choose each row's most likely (allowed) token, note logits that are not finite, move on by one position."""
        self._run(_choice(masked))

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
        self._move_on(order.gather(1, place)[:, 0], torch.isfinite(self.logits).all(-1))

    def force(self, tokens: list[int]) -> None:
        """Replace the tokens chosen last."""
        self.tokens.copy_(_padded(tokens, self.rows, self.tokens))

    def _run(self, name: str) -> None:
        graph = self._graphs.get(name)
        if graph is not None:
            graph.replay()
        elif name == "forward":
            self._forward()
        else:
            self._select(name == _choice(True))

    def _forward(self) -> None:
        seen = (self.lengths + 1) * self.active
        self.logits.copy_(self._language.step(self.tokens, self.lengths, seen, self._cache, self._slots))
        self.lengths.add_(self.active)

    def _select(self, masked: bool) -> None:
        self._move_on(*self._choose(self.logits, self.mask if masked else None))

    def _move_on(self, tokens: Tensor, finite: Tensor) -> None:
        self.tokens.copy_(tokens)
        first = ~finite & (self.strange < 0) & (self.active > 0)
        self.strange.copy_(torch.where(first, self._step, self.strange))
        self._step.add_(1)


def _choice(masked: bool) -> str:
    return "choose among allowed" if masked else "choose"


def _padded(values: list[int], rows: int, like: Tensor) -> Tensor:
    filled = torch.tensor(values + [0] * (rows - len(values)), dtype=like.dtype)
    return filled.pin_memory() if like.is_cuda else filled


_CAPTURING = threading.Lock()
"""One recording at a time: replicas on other devices record in threads of their own."""


def _captured(work: Callable[[], None]) -> torch.cuda.CUDAGraph:
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), torch.inference_mode():
        work()
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Named, because torch's own stream for capturing is made once, on whichever device came first.
    with _CAPTURING, torch.inference_mode(), torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
        work()
    return graph
