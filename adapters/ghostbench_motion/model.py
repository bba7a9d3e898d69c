"""`motion`: an image baseline that looks for something new and moving in the road ahead.

Method. The frames are brought to 480 pixels width. Between each two neighbours the ego motion is estimated as a shift
of the distant scene (phase correlation) and a distance driven over a flat road (`road`). What the earlier frame, moved
so, does not explain forms regions (`emergence`). A region counts as far as its foot is on the ego path, within some 15
to 40 m, as far as it stands upright with the size of a person or vehicle, and as far as its colours were not to be seen
around it one frame earlier: a car that cuts in was in view and brought its colours along, a child from behind a van was
not. A region that can be the same thing gone sideways in the next frame adds its strength, at most twice the first's.

Score. evidence e of the strongest such event, plus 1% of the unrest u on the ego path (which keeps clips without an
event apart), as (e + 0.01 u) / (e + 0.01 u + 0.25): 0 for frames that are all the same, towards 1 for strong evidence,
1/2 where the evidence equals that of a region a quarter of which is new and that is perfect otherwise. It is reported
as P(ghost_probing); what remains, 1 - s, is divided between potential_ghost_probing and normal as s to 1 - s. It is a
score for ranking; nobody has calibrated it.

Thresholds. They were fixed on reasoning (1/2: a region a quarter of which is new, or two consecutive sightings of an
eighth) and on the five drawn clips of ghost5, and have not been moved since. All other constants were set in the same
way; real footage was looked at without its labels, and no score has been compared with a real clip's label.

Limits. This is a baseline, not a detector: it knows no pedestrian, no vehicle and no occluder. It assumes a flat,
straight road and a camera that looks along it; turning, slopes, wipers, headlights at night, a crash that throws the
camera about, or another horizon mislead it. With frames a second apart it can miss an actor altogether. An actor
in the colours of the scene around it is not new to it, and a change of light can be. It sees all that it is shown.

Cost. What is found between two neighbouring frames is remembered under the digests of their pixels. A clip that is
shown up to one moment after another costs one comparison a new frame, and its answers are those of a first look.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2

from ghostbench import BadInput, Grade, LocalModel, ModelError, Reply, Request, RequestRejected, Stages, Verdict
from ghostbench_motion.emergence import Emergence, Looks, find_emergence
from ghostbench_motion.settings import MotionSettings

_UNREST_SHARE = 0.01
_HALF_WAY = 0.25
"""The evidence that scores 1/2."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What `prepare` found in one request's frames. event_time_s : of the emergence, None where there is none."""

    score: float
    emergence: Emergence
    event_time_s: float | None
    seconds: float


class Motion(LocalModel):
    """Answers from the pixels of the sampled frames and their times alone; the same frames give the same answer."""

    settings: MotionSettings

    def __init__(self, settings: MotionSettings, argument: str | None = None) -> None:
        super().__init__(settings, argument)
        self._looks = Looks()

    def check(self) -> None:
        """Raises `BadInput` where the two thresholds are in the wrong order."""
        if self.settings.potential_threshold > self.settings.threshold:
            raise BadInput(
                f"motion: potential_threshold={self.settings.potential_threshold:g} is above "
                f"threshold={self.settings.threshold:g}; set it lower"
            )

    def is_deterministic(self, request: Request) -> bool:
        """Always: it draws nothing."""
        return True

    def load(self) -> Mapping[str, Any]:
        """Nothing to load. Facts: `opencv`, the version in use."""
        return {"opencv": cv2.__version__}

    def prepare(self, request: Request) -> _Seen:
        """Look at the request's frames; all of this model's work. Raises `RequestRejected` where there are none."""
        frames = request.frames
        if frames is None or len(frames) == 0:
            raise RequestRejected("motion judges pixels alone and this request has no frames")
        started = time.perf_counter()
        emergence = find_emergence(frames.pixels, frames.times_s, self.settings.horizon, self._looks)
        event_time_s = None if emergence.position is None else max(0.0, float(frames.times_s[emergence.position]))
        return _Seen(score_of(emergence), emergence, event_time_s, time.perf_counter() - started)

    def answer(self, requests: Sequence[Request]) -> Sequence[Reply | ModelError]:
        """One reply per request, each independent of the others."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Reply | ModelError:
        try:
            seen: _Seen = self.prepare(request) if request.prepared is None else request.prepared
        except RequestRejected as rejection:
            return rejection
        started = time.perf_counter()
        grade = self._grade(seen.score)
        event_time_s = None if grade == "normal" else seen.event_time_s
        verdict = Verdict(grade=grade, event_time_s=event_time_s, evidence=_evidence(seen, grade))
        return Reply(
            text=_written(request, verdict),
            grade_probabilities=grade_probabilities(seen.score),
            stages=Stages(preprocess_s=seen.seconds, generate_s=time.perf_counter() - started),
            batch_size=1,
        )

    def _grade(self, score: float) -> Grade:
        if score >= self.settings.threshold:
            return "ghost_probing"
        return "potential_ghost_probing" if score >= self.settings.potential_threshold else "normal"


def score_of(emergence: Emergence) -> float:
    """P(ghost_probing) in [0, 1): see the module's text."""
    evidence = emergence.evidence + _UNREST_SHARE * emergence.unrest
    return evidence / (evidence + _HALF_WAY)


def grade_probabilities(score: float) -> dict[str, float]:
    """P of each grade for a score in [0, 1]: score, (1 - score) score, (1 - score)²; they sum to 1."""
    return {
        "ghost_probing": score,
        "potential_ghost_probing": (1 - score) * score,
        "normal": (1 - score) ** 2,
    }


def _written(request: Request, verdict: Verdict) -> str:
    """The verdict in the task's format, without its words where the task has no room for them."""
    try:
        return request.write_answer(verdict)
    except ValueError:
        return request.write_answer(replace(verdict, evidence=""))


def _evidence(seen: _Seen, grade: Grade) -> str:
    region = seen.emergence.region
    if grade == "normal" or region is None:
        return f"no new region near the ego path that is strong enough (score {seen.score:.3f})"
    side = "right" if region.lateral > 0 else "left"
    return f"a new region near the ego path, {side} of its middle (score {seen.score:.3f})"
