"""DriveMM as modules on a device: loading, preparing requests on the CPU, embedding them in batches, tracing."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import nn

from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.engine import GenerateOptions, generate
from ghostbench_drivemm.input.lengths import pooled_side
from ghostbench_drivemm.input.prepared import Kind, Prepared, Preparer, Raw, Visual, check_ids
from ghostbench_drivemm.input.prompt import IMAGE_ID
from ghostbench_drivemm.input.resize import FrameResize
from ghostbench_drivemm.input.staging import Staging
from ghostbench_drivemm.input.tokens import Tokens
from ghostbench_drivemm.network import vision
from ghostbench_drivemm.network.assembly import Parts, load_parts, random_parts
from ghostbench_drivemm.network.cut import Cut
from ghostbench_drivemm.network.features import FeatureCache
from ghostbench_drivemm.network.llama import Llama
from ghostbench_drivemm.network.siglip import Tower
from ghostbench_local.replica import on_device

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class Trace:
    """What went through the model for one greedy answer, as numpy arrays.

    input_ids : int64 [n], -200 for each visual item.
    pixel_values : float32 [T, 3, 384, 384], frames and tiles of all visual items in order (T = 0 without any).
    inputs_embeds : float32 [S, H], text and visual tokens after merging.
    first_logits : float32 [V], logits of the last prompt position.
    output_ids : int64 [k], the greedy tokens, with the end token when it was reached.
    """

    input_ids: npt.NDArray[np.int64]
    pixel_values: npt.NDArray[np.float32]
    inputs_embeds: npt.NDArray[np.float32]
    first_logits: npt.NDArray[np.float32]
    output_ids: npt.NDArray[np.int64]


class DriveMM:
    """A loaded model. Make one with `from_checkpoint` (real weights) or `from_random` (measurements).

    Attributes
    ----------
    config : every value in force and where it came from.
    tokens : the checkpoint's own, for grammars. tokenizer : theirs, for decoding answers.
    language_model : the Llama's weights, and its plain forward pass.
    vision_tower : SigLIP with the kept layers.
    projector : `mlpNx_gelu`.
    image_newline : the learned newline token [H]; None where the checkpoint's merge type has none.
    eos_ids : every token id that ends an answer.
    device, dtype : where the parameters are, and their element type.
    vision_batch : frames that go through the tower at a time.
    """

    vision_batch: int = 64

    def __init__(self, parts: Parts, *, dtype: torch.dtype, device: torch.device) -> None:
        self.config: DriveMMConfig = parts.config
        self.tokens: Tokens = parts.tokens
        self.tokenizer: Tokenizer = parts.tokens.tokenizer
        self.language_model: Llama = parts.language_model
        self.vision_tower: Tower = parts.vision_tower
        self.projector: nn.Sequential = parts.projector
        self.image_newline: nn.Parameter | None = parts.image_newline
        self.eos_ids: tuple[int, ...] = parts.config.eos_token_ids
        self.device = device
        self.dtype = dtype
        self._preparer = Preparer(parts.config, parts.renderer, resizes_later=device.type == "cuda")
        self._resize = FrameResize(parts.config, device)
        self._staging = Staging(device)
        self._features = FeatureCache()
        self._facts = parts.facts
        self._hashes: Mapping[str, Future[tuple[int, str]]] = parts.hashes

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike[str],
        *,
        dtype: str = "bfloat16",
        device: str = "cuda",
        overrides: Mapping[str, Any] | None = None,
        meanwhile: Callable[[DriveMM], None] = lambda _: None,
    ) -> DriveMM:
        """Load a checkpoint folder; nothing of it is ever left at random.

        Parameters
        ----------
        path : local folder with `config.json`, `tokenizer.json`, `tokenizer_config.json`, safetensors files.
        dtype : `bfloat16`, `float16` or `float32`; the files' own type may be another.
        device : any torch device.
        overrides : values set over `config.json` and `generation_config.json`.
        meanwhile : on a GPU, called with the model while its weights are read, which have their places and are zero at
            first. What it computes says nothing, and must not be kept.

        Raises
        ------
        ValueError
            `dtype` or `device` is not known.
        CheckpointMissing
            No usable checkpoint is there.
        CheckpointError
            A file, configuration value or tensor is not as it must be; the message names it.
        """
        where, kind = _device(device), _dtype(dtype)
        made: list[DriveMM] = []

        def begun(parts: Parts) -> None:
            made.append(cls(parts, dtype=kind, device=where))
            meanwhile(made[0])

        parts = load_parts(path, kind, where, overrides or {}, begun)
        if not made:
            return cls(parts, dtype=kind, device=where)
        # They are known once the weights are.
        made[0]._facts, made[0]._hashes = parts.facts, parts.hashes
        return made[0]

    @classmethod
    def from_random(
        cls,
        config: DriveMMConfig,
        *,
        dtype: str = "bfloat16",
        device: str = "cuda",
        seed: int = 0,
        corpus: Iterable[str] = (),
    ) -> DriveMM:
        """Random weights of a given shape, made on the device, with a stand-in tokenizer: for measuring only.

        corpus : see `synthetic_tokenizer`.
        """
        where, kind = _device(device), _dtype(dtype)
        return cls(random_parts(config, kind, where, seed, corpus), dtype=kind, device=where)

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest keeps: parameters, bytes, configuration with origins, files with size and SHA-256.

        Waits for the hashing threads the first time.
        """
        hashes = {name: future.result() for name, future in self._hashes.items()}
        listed = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in sorted(hashes.items())}
        return {**self._facts, "config": self.config.described(), "files": listed}

    def note_facts(self, more: Mapping[str, Any]) -> None:
        """Add to the facts of this model what was done to it after loading."""
        self._facts = {**self._facts, **more}

    def prepare(
        self,
        images: Sequence[Image.Image] | npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]],
        question: str,
        *,
        kind: Kind,
        system: str | None = None,
        threads: Executor | None = None,
    ) -> Prepared:
        """Do a request's CPU work; see `Preparer.prepare`. May run in any thread; touches no device."""
        return self._preparer.prepare(images, question, kind=kind, system=system, threads=threads)

    @torch.no_grad()
    def embed(
        self, prepared: Sequence[Prepared], skips: Sequence[int] | None = None, *, plainly: bool = False
    ) -> list[torch.Tensor]:
        """Embed a batch: for each request [length, H] on the device, text and visual tokens merged.

        All frames of the batch that were not seen lately go through the vision tower together, `vision_batch` at a
        time. Nothing here waits for the device, but for a free buffer where it has not taken the frames of before yet,
        and for the first frames of a size. `plainly` computes with the model's own modules alone, so that hooks on
        them are called.

        skips : leave out so many positions at each request's beginning, which must not end inside a frame.

        Raises
        ------
        ValueError
            A token id is outside the vocabulary, or the `<image>` marks do not match the visual items.
        """
        for request in prepared:
            check_ids(request, self.config.vocab_size)
        with on_device(self.device):
            return self._merged(prepared, skips or [0] * len(prepared), plainly)

    def expect_frames(self, count: int, height: int, width: int) -> None:
        """Get the memory ready through which videos of so many such frames reach the device."""
        self._staging.reserve(count * height * width * 3)

    def forget(self) -> None:
        """Give back what is kept of frames that were seen."""
        self._features.clear()

    def _merged(self, prepared: Sequence[Prepared], skips: Sequence[int], plainly: bool) -> list[torch.Tensor]:
        cuts = [Cut.of(request, skip, self.config) for request, skip in zip(prepared, skips, strict=True)]
        visual = iter(self._visual_tokens(prepared, cuts, plainly))
        text = self._text_embeddings(prepared)
        merged = []
        for request, rows, cut in zip(prepared, text, cuts, strict=True):
            # Positions among the text rows alone: each mark before one has been cut out.
            marks = np.flatnonzero(request.input_ids == IMAGE_ID)
            ends = [*(int(mark) - place for place, mark in enumerate(marks)), rows.shape[0]]
            parts = []
            for number, (start, end) in enumerate(pairwise([0, *ends])):
                if number > cut.visuals:
                    parts.append(next(visual))
                parts.append(rows[min(max(start, cut.text), end) : end])
            merged.append(torch.cat(parts))
        return merged

    def trace(self, images: Sequence[Image.Image], question: str, *, kind: Kind, max_new_tokens: int) -> Trace:
        """Answer one question greedily, and keep what went through: the same code that answers clips.

        For the parameters and what it raises see `prepare`; `max_new_tokens` is the most tokens of the answer, >= 0.
        """
        prepared = self.prepare(images, question, kind=kind)
        embeds = self.embed([prepared])[0]
        options = GenerateOptions(max_new_tokens=max_new_tokens, eos_ids=self.eos_ids, keep_first=True)
        answer = generate(self, [embeds], options)[0]
        assert answer.first_logits is not None
        return Trace(
            input_ids=prepared.input_ids,
            pixel_values=self._float_pixels(prepared),
            inputs_embeds=embeds.float().cpu().numpy(),
            first_logits=answer.first_logits.cpu().numpy(),
            output_ids=np.asarray(answer.output_ids, dtype=np.int64),
        )

    def _float_pixels(self, prepared: Prepared) -> npt.NDArray[np.float32]:
        if not prepared.visuals:
            return np.zeros((0, 3, 384, 384), dtype=np.float32)
        with on_device(self.device):
            pixels = torch.cat([self._on_device(visual) for visual in prepared.visuals])
        return vision.normalise(pixels, torch.float32).cpu().numpy()

    def _text_embeddings(self, prepared: Sequence[Prepared]) -> tuple[torch.Tensor, ...]:
        ids = [request.input_ids[request.input_ids != IMAGE_ID] for request in prepared]
        if not ids:
            return ()
        flat = self._to_device(torch.from_numpy(np.concatenate(ids)))
        embedded: torch.Tensor = self.language_model.get_input_embeddings()(flat)
        return torch.split(embedded, [len(part) for part in ids])

    def _visual_tokens(self, prepared: Sequence[Prepared], cuts: Sequence[Cut], plainly: bool) -> list[torch.Tensor]:
        """Tokens of every visual item of the batch that is not cut off, in order; a video's from a frame on.

        Videos and images go through the tower apart.
        """
        shown = [
            (request.video, visual, size, cut.frames if number == cut.visuals else 0)
            for request, cut in zip(prepared, cuts, strict=True)
            for number, (visual, size) in enumerate(zip(request.visuals, request.sizes, strict=True))
            if number >= cut.visuals
        ]
        videos = [(visual, first) for video, visual, _, first in shown if video]
        pictures = [visual for video, visual, _, _ in shown if not video]
        pooled = iter(self._encode_videos(videos, plainly=plainly))
        plain = iter(self._encode(pictures, plainly=plainly))
        newline, config = self.image_newline, self.config
        tokens = []
        for video, _, size, _ in shown:
            if video:
                tokens.append(vision.video_tokens(next(pooled), newline, config))
            else:
                tokens.append(vision.image_tokens(next(plain), size, newline, config))
        return tokens

    def _encode_videos(self, items: Sequence[tuple[Visual, int]], *, plainly: bool) -> list[torch.Tensor]:
        """Projected and pooled tokens [F, p, H] of each item's frames, from one of them on.

        Frames that were seen lately are not computed again.
        """
        known: dict[Hashable, torch.Tensor | None] = {}
        asked: list[tuple[Visual, list[int]]] = []
        for item, first in items:
            new = []
            for place, key in list(enumerate(_frame_keys(item)))[first:]:
                if key not in known:
                    known[key] = None if plainly else self._features.get(key)
                    if known[key] is None:
                        new.append(place)
            if new:
                asked.append((item, new))
        computed = self._encode([item for item, _ in asked], [places for _, places in asked], plainly=plainly)
        for (item, places), tokens in zip(asked, computed, strict=True):
            keys = _frame_keys(item)
            for place, own in zip(places, tokens, strict=True):
                known[keys[place]] = own
                if item.digests is not None and not plainly:
                    self._features.put(keys[place], own)
        found = []
        for item, first in items:
            listed = [own for key in _frame_keys(item)[first:] if (own := known[key]) is not None]
            side = pooled_side(self.config.mm_spatial_pool_mode)
            none = torch.zeros(0, side * side, self.config.hidden_size, dtype=self.dtype, device=self.device)
            found.append(torch.stack(listed) if listed else none)
        return found

    def _encode(
        self, items: Sequence[Visual], places: Sequence[Sequence[int]] | None = None, *, plainly: bool
    ) -> tuple[torch.Tensor, ...]:
        """Projected tokens [F, p, H] of each item, of its frames at `places` alone and pooled where these are given.

        Chunks cross the items' borders.
        """
        if not items:
            return ()
        wanted = [range(len(item)) for item in items] if places is None else places
        parts = [self._on_device(item, own) for item, own in zip(items, wanted, strict=True)]
        mode = None if places is None else self.config.mm_spatial_pool_mode
        chunks = [
            self.encode_frames(pixels, mode, plainly=plainly)
            for pixels in torch.split(torch.cat(parts), self.vision_batch)
        ]
        return torch.split(torch.cat(chunks), [len(part) for part in parts])

    def encode_frames(self, pixels: torch.Tensor, mode: str | None, *, plainly: bool = False) -> torch.Tensor:
        """uint8 frames [F, 3, 384, 384] on the device to projected tokens [F, p, H], pooled in this mode if in any."""
        features = vision.frame_features(self.vision_tower, vision.normalise(pixels, self.dtype), plainly=plainly)
        if mode is None or plainly:
            tokens: torch.Tensor = self.projector(features)
            return tokens if mode is None else vision.pool(tokens, mode)
        return vision.pooled_tokens(self.projector, features, mode)

    def _on_device(self, visual: Visual, places: Sequence[int] | None = None) -> torch.Tensor:
        """The pixels of one visual item, of all of it or of some places, uint8 [count, 3, 384, 384]."""
        wanted = range(len(visual)) if places is None else places
        if isinstance(visual, Raw):
            height, width = visual.frames.shape[1:3]
            if self._resize.agrees(width, height):
                first, last = wanted[0], wanted[-1]
                together = last - first + 1 == len(wanted)
                frames = visual.frames[first : last + 1] if together else visual.frames[list(wanted)]
                return self._resize(self._staging.copy(frames))
        return self._staging.copy(visual.some(wanted))

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy without waiting: from page-locked memory on a GPU."""
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def _frame_keys(item: Visual) -> Sequence[Hashable]:
    """What tells the frames of a video apart from all others."""
    return item.digests or [(id(item), place) for place in range(len(item))]


def _device(name: str) -> torch.device:
    """The device with its number: what runs in other threads must not depend on a thread's current device."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device {name!r} is not known; known: cuda, cuda:N, cpu and torch's others") from None
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _dtype(name: str) -> torch.dtype:
    if name not in _DTYPES:
        raise ValueError(f"dtype {name!r} is not known; known: {', '.join(_DTYPES)}")
    return _DTYPES[name]
