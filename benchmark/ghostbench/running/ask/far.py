"""A run whose local models live in a cluster: their places there, and what decodes clips for them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import Executor
from functools import partial

from ghostbench.credentials import NO_CREDENTIALS
from ghostbench.datasets.schemes import handed_over
from ghostbench.errors import AttemptError, BadInput
from ghostbench.folder.log import LOGGER
from ghostbench.frames import Frames
from ghostbench.media.far import Recipe
from ghostbench.models import LocalModel, Resources
from ghostbench.running.ask.decoding import Decoding
from ghostbench.running.ask.far_decoding import FarDecoding
from ghostbench.running.ask.places.actor import ROOM_S, Cluster
from ghostbench.running.ask.places.in_worker import InWorker
from ghostbench.running.ask.places.worker_model import Assignment
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.plan import Plan
from ghostbench.running.plan.probes import is_slow


def require_room(cluster: Cluster, local: Iterable[ConfiguredModel]) -> None:
    """Raise `BadInput` where a cluster to which no node comes has too few GPUs for all of a run's local models, each of
    which keeps its own as long as the run lasts: the last would wait until its deadline, and the run with it."""
    gpus = sum(configured.resources.gpus * len(configured.replicas) for configured in local)
    missing = cluster.what_is_missing(Resources(cpus=0, gpus=math.ceil(gpus)), 1)
    if missing is not None:
        raise BadInput(f"--on ray: {missing}; name a cluster that has them with --on ray:ADDRESS, or use --on process")


class FarAway:
    """Construct it on the event loop.

    decoding : of the run's clips. In a run where all that look at frames live in the cluster, media is read there, and
    no pixel comes here; where others look too, it is read here for them, and there for the cluster's models.
    """

    def __init__(self, plan: Plan, cluster: Cluster, pool: Executor) -> None:
        self._plan = plan
        self._cluster = cluster
        self._places: dict[ConfiguredModel, list[InWorker]] = {}
        self._far: FarDecoding | None = None
        looking = [row.configured for row in plan.rows if row.needs_frames]
        split = plan.split
        if looking and all(
            isinstance(configured.model, LocalModel) or configured.model is None for configured in looking
        ):
            probes = [probe for probe in plan.probes if probe != "text-only" and not is_slow(probe)]
            self._far = FarDecoding(
                pool, plan.sampling, split.data_root, probes, plan.options.deadline, split.credentials
            )
        self.decoding: Decoding = self._far or Decoding(pool, plan.sampling, split.data_root, split.credentials)

    def places(self, configured: ConfiguredModel, preparing: int) -> list[InWorker]:
        """Where the replicas of a local model are to live."""
        missing = self._cluster.what_is_missing(configured.resources, len(configured.replicas))
        if missing is not None:
            LOGGER.warning("waits for more nodes: %s", missing, extra={"row": configured.choice.row})
        assert isinstance(configured.model, LocalModel)
        looks = any(row.needs_frames for row in self._plan.rows if row.configured is configured)
        split = self._plan.split
        found = []
        for replica in configured.replicas:
            given = Assignment(
                configured.choice.spec.load,
                replica.settings,
                configured.choice.argument,
                (),
                preparing,
                replica.name,
                self._plan.task if looks else None,
                self._plan.variants if looks else None,
                self._plan.sampling if looks else None,
                handed_over(split.data_root, split.credentials) if looks else NO_CREDENTIALS,
            )
            start = partial(self._cluster.start, given, configured.resources)
            found.append(InWorker(configured.model, replica.name, start, decodes=looks, room_s=ROOM_S))
        if looks:
            self._places[configured] = found
        return found

    def loaded(self, configured: ConfiguredModel) -> None:
        """A model's workers can be asked now, about clips too."""
        if self._far is not None:
            self._far.join([place for place in self._places.get(configured, ()) if place.can_be_asked])

    async def foresee(self, frames: Frames, recipe: Recipe) -> AttemptError | None:
        """Have a question made where its pixels are, if it has not been; or say why that is not possible."""
        return await self._far.foresee(frames, recipe) if self._far is not None else None

    def all_loaded(self) -> None:
        """No further models will be loaded before clips are needed."""
        if self._far is not None:
            self._far.no_more()
