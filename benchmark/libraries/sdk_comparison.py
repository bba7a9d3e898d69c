"""What LiteLLM's SDK keeps of a service's response, beside the vendors' own SDKs: the same planned responses to both.

    python -m venv .litellm && .litellm/bin/pip install litellm
    python benchmark/libraries/sdk_comparison.py --litellm .litellm/bin/python --markdown

A server on loopback speaks Anthropic's Messages API and Google's generateContent, and answers each request as planned
here; each library is asked from a process of its own, with its retries off, and tells what its caller can know: the
ending, the served model, counts and ids of an answer; the type, status and wait of an error. Requests that arrived are
counted by the server. Nothing is measured in time but the imports, by the processor's.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLAUDE, GEMINI = "claude-sonnet-4-5-20250929", "gemini-2.5-flash"
KEY = "key-of-loopback-0123456789abcdefghijk"
TIMEOUT_S = 3.0
SCHEMA = {
    "type": "object",
    "properties": {"grade": {"type": "string", "enum": ["normal", "ghost_probing"]}, "evidence": {"type": "string"}},
    "required": ["grade", "evidence"],
    "additionalProperties": False,
}
QUESTION = "Is there ghost probing?"


@dataclass(frozen=True)
class Case:
    """A planned response. api : "anthropic" or "gemini". fault : arguments of the server's `Fault`; {} answers well."""

    api: str
    name: str
    fault: dict[str, Any]


def _anthropic(status: int, kind: str, words: str, **headers: str) -> dict[str, Any]:
    error = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_x"}
    return {"kind": "status", "status": status, "headers": headers, "body": json.dumps(error)}


def _google(status: int, state: str, words: str, *details: dict[str, Any]) -> dict[str, Any]:
    error = {"error": {"code": status, "message": words, "status": state, "details": details}}
    return {"kind": "status", "status": status, "body": json.dumps(error)}


def _candidate(reason: str, text: str | None = None) -> dict[str, Any]:
    content = {"role": "model", **({"parts": [{"text": text}]} if text is not None else {})}
    return {"kind": "say", "message": {"candidates": [{"finishReason": reason, "index": 0, "content": content}]}}


_RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
_BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
_TRANSPORT: dict[str, dict[str, Any]] = {
    "a web page": {"kind": "garbage"},
    "a list": {"kind": "status", "status": 200, "body": "[1, 2]"},
    "a redirect": {"kind": "status", "status": 307, "headers": {"location": "http://127.0.0.1:9/"}},
    "502 with a page": {"kind": "status", "status": 502, "body": "<html>bad gateway</html>"},
    "connection broken": {"kind": "reset"},
    "cut in the middle": {"kind": "cut"},
    "no answer": {"kind": "hang"},
}
_OF_ANTHROPIC: dict[str, dict[str, Any]] = {
    "a good answer": {},
    "refusal": {"kind": "say", "message": {"stop_reason": "refusal", "content": []}},
    "output limit": {"kind": "say", "message": {"stop_reason": "max_tokens"}},
    "window full": {"kind": "say", "message": {"stop_reason": "model_context_window_exceeded"}},
    "no content": {"kind": "say", "message": {"content": None}},
    "empty content": {"kind": "say", "message": {"content": []}},
    "an error in 200": {"kind": "say", "message": {"error": {"type": "overloaded_error"}}},
    "429 with Retry-After": _anthropic(429, "rate_limit_error", "slow down", **{"retry-after": "7"}),
    "529": _anthropic(529, "overloaded_error", "Overloaded"),
    "500": _anthropic(500, "api_error", "Internal server error"),
    "504": _anthropic(504, "timeout_error", "Request timed out"),
    "400 too long": _anthropic(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "413": _anthropic(413, "request_too_large", "Request exceeds the maximum size"),
    "400 no credit": _anthropic(400, "invalid_request_error", "Your credit balance is too low to access the API."),
    "402": _anthropic(402, "billing_error", "There is an issue with billing"),
    "401": _anthropic(401, "authentication_error", "invalid x-api-key"),
    "403": _anthropic(403, "permission_error", "not for this key"),
    "404": _anthropic(404, "not_found_error", "model: claude-x"),
    "400": _anthropic(400, "invalid_request_error", "messages: odd"),
}
_OF_GOOGLE: dict[str, dict[str, Any]] = {
    "a good answer": {},
    "a blocked prompt": {
        "kind": "say",
        "message": {"candidates": None, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}},
    },
    "safety": _candidate("SAFETY"),
    "recitation": _candidate("RECITATION"),
    "output limit": _candidate("MAX_TOKENS", '{"gra'),
    "limit in thought": _candidate("MAX_TOKENS"),
    "malformed": _candidate("MALFORMED_RESPONSE"),
    "no candidates": {"kind": "say", "message": {"candidates": None}},
    "429 with retryDelay": _google(429, "RESOURCE_EXHAUSTED", "Quota exceeded", _RETRY),
    "503": _google(503, "UNAVAILABLE", "The model is overloaded."),
    "500": _google(500, "INTERNAL", "Internal error"),
    "400 too long": _google(400, "INVALID_ARGUMENT", "The input token count (12) exceeds the maximum"),
    "400 key": _google(400, "INVALID_ARGUMENT", "API key not valid. Please pass another.", _BAD_KEY),
    "403": _google(403, "PERMISSION_DENIED", "no"),
    "404": _google(404, "NOT_FOUND", "models/gemini-x is not found for API version v1beta"),
    "400 no billing": _google(400, "FAILED_PRECONDITION", "Please enable billing on your project"),
    "400": _google(400, "INVALID_ARGUMENT", "Request contains an odd argument."),
}
CASES = [Case("anthropic", name, fault) for name, fault in {**_OF_ANTHROPIC, **_TRANSPORT}.items()]
CASES += [Case("gemini", name, fault) for name, fault in {**_OF_GOOGLE, **_TRANSPORT}.items()]
TELLS = (
    *("answer", "ending", "reason", "served", "request_id", "input", "cached", "output", "thoughts"),
    *("type", "status", "wait"),
)
"""What a library can tell of a response, or of an error: its class, its HTTP status, how long to wait, seconds."""


