"""Refusals in the servers' own words, and the one error that each stands for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_openai import Fault, Server

from ghostbench import ModelError, Request, errors
from ghostbench_openai.body import TOP_LOGPROBS
from ghostbench_remote.complaints import FORMAT, OPTIONAL
from ghostbench_remote.failures import from_error_object, from_status
from ghostbench_remote.redaction import Secrets

Ask = Callable[..., list[Any]]
Build = Callable[..., Request]
SENT = frozenset({"seed", "temperature", "logprobs", "max_tokens", "response_format", "detail"})


def read(status: int, body: Any, sent: frozenset[str] | None = SENT) -> ModelError:
    text = body if isinstance(body, str) else json.dumps(body)
    return from_status(status, {}, text, Secrets([]), sent)


def openai(message: str | None, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def litellm(message: str, code: int = 400, param: str | None = None) -> dict[str, Any]:
    return {
        "error": {"message": f"litellm.BadRequestError: {message}", "type": None, "param": param, "code": str(code)}
    }


def vllm(message: str, code: int = 400) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": code}


def llama_cpp(message: str, kind: str, code: int) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": kind, "n_prompt_tokens": 5000, "n_ctx": 4096}}


def tgi(message: str) -> dict[str, Any]:
    return {"error": f"Input validation error: {message}", "error_type": "validation"}


def anthropic(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def gemini(message: str, status: str = "INVALID_ARGUMENT", code: int = 400, *details: Any) -> list[dict[str, Any]]:
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


def mistral(name: str) -> dict[str, Any]:
    detail = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": 7}
    return {"object": "error", "message": {"detail": [detail]}, "type": "invalid_request_error", "code": None}


TOO_LARGE: list[tuple[int, Any]] = [
    (400, vllm("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.")),
    (
        400,
        vllm(
            "The decoder prompt (length 5016) is longer than the maximum model length of 4096. Make sure that "
            "`max_model_len` is no smaller than the number of text tokens plus multimodal tokens."
        ),
    ),
    (400, vllm("The prompt (total length 5016) is too long to fit into the model (context length 4096).")),
    (400, vllm("At most 4 image(s) may be provided in one request.")),
    (
        400,
        vllm(
            "The decoder prompt contains a(n) image item with length 5000, which exceeds the pre-allocated encoder "
            "cache size 4096."
        ),
    ),
    (400, {"error": {"code": "1261", "message": "Prompt 超长"}}),
    (
        400,
        anthropic(
            "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes"
        ),
    ),
    (400, {"code": "InvalidParameter", "message": "Multimodal file size is too large"}),
    (
        400,
        openai(
            "Invalid 'messages[1].content': array too long. Expected an array with maximum length 20, but got an array "
            "with length 41 instead.",
            "array_above_max_length",
        ),
    ),
    (400, vllm("At most 4 image(s) may be provided in one prompt.")),
    (
        400,
        vllm("You set image=4 (or defaulted to 1) in `--limit-mm-per-prompt`, but found 10 items in the same prompt."),
    ),
    (
        400,
        vllm("'max_tokens' or 'max_completion_tokens' is too large: 256. This model's maximum context length is 4096."),
    ),
    (
        400,
        llama_cpp(
            "the request exceeds the available context size, try increasing it", "exceed_context_size_error", 400
        ),
    ),
    (500, llama_cpp("the request exceeds the available context size, try increasing it", "server_error", 500)),
    (500, llama_cpp("input is too large to process. increase the physical batch size", "server_error", 500)),
    (400, llama_cpp("request (5016 tokens) exceeds the available context size (4096 tokens)", "x", 400)),
    (
        422,
        tgi("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5016 `inputs` tokens and 256 `max_new_tokens`"),
    ),
    (422, tgi("`inputs` must have less than 4095 tokens. Given: 5016")),
    (400, vllm("The input (5016 tokens) is longer than the model's context length (4096 tokens).")),
    (400, vllm("Multimodal prompt is too long after expanding multimodal tokens.")),
    (400, {"error": {"message": "input length exceeds the context length", "type": "invalid_request_error"}}),
    (500, {"error": {"message": "the input length exceeds maximum context length", "type": "api_error"}}),
    (400, gemini("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).")),
    (400, gemini("Request payload size exceeds the limit: 20971520 bytes.")),
    (400, gemini("The number of images exceeds the limit of 16.")),
    (400, anthropic("prompt is too long: 210000 tokens > 200000 maximum")),
    (400, anthropic("input length and `max_tokens` exceed context limit: 199900 + 256 > 200000")),
    (413, anthropic("Request exceeds the maximum size", "request_too_large")),
    (400, anthropic("messages.0.content: Too many images: 101 > 100 maximum")),
    (400, openai("Your input exceeds the context window of this model.", "context_length_exceeded")),
    (400, openai("Invalid 'messages': string too long", "string_above_max_length")),
    (400, openai("Too many images provided. This model supports up to 5 images")),
    (400, openai("This model's maximum prompt length is 131072 but the request contains 150000 tokens.")),
    (400, openai("Please reduce the length of the messages or completion.", "context_length_exceeded")),
    (400, litellm("litellm.ContextWindowExceededError: AnthropicException - prompt is too long: 210000 tokens")),
    (400, litellm("BedrockException - Input is too long for requested model.")),
    *(
        (400, openai(words))
        for words in (
            "input length 9000 exceeds the context",
            "You may send no more than 10 images",
            "images per request limit is 5",
            "Sequence length (8123) is larger than allowed (4096)",
            "truncate: input tokens 5000 > max 4096",
            "Prompt has 8000 tokens, but only 4096 are supported",
            "Only 1 image is supported per request",
            "This model supports at most one image",
            "输入长度超过限制",
            "Range of input length should be [1, 30720]",
            "Input tokens 40000 exceed the configured limit of 32768",
            "multimodal tokens exceed budget: encoder cache size 8192",
            "The total length of multimodal embeddings 9000 exceeds max",
        )
    ),
    (413, "<html><center>413 Request Entity Too Large</center></html>"),
    (413, openai("Request too large for model x on tokens per minute (TPM): Limit 6000, Requested 8000")),
    (
        429,
        openai(
            "Request too large for gpt-4 on tokens per min (TPM): Limit 10000, Requested 12000.", "rate_limit_exceeded"
        ),
    ),
]


@pytest.mark.parametrize(("status", "body"), TOO_LARGE)
def test_what_is_too_large_is_that_in_every_servers_words(status: int, body: Any) -> None:
    failure = read(status, body)
    assert type(failure) is errors.RequestTooLarge, repr(failure)


@given(st.sampled_from(TOO_LARGE), st.integers(1, 10**7), st.integers(1, 10**7))
def test_numbers_do_not_matter(known: tuple[int, Any], first: int, second: int) -> None:
    text = json.dumps(known[1])
    for old, new in (("4096", first), ("5016", second), ("210000", second), ("image=4", f"image={first}")):
        text = text.replace(old, str(new))
    assert type(read(known[0], text)) is errors.RequestTooLarge


NAMED: list[tuple[int, Any, set[str]]] = [
    (
        400,
        openai(
            "Unsupported value: 'temperature' does not support 0 with this model.", "unsupported_value", "temperature"
        ),
        {"temperature"},
    ),
    (403, openai("You are not allowed to request logprobs from this model"), {"logprobs"}),
    (
        400,
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",  # noqa: E501
            "unsupported_parameter",
            "max_tokens",
        ),
        {"max_tokens"},
    ),
    (
        400,
        openai("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."),
        {"max_tokens"},
    ),
    (400, openai("Unrecognized request argument supplied: seed"), {"seed"}),
    (
        400,
        openai(
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
            None,
            "response_format",
        ),
        {FORMAT},
    ),
    (
        400,
        openai("response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later"),
        {FORMAT},
    ),
    (400, openai("This model does not support response format `json_schema`.", None, "response_format"), {FORMAT}),
    (400, openai("`logprobs` is not supported with this model"), {"logprobs"}),
    (400, openai("property 'logprobs' is unsupported"), {"logprobs"}),
    (
        400,
        {"code": "Client specified an invalid argument", "error": "Argument not supported on this model: logprobs"},
        {"logprobs"},
    ),
    (400, openai("deepseek-reasoner does not support the parameter: top_logprobs"), {"logprobs"}),
    (400, openai("This response_format type is unavailable now"), {FORMAT}),
    (
        400,
        vllm(f"Requested sample logprobs of {TOP_LOGPROBS}, which is greater than max allowed: 5; it cannot be given"),
        {"logprobs"},
    ),
    (
        400,
        litellm("anthropic does not support parameters: ['seed', 'logprobs', 'top_logprobs'], for model=claude-x."),
        {"seed", "logprobs"},
    ),
    (400, litellm("gpt-5 models don't support temperature=0.0. Only temperature=1 is supported."), {"temperature"}),
    (
        400,
        litellm('AnthropicException - {"type":"error","error":{"message":"seed: Extra inputs are not permitted"}}'),
        {"seed"},
    ),
    (400, gemini('Invalid JSON payload received. Unknown name "seed": Cannot find field.'), {"seed"}),
    (
        400,
        gemini('Unknown name "seed": Cannot find field.\nInvalid JSON payload received. Unknown name "top_logprobs"'),
        {"seed", "logprobs"},
    ),
    (422, mistral("seed"), {"seed"}),
    (422, mistral("top_logprobs"), {"logprobs"}),
    (422, {"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]}, {"seed"}),
    (400, openai("Extra inputs are not permitted, field: 'seed', value: 7"), {"seed"}),
    (422, "Failed to deserialize the JSON body: response_format: unknown variant `json_schema`", {FORMAT}),
    (
        500,
        llama_cpp(
            'response_format type must be one of "text" or "json_object", but got: json_schema; unsupported', "x", 500
        ),
        {FORMAT},
    ),
    (501, llama_cpp("Unsupported param: logprobs", "not_supported_error", 501), {"logprobs"}),
    (404, openai("No endpoints found that support the parameter: seed"), {"seed"}),
    (
        400,
        {"detail": [{"loc": ["body", "messages", 1, "content", 3, "image_url", "detail"], "msg": "extra forbidden"}]},
        {"detail"},
    ),
    (400, openai("Unknown parameter", None, "messages[1].content[0].image_url.detail"), {"detail"}),
    (400, openai("seed is not a valid parameter"), {"seed"}),
    (400, openai("parameter seed is disallowed"), {"seed"}),
    (400, openai("seed: Field not recognised"), {"seed"}),
    (400, openai("seed parameter has been removed"), {"seed"}),
    (400, openai("temperature: this model requires the default value 1"), {"temperature"}),
    (400, openai("top_logprobs can't be used with this model"), {"logprobs"}),
    (400, openai("logprobs are disabled on this deployment"), {"logprobs"}),
    (400, openai("Use 'max_completion_tokens' instead of max_tokens"), {"max_tokens"}),
    (400, openai("max_tokens is not allowed; please specify max_output_tokens"), {"max_tokens"}),
]


@pytest.mark.parametrize(("status", "body", "parts"), NAMED)
def test_a_refusal_that_names_a_part_of_the_request_says_which(status: int, body: Any, parts: set[str]) -> None:
    failure = read(status, body)
    assert type(failure) is errors.RequestRejected, repr(failure)
    assert set(failure.refuses) == parts


@given(
    st.sampled_from(["seed", "temperature", "logprobs", "top_logprobs", "response_format"]),
    st.sampled_from(
        [
            "Unsupported parameter: '{}'",
            "Unrecognized request argument supplied: {}",
            "{}: Extra inputs are not permitted",
            'Unknown name "{}": Cannot find field.',
            "Parameter {} is not allowed for this model",
            "you must not send `{}`",
        ]
    ),
    st.sampled_from([openai, litellm, vllm, anthropic, gemini]),
    st.sampled_from([400, 422]),
)
def test_names_are_found_in_any_frame(name: str, words: str, frame: Any, status: int) -> None:
    failure = read(status, frame(words.format(name)))
    assert type(failure) is errors.RequestRejected
    assert failure.refuses == ({"top_logprobs": "logprobs"}.get(name, name),)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            400,
            openai(
                "max_tokens is too large: 32000. This model supports at most 16384 completion tokens",
                "invalid_value",
                "max_tokens",
            ),
        ),
        (400, openai("Invalid image.", "invalid_image", "messages[1].content[0].image_url")),
        (400, openai("no")),
        (404, openai("No endpoints found that can handle the requested parameters.")),
        (422, {"detail": "nonsense"}),
        (400, "<html>Bad Request</html>"),
        (400, openai("Unknown part of bytedance/seed-1.6 in seed-oss")),
    ],
)
def test_a_refusal_that_names_none_names_none(status: int, body: Any) -> None:
    failure = read(status, body)
    assert type(failure) is errors.RequestRejected, repr(failure)
    assert failure.refuses == ()


def test_only_what_was_sent_can_be_refused() -> None:
    said = openai("Unsupported parameters: seed, logprobs")
    assert read(400, said, frozenset({"logprobs"})).refuses == ("logprobs",)  # type: ignore[attr-defined]
    assert type(read(403, openai("not allowed to request logprobs"), frozenset())) is errors.AuthFailed


def test_every_part_that_can_be_named_is_one_that_a_rung_takes_off() -> None:
    assert {*SENT} <= {*OPTIONAL, FORMAT}


API_KEY_INVALID = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
STOPS: list[tuple[int, Any, type[ModelError]]] = [
    (404, openai("The model `gpt-4.1x` does not exist or you do not have access to it.", "model_not_found"), errors.AuthFailed),  # noqa: E501
    (403, openai("Project `p` does not have access to model `gpt-x`", "model_not_found"), errors.AuthFailed),
    (400, openai("invalid model ID"), errors.AuthFailed),
    (404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}}, errors.AuthFailed),  # noqa: E501
    (404, {"error": {"code": "404", "message": "Resource not found"}}, errors.AuthFailed),
    (400, {"error": {"code": "OperationNotSupported", "message": "The chatCompletion operation does not work with the specified model, ada."}}, errors.AuthFailed),  # noqa: E501
    (400, litellm("/chat/completions: Invalid model name passed in model=x. Call `/v1/models`", 400, "model"), errors.AuthFailed),  # noqa: E501
    (400, litellm("LLM Provider NOT provided. Pass in the LLM provider you are trying to call. You passed model=x"), errors.AuthFailed),  # noqa: E501
    (404, gemini("models/gemini-x is not found for API version v1main", "NOT_FOUND", 404), errors.AuthFailed),
    (404, anthropic("model: claude-x", "not_found_error"), errors.AuthFailed),
    (404, vllm("The model `x` does not exist.", 404), errors.AuthFailed),
    (404, {"error": {"message": 'model "x" not found, try pulling it first', "type": "api_error"}}, errors.AuthFailed),
    (400, {"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"}, errors.AuthFailed),  # noqa: E501
    (400, openai("Model Not Exist"), errors.AuthFailed),
    (404, "404 page not found", errors.AuthFailed),
    (404, {"detail": "Not Found"}, errors.AuthFailed),
    (401, openai("Incorrect API key provided", "invalid_api_key"), errors.AuthFailed),
    (400, gemini("API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", 400, API_KEY_INVALID), errors.AuthFailed),  # noqa: E501
    (400, gemini("API key expired. Please renew the API key."), errors.AuthFailed),
    (400, gemini("User location is not supported for the API use.", "FAILED_PRECONDITION"), errors.AuthFailed),
    (400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***"}, errors.AuthFailed),  # noqa: E501
    (400, {"error": {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"}}, errors.AuthFailed),  # noqa: E501
    (403, "<html>Forbidden</html>", errors.AuthFailed),
    (400, anthropic("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing"), errors.QuotaExhausted),  # noqa: E501
    (400, litellm('AnthropicException - {"error":{"message":"Your credit balance is too low to access the Anthropic API."}}'), errors.QuotaExhausted),  # noqa: E501
    (400, {"error": {"message": "Budget has been exceeded! Current cost: 1.1, Max budget: 1.0", "type": "budget_exceeded"}}, errors.QuotaExhausted),  # noqa: E501
    (429, openai("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota"), errors.QuotaExhausted),  # noqa: E501
    (400, openai("Billing hard limit has been reached", "billing_hard_limit_reached"), errors.QuotaExhausted),
    (402, openai("Insufficient Balance"), errors.QuotaExhausted),
    (403, {"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 2.01:00:00."}, errors.QuotaExhausted),  # noqa: E501
    (403, {"error": {"code": 403, "message": "Key limit exceeded (total limit)."}}, errors.QuotaExhausted),
    (400, anthropic("You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."), errors.QuotaExhausted),  # noqa: E501
    (400, {"error": {"message": "openai/gpt-x is not a valid model ID", "code": 400}}, errors.AuthFailed),
    (400, {"error": {"code": "1211", "message": "模型不存在，请检查模型代码。"}}, errors.AuthFailed),
    (400, {"message": "The provided model identifier is invalid."}, errors.AuthFailed),
    (400, openai("Unable to access non-serverless model x. Please visit https://api.together.ai/models"), errors.AuthFailed),  # noqa: E501
    (422, {"detail": "Missing Authorization header"}, errors.AuthFailed),
    (400, gemini("Method doesn't allow unregistered callers (callers without established identity)."), errors.AuthFailed),  # noqa: E501
    (400, gemini("Gemini API free tier is not available in your country. Please enable billing.", "FAILED_PRECONDITION"), errors.QuotaExhausted),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "error"), STOPS)
def test_what_no_request_can_get_past_stops_the_model(status: int, body: Any, error: type[ModelError]) -> None:
    failure = read(status, body)
    assert type(failure) is error, repr(failure)
    assert len(str(failure)) > len("HTTP 400: ")


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}


def test_geminis_quota_by_the_minute_is_a_rate_limit() -> None:
    failure = read(
        429, gemini("You exceeded your current quota, please check your plan", "RESOURCE_EXHAUSTED", 429, RETRY)
    )
    assert type(failure) is errors.RateLimited
    assert failure.retry_after_s == 34


FILTERED: list[tuple[int, Any]] = [
    (400, {"error": {"code": "content_filter", "message": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),  # noqa: E501
    (400, {"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    (400, litellm("litellm.ContentPolicyViolationError: AzureException - The response was filtered due to the prompt")),
    (400, litellm("litellm.ContentPolicyViolationError: ContentPolicyViolationError: OpenAIException - Your request was rejected as a result of our safety system.")),  # noqa: E501
    (400, openai("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", "content_filter")),  # noqa: E501
    (403, {"error": {"code": 403, "message": "x requires moderation on Y. Your input was flagged for \"violence\"."}}),
    (400, gemini("The prompt was blocked due to PROHIBITED_CONTENT")),
    (400, openai("Output data may contain inappropriate content.", "data_inspection_failed")),
    (400, openai("Your prompt was flagged as potentially violating our usage policy.", "invalid_prompt")),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), FILTERED)
def test_a_content_filter_is_that_in_every_servers_words(status: int, body: Any) -> None:
    failure = read(status, body)
    assert type(failure) is errors.ContentFiltered, repr(failure)


@given(st.text(max_size=60), st.sampled_from([500, 502, 503, 529]))
def test_a_server_that_failed_is_not_taken_for_one_that_refused(words: str, status: int) -> None:
    failure = read(status, {"error": {"message": f"upstream {words.encode().hex()} broke"}})
    assert type(failure) is errors.ServerError


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "details", "param", "detail", "retry_after"]), inner, max_size=4), max_leaves=12), st.sampled_from([200, 301, 400, 401, 403, 404, 413, 422, 429, 500, 503]))  # fmt: skip  # noqa: E501
def test_any_body_is_some_error(body: Any, status: int) -> None:
    assert isinstance(read(status, body), ModelError)
    assert isinstance(from_error_object(body, Secrets([])), ModelError)
    assert isinstance(read(status, "\ufeff" + json.dumps(body)), ModelError)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("number", range(0, len(NAMED), 3))
def test_the_adapter_says_so_too(server: Server, ask: Ask, make_request: Build, number: int, stream: bool) -> None:
    status, body, parts = NAMED[number]
    server.chat.script = [Fault("status", status, {}, body if isinstance(body, str) else json.dumps(body))]
    (failure,) = ask(make_request(), stream=stream)
    assert type(failure) is errors.RequestRejected, repr(failure)
    assert set(failure.refuses) == parts
