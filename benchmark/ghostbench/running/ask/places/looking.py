"""What a worker sees of clips that it decodes itself: their frames for its model, and all else for the run."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.errors import AttemptError, DecodeFailed, MediaError
from ghostbench.frames import Frames
from ghostbench.media.decode import decode
from ghostbench.media.far import Facts, FarFrames, Recipe
from ghostbench.media.sampling import Sampling
from ghostbench.question import Question
from ghostbench.records import Request
from ghostbench.running.ask.questions import Questions
from ghostbench.running.rules.replies import in_words
from ghostbench.tasks.base import Task

_KEPT_BYTES = 1 << 30
"""How many bytes of frames a worker keeps of the clips that it has seen last, with what probes make of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A clip that is to be looked at. probes : those whose questions the run will ask."""

    media: str
    probes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run is told of a clip: its frames without their pixels, and the questions about it, which have the like.

    told : by wording, all questions, or what the task raises instead, in words. others : those of probes.
    """

    frames: FarFrames
    told: Mapping[str | None, tuple[Question, ...] | str]
    others: tuple[tuple[Recipe, Question], ...]
    seconds: float


class Looking:
    """Decodes clips, each once as long as its frames are kept, and makes the questions about them.

    worker : its name. credentials : what opens the media, as the run handed it over.
    """

    def __init__(
        self,
        task: Task,
        variants: Mapping[str, Task],
        sampling: Sampling,
        worker: str,
        credentials: Credentials = NO_CREDENTIALS,
    ) -> None:
        self._questions = Questions(task, variants)
        self._variants = (None, *variants)
        self._sampling = sampling
        self._worker = worker
        self._credentials = credentials
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Frames] = OrderedDict()
        self._busy: dict[str, threading.Lock] = {}
        self._probes: set[str] = set()

    def look(self, wanted: Wanted) -> Seen | MediaError:
        """What there is to know of a clip."""
        started = time.perf_counter()
        self._probes.update(wanted.probes)
        try:
            frames = self._frames(wanted.media)
        except MediaError as error:
            return error
        seconds = time.perf_counter() - started
        whole = self._far(frames, Recipe(wanted.media, self._sampling))
        told: dict[str | None, tuple[Question, ...] | str] = {}
        others: list[tuple[Recipe, Question]] = []
        for variant in self._variants:
            own = replace(whole.recipe, variant=variant)
            try:
                questions = self._questions.about(frames, variant)
                told[variant] = tuple(
                    replace(each, frames=whole)
                    if each.frames is frames
                    else self.question(replace(own, moment_s=each.moment_s))
                    for each in questions
                )
                recipes = [
                    replace(own, moment_s=each.moment_s, probe=probe)
                    for each in questions
                    for probe in (wanted.probes if variant is None else ())
                ]
                others += [(recipe, self.question(recipe)) for recipe in recipes]
            except Exception as error:  # noqa: BLE001 - a stranger's task may raise anything
                told[variant] = in_words(error) or type(error).__name__
        return Seen(whole, told, tuple(others), seconds)

    def question(self, recipe: Recipe) -> Question:
        """The question that the recipe is of. Raises `MediaError`, and what the task raises."""
        asked = self._asked(recipe)
        return replace(asked, frames=self._far(asked.frames, recipe) if asked.frames is not None else None)

    def shown(self, request: Request) -> Request:
        """The request with the frames that it stands for in hand, and those of its examples. Raises `AttemptError`.

        Frames that are not those that the run knows are a failure of the media: no two models are shown different ones.
        """
        far = request.frames
        if not isinstance(far, FarFrames):
            return request
        try:
            frames = self._asked(far.recipe).frames
        except AttemptError:
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's task may raise anything
            raise DecodeFailed(f"its frames cannot be chosen again: {in_words(error)}") from None
        examples = tuple(self._example(each) for each in request.examples)
        return replace(request, frames=_the_same(frames, far, "its frames").private(), examples=examples)

    def _example(self, frames: Frames) -> Frames:
        """The frames of an example in hand. Raises `MediaError` that says whose media it is: not the clip's."""
        if not isinstance(frames, FarFrames):
            return frames
        try:
            found = self._frames(frames.recipe.media)
        except MediaError as error:
            raise type(error)(f"the frames of an example cannot be had here: {error}") from None
        return _the_same(found, frames, "the frames of an example").private()

    def _asked(self, recipe: Recipe) -> Question:
        if recipe.probe is not None:
            self._probes.add(recipe.probe)
        return self._questions.asked(
            self._frames(recipe.media),
            recipe.moment_s,
            probe=recipe.probe,
            variant=recipe.variant,
            most=recipe.most,
        )

    def _far(self, frames: Frames, recipe: Recipe) -> FarFrames:
        return FarFrames(Facts.of(frames), recipe, self._worker)

    def _frames(self, media: str) -> Frames:
        """The clip's frames; who asks for them while they are decoded waits for that."""
        with self._lock:
            own = self._busy.setdefault(media, threading.Lock())
        with own:
            try:
                with self._lock:
                    if (kept := self._kept.get(media)) is not None:
                        self._kept.move_to_end(media)
                        return kept
                frames = decode(media, self._sampling, self._credentials)
                with self._lock:
                    self._kept[media] = frames
                    # Each probe keeps frames of its own beside a clip's.
                    most = _KEPT_BYTES // (1 + len(self._probes))
                    while sum(each.pixels.nbytes for each in self._kept.values()) > most and len(self._kept) > 1:
                        self._kept.popitem(last=False)
                return frames
            finally:
                with self._lock:
                    if self._busy.get(media) is own:
                        del self._busy[media]


def _the_same(frames: Frames | None, far: FarFrames, what: str) -> Frames:
    """Frames that are those which the run knows. Raises `DecodeFailed` for others."""
    if frames is None or frames.sha256 != far.sha256:
        raise DecodeFailed(
            f"decoded here, {what} are not those that were decoded elsewhere in this run: are the decoders of the same "
            f"version? Here {frames.decoder if frames is not None else 'none'}, there {far.decoder}"
        )
    return frames