# What is asked in a process of its own, from whichever interpreter has the library.


def ask_litellm(port: int) -> None:
    """Answer the parent's lines with what LiteLLM's SDK tells."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    started = time.process_time()
    import litellm

    imported_s = time.process_time() - started
    litellm.suppress_debug_info = True
    base = {"anthropic": f"http://127.0.0.1:{port}", "gemini": f"http://127.0.0.1:{port}/v1beta"}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}

    def ask(api: str) -> dict[str, Any]:
        model = f"anthropic/{CLAUDE}" if api == "anthropic" else f"gemini/{GEMINI}"
        reply: Any = litellm.completion(
            model=model, api_base=base[api], api_key=KEY, messages=[{"role": "user", "content": QUESTION}],
            response_format=form, max_tokens=256, temperature=0, num_retries=0, max_retries=0, timeout=TIMEOUT_S,
        )  # fmt: skip
        choice, usage = reply.choices[0], reply.usage
        details = getattr(usage, "prompt_tokens_details", None)
        spoken = getattr(usage, "completion_tokens_details", None)
        own = getattr(choice.message, "provider_specific_fields", None) or {}
        headers = (reply._hidden_params or {}).get("additional_headers") or {}
        return {
            "answer": choice.message.content,
            "ending": choice.finish_reason,
            "reason": own.get("stop_reason") or own.get("finish_reason") or _own_reason(choice, reply),
            "served": reply.model,
            "request_id": headers.get("llm_provider-request-id"),
            "input": usage.prompt_tokens,
            "cached": getattr(details, "cached_tokens", None),
            "output": usage.completion_tokens,
            "thoughts": getattr(spoken, "reasoning_tokens", None),
        }

    def wait(error: Any) -> Any:
        headers = getattr(error, "litellm_response_headers", None) or {}
        kept = getattr(getattr(error, "response", None), "headers", None) or {}
        return kept.get("retry-after") or headers.get("retry-after")

    _serve({"litellm": importlib.metadata.version("litellm")}, imported_s, ask, wait)


def _own_reason(choice: Any, reply: Any) -> Any:
    found = getattr(choice, "provider_specific_fields", None) or {}
    return found.get("stop_reason") or found.get("native_finish_reason") or getattr(reply, "stop_reason", None)


def ask_vendors(port: int) -> None:
    """Answer the parent's lines with what anthropic and google-genai tell."""
    started = time.process_time()
    import anthropic
    from google import genai
    from google.genai import types

    imported_s = time.process_time() - started
    base = f"http://127.0.0.1:{port}"
    claude: Any = anthropic.Anthropic(api_key=KEY, base_url=base, max_retries=0, timeout=TIMEOUT_S)
    options = types.HttpOptions(
        base_url=base, timeout=int(TIMEOUT_S * 1000), retry_options=types.HttpRetryOptions(attempts=1)
    )
    gemini: Any = genai.Client(api_key=KEY, http_options=options, vertexai=False)

    def ask(api: str) -> dict[str, Any]:
        if api == "anthropic":
            raw = claude.messages.with_raw_response.create(
                model=CLAUDE, max_tokens=256, messages=[{"role": "user", "content": QUESTION}],
                extra_body={"temperature": 0},  # which this SDK has no argument for any more
                output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
            )  # fmt: skip
            reply = raw.parse()
            if not isinstance(reply, anthropic.types.Message):
                return {"type": f"{type(reply).__name__} in the place of a message"}
            usage = reply.usage
            return {
                "answer": "".join(part.text for part in reply.content or ()) or None,
                "ending": reply.stop_reason,
                "served": reply.model,
                "request_id": raw.headers.get("request-id"),
                "input": usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens,
                "cached": usage.cache_read_input_tokens,
                "output": usage.output_tokens,
            }
        config = types.GenerateContentConfig(
            temperature=0, max_output_tokens=256, response_mime_type="application/json", response_json_schema=SCHEMA
        )
        reply = gemini.models.generate_content(model=GEMINI, contents=QUESTION, config=config)
        first, usage, feedback = (reply.candidates or [None])[0], reply.usage_metadata, reply.prompt_feedback
        ended = getattr(first, "finish_reason", None)
        blocked = getattr(feedback, "block_reason", None)
        return {
            "answer": reply.text if first is not None else None,
            "ending": getattr(ended, "value", None),
            "reason": getattr(blocked, "value", None),
            "served": reply.model_version,
            "request_id": (reply.sdk_http_response.headers or {}).get("request-id"),
            "input": usage.prompt_token_count,
            "cached": usage.cached_content_token_count,
            "output": usage.candidates_token_count + usage.thoughts_token_count,
            "thoughts": usage.thoughts_token_count,
        }

    def wait(error: Any) -> Any:
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        details = getattr(error, "details", None)
        listed = (details.get("error") or {}).get("details") or [] if isinstance(details, dict) else []
        return headers.get("retry-after") or next((one["retryDelay"] for one in listed if "retryDelay" in one), None)

    versions = {name: importlib.metadata.version(name) for name in ("anthropic", "google-genai")}
    _serve(versions, imported_s, ask, wait)


