"""The typed records that cross a boundary between two stages, and nothing else.

Times are seconds, sizes are bytes, probabilities are in [0, 1]. A field that does not apply is None.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Le

from ghostbench.label import UNSAID, Label, Parameters, is_doubted
from ghostbench.outcomes import Outcome

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")

Truth = Literal["ghost_probing", "cut_in", "normal"]
"""What the label says of a clip."""
Grade = Literal["ghost_probing", "potential_ghost_probing", "normal"]
"""What an answer says of a clip."""
AnsweredBy = Literal["model", "substitute"]
Layout = Literal["auto", "files", "frames"]
"""How a dataset's media lies under its root; see `ghostbench.datasets.layouts`."""

MOST_COUNT = 2**63 - 1
"""No count of tokens, bytes or attempts is larger: what reads a run folder holds 64 bits."""
MOST_REPEATS = 10_000
"""How often a run may ask about each clip."""
Count = Annotated[int, Ge(0), Le(MOST_COUNT)]
Seconds = Annotated[float, Ge(0), Le(1e9)]
"""Up to thirty years: more is no measurement."""
Dollars = Annotated[float, Ge(0), Le(1e12)]
TRUTHS: tuple[Truth, ...] = ("ghost_probing", "cut_in", "normal")
"""Every truth, in the order of tables."""
GRADES: tuple[Grade, ...] = ("ghost_probing", "potential_ghost_probing", "normal")
"""Every grade, in the order of tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One labelled clip of a split. Never reaches a LocalModel or RemoteModel in any form.

    truth_time_s : when the labelled event begins, seconds from the clip's start; None if not stated.
    category : the dataset's accident category, an integer >= 1; None where there is none.
    remark : the annotator's remark, untrusted text.
    media : where the media is, in the form the dataset's storage understands; None when it is missing.
    labels : what the label says beside its truth. parameters : rendered or annotated attributes, by name.
    """

    id: str
    truth: Truth
    truth_time_s: float | None = None
    category: int | None = None
    remark: str | None = None
    media: str | None = None
    labels: Label = UNSAID
    parameters: Parameters = field(default_factory=dict, hash=False)

    @property
    def doubted(self) -> bool:
        """Whether the annotator doubts the label."""
        return is_doubted(self.labels, self.remark)


class _Kept:
    """What was computed of frames, beside them: `own` by their model, `shared` by all. It goes to no other process."""

    __slots__ = ("lock", "own", "shared")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.own: dict[Hashable, Any] = {}
        self.shared: dict[Hashable, Any] = {}


class _OfOne:
    """What was computed of a single frame, for every part of its clip that shows it. It goes to no other process."""

    __slots__ = ("lock", "made")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.made: dict[Hashable, Any] = {}


