"""No key and no Authorization header in anything that is written, shown, logged or raised."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from loopback_openai import Fault, Server

from ghostbench import ModelError, Reply, Request
from ghostbench_remote.redaction import REDACTED, Secrets

KEY = "sk-proj-loopback0123456789abcdefghijklmnop"
Build = Callable[..., Request]


def echoes() -> list[Fault]:
    """Everywhere that a server could repeat the key: error bodies, web pages, headers, the answer, its names."""
    said = json.dumps({"error": {"message": f"Incorrect key {KEY}; Authorization: Bearer {KEY}", "code": KEY}})
    cut = json.dumps({"error": {"message": f"Odd value provided: {KEY[:12]}********mnop."}})
    answer = json.dumps({"grade": "normal", "event_time_s": None, "actor": KEY, "occluder": None, "evidence": KEY})
    return [
        Fault("status", 400, {"x-echo": KEY}, said),
        Fault("status", 400, {}, cut),
        Fault("status", 500, {}, f"<html>{'x' * 480}{KEY}</html>"),
        Fault("status", 200, {}, f'{{"choices": "{KEY}"}}'),
        Fault("status", 429, {"retry-after": "0"}, said),
        Fault("status", 307, {"location": f"http://127.0.0.1:9/?key={KEY}"}, ""),
        Fault("say", message={"content": answer}, finish=KEY, model=f"{KEY}-2025-01-01"),
        Fault("say", message={"refusal": f"not with {KEY}", "content": None}),
    ]


def texts_of(result: Reply | ModelError) -> str:
    if isinstance(result, Reply):
        return repr(result)
    lines = traceback.format_exception(result)
    context = repr((result.__cause__, result.__context__, vars(result)))
    return "".join(lines) + str(result) + context


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("number", range(len(echoes())))
def test_what_the_server_repeats_is_taken_out(
    server: Server, ask: Any, make_request: Build, number: int, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.chat.script = [echoes()[number]]
    (result,) = ask(make_request(), stream=stream)
    for text in (texts_of(result), caplog.text):
        assert KEY not in text
        assert KEY[:12] not in text
        assert "Bearer sk" not in text
    assert f"Bearer {KEY}" in server.log.authorizations, "the key was sent, so there was something to leak"


def test_a_run_leaves_no_key_anywhere(bench: Any, server: Server) -> None:
    server.chat.script = echoes()
    secrets = {
        "OPENAI_LOG": "debug",
        "AZURE_OPENAI_API_KEY": "azure-key-9876543210",
        "HTTPS_PROXY": "http://u:proxypassword@127.0.0.1:9",
    }
    done = bench.run("--set", "gpt-4.1.concurrency=1", "--max-attempts", "9", env=secrets)
    assert done.returncode == 0, done.stderr
    written = {path: path.read_bytes() for path in bench.folder.rglob("*") if path.is_file()}
    assert any(path.name == "attempts.jsonl" for path in written)
    assert any(REDACTED.encode() in content for content in written.values())
    assert any(b"openai" in content for path, content in written.items() if path.name == "log.jsonl"), "it did log"
    for content in (*written.values(), done.stdout.encode(), done.stderr.encode()):
        for secret in (KEY, "azure-key-9876543210", "proxypassword", "Bearer "):
            assert secret.encode() not in content
        assert b"uthorization:" not in content


def test_a_key_with_a_line_end_is_refused_without_being_shown(bench: Any) -> None:
    done = bench.run(env={"OPENAI_API_KEY": f"{KEY}\nsecond-line"})
    assert done.returncode == 2
    assert KEY not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_base_url_with_credentials_is_refused_without_being_shown(bench: Any) -> None:
    done = bench.run("--set", "gpt-4.1.base_url=http://me:hunter2hunter2@127.0.0.1/v1")
    assert done.returncode == 2
    assert "hunter2hunter2" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("placeholder", ["none", "EMPTY", "x"])
def test_a_placeholder_for_a_key_changes_no_words(placeholder: str) -> None:
    secrets = Secrets.of({"OPENAI_API_KEY": placeholder})
    assert secrets.out_of('{"actor": "none", "evidence": "EMPTY x"}') == '{"actor": "none", "evidence": "EMPTY x"}'


def test_secrets_in_every_spelling_are_taken_out() -> None:
    secrets = Secrets.of({"OPENAI_API_KEY": "p@ss/word+key=1", "OPENAI_CUSTOM_HEADERS": "X-Gateway: gatewaysecret"})
    message = "p@ss/word+key=1 p%40ss%2Fword%2Bkey%3D1 gatewaysecret api-key: abc123456 Authorization: Basic dTpw"
    clean = secrets.out_of_message(message)
    for secret in ("p@ss", "p%40ss", "gatewaysecret", "abc123456"):
        assert secret not in clean


def test_the_plugin_starts_light() -> None:
    code = (
        "import sys, time; import ghostbench_openai; from ghostbench import ModelSpec;"
        "seen = []; ghostbench_openai.register_models(seen.append);"
        "assert [s.name for s in seen] == ['gpt-4.1', 'gpt-4.1-mini', 'openai', 'azure'], seen;"
        "heavy = {'openai', 'numpy', 'PIL', 'pydantic', 'httpx2'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_deadline_leaves_nothing_running(server: Server, ask_model: Any, make_request: Build) -> None:
    from ghostbench_openai.chat import ChatModel
    from ghostbench_openai.settings import OpenAISettings

    server.chat.script = [Fault("hang")]

    async def main() -> set[asyncio.Task[Any]]:
        model = ChatModel(OpenAISettings(base_url=server.url, timeout_s=0.1), "gpt-4.1")
        await model.load()
        with pytest.raises(ModelError):
            await model.answer(make_request())
        await model.aclose()
        model.close()
        return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]

    assert not asyncio.run(main())
