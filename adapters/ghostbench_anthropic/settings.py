"""What a user can set on a Claude model. Keys are not among it: they come from the environment alone."""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench import setting


@dataclass(frozen=True, slots=True)
class ClaudeSettings:
    """The settings of `anthropic:MODEL`."""

    base_url: str | None = setting(
        None, "the server, e.g. http://127.0.0.1:8000; none: ANTHROPIC_BASE_URL, or Anthropic's API", network=True
    )
    concurrency: int = setting(8, "requests in flight at once", minimum=1, maximum=1024, throughput=True)
    timeout_s: float = setting(
        120.0, "deadline of one attempt, seconds", minimum=0.001, maximum=86_400, throughput=True
    )
    temperature: float | None = setting(
        0.0, "sampling temperature; none: not sent, for models that refuse it", minimum=0, maximum=1
    )
    max_side: int = setting(
        1024, "longer side of a frame as sent, pixels; larger frames are shrunk", minimum=32, maximum=8000
    )
    max_output_tokens: int | None = setting(
        None, "limit of an answer's length; none: the task's", minimum=1, maximum=1_000_000
    )
    price_file: str | None = setting(None, "JSON file of prices to use instead of the public ones", network=False)
