"""Decoding where the workers are: media paths go there, and what comes back of frames has no pixels."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

from typing_extensions import override

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.errors import AttemptError, MediaError, MediaUnreachable
from ghostbench.frames import Frames
from ghostbench.media.far import Recipe
from ghostbench.media.sampling import Sampling
from ghostbench.question import Question
from ghostbench.records import Clip
from ghostbench.running.ask.decoding import Decoded, Decoding
from ghostbench.running.ask.places.in_worker import Gone, InWorker
from ghostbench.running.ask.places.looking import Seen, Wanted
from ghostbench.running.ask.questions import foresee, foresee_one, foreseen
from ghostbench.running.rules.retry import MOST_LOST


class FarDecoding(Decoding):
    """Has clips decoded by the workers of a run's models.

    probes : whose questions the run will ask. In a run where no worker is left, clips are decoded here, so that they
    are described as in every other run. deadline_s : how long a worker may take for one of them.
    """

    def __init__(
        self,
        pool: Executor,
        sampling: Sampling,
        root: object,
        probes: Sequence[str],
        deadline_s: float = math.inf,
        credentials: Credentials = NO_CREDENTIALS,
    ) -> None:
        super().__init__(pool, sampling, root, credentials)
        self._probes = tuple(probes)
        self._deadline_s = deadline_s
        self._places: list[InWorker] = []
        self._next = 0
        self._lock = threading.Lock()
        self._known = asyncio.Event()

    def join(self, places: Sequence[InWorker]) -> None:
        """These workers can be asked from now on."""
        self._places += places
        if places:
            self._known.set()

    def no_more(self) -> None:
        """No further workers will come; who waits for the first is let go."""
        self._known.set()

    @override
    async def decode(self, clip: Clip) -> Decoded:
        if clip.media is None:
            return await super().decode(clip)
        await self._known.wait()
        loop = asyncio.get_running_loop()
        decoded = await loop.run_in_executor(self._pool, self._seen, clip.media)
        return decoded if decoded is not None else await super().decode(clip)

    async def foresee(self, frames: Frames, recipe: Recipe) -> AttemptError | None:
        """Have a question made where its pixels are, and keep it with the frames; or say why there is none."""
        if foreseen(frames, recipe):
            return None
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._pool, self._asked, recipe)
        if isinstance(found, Question):
            foresee_one(frames, recipe, found)
            return None
        assert found is None or isinstance(found, AttemptError)
        return found or MediaUnreachable("no worker is left to choose its frames")

    def _seen(self, media: str) -> Decoded | None:
        """What a worker tells of a clip; None where there is no worker."""
        found = self._asked(Wanted(media, self._probes))
        if isinstance(found, Seen):
            foresee(found.frames, found.told, found.others)
            return Decoded(found.frames, found.seconds)
        if isinstance(found, MediaError):
            return Decoded(found, None)
        return None

    def _asked(self, given: Any) -> Any:
        """What the worker whose turn it is says; of another where one is lost over it, twice at most."""
        for _ in range(MOST_LOST):
            place = self._turn()
            if place is None:
                return None
            try:
                return place.look(given, self._deadline_s)
            except Gone:
                continue
            except AttemptError:
                self._leave(place)
                return self._asked(given)
        # Whether the clip had a part in that, nobody knows: no worker has said a word against it.
        return MediaUnreachable(f"{MOST_LOST} workers were lost while it was decoded")

    def _turn(self) -> InWorker | None:
        with self._lock:
            self._next += 1
            return self._places[self._next % len(self._places)] if self._places else None

    def _leave(self, place: InWorker) -> None:
        with self._lock:
            if place in self._places:
                self._places.remove(place)