def _serve(versions: dict[str, str], imported_s: float, ask: Any, wait: Any) -> None:
    """Say who is asked, then for each line of standard input, the name of an API, what a request to it came to."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    print(json.dumps({"versions": versions, "import_cpu_s": round(imported_s, 2)}), file=out, flush=True)
    for line in sys.stdin:
        try:
            told = ask(line.strip())
        except Exception as error:  # noqa: BLE001 - what it raises is what is asked for
            status = getattr(error, "status_code", None) or getattr(error, "code", None)
            told = {"type": type(error).__name__, "status": status, "wait": wait(error), "words": str(error)[:400]}
        print(json.dumps(told, default=str), file=out, flush=True)


# What is compared, in the project's own environment.


def told_by(python: str, library: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Who was asked, and what came of each case; `requests` is how many of it arrived at the server."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "openai" / "server"))
    from loopback_openai import Fault, Server, running

    with running(Server(key=KEY)) as server:
        words = [python, __file__, "--ask", library, "--port", str(server.port)]
        errors = subprocess.DEVNULL if not os.environ.get("SHOW_ERRORS") else None
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        with child:
            assert child.stdin is not None
            assert child.stdout is not None
            who = json.loads(child.stdout.readline())
            found = []
            for case in CASES:
                # A fault for every try that a library might make: the first that is not wanted shows in the count.
                server.natives.script = [Fault(**case.fault)] * 8 if case.fault else []
                before = len(server.natives.bodies)
                print(case.api, file=child.stdin, flush=True)
                told = json.loads(child.stdout.readline())
                found.append({**told, "requests": len(server.natives.bodies) - before})
            child.stdin.close()
    return who, found


def in_words(told: dict[str, Any]) -> str:
    """What a library tells of a case, in one line."""
    said = [f"{name} {told[name]}" for name in TELLS if told.get(name) not in (None, "")]
    said += [f"{told['requests']} requests"] if told["requests"] != 1 else []
    return ", ".join(said) or "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", default=".litellm/bin/python", help="an interpreter that has LiteLLM")
    parser.add_argument("--markdown", action="store_true", help="a table instead of JSON")
    parser.add_argument("--ask", choices=("litellm", "vendors"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        (ask_litellm if given.ask == "litellm" else ask_vendors)(given.port)
        return
    theirs, of_litellm = told_by(given.litellm, "litellm")
    ours, of_vendors = told_by(sys.executable, "vendors")
    if not given.markdown:
        cases = [
            {"api": case.api, "case": case.name, "litellm": one, "vendors": other}
            for case, one, other in zip(CASES, of_litellm, of_vendors, strict=True)
        ]
        print(json.dumps({"litellm": theirs, "vendors": ours, "cases": cases}, indent=1))
        return
    print(f"{len(CASES)} planned responses. LiteLLM: {theirs}. Vendors: {ours}.\n")
    print("| what the server said | LiteLLM's SDK | the vendor's SDK |\n|---|---|---|")
    for case, one, other in zip(CASES, of_litellm, of_vendors, strict=True):
        print(f"| {case.api}: {case.name} | {in_words(one)} | {in_words(other)} |")


if __name__ == "__main__":
    main()
