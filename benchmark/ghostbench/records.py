"""The typed records that cross a boundary between two stages, and nothing else.

Times are seconds, sizes are bytes, probabilities are in [0, 1]. A field that does not apply is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.frames import Frames
from ghostbench.label import UNSAID, Label, Parameters, is_doubted
from ghostbench.outcomes import Outcome

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
Probability = Annotated[float, Ge(0), Le(1)]
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


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of the user's message."""

    text: str


@dataclass(frozen=True, slots=True)
class FramePart:
    """A frame in the user's message: `position` counts from 0 in `Request.frames`, `time_s` is its timestamp."""

    position: int
    time_s: float


@dataclass(frozen=True, slots=True)
class VideoPart:
    """The clip's own video in the user's message, `Request.video`: only models that see it are asked with one."""


@dataclass(frozen=True, slots=True)
class ExampleFramePart:
    """A frame of an example: of another clip, which is told with its answer before the question.

    example : which one, from 0 in `Request.examples`. position : counts from 0 in its frames. time_s : its timestamp in
    the example's own clip. frames_sha256 : hex digest of all the example's frames, as `Frames` has it.
    """

    example: int
    position: int
    time_s: float
    frames_sha256: str


Part = TextPart | FramePart | VideoPart | ExampleFramePart
"""A part of the user's message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleFrames:
    """What is known of the frames of an example, but for their pixels: all that a task may tell of them.

    frames_sha256 : hex digest of them all. frame_indices, frame_times_s : of each, as `Frames` has them. duration_s :
    length of the example's clip, seconds > 0. decoder : name and version of what decoded it.
    """

    frames_sha256: str
    frame_indices: tuple[int, ...]
    frame_times_s: tuple[float, ...]
    duration_s: float
    decoder: str

    @classmethod
    def of(cls, frames: Frames) -> ExampleFrames:
        """What is known of these frames."""
        return cls(
            frames_sha256=frames.sha256,
            frame_indices=frames.indices,
            frame_times_s=frames.times_s,
            duration_s=frames.duration_s,
            decoder=frames.decoder,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A clip's own media file, as it lies in the storage: for models that see the video, and not the frames.

    data : the whole file. sha256 : hex digest of these bytes. mime_type : by what is in the file, e.g. "video/mp4".
    duration_s : length of the video, seconds > 0.
    """

    data: bytes = field(repr=False)
    sha256: str
    mime_type: str
    duration_s: float


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
    video : the clip's own media file that the prompt's VideoPart stands for; None but for models that see the video.
    seed : for models that sample.
    level : which rung of the model's ladder this attempt stands on, from 0.
    level_settings : what that rung changes, as the model declared it ({} at level 0).
    prepared : what the model's own `prepare` returned for this request; None if it has none.
    moment_s : the moment at which this is asked, seconds from the clip's start; None where the whole clip is shown.
    variant : the name of the wording, where it is not the task's main one.
    write_answer : turns a Verdict into text in the format that the task asks for.
    examples : the frames of each example that the prompt's ExampleFrameParts point into, in their order. They are of
        other clips, told with their answers: nothing in them is to be answered for. () but for models that are shown
        examples (`ModelSpec.sees_examples`), in a wording that has some.
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
    video: Video | None = None
    examples: tuple[Frames, ...] = ()


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
class Compared:
    """What another model gave for the very same request: one that this one is an approximation of.

    against : its name, as the fact `compared_with` has it, e.g. "bfloat16". grade_probabilities : as in `Reply`.
    """

    against: str
    grade_probabilities: Mapping[str, Probability]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model gave for one request, unread: the task decides whether it is an answer.

    text : the model's own words, untrusted.
    finish_reason : the server's or the engine's word for why it stopped.
    served_model : the model name that the server returned.
    grade_probabilities : P(grade) for the grades in GRADES, each in [0, 1]; None where the model gives none.
    batch_size : how many requests were computed together with this one, itself included.
    notes : events worth a line in the ledger that changed nothing of the answer ("batch halved to 16 …").
    compared : what the model that this one is an approximation of gave too. It changes nothing of the answer.
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
    compared: Compared | None = None


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
    data_root : where media is looked for, without credentials; None where nobody said. credentials : what opens it.
    layout, fps : how it lies there, and the frames per second of frame folders, as the dataset says.
    annotations : what each annotation file added, in their order.
    shard : which share of a split the clips are; None for all of it. whole : the clips of the whole split then.
    left_out : clips that would be among them, each with the reason why it is not, such as being an example.
    examples : where the media is of each clip that is shown as an example, by its id; no clip of the split is there.
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
    examples: Mapping[str, str] = field(default_factory=dict, hash=False)
    credentials: Credentials = NO_CREDENTIALS

    @property
    def known(self) -> tuple[Clip, ...]:
        """All clips of the split, those of other shares too: what yardsticks go by."""
        return self.whole or self.clips
