"""Gemini, shown the clip's own video file: in the request itself, or uploaded for it and deleted after it.

Fields: the video and Files pages of the API (https://ai.google.dev/gemini-api/docs/video-understanding and
https://ai.google.dev/gemini-api/docs/files). The service takes frames of the video by itself, and hears its sound.
"""

from __future__ import annotations

import asyncio
import io
import logging
import math
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ghostbench import ModelError, Reply, Request, RequestRejected, ServerError, TextPart, Video, VideoPart
from ghostbench_google.generate import UNREADABLE, GeneratingModel, Generation
from ghostbench_google.settings import GeminiVideoSettings
from ghostbench_remote.model import Exchange
from ghostbench_remote.pacing import Ticket

if TYPE_CHECKING:
    from google.genai.types import File, GenerateContentConfig, Part

_DEFAULT_FPS = 1.0
_FRAME_TOKENS = {"low": 70, "medium": 280, "high": 280, None: 280}
"""At most, by resolution: 66 and 258 of the models before Gemini 3, up to 280 of those since."""
_STAMP_TOKENS, _SOUND_TOKENS = 8, 32
"""Above what the time of each frame is, and what a second of sound is."""
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.2, 5.0
"""Pauses between looks at whether an uploaded file has been processed."""
_DELETING_S = 10.0
"""How long a file's deletion is waited for."""
_OF_THE_SERVICE = frozenset({4, 8, 10, 13, 14})
"""Codes of google.rpc by which processing failed for reasons that pass."""
_LOGGER = logging.getLogger(__name__)


