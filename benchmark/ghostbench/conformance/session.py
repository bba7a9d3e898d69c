"""A model under test: loaded as a run loads it, and asked as a run asks it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import tempfile
import uuid
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ghostbench.conformance.clips import drawn_clips, drawn_frames, drawn_video
from ghostbench.errors import AttemptError, Crashed
from ghostbench.folder.round_files import FileJournal
from ghostbench.frames import Frames
from ghostbench.models import Model, RemoteModel, Truths
from ghostbench.plugins.choose import Choice, build_model, build_settings, check_requirements, parse_model
from ghostbench.question import Question, examples_shown
from ghostbench.records import Clip, ExampleFrames, Reply, Request, Verdict
from ghostbench.running.ask.dispatch import Delivery
from ghostbench.running.ask.dispatchers import dispatcher_for, load
from ghostbench.running.ask.questions import Questions
from ghostbench.tasks.load import load_task
from ghostbench.tasks.wording import Example
from ghostbench.tasks.written_task import WrittenTask, task_of_form

Result = Reply | AttemptError
T = TypeVar("T")


class Session:
    """One model, loaded, until `close`.

    settings : as texts after `--set`. A `temperature` that is not among them is set to 0, where the model has one.

    Raises what choosing, constructing and loading the model raise.
    """

    def __init__(self, model: str, settings: Mapping[str, str]) -> None:
        self.choice: Choice = parse_model(model)
        check_requirements(self.choice)
        known = {field.name for field in dataclasses.fields(self.choice.spec.settings)}
        cold = {"temperature": "0"} if "temperature" in known else {}
        self.model: Model = build_model(self.choice, build_settings(self.choice, {**cold, **settings}))
        self.model.check()
        self.model.check_here()
        self.clips = drawn_clips()
        self._task = load_task("ghost-probing")
        self._pool = ThreadPoolExecutor(2, "prepare")
        self._loop = asyncio.Runner()
        try:
            self.facts: Mapping[str, Any] = self._run(self._load())
        except BaseException:
            self._end()
            raise

    def alone(self, frames: Mapping[str, Frames] | None = None) -> list[Result]:
        """Each clip asked by itself, one after the other."""

        async def ask() -> list[Result]:
            return [await self._ask(clip, self._request(clip, frames), announced=False) for clip in self.clips]

        return self._run(ask())

    def with_examples(self, examples: Mapping[str, Frames]) -> list[Result]:
        """Each clip asked by itself behind the frames of another one, as an example. examples : these, by clip id."""

        async def ask() -> list[Result]:
            return [
                await self._ask(clip, self._behind(self._request(clip, None), examples[clip.id]), announced=False)
                for clip in self.clips
            ]

        return self._run(ask())

    def together(self) -> list[Result]:
        """All clips asked at once: by the file where the model's settings say so, in batches as large as a local model
        takes, else side by side."""

        async def ask() -> list[Result]:
            if isinstance(self.model, RemoteModel) and self.model.batched:
                return await self._by_the_file(self.model)
            self._dispatcher.expect(len(self.clips))
            requests = [self._request(clip, None) for clip in self.clips]
            asking = (self._ask(c, r, announced=True) for c, r in zip(self.clips, requests, strict=True))
            return list(await asyncio.gather(*asking))

        return self._run(ask())

    def first(self) -> Result:
        """The first clip asked by itself."""
        clip = self.clips[0]
        return self._run(self._ask(clip, self._request(clip, None), announced=False))

    def close(self) -> None:
        """Close the model."""
        try:
            self._run(self._dispatcher.close())
        finally:
            self._end()

    async def _by_the_file(self, model: RemoteModel) -> list[Result]:
        requests = [self._request(clip, None) for clip in self.clips]
        with tempfile.TemporaryDirectory(prefix="ghostbench-batch-") as name:
            lines = Path(name) / "lines.jsonl"
            lines.write_bytes(b"".join(model.encode(request) + b"\n" for request in requests))
            found = {key: result async for key, result in model.answer_batch(lines, FileJournal(Path(name)))}
        lost = Crashed("the batch ended without a result for this request")
        return [found.get(request.id, lost) for request in requests]

    async def _load(self) -> Mapping[str, Any]:
        self._dispatcher = dispatcher_for(self.model, Truths(clips=self.clips, seed=0), self._pool)
        try:
            return await load(self._dispatcher)
        except BaseException:
            await self._dispatcher.close()
            raise

    async def _ask(self, clip: Clip, request: Request, *, announced: bool) -> Result:
        delivery: Delivery = await self._dispatcher.ask(clip, request, expected=announced)
        return delivery.result

    def _request(self, clip: Clip, frames: Mapping[str, Frames] | None) -> Request:
        seen: Frames | None = None
        if self.choice.spec.needs_frames:
            seen = frames[clip.id] if frames is not None else drawn_frames(clip)
        questions, filmed = Questions(self._task), self._task.in_video()
        if self.choice.spec.sees_video and filmed is not None:
            question = Question(prompt=filmed.build(None), frames=None, video=drawn_video(clip))
        else:
            question = questions.blind if seen is None else questions.about(seen)[0]
        return Request(
            id=str(uuid.uuid4()),
            prompt=question.prompt,
            frames=question.frames,
            seed=0,
            level=0,
            level_settings={},
            write_answer=self._task.write,
            video=question.video,
        )

    def _behind(self, request: Request, example: Frames) -> Request:
        """The request in a wording that shows the example before the question."""
        task = self._task
        assert isinstance(task, WrittenTask)
        told = Example(clip="example", frames=True, answer=json.loads(task.write(Verdict(grade="normal"))))
        worded = task_of_form(task.form.model_copy(update={"examples": (told,), "variants": {}, "variant": "shown"}))
        worded.examples = {"example": ExampleFrames.of(example)}
        prompt = Question.about(worded.build(request.frames), request.frames).prompt
        return dataclasses.replace(
            request, prompt=prompt, variant="shown", examples=examples_shown(prompt, {example.sha256: example})
        )

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    def _end(self) -> None:
        self._loop.close()
        self._pool.shutdown(wait=False)
