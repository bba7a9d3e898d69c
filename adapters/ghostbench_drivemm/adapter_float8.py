"""`drivemm:fp8`: DriveMM with float8 products, a model of another name, which says how far it is from bfloat16."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from ghostbench import Compared, ModelError, Reply, Request, Unavailable
from ghostbench_drivemm.adapter import DriveMMModel
from ghostbench_drivemm.settings import FLOAT8, DriveMMFloat8Settings
from ghostbench_local.devices import require_capability

if TYPE_CHECKING:
    from ghostbench_drivemm.network.model import DriveMM

_OTHER = "bfloat16"
"""What it is compared with: the same weights as they are stored."""
_CAPABILITY = (8, 9)
"""The first GPUs that multiply float8: Ada and Hopper."""
_TOGETHER = 4
"""Prompts that are computed together for the comparison: one prefill's worth, beside all that the answers take."""
_ROOM = 64
"""Positions behind a prompt that reading the grades may take."""


class DriveMMFloat8(DriveMMModel):
    """DriveMM whose decoder layers multiply in float8. Nothing heavy is imported before `load`."""

    name: ClassVar[str] = "drivemm:fp8"
    settings: DriveMMFloat8Settings

    def __init__(self, settings: DriveMMFloat8Settings, argument: str | None = None) -> None:
        super().__init__(settings, argument)
        self._to_compare = settings.compare

    @override
    def check_here(self) -> None:
        super().check_here()
        needed_for = "float8 products (drivemm computes in bfloat16)"
        require_capability(self.name, self._devices(), _CAPABILITY, needed_for)

    @override
    def load(self) -> Mapping[str, Any]:
        return {"compared_with": _OTHER, **super().load()}

    @override
    def answer(self, requests: Sequence[Request]) -> Sequence[Reply | ModelError]:
        found = [_told(request, reply) for request, reply in zip(requests, super().answer(requests), strict=True)]
        if self._to_compare <= 0:
            return found
        return self._replica.run(lambda: self._beside(requests, found))

    @override
    def _load_model(self, dtype: str, device: str) -> DriveMM:
        import torch

        from ghostbench_drivemm.engine import engine_of
        from ghostbench_drivemm.engine.float8 import runs_on
        from ghostbench_drivemm.network.rounding import in_float8

        if dtype != FLOAT8:
            return super()._load_model(dtype, device)
        reason = runs_on(torch.device(device))
        if reason is not None:
            raise Unavailable(f"{device} computes no float8 products here ({reason}); drivemm computes in bfloat16")
        keep = self._to_compare > 0
        plain = self._replica.model(_OTHER) if keep else super()._load_model(_OTHER, device)
        if keep:
            # Taken now, so that what is free when a batch's size is chosen is free indeed.
            engine_of(plain).reserve(_TOGETHER, self._longest + _ROOM)
        try:
            return in_float8(plain, keep=keep)
        except ValueError as error:
            raise Unavailable(str(error)) from None

    def _beside(self, requests: Sequence[Request], found: Sequence[Reply | ModelError]) -> Sequence[Reply | ModelError]:
        """The same replies, with what bfloat16 says where both can be compared. Drops bfloat16 once it was enough."""
        from ghostbench_local import memory

        started = time.perf_counter()
        asked = [
            request
            for request, reply in zip(requests, found, strict=True)
            if isinstance(reply, Reply) and reply.grade_probabilities is not None and not _rescued(request)
        ]
        note = ""
        others: dict[str, Mapping[str, float]] = {}
        try:
            others = self._in_bfloat16(asked)
        except RuntimeError as error:
            if not memory.ran_out(error):
                raise
            self._to_compare = 0
            note = "not compared with bfloat16: there is not enough memory for both"
        self._to_compare -= len(others)
        if self._to_compare <= 0:
            self._replica.unload(_OTHER)
        taken = f"answered in bfloat16 too, in {time.perf_counter() - started:.3g} s of its batch's time"
        told: list[Reply | ModelError] = []
        for request, reply in zip(requests, found, strict=True):
            if not isinstance(reply, Reply) or not (note or others):
                told.append(reply)
                continue
            other = others.get(request.id)
            compared = None if other is None else Compared(against=_OTHER, grade_probabilities=other)
            told.append(replace(reply, compared=compared, notes=(*reply.notes, note or taken)))
        return told

    def _in_bfloat16(self, requests: Sequence[Request]) -> dict[str, Mapping[str, float]]:
        """The grades' probabilities by request, where they are finite."""
        from ghostbench_drivemm.engine import generate_prepared
        from ghostbench_drivemm.serving.batching import probabilities_of, ready_of
        from ghostbench_local.batching import alike

        found: dict[str, Mapping[str, float]] = {}
        if not requests:
            return found
        model = self._replica.model(_OTHER)
        for _, group in alike(requests, _OTHER, self._limit):
            options = replace(self.options(group, model), max_new_tokens=0, grammar=None, sampling=None)
            for start in range(0, len(group), _TOGETHER):
                part = group[start : start + _TOGETHER]
                answers = generate_prepared(model, [ready_of(request).prepared for request in part], options)
                for request, answer in zip(part, answers, strict=True):
                    if answer.nonfinite_step is None and (chances := probabilities_of(answer)) is not None:
                        found[request.id] = chances
        return found


def _rescued(request: Request) -> bool:
    """Whether the request is of a fallback level that computes in another type."""
    return "dtype" in request.level_settings


def _told(request: Request, reply: Reply | ModelError) -> Reply | ModelError:
    """The reply, with a note where it is of a level without float8."""
    if not _rescued(request) or not isinstance(reply, Reply):
        return reply
    return replace(reply, notes=(*reply.notes, f"computed in {request.level_settings['dtype']}, not in float8"))
