"""What a model is to the harness: three base classes, and the spec that describes one without importing it."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ghostbench import errors
from ghostbench.records import Clip, Reply, Request, Usage

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class NoSettings:
    """The settings of a model that has none."""


def setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] | None = None,
    throughput: bool = False,
    network: bool | None = None,
) -> Any:
    """A field of a settings dataclass: its default, its help text, and the values it allows.

    minimum, maximum : inclusive bounds of a number. choices : the only values allowed.
    throughput : whether it decides how fast answers come and not what they are, so that a run may be gone on with under
        another value; all other settings must stay as they were.
    network : whether a value of it has the model connect to another machine or fetch something: it names a server, or
        allows a download. A run folder may be a stranger's, so that `--resume` takes such a value from there only where
        the user gives it again. None: a text may, unless it is one of `choices` or a path; a number may not.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "throughput": throughput,
        "network": network,
    }
    return dataclasses.field(default=default, metadata=metadata)


LONGEST_PAUSE_S = 600.0
"""The longest pause that a server may ask a run for, seconds. Limits by the minute pass well within it; one by the hour
or the day does not, and a run that sat through that would look like one that hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One rung of a model's fallback ladder: the same model with other settings.

    What the rungs that a clip has taken change adds up; of two that change the same, the higher one has the last word.

    name : shown in tables, e.g. "float32".
    settings : handed to the model in `Request.level_settings`.
    max_frames : send at most this many of the clip's frames, evenly chosen; None leaves all.
    after : the failures that lead here; a rung that does not list a failure is passed over for it. By default all that
        a fallback can follow, and no others may stand here.
    without : parts of a request that the model can leave out one by one. A refusal that names some of them
        (`RequestRejected.refuses`) leads here before any other rung, as often as it names more, and the model is handed
        all that were named so far as `level_settings["without"]`.
    instead_of : parts of a request that this rung changes: a refusal that names one leads here first.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    max_frames: int | None = None
    after: tuple[type[errors.ModelError] | type[errors.Unparseable], ...] = errors.FALL_BACK
    without: tuple[str, ...] = ()
    instead_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one replica of a local model takes for itself, all >= 0.

    gpus : GPUs; a share such as 0.5 where two replicas fit on one. cpus : processor cores. memory_bytes : of the
    machine's own memory.
    """

    gpus: float = 0.0
    cpus: float = 1.0
    memory_bytes: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.gpus < math.inf and 0 <= self.cpus < math.inf and self.memory_bytes >= 0):
            raise ValueError("resources are finite numbers that are not negative")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError("gpus is a whole number, or a share of one GPU")


class Model(ABC):
    """A model of the run, under its settings. Constructed cheaply; `load` does the work.

    settings : an instance of the spec's settings class, already checked.
    argument : what stands after the colon in a family's name (`openai:ARG`), or the spec's fixed argument.
    """

    ladder: Sequence[Level] = ()
    """The fallback levels 1, 2, … in the order tried; level 0 is the model as configured."""

    def __init__(self, settings: Any, argument: str | None = None) -> None:
        self.settings = settings
        self.argument = argument

    def check(self) -> None:
        """Look at what the planning machine can tell: whether the settings agree, and whether keys are there.

        Called before anything runs, and before `check_here`. Raises `BadInput` with one line that names what is wrong
        or missing and the way out. Must be quick.
        """

    def check_here(self) -> None:
        """Look for what must be where the model is computed: a device, a checkpoint, a file.

        Called on the machine that will `load` the model: before anything runs where that is this one. Raises and is
        quick as `check` is.
        """

    def identity(self) -> Mapping[str, Any]:
        """What decides which model answers, beside the settings: the server and API version that the environment names.

        Asked once after `check`, before anything runs; must be quick. It is written into the manifest beside the
        settings, and a run is gone on with only where it is equal. JSON values, never secrets.
        """
        return {}

    def is_deterministic(self, request: Request) -> bool:
        """Whether an equal request is meant to get an equal answer: greedy, or at temperature 0.

        Only such answers are kept in a reply cache (`bench run --cache`). Asked before and after `answer`, on the
        model as it was constructed: it must be quick, and need nothing that `load` makes.
        """
        return False

    def close(self) -> None:
        """Give back what `load` took. Called once, also after a failure."""