class Frames:
    """The sampled frames of one clip, decoded once; every model looks at them in memory of its own (`private`).

    Attributes
    ----------
    pixels : uint8 array [n, height, width, 3], RGB, read-only.
    indices : n frame numbers in the clip, from 0, ascending.
    times_s : n presentation times, seconds from the first frame of the clip.
    duration_s : length of the whole clip, seconds > 0.
    decoder : name and version of what decoded it, e.g. "PyAV 18.1.0 (mpeg4)".
    sha256 : hex digest of shape and pixels.
    """

    __slots__ = (
        "_each",
        "_kept",
        "_pixels",
        "_whole",
        "decoder",
        "duration_s",
        "indices",
        "sha256",
        "times_s",
    )

    def __init__(
        self,
        pixels: npt.NDArray[np.uint8],
        *,
        indices: tuple[int, ...],
        times_s: tuple[float, ...],
        duration_s: float,
        decoder: str,
        sha256: str | None = None,
    ) -> None:
        if pixels.ndim != 4 or pixels.shape[3] != 3 or str(pixels.dtype) != "uint8":
            raise ValueError(f"pixels must be uint8 [n, height, width, 3], not {pixels.dtype} {pixels.shape}")
        if not len(pixels) == len(indices) == len(times_s):
            raise ValueError("pixels, indices and times_s must have the same length")
        pixels.flags.writeable = False
        self._pixels: npt.NDArray[np.uint8] | None = pixels
        self._whole: Frames | None = None
        self.indices = tuple(indices)
        self.times_s = tuple(times_s)
        self.duration_s = duration_s
        self.decoder = decoder
        self.sha256 = sha256 if sha256 is not None else pixels_sha256(pixels)
        self._kept = _Kept()
        self._each = tuple(_OfOne() for _ in self.indices)

    def __reduce__(self) -> tuple[Callable[..., Frames], tuple[Any, ...]]:
        whole = self._whole or self
        facts = (whole.indices, whole.times_s, whole.duration_s, whole.decoder, whole.sha256)
        return _frames_again, (whole._pixels, *facts, self._whole is not None)

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"Frames({len(self)} of {self.duration_s:g} s, sha256={self.sha256[:12]}…)"

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The pixels; of `private` frames a copy, made when it is first asked for."""
        with self._kept.lock:
            if self._pixels is None:
                assert self._whole is not None
                assert self._whole._pixels is not None
                self._pixels = self._whole._pixels.copy()
                self._pixels.flags.writeable = False
            return self._pixels

    def private(self) -> Frames:
        """The same frames in memory of their own: what is written there, nobody else sees.

        An array that is marked read-only is no protection, since other libraries do not ask (`torch.from_numpy`).
        """
        own = Frames.__new__(Frames)
        own._pixels = None
        own._whole = self._whole or self
        own.indices, own.times_s = own._whole.indices, own._whole.times_s
        own.duration_s, own.decoder, own.sha256 = own._whole.duration_s, own._whole.decoder, own._whole.sha256
        own._kept, own._each = _Kept(), own._whole._each
        return own

    def original(self) -> Frames:
        """The frames that private ones are a copy of; others themselves."""
        return self._whole or self

    def renewed(self) -> Frames:
        """Private frames as they were at first; others as they are."""
        return self if self._whole is None else self.private()

    def altered(self) -> bool:
        """Whether the pixels of private frames have been written to. False for frames that are nobody's own."""
        import numpy as np

        if self._whole is None or self._pixels is None:
            return False
        mine, was = self._pixels, self._whole.pixels
        if mine.shape != was.shape or mine.dtype != was.dtype:
            return True
        # Frame by frame, since the comparison makes an array of truth values as large as what it compares.
        return not all(np.array_equal(*pair) for pair in zip(mine, was, strict=True))

    @property
    def nbytes(self) -> int:
        """How many bytes of memory the pixels take here."""
        whole = self._whole or self
        return int(whole._pixels.nbytes) if whole._pixels is not None else 0

    def memo(self, key: Hashable, build: Callable[[Frames], T]) -> T:
        """What `build(self)` returns, computed once per key for all retries and threads.

        Use it for work that depends on the pixels alone, such as JPEG encoding. It lives as long as the frames. What
        cannot be changed (text, bytes, numbers, None, and tuples of these) is computed once for all models.
        """
        whole = self._whole
        if whole is None:
            return _remembered(self._kept, key, lambda: build(self))
        with whole._kept.lock:
            if key in whole._kept.shared:
                shared: T = whole._kept.shared[key]
                return shared
            built = _remembered(self._kept, key, lambda: build(self.private()))
            if _is_constant(built):
                whole._kept.shared[key] = built
            return built

    def remembers(self, key: Hashable) -> bool:
        """Whether `memo` has something under the key already."""
        with self._kept.lock:
            return key in self._kept.own

    def memo_each(self, key: Hashable, build: Callable[[npt.NDArray[np.uint8]], T]) -> tuple[T, ...]:
        """What `build(image)` returns for each frame, uint8 [height, width, 3]: once per key and frame of the clip, in
        whatever part of the clip the frame is shown, for all retries, moments, models and threads.

        Use it for work on single frames that depends on their pixels alone, such as JPEG encoding.

        Raises `TypeError` for what could be changed: only text, bytes, numbers, None, and tuples of these are shared.
        """
        source = self._whole or self
        made = []
        for position, one in enumerate(self._each):
            with one.lock:
                if key not in one.made:
                    value = build(source.pixels[position].copy())
                    if not _is_constant(value):
                        raise TypeError(f"what is kept of a frame for all models is a constant, not {type(value)}")
                    one.made[key] = value
                made.append(one.made[key])
        return tuple(made)

    def until(self, moment_s: float) -> Frames:
        """The frames up to a moment, seconds from the clip's start, of a clip that has lasted no longer than that."""
        seen = sum(time_s <= moment_s for time_s in self.times_s)
        return self.take(tuple(range(seen))).lasting(moment_s)

    def lasting(self, seconds: float) -> Frames:
        """The same frames, of a clip that has lasted no longer than that."""
        if self.duration_s <= seconds:
            return self
        part = Frames(
            self.pixels,
            indices=self.indices,
            times_s=self.times_s,
            duration_s=seconds,
            decoder=self.decoder,
            sha256=self.sha256,
        )
        return self._shares(part, tuple(range(len(self))))

    def take(self, positions: tuple[int, ...]) -> Frames:
        """The frames at these positions (0 <= position < len), in the order given."""
        import numpy as np

        first = positions == tuple(range(len(positions)))
        if first and len(positions) == len(self):
            return self
        part = Frames(
            # The first frames of a clip lie together: those of many moments need no memory of their own.
            self.pixels[: len(positions)] if first else np.ascontiguousarray(self.pixels[list(positions)]),
            indices=tuple(self.indices[p] for p in positions),
            times_s=tuple(self.times_s[p] for p in positions),
            duration_s=self.duration_s,
            decoder=self.decoder,
        )
        return self._shares(part, positions)

    def _shares(self, part: Frames, positions: tuple[int, ...]) -> Frames:
        """These frames as a part, which shares what was made of each, and has no way to the others; one of private
        frames, whose pixels may have been written to, shares nothing."""
        if self._whole is None:
            part._each = tuple(self._each[position] for position in positions)
        return part


