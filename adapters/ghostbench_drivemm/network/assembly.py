"""The parts of a model put together: modules without weights first, then every weight from the files, then checks."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ghostbench_drivemm.checkpoint.config import PATCHES_PER_SIDE, DriveMMConfig
from ghostbench_drivemm.checkpoint.inventory import TOKENIZER_FILE, Checkpoint, require_tensors
from ghostbench_drivemm.checkpoint.opened import TOWER, open_checkpoint
from ghostbench_drivemm.checkpoint.weights import reading
from ghostbench_drivemm.input.prompt import PromptRenderer, load_renderer
from ghostbench_drivemm.input.tokens import Tokens, load_tokens
from ghostbench_drivemm.network.allocation import allocate
from ghostbench_drivemm.network.llama import Llama
from ghostbench_drivemm.network.siglip import Tower
from ghostbench_drivemm.network.synthetic import synthetic_renderer, synthetic_tokenizer
from ghostbench_drivemm.network.vision import build_projector
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.hub import source_of

PROJECTOR = "model.mm_projector."
NEWLINE = "model.image_newline"
HEAD = "lm_head.weight"
EMBEDDING = "model.embed_tokens.weight"


@dataclass
class Modules:
    """What holds the weights of a configuration."""

    config: DriveMMConfig
    language_model: Llama
    vision_tower: Tower
    projector: nn.Sequential
    image_newline: nn.Parameter | None


@dataclass
class Parts(Modules):
    """Everything a `DriveMM` is made of."""

    tokens: Tokens
    renderer: PromptRenderer
    facts: dict[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, Future[tuple[int, str]]] = field(default_factory=dict)


def load_parts(
    path: str | os.PathLike[str],
    dtype: torch.dtype,
    device: torch.device,
    overrides: Mapping[str, Any],
    meanwhile: Callable[[Parts], None] = lambda _: None,
) -> Parts:
    """Load a checkpoint folder; see `DriveMM.from_checkpoint` for `meanwhile`, and for what it raises."""
    found, config = open_checkpoint(path, overrides)
    modules = without_weights(config, has_newline=NEWLINE in found.tensors)
    require_tensors(found.tensors, _wanted(modules, found))
    places = None
    if device.type == "cuda":
        places = allocate({name: entry.shape for name, entry in found.tensors.items()}, dtype, device)
    # The disk is read while tokenizer and graphs are made.
    with reading(found, dtype=dtype, device=device, places=places) as weights_read:
        tokens = load_tokens(found.folder, config)
        renderer = load_renderer(found.folder, tokens.tokenizer)
        parts = Parts(**vars(modules), tokens=tokens, renderer=renderer)
        if places is not None:
            _assign(parts, places, device)
            _cut_vocabulary(parts)
            meanwhile(parts)
        weights = weights_read()
    if places is not None:
        _require_in_place(parts, places)
    if HEAD in weights and config.tie_word_embeddings and not torch.equal(weights[HEAD], weights[EMBEDDING]):
        raise CheckpointError(f"tie_word_embeddings is true, but {HEAD} differs from {EMBEDDING}")
    if places is None:
        _assign(parts, weights, device)
        _cut_vocabulary(parts)
    parts.facts = _account(found, str(dtype).removeprefix("torch."))
    parts.hashes = found.start_hashing()
    return parts


def random_parts(
    config: DriveMMConfig, dtype: torch.dtype, device: torch.device, seed: int, corpus: Iterable[str] = ()
) -> Parts:
    """Random weights made on the device: normal with deviation 0.02, norms at one, biases at zero."""
    tokenizer = synthetic_tokenizer(config.vocab_size, corpus)
    modules = without_weights(config, has_newline=config.has_newline)
    tokens = Tokens(tokenizer, config.vocab_size, config.eos_token_ids)
    parts = Parts(**vars(modules), tokens=tokens, renderer=synthetic_renderer(tokenizer))
    generator = torch.Generator(device).manual_seed(seed)
    weights = {name: random_tensor(name, shape, dtype, generator) for name, shape in expected_shapes(parts).items()}
    _assign(parts, weights, device)
    count = sum(weight.numel() for weight in weights.values())
    parts.facts = {"parameters": count, "weights": f"random, seed {seed}"}
    return parts


def random_tensor(name: str, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """One random weight on the generator's device, of the kind that its name asks for."""
    tensor = torch.empty(shape, dtype=dtype, device=generator.device)
    if len(shape) > 1 or name == NEWLINE:
        return tensor.normal_(std=0.02, generator=generator)
    return tensor.fill_(0.0 if name.endswith("bias") else 1.0)


