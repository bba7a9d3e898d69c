"""The four yardsticks. None gives a probability: a constant, a draw and a vote estimate nothing about a clip."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ghostbench import Clip, Grade, ReferenceModel, Reply, Request, Truths, Verdict


class Always(ReferenceModel):
    """Answers `ghost_probing` whatever the clip."""

    def answer(self, clip: Clip, request: Request) -> Reply:
        """`ghost_probing`."""
        return _reply(request, "ghost_probing", "the same for every clip")


class Never(ReferenceModel):
    """Answers `normal` whatever the clip."""

    def answer(self, clip: Clip, request: Request) -> Reply:
        """`normal`."""
        return _reply(request, "normal", "the same for every clip")


class Random(ReferenceModel):
    """Answers `ghost_probing` with the probability that a clip of the split is labelled so."""

    _prevalence: float

    def begin(self, truths: Truths) -> Mapping[str, Any]:
        """Count the labels. Facts: `prevalence`, the share of the split labelled `ghost_probing`, in [0, 1]."""
        self._prevalence = prevalence(truths.clips)
        return {"prevalence": self._prevalence}

    def answer(self, clip: Clip, request: Request) -> Reply:
        """A draw that depends on the request's seed and the clip's id alone, so on no order and no retry."""
        positive = uniform(request.seed, clip.id) < self._prevalence
        return _reply(request, "ghost_probing" if positive else "normal", "drawn at the split's prevalence")


class CategoryPrior(ReferenceModel):
    """Answers what most *other* clips of the clip's accident category are labelled: leave-one-out.

    It sees nothing of the clip, so whatever it scores above `random` is what a prompt would give away that names the
    category, as a DADA-2000 clip id does. Its vote shares are no scores: leaving a clip out lowers the share for
    positives and raises it for negatives of the same category, so that they would rank clips backwards.
    """

    _positives: Counter[int | None]
    _clips: Counter[int | None]

    def begin(self, truths: Truths) -> Mapping[str, Any]:
        """Count labels by category; clips without one form a category together. Facts: `categories`, their number."""
        self._clips = Counter(clip.category for clip in truths.clips)
        self._positives = Counter(clip.category for clip in truths.clips if clip.truth == "ghost_probing")
        return {"categories": len(self._clips)}

    def answer(self, clip: Clip, request: Request) -> Reply:
        """The majority among the other clips of the category.

        Where they are even, or there are none, all other clips of the split decide; where those are even too, `normal`.
        """
        own = clip.truth == "ghost_probing"
        lead = _lead(self._positives[clip.category] - own, self._clips[clip.category] - 1)
        evidence = "majority of the category's other clips"
        if lead == 0:
            lead = _lead(self._positives.total() - own, self._clips.total() - 1)
            evidence = "majority of the split's other clips"
        return _reply(request, "ghost_probing" if lead > 0 else "normal", evidence)


def prevalence(clips: Iterable[Clip]) -> float:
    """The share of clips labelled `ghost_probing`, in [0, 1]; 0 for no clips."""
    positive = [clip.truth == "ghost_probing" for clip in clips]
    return sum(positive) / len(positive) if positive else 0.0


def uniform(seed: int, clip_id: str) -> float:
    """A number in [0, 1) fixed by seed and clip id: the first 53 bits of the SHA-256 of "seed\\nid", over 2**53."""
    digest = hashlib.sha256(f"{seed}\n{clip_id}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _lead(positives: int, clips: int) -> int:
    """By how many clips the positives are ahead of the rest."""
    return positives - (clips - positives)


def _reply(request: Request, grade: Grade, evidence: str) -> Reply:
    """The grade, and why, where the task has room for those words."""
    try:
        return Reply(text=request.write_answer(Verdict(grade=grade, evidence=evidence)))
    except ValueError:
        return Reply(text=request.write_answer(Verdict(grade=grade)))
