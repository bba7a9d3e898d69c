"""The Batch API: a file of requests is uploaded, submitted, waited for and collected, whatever kills us in between.

Every step is written to the journal before it is taken and after it. Killed in the middle of an upload or a
submission, the next run looks at the server for what carries this part's token (in the file's name, in the batch's
metadata) before it does the step again, so nothing is submitted twice. A file beyond the service's limits is sent in
parts, each a batch of its own.

Limits and states: OpenAI's Batch guide (https://developers.openai.com/api/docs/guides/batch): 50,000 requests and
200 MB a file; validating, in_progress, finalizing, cancelling; then completed, failed, expired or cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_before_delay, wait_random_exponential

from ghostbench import (
    AuthFailed,
    ConnectionFailed,
    Journal,
    ModelError,
    QuotaExhausted,
    RateLimited,
    Reply,
    ServerError,
    TimedOut,
)
from ghostbench_openai.results import NO_VERDICT, Verdict, object_of, read_line, unanswered, verdict_of
from ghostbench_openai.service import Service
from ghostbench_remote.failures import from_exception

if TYPE_CHECKING:
    from openai.types import Batch

MOST_BYTES = 190 * 1024 * 1024
MOST_REQUESTS = 50_000
PATIENCE_S = 3600.0
"""How long a bookkeeping call is repeated while the server cannot be reached or is busy."""
_FIRST_POLL_S, _SLOWEST_POLL_S, _SLOWER = 0.5, 60.0, 1.5
_CALL_S = 1800.0
_CLOCK_SLACK_S = 600
_HEAD_ENDS = b',"messages":['
_OVER = frozenset({"completed", "failed", "expired", "cancelled"})
_PREPARING = frozenset({"pending", "running", "notRunning"})

T = TypeVar("T")


class BatchRun:
    """One sealed file of encoded lines on its way through the Batch API."""

    def __init__(self, service: Service, lines: Path, journal: Journal, verdicts: Mapping[str, Verdict]) -> None:
        self._service = service
        self._lines = lines
        self._journal = journal
        self._verdicts = dict(verdicts)
        self._state: dict[str, Any] = {}

    async def results(self) -> AsyncIterator[tuple[str, Reply | ModelError]]:
        """(request id, reply or error) once for each line, as batches end.

        Raises a `ModelError` when nothing can be submitted with this key, or a submitted batch cannot be reached: its
        lines are not settled then (they may be computed and billed), and calling again with the same file and journal
        goes on where it was.
        """
        index = await asyncio.to_thread(self._index)
        self._state = self._journal.read() or await asyncio.to_thread(self._plan)
        self._journal.write(self._state)
        waiting: list[dict[str, Any]] = []
        for part in self._state["parts"]:
            try:
                await self._submit(part)
                waiting.append(part)
            except (AuthFailed, QuotaExhausted):
                raise
            except ModelError as error:
                for request_id in _ids(index, part):
                    yield request_id, error
        pause = _FIRST_POLL_S
        while waiting:
            for part in list(waiting):
                batch = await self._call(partial(self._service.client.batches.retrieve, part["batch"]))
                if batch.status in _OVER:
                    async for result in self._collect(batch, part, index):
                        yield result
                    waiting.remove(part)
                    await self._forget(part)
            if waiting:
                self._journal.expect_silence(pause)
                await asyncio.sleep(pause)
                pause = min(pause * _SLOWER, _SLOWEST_POLL_S)

    def _index(self) -> list[tuple[str, int]]:
        """(request id, end of its line in bytes) in the file's order; and the verdicts that the lines' schemas tell."""
        index, end = [], 0
        with self._lines.open("rb") as file:
            for line in file:
                end += len(line)
                head = json.loads(line.partition(_HEAD_ENDS)[0] + b"}}")
                index.append((head["custom_id"], end))
                self._verdicts.setdefault(head["custom_id"], verdict_of(head["body"]))
        return index

    def _plan(self) -> dict[str, Any]:
        """Cut the file into parts that the service takes."""
        parts: list[dict[str, Any]] = []
        start = 0
        for number, (_, end) in enumerate(self._index()):
            last = parts[-1] if parts else None
            if last is None or end - last["start"] > MOST_BYTES or last["count"] >= MOST_REQUESTS:
                token = uuid.uuid4().hex
                parts.append({"token": token, "first": number, "count": 0, "start": start, "file": None, "batch": None})
            parts[-1]["count"] += 1
            parts[-1]["end"] = start = end
        return {"parts": parts}

    async def _submit(self, part: dict[str, Any]) -> None:
        """Upload and create what is not there yet."""
        if part["file"] is None:
            part["file"] = await self._once(part, "uploading", self._find_upload, self._upload)
            self._note(part, "uploaded")
        if part["batch"] is None:
            part["batch"] = await self._once(part, "creating", self._find_batch, self._create)
            self._note(part, "submitted")

    async def _once(
        self,
        part: dict[str, Any],
        step: str,
        find: Callable[[dict[str, Any]], Awaitable[str | None]],
        make: Callable[[dict[str, Any]], Awaitable[str]],
    ) -> str:
        """Take a step that must not be taken twice: where it may have been, look for its result first."""

        async def attempt() -> str:
            found = await find(part) if part.get("step") == step else None
            if found is not None:
                return found
            part.setdefault("since", time.time())
            self._note(part, step)
            return await make(part)

        return await self._call(attempt)

    def _note(self, part: dict[str, Any], step: str) -> None:
        part["step"] = step
        self._journal.write(self._state)

    async def _upload(self, part: dict[str, Any]) -> str:
        self._journal.expect_silence(_CALL_S)
        with self._part_file(part) as file:
            made = await self._service.client.files.create(file=(_file_name(part), file), purpose="batch")
        while made.status in _PREPARING:
            self._journal.expect_silence(_FIRST_POLL_S)
            await asyncio.sleep(_FIRST_POLL_S)
            made = await self._service.client.files.retrieve(made.id)
        return made.id

    async def _find_upload(self, part: dict[str, Any]) -> str | None:
        async for file in self._service.client.files.list(purpose="batch", order="desc"):
            if file.filename == _file_name(part):
                return file.id
            if file.created_at < part["since"] - _CLOCK_SLACK_S:
                return None
        return None

    async def _create(self, part: dict[str, Any]) -> str:
        batch = await self._service.client.batches.create(
            input_file_id=part["file"],
            endpoint=self._service.endpoint.batch_url,  # type: ignore[arg-type]  # Azure's has no /v1
            completion_window="24h",
            metadata={"ghostbench": part["token"]},
        )
        return batch.id

    async def _find_batch(self, part: dict[str, Any]) -> str | None:
        async for batch in self._service.client.batches.list(limit=100):
            if (batch.metadata or {}).get("ghostbench") == part["token"]:
                return batch.id
            if batch.created_at < part["since"] - _CLOCK_SLACK_S:
                return None
        return None

    def _part_file(self, part: dict[str, Any]) -> BinaryIO:
        """The part as an open file: the sealed file itself, or a copy of its piece."""
        if len(self._state["parts"]) == 1:
            return self._lines.open("rb")
        piece = self._journal.folder / _file_name(part)
        if not piece.exists() or piece.stat().st_size != part["end"] - part["start"]:
            piece.unlink(missing_ok=True)
            with self._lines.open("rb") as source, piece.open("xb") as target:
                source.seek(part["start"])
                left = part["end"] - part["start"]
                while left and (block := source.read(min(left, 1 << 20))):
                    target.write(block)
                    left -= len(block)
        return piece.open("rb")

    async def _collect(
        self, batch: Batch, part: dict[str, Any], index: list[tuple[str, int]]
    ) -> AsyncIterator[tuple[str, Reply | ModelError]]:
        """Each line's result from the output and error files; for lines in neither, what the batch's end means."""
        missing = dict.fromkeys(_ids(index, part))
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is not None:
                async for line in self._downloaded(file_id):
                    request_id = line.get("custom_id")
                    if isinstance(request_id, str) and request_id in missing:
                        del missing[request_id]
                        yield request_id, read_line(line, self._service, self._verdicts.get(request_id, NO_VERDICT))
        for request_id in missing:
            yield request_id, unanswered(batch, self._service.secrets)

    async def _downloaded(self, file_id: str) -> AsyncIterator[dict[str, Any]]:
        """The objects of a result file, line by line; a download that breaks begins again and goes on where it was."""
        done = 0
        async for attempt in self._retrying():
            with attempt:
                async for text in self._lines_from(file_id, done):
                    done += 1
                    if text.strip():
                        yield object_of(text)

    async def _lines_from(self, file_id: str, first: int) -> AsyncIterator[str]:
        failure = None
        try:
            async with self._service.client.files.with_streaming_response.content(file_id) as response:
                number = 0
                async for text in response.iter_lines():
                    number += 1
                    if number > first:
                        yield text
        except Exception as error:  # noqa: BLE001
            failure = from_exception(error, self._service.secrets)
        if failure is not None:
            raise failure

    async def _forget(self, part: dict[str, Any]) -> None:
        """Take the frames off the server and the disk; what cannot be deleted expires there by itself."""
        (self._journal.folder / _file_name(part)).unlink(missing_ok=True)
        with contextlib.suppress(Exception):
            await self._service.client.files.delete(part["file"])

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        """A bookkeeping call, repeated while the server is busy or away. These are no attempts: nothing is billed."""

        async def typed() -> T:
            try:
                async with asyncio.timeout(_CALL_S):
                    return await call()
            except TimeoutError:
                failure: ModelError = TimedOut(f"the server did not answer within {_CALL_S:g} s")
            except Exception as error:  # noqa: BLE001
                failure = from_exception(error, self._service.secrets)
            raise failure

        return await self._retrying()(typed)

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type((RateLimited, TimedOut, ConnectionFailed, ServerError)),
            wait=_pause,
            stop=stop_before_delay(PATIENCE_S),
            before_sleep=lambda state: self._journal.expect_silence(state.upcoming_sleep),
            reraise=True,
        )


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after_s if isinstance(error, ModelError) else None
    return asked if asked is not None else wait_random_exponential(multiplier=0.5, max=60)(state)


def _ids(index: list[tuple[str, int]], part: Mapping[str, Any]) -> Iterator[str]:
    for request_id, _ in index[part["first"] : part["first"] + part["count"]]:
        yield request_id


def _file_name(part: Mapping[str, Any]) -> str:
    return f"ghostbench-{uuid.UUID(part['token']).hex}.jsonl"
