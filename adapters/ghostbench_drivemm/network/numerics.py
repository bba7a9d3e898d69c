"""Where a value that is not finite came from: one clip is computed again, plainly, with every module watched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ghostbench_drivemm.input.prepared import Prepared
    from ghostbench_drivemm.network.model import DriveMM


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The first place where something was not finite.

    module : its name, as in the model; the enclosing module where the value arose between two modules.
    dtype : of the value. largest_before : largest finite magnitude among all values up to there; None if it is the
    first value of all.
    """

    module: str
    dtype: str
    largest_before: float | None

    def __str__(self) -> str:
        before = "nothing before it"
        if self.largest_before is not None:
            before = f"largest finite magnitude before it: {self.largest_before:.4g}"
        return f"first non-finite output: {self.module} in {self.dtype}; {before}"


class _Found(Exception):
    """Ends the second computation at the first value that is not finite."""


class _Watch:
    def __init__(self) -> None:
        self.largest: float | None = None
        self.found: Diagnosis | None = None

    def see(self, name: str, value: Any) -> None:
        for tensor in _tensors(value):
            if not bool(torch.isfinite(tensor).all()):
                # A module's own finite outputs do not count: they are not before it.
                self.found = Diagnosis(name, str(tensor.dtype).removeprefix("torch."), self.largest)
                raise _Found
        for tensor in _tensors(value):
            self.largest = max(self.largest or 0.0, float(tensor.abs().max()))


@torch.no_grad()
def diagnose(model: DriveMM, prepared: Prepared, answer: Sequence[int] = ()) -> Diagnosis | None:
    """Compute one request again through the model's own modules; None if everything is finite this time.

    answer : the tokens that had been chosen when the value appeared.
    """
    watch = _Watch()
    with _watched(model, watch):
        try:
            embeds = model.embed([prepared], plainly=True)[0]
            watch.see("merged embeddings", embeds)
            if answer:
                tokens = torch.tensor(list(answer), dtype=torch.int64, device=model.device)
                embeds = torch.cat([embeds, model.language_model.get_input_embeddings()(tokens)])
            watch.see("lm_head", model.language_model(embeds[None], last=1))
        except _Found:
            return watch.found
    return None


@contextmanager
def _watched(model: DriveMM, watch: _Watch) -> Iterator[None]:
    handles = []
    parts: dict[str, nn.Module] = {
        "vision_tower": model.vision_tower,
        "projector": model.projector,
        "language_model": model.language_model,
    }
    for part, root in parts.items():
        for name, module in root.named_modules():
            if not any(module.children()):
                full = f"{part}.{name}" if name else part
                handles.append(module.register_forward_pre_hook(_before(watch, full)))
                handles.append(module.register_forward_hook(_after(watch, full)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _before(watch: _Watch, name: str) -> Any:
    parent = name.rpartition(".")[0]

    def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        # Finite when it left the module before: it arose between the two, in the code of the enclosing module.
        watch.see(parent, inputs)

    return hook


def _after(watch: _Watch, name: str) -> Any:
    def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        watch.see(name, output)

    return hook


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() and value.numel() else []
    if isinstance(value, (tuple, list)):
        return [tensor for inner in value for tensor in _tensors(inner)]
    return []