def without_weights(config: DriveMMConfig, *, has_newline: bool) -> Modules:
    """All modules on the meta device: shapes and names, no memory, nothing at random."""
    with torch.device("meta"):
        language_model = Llama(config)
        tower = Tower(config.vision)
        projector = build_projector(config)
        newline = nn.Parameter(torch.empty(config.hidden_size), requires_grad=False) if has_newline else None
    return Modules(config, language_model, tower, projector, newline)


def expected_shapes(parts: Modules) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor, under the authors' names."""
    shapes = {name: tuple(tensor.shape) for name, tensor in parts.language_model.state_dict().items()}
    shapes |= {TOWER + name: tuple(tensor.shape) for name, tensor in parts.vision_tower.state_dict().items()}
    shapes |= {PROJECTOR + name: tuple(tensor.shape) for name, tensor in parts.projector.state_dict().items()}
    if parts.image_newline is not None:
        shapes[NEWLINE] = tuple(parts.image_newline.shape)
    return shapes


def _wanted(parts: Modules, found: Checkpoint) -> dict[str, tuple[int, ...]]:
    """What the files must hold: all tensors, but for a head that is the embedding and is not in the files."""
    expected = expected_shapes(parts)
    if parts.config.has_newline:
        expected.setdefault(NEWLINE, (parts.config.hidden_size,))
    if parts.config.tie_word_embeddings and HEAD not in found.tensors:
        del expected[HEAD]
    return expected


def _assign(parts: Parts, weights: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Put the weights into the modules without copying, and check that nothing is unset or elsewhere."""

    def under(prefix: str) -> dict[str, torch.Tensor]:
        return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}

    language = {name: weight for name, weight in weights.items() if not name.startswith((TOWER, PROJECTOR, NEWLINE))}
    language.setdefault(HEAD, language[EMBEDDING])
    for module, state in (
        (parts.language_model, language),
        (parts.vision_tower, under(TOWER)),
        (parts.projector, under(PROJECTOR)),
    ):
        module.load_state_dict(state, strict=True, assign=True)
        module.requires_grad_(False)
        module.eval()
    if parts.image_newline is not None:
        parts.image_newline = nn.Parameter(weights[NEWLINE], requires_grad=False)
    # Only moved: a conversion to 16 bits would round the frequencies.
    parts.language_model.model.rotary_emb.to(device)
    for module in (parts.language_model, parts.vision_tower, parts.projector):
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.device.type != device.type:
                raise CheckpointError(f"{name} was left on {tensor.device} after loading")


def _require_in_place(parts: Parts, places: Mapping[str, torch.Tensor]) -> None:
    """Nothing that was computed meanwhile may have moved a module's weight from where it was read to."""
    read = {place.data_ptr() for place in places.values()}
    for module in (parts.language_model, parts.vision_tower, parts.projector):
        for name, parameter in module.named_parameters():
            if parameter.data_ptr() not in read:
                raise RuntimeError(f"{name} is not where its weights were read to")


def _cut_vocabulary(parts: Parts) -> None:
    """Keep the first rows of embedding and head: the others belong to no token."""
    rows = parts.tokens.rows
    if rows == parts.config.vocab_size:
        return
    model = parts.language_model
    model.model.embed_tokens.weight = nn.Parameter(model.model.embed_tokens.weight[:rows], requires_grad=False)
    model.lm_head.weight = nn.Parameter(model.lm_head.weight[:rows], requires_grad=False)
    model.model.embed_tokens.num_embeddings = model.lm_head.out_features = rows
    origins = {**parts.config.origins, "vocab_size": TOKENIZER_FILE}
    parts.config = model.config = dataclasses.replace(parts.config, vocab_size=rows, origins=origins)


def _account(found: Checkpoint, dtype: str) -> dict[str, Any]:
    entries = found.tensors.values()
    return {
        "tensors": len(found.tensors),
        "parameters": sum(torch.Size(entry.shape).numel() for entry in entries),
        "bytes": sum(entry.end - entry.start for entry in entries),
        "source": source_of(found.folder),
        "stored_dtypes": sorted({entry.dtype for entry in entries}),
        "loaded_dtype": dtype,
        "not_loaded": list(found.derived),
        "patches_per_frame": PATCHES_PER_SIDE**2,
    }
