"""A batch of requests on one device, made smaller where memory runs out."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ghostbench import ModelError, OutOfMemory, Reply, Request, Unavailable
from ghostbench_local import memory
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.replica import Replica

Loaded = TypeVar("Loaded")
Results = dict[str, Reply | ModelError]
"""A reply or an error for each request, by its id."""


def alike(requests: Sequence[Request], dtype: str, limit: Callable[[Request], int]) -> list[tuple[str, list[Request]]]:
    """Requests that can be answered in one form, with the type they are computed in, in the order they first come in.

    dtype : where a request's level names none. limit : most tokens of a request's answer. Such requests have these in
    common, the schema, and the field and values of the verdict, which is where the grades are read.
    """
    groups: dict[tuple[object, ...], tuple[str, list[Request]]] = {}
    for request in requests:
        prompt, own = request.prompt, str(request.level_settings.get("dtype", dtype))
        key = (own, limit(request), json.dumps(prompt.schema), prompt.verdict_field, tuple(prompt.verdict_values))
        groups.setdefault(key, (own, []))[1].append(request)
    return list(groups.values())


class Batch(ABC, Generic[Loaded]):
    """Requests that are computed together on one replica, halved as often as memory runs out."""

    def __init__(self, replica: Replica[Loaded], dtype: str) -> None:
        self.replica, self.dtype = replica, dtype
        self.notes: list[str] = []

    @abstractmethod
    def compute(self, requests: Sequence[Request], model: Loaded) -> Results:
        """Compute these together. Memory that runs out is raised as torch raises it."""

    @abstractmethod
    def positions(self, request: Request) -> int:
        """Positions of a request's prompt."""

    def answer(self, requests: Sequence[Request]) -> Results:
        """A reply or an error for each request. The requests have schema and limit in common."""
        results: Results = {}
        waiting = list(requests)
        while waiting:
            rows = min(len(waiting), self.replica.most_rows.get(self.dtype, len(waiting)))
            part = waiting[:rows]
            try:
                computed = self._fitting(part)
            except ModelError as error:
                computed = dict.fromkeys((request.id for request in part), error)
            if computed is None and rows > 1:
                self.replica.release()
                self.replica.most_rows[self.dtype] = rows // 2
                self.notes.append(f"out of device memory with a batch of {rows}: batch halved to {rows // 2}")
                continue
            if computed is None:
                self.replica.release()
                computed = {part[0].id: OutOfMemory(f"{self.dtype}, {self.positions(part[0])} positions")}
            results |= computed
            waiting = waiting[rows:]
        return results

    def _fitting(self, requests: Sequence[Request]) -> Results | None:
        """What came of the requests; None where memory ran out, when nothing of the attempt is held any more."""
        try:
            return self.compute(requests, self._model())
        except RuntimeError as error:
            if not memory.ran_out(error):
                raise
            return None

    def _model(self) -> Loaded:
        """The model in this batch's type. Raises `ModelError` where it cannot be loaded, however small the batch."""
        try:
            return self.replica.model(self.dtype)
        except CheckpointError as error:
            raise Unavailable(str(error)) from None
        except RuntimeError as error:
            if not memory.ran_out(error):
                raise
        self.replica.release()
        raise OutOfMemory(f"the weights do not fit into the device's memory in {self.dtype}")