def _frames_again(
    pixels: npt.NDArray[np.uint8],
    indices: tuple[int, ...],
    times_s: tuple[float, ...],
    duration_s: float,
    decoder: str,
    sha256: str,
    private: bool,
) -> Frames:
    """Frames as they were pickled; private ones as they were before anybody wrote to them."""
    frames = Frames(pixels, indices=indices, times_s=times_s, duration_s=duration_s, decoder=decoder, sha256=sha256)
    return frames.private() if private else frames


def _remembered(kept: _Kept, key: Hashable, build: Callable[[], T]) -> T:
    with kept.lock:
        if key not in kept.own:
            kept.own[key] = build()
        built: T = kept.own[key]
        return built


def _is_constant(value: object) -> bool:
    """Whether nobody can change it, so that models may share it."""
    if type(value) is tuple:
        return all(map(_is_constant, value))
    return value is None or type(value) in {str, bytes, int, float, bool}


def pixels_sha256(pixels: npt.NDArray[np.uint8]) -> str:
    """SHA-256, hex, of "n,height,width,channels\\n" in ASCII followed by the pixels in C order."""
    import hashlib

    import numpy as np

    digest = hashlib.sha256((",".join(map(str, pixels.shape)) + "\n").encode("ascii"))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of the user's message."""

    text: str


@dataclass(frozen=True, slots=True)
class FramePart:
    """A frame in the user's message: `position` counts from 0 in `Request.frames`, `time_s` is its timestamp."""

    position: int
    time_s: float


