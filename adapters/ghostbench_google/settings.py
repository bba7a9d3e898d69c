"""What a user can set on a Gemini model, shown frames or the video. Keys are not among it: they come from the
environment alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ghostbench import setting


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """What `google:MODEL` and `google-video:MODEL` have both."""

    base_url: str | None = setting(
        None, "the server, e.g. http://127.0.0.1:8000; none: GOOGLE_GEMINI_BASE_URL, or Google's API", network=True
    )
    concurrency: int = setting(8, "requests in flight at once", minimum=1, maximum=1024, throughput=True)
    timeout_s: float = setting(
        120.0, "deadline of one attempt, seconds", minimum=0.001, maximum=86_400, throughput=True
    )
    temperature: float | None = setting(
        0.0, "sampling temperature; none: not sent, for models that refuse it", minimum=0, maximum=2
    )
    seed: int | None = setting(None, "sampling seed; none: the run's seed", minimum=0, maximum=2**31 - 1)
    send_seed: bool = setting(True, "send a sampling seed; false: none")
    logprobs: bool = setting(True, "ask for token probabilities, which give the score")
    thinking_budget: int | None = setting(
        None, "tokens that the model may think; 0: it may not; none: as the model has it", minimum=0, maximum=65_536
    )
    thinking_room: int = setting(
        8192,
        "tokens beside the answer's limit, since Gemini counts the model's thoughts within it",
        minimum=0,
        maximum=65_536,
    )
    max_output_tokens: int | None = setting(
        None, "limit of an answer's length; none: the task's", minimum=1, maximum=1_000_000
    )
    price_file: str | None = setting(None, "JSON file of prices to use instead of the public ones", network=False)


@dataclass(frozen=True, slots=True)
class GeminiSettings(GenerateSettings):
    """The settings of `google:MODEL`."""

    max_side: int = setting(
        1024, "longer side of a frame as sent, pixels; larger frames are shrunk", minimum=32, maximum=8192
    )


@dataclass(frozen=True, slots=True)
class GeminiVideoSettings(GenerateSettings):
    """The settings of `google-video:MODEL`."""

    fps: float | None = setting(
        None, "frames a second that the service takes of the video; none: as it has it, 1", minimum=0.001, maximum=24
    )
    media_resolution: Literal["low", "medium", "high"] | None = setting(
        None, "how finely the service looks at each frame; none: as it has it", choices=(None, "low", "medium", "high")
    )
    inline_bytes: int = setting(
        14_000_000,
        "media files up to so many bytes go in the request itself (20 MB is the most that a request may have); larger "
        "ones are uploaded, and deleted after the answer",
        minimum=0,
        maximum=14_000_000,
    )
