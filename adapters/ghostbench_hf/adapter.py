"""A checkpoint of the hub, or of a folder, as a model of the harness."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from ghostbench import (
    ExampleFramePart,
    FramePart,
    LocalModel,
    ModelError,
    Reply,
    Request,
    RequestRejected,
    RequestTooLarge,
    Resources,
    TextPart,
    Unavailable,
)
from ghostbench_hf import row_name
from ghostbench_hf.settings import HFSettings
from ghostbench_hf.source import Source, digests_of, files_of
from ghostbench_hf.torchvision import has_torchvision
from ghostbench_local.checkpoint.digests import Unchanged
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import one_line
from ghostbench_local.devices import described, devices_of, look_again, look_for, one_on_each, resources_of
from ghostbench_local.ladder import ladder

if TYPE_CHECKING:
    from ghostbench_hf.asking import Form
    from ghostbench_hf.loading import Checkpoint
    from ghostbench_local.replica import Replica

_LIBRARIES = (
    "torch", "torchvision", "transformers", "tokenizers", "llguidance", "pillow", "numpy", "jinja2", "accelerate",
    "triton", "flash-attn", "flash-attn-3", "kernels", "sentencepiece", "tiktoken",
)  # fmt: skip
"""What may decide an answer, some of it only where it is there."""
_NOT_FOR_THE_NETWORK = ("video_metadata", "text_replacement_offsets")
"""What processors add for their callers."""
_ON_CPU = 4
"""Requests computed together on a CPU, where more of them are not faster."""


class HFModel(LocalModel):
    """What transformers' Auto classes load for images and text, on one or more devices of this machine.

    Nothing heavy is imported before `load`, but torch where a GPU is looked for and the driver cannot tell.
    """

    settings: HFSettings

    def __init__(self, settings: HFSettings, argument: str | None = None) -> None:
        super().__init__(settings, argument)
        self.ladder = ladder(settings.dtype)
        self._row = row_name(argument or "hf")
        self._lock = threading.Lock()
        self._longest = 0
        self._warm: set[str] = set()

    @override
    def check(self) -> None:
        devices_of(self._row, self.settings)

    @override
    def check_here(self) -> None:
        Source.read(self.argument, self.settings).look(self.settings, self._row)
        look_for(self._row, devices_of(self._row, self.settings))

    @property
    @override
    def batch_size(self) -> int:
        return self.settings.batch_size or self._fitting(self._replica)

    @override
    def resources(self) -> Resources:
        return resources_of(self.settings)

    @override
    def replicas(self) -> Sequence[HFSettings]:
        return one_on_each(self._row, self.settings)

    @override
    def load(self) -> Mapping[str, Any]:
        try:
            has_torchvision()
        except CheckpointError as error:
            raise Unavailable(str(error)) from None
        from ghostbench_hf.loading import Reader, load_checkpoint
        from ghostbench_local import memory
        from ghostbench_local.answer.forms import Forms
        from ghostbench_local.arithmetic import arithmetic, versions_of
        from ghostbench_local.replica import Replica

        settings = self.settings
        look_again(self._row, devices_of(self._row, settings))
        try:
            folder, source = Source.read(self.argument, settings).have(settings)
            kept = Unchanged(files_of(folder))

            def load_network(dtype: str, device: str) -> Checkpoint:
                loaded = load_checkpoint(folder, settings, dtype, device)
                kept.check()
                return loaded

            self._replica: Replica[Checkpoint] = Replica(
                devices_of(self._row, settings)[0], load_network, lambda loaded: loaded.features.forget()
            )
            self._reader = Reader(folder, settings.frames_as)
            seconds = self._replica.load(settings.dtype)
            model = self._replica.model(settings.dtype)
            self._forms = Forms(self._row, self._reader.vocabulary(model))
            files = digests_of(folder)
            kept.check()
        except CheckpointError as error:
            raise Unavailable(str(error)) from None
        except RuntimeError as error:
            if not memory.ran_out(error):
                raise
            raise Unavailable(f"the weights do not fit into the device's memory in {settings.dtype}") from None
        self._limit_positions, self._row_bytes = model.position_limit, _bytes_of_a_position(model)
        return {
            "architecture": type(model.network).__name__,
            "parameters": sum(weight.numel() for weight in model.network.parameters()),
            "attention": model.network.config._attn_implementation,
            **self._reader.facts,
            "devices": [described(str(self._replica.device))],
            "dtype": settings.dtype,
            "load_s": seconds,
            "source": source,
            "files": files,
            "arithmetic": arithmetic(self._replica.device),
            "libraries": versions_of(_LIBRARIES),
        }

    @override
    def prepare(self, request: Request) -> Any:
        import torch

        from ghostbench_hf.inputs import Inputs
        from ghostbench_local import memory

        started = time.perf_counter()
        turns, told = self._reader.conversation.of(request)
        try:
            read = self._reader.of_this_thread().apply_chat_template(
                turns,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs=told,
            )
        except Exception as error:  # a stranger's template or files may raise anything
            if isinstance(error, MemoryError) or memory.ran_out(error):
                raise
            raise RequestRejected(f"the checkpoint's processor does not take it: {one_line(error)}") from error
        tensors = {name: value for name, value in read.items() if name not in _NOT_FOR_THE_NETWORK}
        other = next((name for name, value in tensors.items() if not isinstance(value, torch.Tensor)), None)
        if other is not None:
            raise RequestRejected(f"the checkpoint's processor gives {other!r} as no tensor, which cannot be batched")
        if request.frames is not None and not any(name.startswith("pixel_values") for name in tensors):
            raise RequestRejected("the checkpoint's processor made nothing of the frames")
        pictures = _pictures_of(request) if "pixel_values" in tensors else None
        inputs = Inputs(tensors, time.perf_counter() - started, pictures)
        if inputs.unknown is not None:
            raise RequestRejected(
                f"the checkpoint's processor gives {inputs.unknown!r} with a column for each token, which is not known "
                "to be padded: such a checkpoint is not asked"
            )
        longest = inputs.length + self._limit(request)
        if self._limit_positions is not None and longest > self._limit_positions:
            raise RequestTooLarge(
                f"{inputs.length} positions and an answer of {self._limit(request)} tokens; "
                f"the checkpoint allows {self._limit_positions} (max_position_embeddings)"
            )
        with self._lock:
            self._longest = max(self._longest, longest)
        return inputs

    @override
    def answer(self, requests: Sequence[Request]) -> Sequence[Reply | ModelError]:
        from ghostbench_hf.asking import HFBatch
        from ghostbench_local.batching import alike

        def answered() -> dict[str, Reply | ModelError]:
            results: dict[str, Reply | ModelError] = {}
            for dtype, group in alike(requests, self.settings.dtype, self._limit):
                try:
                    form = self._form(group[0])
                except ModelError as error:
                    results |= dict.fromkeys((request.id for request in group), error)
                else:
                    batch = HFBatch(self._replica, dtype, form, self._text)
                    batch.notes += self._cold(dtype)
                    results |= batch.answer(group)
            return results

        results = self._replica.run(answered)
        return [results[request.id] for request in requests]

    @override
    def is_deterministic(self, request: Request) -> bool:
        """Always: decoding is greedy, whatever the checkpoint states."""
        return True

    @override
    def close(self) -> None:
        if hasattr(self, "_replica"):
            self._replica.close()

    def _cold(self, dtype: str) -> list[str]:
        """The note on a GPU's first batch in a type, in which its libraries get ready."""
        if self._replica.device.type != "cuda" or dtype in self._warm:
            return []
        self._warm.add(dtype)
        return [f"warm-up: the first batch in {dtype} on {self._replica.device}"]

    def _form(self, request: Request) -> Form:
        from ghostbench_hf.asking import Form

        prompt, score = request.prompt, self.settings.mode == "score"
        reader = self._forms.reader(prompt.verdict_field, prompt.verdict_values)
        if score and reader is None:
            raise RequestRejected("score mode needs a task whose schema fixes the verdict's values")
        grammar = self._forms.grammar(prompt.schema) if self.settings.grammar and not score else None
        return Form(self._limit(request), grammar, reader, score)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._reader.of_this_thread().tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _limit(self, request: Request) -> int:
        return self.settings.max_new_tokens or request.prompt.max_output_tokens

    def _fitting(self, replica: Replica[Checkpoint]) -> int:
        from ghostbench_hf.fitting import rows_that_fit

        if replica.device.type != "cuda":
            rows = _ON_CPU
        else:
            rows = rows_that_fit(replica.device, self.settings.memory_fraction, self._longest, self._row_bytes)
        return min(rows, replica.most_rows.get(self.settings.dtype, rows))


def _pictures_of(request: Request) -> Hashable:
    """What tells the pictures of a request from all others, their order too; None where nobody knows."""
    if request.frames is None:
        return None
    shown: list[tuple[str, int]] = []
    for part in request.prompt.parts:
        if isinstance(part, FramePart):
            shown.append((request.frames.sha256, part.position))
        elif isinstance(part, ExampleFramePart):
            shown.append((request.examples[part.example].sha256, part.position))
        elif not isinstance(part, TextPart):
            return None
    return tuple(shown)


def _bytes_of_a_position(model: Checkpoint) -> int:
    from ghostbench_hf.fitting import position_bytes

    return position_bytes(model.network)
