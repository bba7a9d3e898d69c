"""What the network makes of a clip's pictures, computed once for all that is asked about the clip."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ghostbench_hf.inputs import Inputs

FAMILIES = frozenset({"llava_onevision", "qwen2_5_vl", "qwen3_vl", "idefics3", "internvl", "gemma3"})
"""Kinds of networks, by `model_type`, that use of `get_image_features` nothing but what `_together` puts together: for
these, what is computed for one request alone is known to give the library's own answers."""
_FUNCTION = "get_image_features"
_USED = ("pooler_output", "deepstack_features")
_MOST_BYTES = 512 << 20


class Features:
    """Features of pictures, kept from batch to batch; what was used longest ago goes.

    They are computed for one request at a time, so that they are the same whatever else is in its batch.

    network : as loaded. most_bytes : that they take together at most, beside those of the batch under way.
    """

    def __init__(self, network: Any, most_bytes: int = _MOST_BYTES) -> None:
        self._base: Any = getattr(network, "base_model", None)
        known = getattr(network.config, "model_type", None) in FAMILIES
        self.shared = known and callable(getattr(self._base, _FUNCTION, None))
        self._most_bytes = most_bytes
        self._kept: OrderedDict[object, Any] = OrderedDict()

    def forget(self) -> None:
        """Give them all back."""
        self._kept.clear()

    @contextmanager
    def of(self, inputs: Sequence[Inputs]) -> Iterator[None]:
        """Inside, the network has the features of these requests, in their order, from here."""
        if not self.shared or any(one.pictures is None for one in inputs):
            yield
            return
        own: Callable[..., Any] = getattr(self._base, _FUNCTION)

        @functools.wraps(own)
        def features(**given: Any) -> Any:
            return self._of_each(inputs, own, given)

        setattr(self._base, _FUNCTION, features)
        try:
            yield
        finally:
            delattr(self._base, _FUNCTION)

    def _of_each(self, inputs: Sequence[Inputs], compute: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        parts = {
            name: torch.split(value, [len(one.tensors[name]) for one in inputs])
            for name, value in given.items()
            if isinstance(value, torch.Tensor) and name in inputs[0].tensors
        }
        found: dict[object, Any] = {}
        for place, one in enumerate(inputs):
            if one.pictures not in found:
                mine = {**given, **{name: split[place] for name, split in parts.items()}}
                found[one.pictures] = self._one(one.pictures, compute, mine)
        self._make_room()
        return _together([found[one.pictures] for one in inputs])

    def _one(self, pictures: object, compute: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        if pictures in self._kept:
            self._kept.move_to_end(pictures)
        else:
            made = compute(**given)
            # Nothing else of it is held: hidden states are many times as large.
            self._kept[pictures] = type(made)(**{name: made[name] for name in _USED if made.get(name) is not None})
        return self._kept[pictures]

    def _make_room(self) -> None:
        held = sum(map(_bytes, self._kept.values()))
        while held > self._most_bytes:
            _, gone = self._kept.popitem(last=False)
            held -= _bytes(gone)


def _together(parts: Sequence[Any]) -> Any:
    """Outputs one behind the other, as if their pictures had been given at once."""
    if len(parts) == 1:
        return type(parts[0])(**parts[0])
    pooled = _behind([part["pooler_output"] for part in parts])
    deep = [part.get("deepstack_features") for part in parts]
    if deep[0] is None:
        return type(parts[0])(pooler_output=pooled)
    layers = [_behind(layer) for layer in zip(*deep, strict=True)]
    return type(parts[0])(pooler_output=pooled, deepstack_features=layers)


def _behind(values: Sequence[Any]) -> Any:
    """A tensor's rows, or a list of tensors, one for each picture."""
    if isinstance(values[0], torch.Tensor):
        return torch.cat(list(values))
    return tuple(each for value in values for each in value)


def _bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    return sum(map(_bytes, value.values() if isinstance(value, Mapping) else value))