class LocalModel(Model):
    """A model computed on this machine, in batches. Its methods are called from worker threads."""

    @property
    def batch_size(self) -> int:
        """The most requests that `answer` wants at once, >= 1; may change while it runs."""
        return 1

    @property
    def parallel_batches(self) -> int:
        """How many calls of `answer` may run at the same time, >= 1. Read once, after `load`."""
        return 1

    def resources(self) -> Resources | None:
        """What one replica takes under these settings; None: what the model's spec says. Asked before anything runs."""
        return None

    def replicas(self) -> Sequence[Any]:
        """The settings of each replica, where the settings themselves ask for several by naming their devices.

        Asked before anything runs, after `check`. Each replica is a model of its own under its settings, and the run
        hands requests to whichever is free. How many there are can also be said with `--replicas`.
        """
        return (self.settings,)

    def load(self) -> Mapping[str, Any]:
        """Make the model ready; return facts for the manifest (sizes, digests, versions). Raises `Unavailable`.

        The fact `files`, an object by name, says what the model was loaded from (sizes and digests of weights, say): a
        run is gone on with only where it is equal. `libraries` and `arithmetic` say what else decides how its numbers
        are rounded: with `files`, they are what answers in a reply cache must have in common.

        A model that is an approximation of another says so in the fact `compared_with`, the other's name: "bfloat16".
        How far its answers are from the other's is then shown beside its row, as measured on the answers of the run
        that have `Reply.compared`, and where none has, that it was not measured.

        A model that compiles or answers a first time, here or in `warm_up`, says how long that took in the fact
        `warm_up_s`: a number of seconds, or an object of such numbers by device, e.g. `{"cuda:0": 41.5}`. The reports
        show it in a line of its own, apart from latencies. What is no such number is only text among the other facts.
        """
        return {}

    def warm_up(self) -> Mapping[str, Any]:
        """What remains to be done before the first batch, while the first requests are prepared: compiling, say.

        Called once, after `load` and before `answer`, in the thread that answers. Returns facts, which are added to
        those of `load` or replace them. Raises `Unavailable`. Loading ends when it has ended.
        """
        return {}

    def prepare(self, request: Request) -> Any:
        """Work for one request that can be done ahead, in several threads, while earlier batches are computed.

        It may be called as soon as `load` has ended, during `warm_up` too.

        What it returns comes back as `Request.prepared`. A `ModelError` raised here is that request's outcome.
        """
        return None

    @abstractmethod
    def answer(self, requests: Sequence[Request]) -> Sequence[Reply | errors.ModelError]:
        """One reply or one error per request, in the order of the requests. A raised `ModelError` counts for all."""


class Journal(ABC):
    """A small store in the run folder, for a model that must survive being killed between two steps."""

    folder: Path
    """A folder of the run for this model's own files. Files here are the model's to write and remove."""

    @abstractmethod
    def read(self) -> dict[str, Any]:
        """What was last written; {} at first."""

    @abstractmethod
    def write(self, state: Mapping[str, Any]) -> None:
        """Replace the state, atomically and on disk when this returns. JSON values only, never secrets."""

    def expect_silence(self, seconds: float) -> None:
        """Say that the service is at work, and that nothing is to be heard of it for so long: a run gives up a model of
        which it hears nothing (no result, no state written, no such word) for its deadline, counted from then on."""


class RemoteModel(Model):
    """A model behind a network. Its coroutines run on one event loop."""

    @property
    def concurrency(self) -> int:
        """How many requests may be in flight at once, >= 1."""
        return 8

    async def load(self) -> Mapping[str, Any]:
        """Open clients; return facts for the manifest (never secrets). Raises `Unavailable`.

        The fact `warm_up_s` is read as in `LocalModel.load`.
        """
        return {}

    async def admit(self, request: Request) -> None:
        """Wait until the service's limits, as far as they are known, have room for this request.

        Called before `answer`; the time counts as queueing, and what waits here when the model stops is not sent. Where
        there is no room for longer than `LONGEST_PAUSE_S`, raises `RateLimited` with that time as `retry_after_s`: the
        model then sends nothing more in this run, and what was not sent is no attempt.
        """

    @abstractmethod
    async def answer(self, request: Request) -> Reply:
        """The reply to one request. Raises a `ModelError`. Never retries."""

    def estimate(self, request: Request) -> Usage:
        """The most that this request can use, without sending it. `cost_usd` None means that the price is unknown."""
        return Usage()

    @property
    def batched(self) -> bool:
        """Whether requests go through the service's batch interface (`encode`, `answer_batch`) instead of `answer`."""
        return False

    def encode(self, request: Request) -> bytes:
        """The request as one line (no newline) of the service's batch file, with `request.id`. Called in threads."""
        raise TypeError(f"{type(self).__name__} has no batch interface")

    def answer_batch(self, lines: Path, journal: Journal) -> AsyncIterator[tuple[str, Reply | errors.ModelError]]:
        """Have a whole file of encoded lines answered; yield (request id, reply or error) once for each line.

        After a kill it is called again with the same file and journal, and must go on with what it had submitted.
        """
        raise TypeError(f"{type(self).__name__} has no batch interface")

    async def aclose(self) -> None:
        """Close clients. Called once, on the loop, also after a failure; `close` follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truths:
    """The split's labels, for reference models only."""

    clips: tuple[Clip, ...]
    seed: int


