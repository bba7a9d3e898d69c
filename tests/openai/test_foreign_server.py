"""A server that nobody here wrote: LiteLLM's proxy, with answers of its own making.

It needs other versions than this project, so it lives in an environment of its own: GHOSTBENCH_LITELLM names its
`litellm` program; without it, `.litellm/bin/litellm` beside the tests' folder is looked for, and else these tests skip.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_openai import Server, running

from ghostbench import RemoteModel, Reply, Request, errors
from ghostbench.tasks.ghost_probing import GhostProbing

pytestmark = pytest.mark.slow

MASTER_KEY = "sk-proxy-master-0123456789abcdef"
ANSWER = '{"grade": "normal", "event_time_s": null, "actor": null, "occluder": null, "evidence": "mocked"}'


def mocked(name: str, answer: str) -> dict[str, Any]:
    return {
        "model_name": name,
        "litellm_params": {"model": "openai/gpt-4.1", "api_key": "none", "mock_response": answer},
    }


@pytest.fixture(scope="module")
def upstream() -> Iterator[Server]:
    """What the proxy speaks to: the native APIs of Anthropic and Gemini."""
    with running(Server()) as started:
        yield started


def served(name: str, model: str, api_base: str) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, "api_key": "none-at-all", "api_base": api_base}}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, upstream: Server) -> Iterator[str]:
    """LiteLLM's proxy on loopback; its base URL."""
    beside = Path(__file__).resolve().parents[2] / ".litellm" / "bin" / "litellm"
    program = Path(os.environ.get("GHOSTBENCH_LITELLM") or beside)
    if not program.is_file():
        pytest.skip("LiteLLM's proxy is not installed")
    folder = tmp_path_factory.mktemp("proxy")
    models = [mocked("gpt-4.1", ANSWER), mocked("limited", "litellm.RateLimitError")]
    models.append(mocked("broken", "litellm.InternalServerError"))
    root = f"http://127.0.0.1:{upstream.port}"
    models.append(served("claude", "anthropic/claude-sonnet-4-5-20250929", root))
    models.append(served("claude-3-5", "anthropic/claude-3-5-sonnet-20241022", root))
    models.append(served("gemini", "gemini/gemini-2.5-flash", f"{root}/v1beta"))
    models.append(served("reasoning", "openai/o3", f"{root}/v1"))
    (folder / "proxy.json").write_text(json.dumps({"model_list": models, "router_settings": {"num_retries": 0}}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "LITELLM_MASTER_KEY": MASTER_KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [str(program), "--config", str(folder / "proxy.json"), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--telemetry", "False"], env=env, stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health/liveliness", process, folder / "log")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 240
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"the proxy did not start: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", MASTER_KEY)


@pytest.mark.parametrize("stream", [False, True])
def test_it_answers(proxy: str, ask: Any, make_request: Callable[..., Request], stream: bool) -> None:
    (reply,) = ask(make_request(), base_url=proxy, stream=stream)
    assert isinstance(reply, Reply), reply
    assert GhostProbing().parse(reply.text).grade == "normal"
    assert reply.finish_reason == "stop"
    assert reply.served_model is not None
    assert reply.usage.input_tokens
    assert reply.usage.output_tokens
    assert reply.grade_probabilities is None, "it gives no token probabilities, so there is no score"


@pytest.mark.parametrize(
    ("model", "error"),
    [("limited", errors.RateLimited), ("broken", errors.ServerError), ("unheard-of", errors.AuthFailed)],
)
def test_its_failures_are_told_apart(
    proxy: str, ask: Any, make_request: Callable[..., Request], model: str, error: type[errors.ModelError]
) -> None:
    (failure,) = ask(make_request(), base_url=proxy, model=model)
    assert type(failure) is error, repr(failure)


def test_what_it_says_of_a_wrong_key_is_an_error_without_the_key(
    proxy: str, ask: Any, make_request: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-the-master-key-000000")
    (failure,) = ask(make_request(), base_url=proxy)
    assert isinstance(failure, (errors.AuthFailed, errors.RequestRejected)), "without a database it says 400"
    assert "sk-not" not in str(failure)


def test_a_run_goes_through_it(proxy: str, bench: Any) -> None:
    bench.url = proxy
    done = bench.run("--limit", "3", env={"OPENAI_API_KEY": MASTER_KEY})
    assert done.returncode == 0, done.stderr
    assert [line["grade"] for line in bench.lines("predictions.jsonl")] == ["normal"] * 3


@pytest.mark.parametrize(
    ("model", "api", "without"),
    [
        ("claude", "anthropic", {"seed", "logprobs"}),
        ("claude-3-5", "anthropic", {"seed", "logprobs"}),
        ("gemini", "gemini", {"logprobs"}),
    ],
)
def test_claude_and_gemini_answer_with_the_schema_through_the_proxy_as_it_comes(
    proxy: str, bench: Any, upstream: Server, model: str, api: str, without: set[str]
) -> None:
    bench.url = proxy
    upstream.natives.bodies.clear()
    done = bench.run("--models", f"openai:{model}=m", env={"OPENAI_API_KEY": MASTER_KEY}, model="m")
    assert done.returncode == 0, done.stderr
    lines = bench.lines("predictions.jsonl")
    assert [(line["outcome"], line["grade"]) for line in lines] == [("answered", "normal")] * 6
    assert {line["fallback_level"] for line in lines} == {1}
    attempts = bench.lines("attempts.jsonl")
    for line in attempts:
        if line["outcome"] == "answered":
            assert f"in force: level 1, without {', '.join(sorted(without))}" in line["notes"]
            assert not any("not enforced" in note for note in line["notes"])
        else:
            assert f"refused by name: {', '.join(sorted(without))}" in line["notes"]
    assert len(attempts) <= 12
    assert len(upstream.natives.asked(api)) == 6
    text = json.dumps(upstream.natives.asked(api)[0])
    assert "potential_ghost_probing" in text, "the schema reached the model's own API"


@pytest.mark.parametrize("name", ["anthropic", "google"])
def test_claudes_and_geminis_own_apis_are_spoken_with_it(
    proxy: str, ask_model: Any, make_request: Callable[..., Request], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It speaks both to its clients: a second reading of the two protocols, beside this project's own."""
    pytest.importorskip("anthropic" if name == "anthropic" else "google.genai")
    root = proxy.removesuffix("/v1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", MASTER_KEY)
    monkeypatch.setenv("GEMINI_API_KEY", MASTER_KEY)

    def model(argument: str) -> RemoteModel:
        if name == "anthropic":
            from ghostbench_anthropic.messages import ClaudeModel
            from ghostbench_anthropic.settings import ClaudeSettings

            return ClaudeModel(ClaudeSettings(base_url=root), argument)
        from ghostbench_google.generate import GeminiModel
        from ghostbench_google.settings import GeminiSettings

        return GeminiModel(GeminiSettings(base_url=root), argument)

    level = {"level": 1, "level_settings": {"without": ("logprobs",)}}
    (reply,) = ask_model(model("gpt-4.1"), make_request(**level))
    assert isinstance(reply, Reply), reply
    assert GhostProbing().parse(reply.text).grade == "normal"
    assert reply.usage.input_tokens
    assert reply.usage.output_tokens
    if name == "anthropic":  # its mocks of failures are answers where it speaks Gemini's API
        for unkind, error in (("limited", errors.RateLimited), ("broken", errors.ServerError)):
            (failure,) = ask_model(model(unkind), make_request(**level))
            assert type(failure) is error, repr(failure)
    (failure,) = ask_model(model("unheard-of"), make_request(**level))
    assert isinstance(failure, (errors.AuthFailed, errors.RequestRejected)), repr(failure)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-not-the-master-key-000000")
    monkeypatch.setenv("GEMINI_API_KEY", "sk-not-the-master-key-000000")
    (failure,) = ask_model(model("gpt-4.1"), make_request(**level))
    assert isinstance(failure, (errors.AuthFailed, errors.RequestRejected)), repr(failure)
    assert "sk-not" not in str(failure)
