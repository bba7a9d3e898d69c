"""DriveMM as modules on a device: loading, preparing requests on the CPU, embedding them in batches, tracing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
from transformers import LlamaForCausalLM

from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.engine import GenerateOptions, generate
from ghostbench_drivemm.engine.device import on_device
from ghostbench_drivemm.input.prepared import Kind, Prepared, Preparer, Raw, Visual, check_ids
from ghostbench_drivemm.input.prompt import IMAGE_ID
from ghostbench_drivemm.input.resize import FrameResize
from ghostbench_drivemm.input.staging import Staging
from ghostbench_drivemm.network import vision
from ghostbench_drivemm.network.assembly import Parts, load_parts, random_parts

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
    tokenizer : the checkpoint's own; for decoding answers and for grammars.
    language_model : transformers' Llama.
    vision_tower : transformers' SigLIP vision model with the kept layers.
    projector : `mlpNx_gelu`.
    image_newline : the learned newline token [H]; None where the checkpoint's merge type has none.
    eos_ids : every token id that ends an answer.
    device, dtype : where the parameters are, and their element type.
    vision_batch : frames that go through the tower at a time.
    """

    vision_batch: int = 64

    def __init__(self, parts: Parts, *, dtype: torch.dtype, device: torch.device) -> None:
        self.config: DriveMMConfig = parts.config
        self.tokenizer: Tokenizer = parts.tokenizer
        self.language_model: LlamaForCausalLM = parts.language_model
        self.vision_tower: nn.Module = parts.vision_tower
        self.projector: nn.Sequential = parts.projector
        self.image_newline: nn.Parameter | None = parts.image_newline
        self.eos_ids: tuple[int, ...] = parts.config.eos_token_ids
        self.device = device
        self.dtype = dtype
        self._preparer = Preparer(parts.config, parts.renderer, resizes_later=device.type == "cuda")
        self._resize = FrameResize(parts.config, device)
        self._staging = Staging(device)
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
    ) -> DriveMM:
        """Load a checkpoint folder; nothing of it is ever left at random.

        Parameters
        ----------
        path : local folder with `config.json`, `tokenizer.json`, `tokenizer_config.json`, safetensors files.
        dtype : `bfloat16`, `float16` or `float32`; the files' own type may be another.
        device : any torch device.
        overrides : values set over `config.json` and `generation_config.json`.

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
        return cls(load_parts(path, kind, where, overrides or {}), dtype=kind, device=where)

    @classmethod
    def from_random(
        cls, config: DriveMMConfig, *, dtype: str = "bfloat16", device: str = "cuda", seed: int = 0
    ) -> DriveMM:
        """Random weights of a given shape, made on the device, with a stand-in tokenizer: for measuring only."""
        where, kind = _device(device), _dtype(dtype)
        return cls(random_parts(config, kind, where, seed), dtype=kind, device=where)

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest keeps: parameters, bytes, configuration with origins, files with size and SHA-256.

        Waits for the hashing threads the first time.
        """
        hashes = {name: future.result() for name, future in self._hashes.items()}
        listed = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in sorted(hashes.items())}
        return {**self._facts, "config": self.config.described(), "files": listed}

    def prepare(
        self,
        images: Sequence[Image.Image] | npt.NDArray[np.uint8],
        question: str,
        *,
        kind: Kind,
        system: str | None = None,
        threads: Executor | None = None,
    ) -> Prepared:
        """Do a request's CPU work; see `Preparer.prepare`. May run in any thread; touches no device."""
        return self._preparer.prepare(images, question, kind=kind, system=system, threads=threads)

    @torch.no_grad()
    def embed(self, prepared: Sequence[Prepared], *, plainly: bool = False) -> list[torch.Tensor]:
        """Embed a batch: for each request [length, H] on the device, text and visual tokens merged.

        All frames of the batch go through the vision tower together, `vision_batch` at a time. Nothing here waits
        for the device, but for a free buffer where it has not taken the frames of before yet, and for the first frames
        of a size. `plainly` computes with the library's own modules alone, so that hooks on them are called.

        Raises
        ------
        ValueError
            A token id is outside the vocabulary, or the `<image>` marks do not match the visual items.
        """
        for request in prepared:
            check_ids(request, self.config.vocab_size)
        with on_device(self.device):
            return self._merged(prepared, plainly)

    def _merged(self, prepared: Sequence[Prepared], plainly: bool) -> list[torch.Tensor]:
        visual = iter(self._visual_tokens(prepared, plainly))
        text = self._text_embeddings(prepared)
        merged = []
        for request, rows in zip(prepared, text, strict=True):
            marks = np.flatnonzero(request.input_ids == IMAGE_ID)
            # Positions among the text rows alone: each mark before one has been cut out.
            cuts = [0, *(int(mark) - place for place, mark in enumerate(marks)), rows.shape[0]]
            parts = [rows[cuts[0] : cuts[1]]]
            for start, end in pairwise(cuts[1:]):
                parts += [next(visual), rows[start:end]]
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

    def _visual_tokens(self, prepared: Sequence[Prepared], plainly: bool) -> list[torch.Tensor]:
        """Tokens of every visual item of the batch, in order; videos and images go through the tower apart."""
        videos = [visual for request in prepared if request.video for visual in request.visuals]
        pictures = [visual for request in prepared if not request.video for visual in request.visuals]
        pooled = iter(self._encode(videos, pooled=True, plainly=plainly))
        plain = iter(self._encode(pictures, pooled=False, plainly=plainly))
        newline, config = self.image_newline, self.config
        tokens = []
        for request in prepared:
            for size in request.sizes:
                if request.video:
                    tokens.append(vision.video_tokens(next(pooled), newline, config))
                else:
                    tokens.append(vision.image_tokens(next(plain), size, newline, config))
        return tokens

    def _encode(self, items: Sequence[Visual], *, pooled: bool, plainly: bool) -> tuple[torch.Tensor, ...]:
        """Projected (and pooled) tokens [F, p, H] of each item; chunks cross the items' borders."""
        if not items:
            return ()
        frames = torch.cat([self._on_device(item) for item in items])
        chunks = []
        for pixels in torch.split(frames, self.vision_batch):
            tokens = self.encode_frames(pixels, plainly=plainly)
            chunks.append(vision.pool(tokens, self.config.mm_spatial_pool_mode) if pooled else tokens)
        return torch.split(torch.cat(chunks), [len(item) for item in items])

    def encode_frames(self, pixels: torch.Tensor, *, plainly: bool = False) -> torch.Tensor:
        """uint8 frames [F, 3, 384, 384] on the device to projected tokens [F, 729, H]."""
        features = vision.frame_features(self.vision_tower, vision.normalise(pixels, self.dtype), plainly=plainly)
        tokens: torch.Tensor = self.projector(features)
        return tokens

    def _on_device(self, visual: Visual) -> torch.Tensor:
        """The pixels of one visual item, uint8 [count, 3, 384, 384]."""
        if isinstance(visual, Raw):
            height, width = visual.frames.shape[1:3]
            if self._resize.agrees(width, height):
                return self._resize(self._staging.copy(visual.frames))
        return self._staging.copy(np.asarray(visual))

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy without waiting: from page-locked memory on a GPU."""
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


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