Part = TextPart | FramePart
"""A part of the user's message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An answer's content, for models that decide without writing text themselves.

    event_time_s : when the event begins, seconds from the clip's start, >= 0; None if there is no event.
    actor, occluder : what emerged, from behind what; None if not said.
    evidence : one short sentence.
    """

    grade: Grade
    event_time_s: float | None = None
    actor: str | None = None
    occluder: str | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a task asks about a clip: all that is sent, but for the pixels.

    schema : JSON schema (draft 2020-12, no $ref) of the answer; its first property is the verdict.
    verdict_field, verdict_values : that property's name and its possible values in order of GRADES, where the
        schema fixes them; None and () where the verdict is free text.
    sha256 : hex digest of system text, parts and schema, as sent for this clip.
    """

    system: str
    parts: tuple[Part, ...]
    schema: Mapping[str, Any]
    schema_name: str
    verdict_field: str | None
    verdict_values: tuple[str, ...]
    max_output_tokens: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One attempt's question to a model. Holds nothing that identifies the clip.

    id : random, new for every attempt.
    prompt : system text, user parts, answer schema, output limit.
    frames : the pixels that the prompt's FrameParts point into; None for models that need none, and for
        text-only probes.
    seed : for models that sample.
    level : which rung of the model's ladder this attempt stands on, from 0.
    level_settings : what that rung changes, as the model declared it ({} at level 0).
    prepared : what the model's own `prepare` returned for this request; None if it has none.
    moment_s : the moment at which this is asked, seconds from the clip's start; None where the whole clip is shown.
    variant : the name of the wording, where it is not the task's main one.
    write_answer : turns a Verdict into text in the format that the task asks for.
    """

    id: str
    prompt: Prompt
    frames: Frames | None
    seed: int
    level: int
    level_settings: Mapping[str, Any]
    write_answer: Callable[[Verdict], str]
    prepared: Any = None
    moment_s: float | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money of one attempt, as the server or the model counted them; None where unknown."""

    input_tokens: Count | None = None
    cached_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: Dollars | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Where an attempt's time went, seconds; `queue_s` and `video_decode_s` are the harness's to fill.

    This is the one list of stages: the ledger, the metrics, the tables and the charts go by it.
    """

    queue_s: Seconds | None = None
    video_decode_s: Seconds | None = None
    preprocess_s: Seconds | None = None
    vision_s: Seconds | None = None
    prefill_s: Seconds | None = None
    first_token_s: Seconds | None = None
    generate_s: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Device memory of the attempt's batch, bytes: the allocator's peaks, and the process as the driver sees it."""

    peak_allocated_bytes: Count | None = None
    peak_reserved_bytes: Count | None = None
    process_bytes: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model gave for one request, unread: the task decides whether it is an answer.

    text : the model's own words, untrusted.
    finish_reason : the server's or the engine's word for why it stopped.
    served_model : the model name that the server returned.
    grade_probabilities : P(grade) for the grades in GRADES, each in [0, 1]; None where the model gives none.
    batch_size : how many requests were computed together with this one, itself included.
    notes : events worth a line in the ledger that changed nothing of the answer ("batch halved to 16 …").
    """

    text: str
    finish_reason: str | None = None
    served_model: str | None = None
    system_fingerprint: str | None = None
    server_request_id: str | None = None
    usage: Usage = field(default_factory=Usage)
    stages: Stages = field(default_factory=Stages)
    memory: Memory = field(default_factory=Memory)
    batch_size: int | None = None
    grade_probabilities: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply as the task read it.

    event_time_s : seconds from the clip's start, >= 0, as the model stated it; None if it stated none.
    """

    grade: Grade
    event_time_s: float | None = None
    actor: str | None = None
    occluder: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedAnnotations:
    """What an annotation file added to a split's clips.

    source : path or URL, without credentials. form : what kind of file it is, in words. sha256 : of its bytes, hex.
    matched : clips that got a row. flagged : of these, those whose row may be another clip's, and why. unmatched :
    clips without a row, and why.
    """

    source: str
    form: str
    sha256: str
    matched: int
    flagged: Mapping[str, str]
    unmatched: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came of one question about a clip.

    moment_s : as in `Question`. outcome : `answered`, or why there is no answer. answer : None unless it is answered.
    score : P(ghost_probing), where the model gave it.
    """

    moment_s: float | None
    outcome: Outcome
    answer: Answer | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a task makes of all that was said of a clip.

    outcome : `answered` where there is a grade, else why there is none.
    event_time_s, actor, occluder, evidence : as the model stated them. score : in [0, 1].
    alarm_time_s : the first moment at which the answer was an alarm; None without one, and without moments.
    """

    outcome: Outcome
    grade: Grade | None = None
    event_time_s: float | None = None
    score: float | None = None
    actor: str | None = None
    occluder: str | None = None
    evidence: str | None = None
    alarm_time_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A share of a split: number `number`, from 1, of `of`.

    places : where its clips stand in the whole split, from 0, ascending. n, split_sha256 : of the whole split.
    """

    number: int
    of: int
    places: tuple[int, ...]
    n: int
    split_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The clips of one run, in their fixed order, and what they were chosen from.

    clips : the split after every filter; never empty.
    labels_sha256 : hex digest of the label file's bytes. split_sha256 : of the chosen clip ids joined by newlines.
    filters : what narrowed the split, in words, in the order applied; () for the whole split.
    skipped_labels : label rows left out by request, each as "line N: why".
    data_root : where media is looked for, without credentials; None where nobody said.
    layout, fps : how it lies there, and the frames per second of frame folders, as the dataset says.
    annotations : what each annotation file added, in their order.
    shard : which share of a split the clips are; None for all of it. whole : the clips of the whole split then.
    left_out : clips that would be among them, each with the reason why it is not, such as being an example.
    """

    dataset: str
    name: str
    clips: tuple[Clip, ...]
    labels_sha256: str
    split_sha256: str
    filters: tuple[str, ...] = ()
    skipped_labels: tuple[str, ...] = ()
    data_root: str | None = None
    layout: Layout = "auto"
    fps: float = 30.0
    annotations: tuple[JoinedAnnotations, ...] = ()
    shard: Shard | None = None
    whole: tuple[Clip, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def known(self) -> tuple[Clip, ...]:
        """All clips of the split, those of other shares too: what yardsticks go by."""
        return self.whole or self.clips