class GeminiVideoModel(GeneratingModel):
    """A Gemini model that sees the video, and not the frames."""

    settings: GeminiVideoSettings

    def __init__(self, settings: GeminiVideoSettings, argument: str) -> None:
        super().__init__(settings, argument)
        self._uploaded: set[str] = set()

    async def load(self) -> Mapping[str, Any]:
        """Open the client; return what is shown, server, versions and prices for the manifest."""
        facts = {name: fact for name, fact in (await super().load()).items() if name != "jpeg"}
        return {**facts, "shown": "the clip's own media file"}

    async def aclose(self) -> None:
        """Delete what could not be deleted at its time, and close the client."""
        for name in sorted(self._uploaded):
            await self.delete(name)
        await super().aclose()

    def build(self, request: Request) -> tuple[list[Part], GenerateContentConfig]:
        """The user's parts, and the configuration."""
        from google.genai.types import MediaResolution

        parts, config = super().build(request)
        if self.settings.media_resolution is not None:
            config.media_resolution = MediaResolution(f"MEDIA_RESOLUTION_{self.settings.media_resolution.upper()}")
        return parts, config

    def shown(self, request: Request) -> Iterator[Part]:
        """The texts, and the video in its place; one that is to be uploaded is named by no address yet."""
        from google.genai.types import Blob, FileData, Part, VideoMetadata

        fps, video = self.settings.fps, request.video
        told = VideoMetadata(fps=fps) if fps is not None else None
        for part in request.prompt.parts:
            if isinstance(part, TextPart):
                yield Part(text=part.text)
            elif isinstance(part, VideoPart) and video is not None and self.is_uploaded(video):
                yield Part(file_data=FileData(file_uri="", mime_type=video.mime_type), video_metadata=told)
            elif isinstance(part, VideoPart) and video is not None:
                yield Part(inline_data=Blob(data=video.data, mime_type=video.mime_type), video_metadata=told)

    def is_uploaded(self, video: Video) -> bool:
        """Whether the video is too large for the request itself."""
        return len(video.data) > self.settings.inline_bytes

    def image_tokens(self, request: Request) -> int:
        """At most so many tokens are the request's video: its frames, the time of each, and its sound."""
        video = request.video
        if video is None:
            return 0
        frames = math.ceil(video.duration_s * (self.settings.fps or _DEFAULT_FPS)) + 1
        each = _FRAME_TOKENS[self.settings.media_resolution] + _STAMP_TOKENS
        return frames * each + _SOUND_TOKENS * (math.ceil(video.duration_s) + 1)

    def exchange(self, request: Request, ticket: Ticket, preprocess_s: float) -> Exchange:
        """One generated content, with the upload that it needs."""
        return _Showing(self, request, ticket, preprocess_s)

    def new_name(self) -> str:
        """The name of a file that is about to be uploaded, chosen here, so that the file can be deleted though the
        answer to its upload was lost. It says nothing of the clip."""
        name = f"ghostbench-{uuid.uuid4().hex[:24]}"
        self._uploaded.add(name)
        return name

    async def upload(self, name: str, video: Video) -> File:
        """The video as a file of the service's, processed. Raises what the SDK does, and as `_processed` does."""
        from google.genai.types import HttpOptions, UploadFileConfig

        # The pieces go where the first request went, whatever address the server gives for them.
        there = HttpOptions(base_url=self.base_url)
        file = await self.client.aio.files.upload(
            file=io.BytesIO(video.data),
            config=UploadFileConfig(name=name, mime_type=video.mime_type, http_options=there),
        )
        return await self._processed(name, file)

    async def _processed(self, name: str, file: File) -> File:
        """The file when the service has processed it. Raises `RequestRejected` and `ServerError` where it cannot."""
        pause_s = _FIRST_LOOK_S
        while _state(file) == "PROCESSING":
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_LOOK_S, pause_s * 2)
            file = await self.client.aio.files.get(name=name)
        if _state(file) == "FAILED":
            why = (
                f"{file.error.message or ''} (code {file.error.code})" if file.error is not None else "no reason given"
            )
            words = self.secrets.out_of_message(f"the service could not process the video: {why.strip()}")
            passes = file.error is not None and file.error.code in _OF_THE_SERVICE
            raise ServerError(words) if passes else RequestRejected(words)
        if not file.uri:
            raise ServerError("the service gave no address for the uploaded video")
        return file

    async def delete(self, name: str) -> None:
        """Have the service forget a file. One that it will not delete is told of in the log: it goes after two days."""
        from google.genai.errors import APIError

        try:
            async with asyncio.timeout(_DELETING_S):
                await self.client.aio.files.delete(name=name)
        except APIError as error:
            if error.code not in {403, 404}:  # which say that there is none
                self._not_deleted(name, f"HTTP {error.code}")
                return
        except Exception as error:  # noqa: BLE001 - whatever becomes of it, the answer stands
            self._not_deleted(name, type(error).__name__)
            return
        self._uploaded.discard(name)

    def _not_deleted(self, name: str, why: str) -> None:
        _LOGGER.warning(
            "the uploaded video files/%s was not deleted (%s); the service does so after 48 hours", name, why
        )


class _Showing(Generation):
    model: GeminiVideoModel

    async def sent(
        self, body: tuple[list[Part], GenerateContentConfig], deadline: asyncio.Timeout
    ) -> Reply | ModelError:
        video = self.request.video
        if video is None or not self.model.is_uploaded(video):
            return await super().sent(body, deadline)
        parts, config = body
        name = self.model.new_name()
        try:
            file = await self._upload(name, video)
            if isinstance(file, ModelError):
                return file
            return await super().sent(([_at(part, file) for part in parts], config), deadline)
        finally:
            await self.model.delete(name)

    async def _upload(self, name: str, video: Video) -> File | ModelError:
        from ghostbench_remote.bounded import LATEST

        LATEST.set(None)
        try:
            return await self.model.upload(name, video)
        except UNREADABLE as error:
            odd = self.odd(error)
        return self.unread(odd, "account of an upload")


def _at(part: Part, file: File) -> Part:
    """The part, with the address of the file where it shows the video."""
    if part.file_data is None:
        return part
    return part.model_copy(update={"file_data": part.file_data.model_copy(update={"file_uri": file.uri})})


def _state(file: File) -> str:
    return file.state.value if file.state is not None else "ACTIVE"