class ReferenceModel(Model):
    """A yardstick, not a contender: it gets the clip and the split's truths, and its rows are marked everywhere."""

    def begin(self, truths: Truths) -> Mapping[str, Any]:
        """Called once before the first clip; return facts for the manifest.

        The fact `warm_up_s` goes into metrics.json as in `LocalModel.load`; tables of times leave yardsticks out.
        """
        return {}

    @abstractmethod
    def answer(self, clip: Clip, request: Request) -> Reply:
        """The reply for one clip (`request.frames` is None). Raises a `ModelError`. Must be quick."""


ModelKind = Literal["local", "remote", "reference"]
SEES_VIDEO_FACT = "sees_video"
"""The fact, true, by which a model that repeats recorded answers says that they were given to videos."""
SEES_VIDEO = "sees the video, not the frames"
"""What stands beside the rows of such models, wherever there are any."""


def remark(mark: str | None, *, sees_video: bool) -> str | None:
    """What stands beside a row: that it sees the video, and its own mark; None for nothing.

    >>> remark("recorded", sees_video=True)
    'sees the video, not the frames; recorded'
    """
    return "; ".join(words for words in (SEES_VIDEO if sees_video else None, mark) if words) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model as plugins register it: everything the harness must know without importing the model's code.

    name : letters, digits, ".", "_", "-"; for a family the part before the colon. "NAME:FORM" is another form of the
        model NAME, which the same plugin has registered before it and which is no family.
    load : "package.module:Class", imported when the model is named in a run.
    kind : which base class it has.
    summary : one line for `bench models`.
    settings : a frozen dataclass made of `setting(...)` fields.
    family : None, or what follows the colon, in capitals, e.g. "MODEL" for `openai:MODEL`.
    argument : the fixed argument of a model that is no family, e.g. "gpt-4.1".
    row_name : for a family, the row's name from its argument; default "name:argument". `…=NAME` overrides it.
    needs_frames : False for models that never look at the clip's frames.
    sees_video : whether it is shown the clip's own media file, `Request.video`, in the place of frames. Its rows are
        marked everywhere, and are not compared with rows that saw the frames; remote models only.
    sees_examples : whether it is shown the frames of the examples that a wording may have, `Request.examples`, each
        where the prompt's `ExampleFramePart`s stand. Another that looks at frames cannot be asked in such a wording.
    reads_words : whether the wording of the question can change its answer, so that it is asked in every variant; None
        for yes, unless it is a reference model.
    extra : the extra of its distribution that installs `requires`, e.g. "ghostbench[openai]".
    requires : import names that must be installed.
    ahead : "package.module:function" of a local model, for a process of the model's own alone: called with the settings
        as soon as the model is named, in a thread, while the run is still planned, and over before the model is
        constructed. It imports what `LocalModel.load` will need, and wakes devices, but computes nothing: the plan may
        be refused. What it raises is dropped, and `load` must not rely on it.
    mark : a remark that stands beside the row everywhere, e.g. "leak probe".
    citation : the BibTeX entry that `bench report --paper` cites for it.
    resources : what one replica of a local model takes, unless `LocalModel.resources` says it for its settings.
    """

    name: str
    load: str
    kind: ModelKind
    summary: str
    settings: type = NoSettings
    family: str | None = None
    argument: str | None = None
    row_name: Callable[[str], str] | None = None
    needs_frames: bool = True
    sees_video: bool = False
    sees_examples: bool = False
    reads_words: bool | None = None
    extra: str | None = None
    requires: tuple[str, ...] = ()
    ahead: str | None = None
    mark: str | None = None
    resources: Resources = Resources()
    citation: str | None = None

    @property
    def remark(self) -> str | None:
        """What stands beside its rows everywhere; None for nothing."""
        return remark(self.mark, sees_video=self.sees_video)

    @property
    def is_worded(self) -> bool:
        """Whether it is asked in every variant of a task."""
        return self.kind != "reference" if self.reads_words is None else self.reads_words
