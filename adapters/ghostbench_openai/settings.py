"""What a user can set on a model of this package. Keys are not among it: they come from the environment alone."""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench import setting


@dataclass(frozen=True, slots=True)
class OpenAISettings:
    """The settings of `gpt-4.1`, `gpt-4.1-mini`, `openai:MODEL` and `azure:DEPLOYMENT`."""

    base_url: str | None = setting(
        None,
        "the server, e.g. http://127.0.0.1:8000/v1; none: the OpenAI API (azure: AZURE_OPENAI_ENDPOINT)",
        network=True,
    )
    api_version: str | None = setting(
        None, "azure only: the API version, e.g. 2024-10-21; none: OPENAI_API_VERSION, or Azure's v1 API", network=False
    )
    concurrency: int = setting(8, "requests in flight at once", minimum=1, maximum=1024, throughput=True)
    timeout_s: float = setting(
        120.0, "deadline of one attempt, seconds", minimum=0.001, maximum=86_400, throughput=True
    )
    temperature: float | None = setting(
        0.0, "sampling temperature; none: not sent, for models that refuse it", minimum=0, maximum=2
    )
    seed: int | None = setting(None, "sampling seed; none: the run's seed", minimum=0, maximum=2**63 - 1)
    send_seed: bool = setting(True, "send a sampling seed; false: none, for servers that refuse it")
    detail: str = setting(
        "high", "how finely the server looks at a frame, and what it charges", choices=("low", "high", "auto")
    )
    max_side: int = setting(
        1024, "longer side of a frame as sent, pixels; larger frames are shrunk", minimum=32, maximum=8192
    )
    max_output_tokens: int | None = setting(
        None, "limit of an answer's length; none: the task's", minimum=1, maximum=1_000_000
    )
    limit_field: str = setting(
        "auto",
        "the server's name for that limit; auto: by the server",
        choices=("auto", "max_tokens", "max_completion_tokens"),
    )
    stream: bool = setting(False, "receive the answer piece by piece: gives the time to the first token")
    logprobs: bool = setting(True, "ask for token probabilities, which give the score")
    batch: bool = setting(False, "use the Batch API: half the price, an answer within 24 hours")
    price_file: str | None = setting(None, "JSON file of prices to use instead of the public ones", network=False)
