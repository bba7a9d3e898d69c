"""DriveMM as a model of the harness."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from ghostbench import (
    BadInput,
    LocalModel,
    ModelError,
    Reply,
    Request,
    RequestRejected,
    RequestTooLarge,
    Resources,
    Unavailable,
)
from ghostbench_drivemm.checkpoint import public
from ghostbench_drivemm.checkpoint.inventory import inspect
from ghostbench_drivemm.input.question import user_text
from ghostbench_drivemm.settings import DriveMMSettings
from ghostbench_drivemm.usual import USUAL_FRAME, USUAL_POSITIONS
from ghostbench_local.checkpoint.digests import Unchanged
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.hub import source_of
from ghostbench_local.devices import described, devices_of, look_again, look_for, one_on_each, resources_of
from ghostbench_local.ladder import ladder

if TYPE_CHECKING:
    from ghostbench_drivemm.engine import GenerateOptions, Sampling
    from ghostbench_drivemm.engine.sharing import Prompt
    from ghostbench_drivemm.input.prepared import Prepared
    from ghostbench_drivemm.network.model import DriveMM
    from ghostbench_drivemm.serving.batching import Ready
    from ghostbench_local.answer.forms import Forms
    from ghostbench_local.replica import Replica

_MOST_COMING = 128
"""Prompts whose lengths are looked at before the first batch."""
_SCORE_ROWS = 32
"""Enough to fill a GPU with prompts; more would hold memory for answers that are never written."""

_LIBRARIES = ("torch", "tokenizers", "llguidance", "pillow", "numpy", "jinja2", "triton")


class DriveMMModel(LocalModel):
    """DriveMM on one or more devices of this machine.

    Nothing heavy is imported before `load`: a run that has a worker for it needs none of that itself.
    """

    name: ClassVar[str] = "drivemm"
    """As `--set` has it."""
    settings: DriveMMSettings

    def __init__(self, settings: DriveMMSettings, argument: str | None = None) -> None:
        super().__init__(settings, argument)
        self._longest = USUAL_POSITIONS[1]
        self._new_tokens = settings.max_new_tokens or 256
        self._lock = threading.Lock()
        self._coming: list[Prompt] | None = [] if settings.warm_up else None
        self._folder: Path | None = None
        self._forms: Forms | None = None
        self._noise: Sequence[Prepared] = ()
        self._ahead_s = 0.0
        self.ladder = ladder(settings.dtype)

    @override
    def check(self) -> None:
        self._devices()
        if self.settings.checkpoint is not None and self.settings.revision != public.REVISION:
            raise BadInput(
                f"{self.name}.revision is of the public checkpoint, which {self.name}.checkpoint replaces: "
                "leave one out"
            )

    @override
    def check_here(self) -> None:
        look_for(self.name, self._devices())
        chosen = self.settings.checkpoint
        try:
            if chosen is not None:
                inspect(chosen)
            elif public.find_public(self.settings.revision) is None and not self.settings.download:
                raise BadInput(self._no_checkpoint())
        except CheckpointError as error:
            raise BadInput(f"{self.name}.checkpoint: {error}") from None

    @property
    @override
    def batch_size(self) -> int:
        asked = self.settings.batch_size
        return asked or self._fitting()

    @override
    def resources(self) -> Resources:
        return resources_of(self.settings)

    @override
    def replicas(self) -> Sequence[DriveMMSettings]:
        return one_on_each(self.name, self.settings)

    @override
    def load(self) -> Mapping[str, Any]:
        from ghostbench_drivemm.serving.replica import replica_on
        from ghostbench_local import memory
        from ghostbench_local.arithmetic import arithmetic, versions_of

        look_again(self.name, self._devices())
        try:
            self._folder, source = self._find()
            self._kept = Unchanged(inspect(self._folder).files)
            # Frame by frame, and first come, first served: a batch's first prompts are whole before others begin.
            self._threads = ThreadPoolExecutor(os.cpu_count() or 2, "pixels")
            self._replica = replica_on(self._devices()[0], self._load_model)
            seconds = self._replica.load(self.settings.dtype)
        except CheckpointError as error:
            raise Unavailable(str(error)) from None
        except RuntimeError as error:
            if not memory.ran_out(error):
                raise
            raise Unavailable(f"the weights do not fit into the device's memory in {self.settings.dtype}") from None
        self._model = self._replica.model(self.settings.dtype)
        facts = self._facts()
        self._know_forms(self._model)
        return {
            **facts,
            "devices": [described(str(self._replica.device))],
            "dtype": self.settings.dtype,
            "load_s": seconds,
            "batch_size": self.batch_size,
            "source": source,
            "arithmetic": arithmetic(self._replica.device),
            "libraries": versions_of(_LIBRARIES),
        }

    @override
    def warm_up(self) -> Mapping[str, Any]:
        seconds = self._warm_up() if self.settings.warm_up else {}
        return {"warm_up_s": seconds, "batch_size": self.batch_size}

    @override
    def prepare(self, request: Request) -> Ready:
        from ghostbench_drivemm.engine.sharing import Prompt
        from ghostbench_drivemm.input.prepared import PromptTooLong
        from ghostbench_drivemm.serving.batching import Ready

        started = time.perf_counter()
        frames = request.frames
        text = user_text(request.prompt, with_frames=frames is not None)
        try:
            # Nothing here writes to them: a copy for every moment of a clip would be most of the host's work.
            videos = [shown.original().pixels for shown in (*request.examples, *(() if frames is None else (frames,)))]
            prepared = self._model.prepare(
                videos,
                text,
                kind="videos" if videos else "text",
                system=request.prompt.system,
                threads=self._threads,
            )
        except PromptTooLong as error:
            raise RequestTooLarge(str(error)) from None
        except (ValueError, CheckpointError) as error:
            raise RequestRejected(str(error)) from None
        with self._lock:
            self._longest = max(self._longest, prepared.length)
            self._new_tokens = max(self._new_tokens, self._limit(request))
            if self._coming is not None and len(self._coming) < _MOST_COMING:
                self._coming.append(Prompt(prepared.length, prepared.beginnings))
        return Ready(prepared, time.perf_counter() - started)

    @override
    def answer(self, requests: Sequence[Request]) -> Sequence[Reply | ModelError]:
        from ghostbench_drivemm.serving.batching import DriveMMBatch
        from ghostbench_local.batching import alike

        def answered() -> dict[str, Reply | ModelError]:
            results: dict[str, Reply | ModelError] = {}
            for dtype, group in alike(requests, self.settings.dtype, self._limit):
                results |= DriveMMBatch(self._replica, dtype, self.options).answer(group)
            return results

        results = self._replica.run(answered)
        return [results[request.id] for request in requests]

    @override
    def is_deterministic(self, request: Request) -> bool:
        """Whether the setting `sampling` is greedy."""
        return self.settings.sampling == "greedy"

    @override
    def close(self) -> None:
        if hasattr(self, "_threads"):
            self._threads.shutdown(wait=False, cancel_futures=True)
        # The replica's model is known here by a name of its own.
        self.__dict__.pop("_model", None)
        if hasattr(self, "_replica"):
            self._replica.close()

    def options(self, requests: Sequence[Request], model: DriveMM) -> GenerateOptions:
        """How these requests, which have schema and limit in common, are answered."""
        from ghostbench_drivemm.engine import GenerateOptions

        prompt = requests[0].prompt
        reader = self._known_forms.reader(prompt.verdict_field, prompt.verdict_values)
        if self.settings.mode == "score" and reader is None:
            raise RequestRejected("score mode needs a task whose schema fixes the verdict's values")
        return GenerateOptions(
            max_new_tokens=0 if self.settings.mode == "score" else self._limit(requests[0]),
            eos_ids=model.eos_ids,
            grammar=self._known_forms.grammar(prompt.schema) if self.settings.grammar else None,
            grades=reader,
            sampling=self._sampling(requests, model),
        )

    def _sampling(self, requests: Sequence[Request], model: DriveMM) -> Sampling | None:
        from ghostbench_drivemm.engine import Sampling

        config = model.config
        if self.settings.sampling == "greedy" or not config.do_sample or config.temperature <= 0:
            return None
        # From the run's seed and the pixels: the same whatever the order and the batches.
        seeds = [_drawing_seed(request) for request in requests]
        return Sampling(temperature=config.temperature, top_p=config.top_p, top_k=config.top_k, seeds=seeds)

    def _limit(self, request: Request) -> int:
        return self.settings.max_new_tokens or request.prompt.max_output_tokens

    def _fitting(self, model: DriveMM | None = None) -> int:
        """How many requests fit. model : while it is loaded."""
        from ghostbench_drivemm.serving.replica import rows_that_fit

        rows, dtype, replica = _SCORE_ROWS, self.settings.dtype, self._replica
        if self.settings.mode == "generate":
            positions = self._longest + self._new_tokens
            fraction = self.settings.memory_fraction
            rows = rows_that_fit(replica.device, lambda: model or replica.model(dtype), positions, fraction)
        return min(rows, replica.most_rows.get(dtype, rows))

    def _devices(self) -> list[str]:
        return devices_of(self.name, self.settings)

    def _no_checkpoint(self) -> str:
        return (
            f"{self.name} has no checkpoint: name a folder with --set {self.name}.checkpoint=DIR, or fetch the public "
            f"one (17 GB) with --set {self.name}.download=true"
        )

    def _find(self) -> tuple[Path, dict[str, str] | None]:
        """The checkpoint's folder, and repository, revision and commit where it is known to be from the hub."""
        if self.settings.checkpoint is not None:
            folder = Path(self.settings.checkpoint)
            return folder, source_of(folder)
        found = public.find_public(self.settings.revision)
        if found is None:
            if not self.settings.download:
                raise CheckpointError(self._no_checkpoint())
            found = public.fetch_public(self.settings.revision)
        return found.folder, {"repository": found.repository, "revision": found.revision, "commit": found.commit}

    def _facts(self) -> dict[str, Any]:
        """What the model tells of itself, its files' digests among them. Raises `Unavailable` where one was changed."""
        facts = self._model.facts
        try:
            self._kept.check()
        except CheckpointError as error:
            raise Unavailable(str(error)) from None
        return facts

    def _load_model(self, dtype: str, device: str) -> DriveMM:
        from ghostbench_drivemm.network.model import DriveMM

        names = ("image_aspect_ratio", "mm_spatial_pool_mode", "mm_newline_position")
        overrides = {name: getattr(self.settings, name) for name in names if getattr(self.settings, name) is not None}
        assert self._folder is not None
        loaded = DriveMM.from_checkpoint(
            self._folder, dtype=dtype, device=device, overrides=overrides, meanwhile=partial(self._meanwhile, dtype)
        )
        self._kept.check()
        return loaded

    def _meanwhile(self, dtype: str, model: DriveMM) -> None:
        """What the first batch needs and no weights: done on a GPU while these are read."""
        from ghostbench_drivemm.engine import engine_of

        # A fallback's graphs, or those of what is rounded yet, are nothing that a first batch waits for.
        if self._forms is not None or dtype != self.settings.dtype:
            return
        started = time.perf_counter()
        if self.settings.warm_up:
            # Page-locked memory is slow to get. Where there is none, noise meets it again.
            expecting = self._threads.submit(self._expect_frames, model)
            self._record(model)
            wait([expecting])
        self._know_forms(model)
        if self.settings.warm_up:
            try:
                self._meet_noise(model, 1)
            except RuntimeError:
                # Warming up meets it again, and tells it.
                engine_of(model).release()
        self._ahead_s = time.perf_counter() - started

    def _expect_frames(self, model: DriveMM) -> None:
        from ghostbench_local.replica import on_device

        with on_device(model.device):
            model.expect_frames(10, *USUAL_FRAME)

    def _know_forms(self, model: DriveMM) -> None:
        """Make the forms of answers, once."""
        from ghostbench_local.answer.forms import Forms

        if self._forms is None:
            self._forms = Forms(self.name, model.tokens.vocabulary)

    @property
    def _known_forms(self) -> Forms:
        """The forms of answers, once it is loaded."""
        assert self._forms is not None
        return self._forms

    def _record(self, model: DriveMM) -> None:
        """Get the memory of a full batch and record its graphs, where it will be answered by any."""
        from ghostbench_drivemm.engine import engine_of

        if self.settings.mode == "score":
            return
        engine = engine_of(model)
        try:
            _, decoder = engine.reserve(*self._most(model))
            decoder.capture(masked=self.settings.grammar, wide=self.settings.grammar)
        except RuntimeError:
            # Warming up meets it again, and tells it.
            engine.release()

    def _meet_noise(self, model: DriveMM, count: int) -> None:
        """Answer so many clips of noise, of two that are drawn once, with the memory and the graphs of a full batch."""
        from ghostbench_drivemm.engine import engine_of, warm
        from ghostbench_drivemm.serving.warming import answer_noise, drawn

        engine, options = engine_of(model), self._warm_options()
        warm(engine, *self._most(model), options)
        if not self._noise:
            self._expect_frames(model)
            self._noise = list(drawn(model, 2, self._threads))
        answer_noise(model, engine, options, self._noise[:count])

    def _warm_options(self) -> GenerateOptions:
        """A short answer of the kind that clips will get."""
        from ghostbench_drivemm.serving.warming import warm_options

        return warm_options(self._known_forms, score=self.settings.mode == "score", grammar=self.settings.grammar)

    def _most(self, model: DriveMM) -> tuple[int, int]:
        """Rows and positions of the largest batch. A size that was asked for may be more than fits, which the first
        batches find out and halve."""
        fitting = self._fitting(model)
        return min(self.settings.batch_size or fitting, fitting), self._longest + self._new_tokens

    def _warm_up(self) -> dict[str, float]:
        """Answer noise once on a GPU, so that no clip pays for compiling; seconds by its name, {} on a CPU."""
        if self._replica.device.type != "cuda":
            self._coming = None
            return {}
        return {str(self._replica.device): self._replica.run(partial(self._warm, self._replica))}

    def _warm(self, replica: Replica[DriveMM]) -> float:
        """Answer noise on this GPU, in the thread that will answer; seconds of this and of what was done while loading.

        All of it, though one clip was answered while the weights were read: what is computed with it goes the second
        time as it will for clips.
        """
        import torch

        from ghostbench_drivemm.engine import engine_of, plan
        from ghostbench_local import memory

        started = time.perf_counter()
        model = replica.model(self.settings.dtype)
        self._meet_noise(model, 2)
        self._noise = ()
        with self._lock:
            coming, self._coming = self._coming, None
        plan(engine_of(model), coming or (), self._warm_options())
        memory.read(replica.device)
        torch.cuda.synchronize()
        return self._ahead_s + time.perf_counter() - started


def _drawing_seed(request: Request) -> int:
    """A number >= 0, which is what numpy draws from; the run's seed may be any."""
    pixels = "" if request.frames is None else request.frames.sha256[:16]
    return int(f"{request.seed % (1 << 64):x}{pixels}", 16)
