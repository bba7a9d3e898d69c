"""Secrets are known by their names, and crossed out however they are spelled."""

from __future__ import annotations

import base64
import json
import urllib.parse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.errors import BadInput
from ghostbench.plugins.choose import build_settings, parse_model, parse_set
from ghostbench.redact import Redactor, is_secret_name, without_value

SECRETS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=8, max_size=60)


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apikey",
        "API_KEY",
        "apiKey",
        "APIKey",
        "openai_key",
        "auth",
        "Authorization",
        "X-Api-Key",
        "extra_headers",
        "http_header",
        "bearer",
        "connection_string",
        "connectionString",
        "AZURE_STORAGE_CONNECTION_STRING",
        "cookie",
        "cookies",
        "set-cookie",
        "token",
        "AUTH_TOKEN",
        "client_secret",
        "db_password",
        "PGPASSWORD_2_PASSWORD",
        "PGPASSWORD",
        "NGROK_AUTHTOKEN",
        "accesstoken",
        "clientsecret",
        "secretkey",
        "ACCOUNTKEY",
        "SMTP_PASS",
        "SSHPASS",
        "dbCreds",
        "passwd",
        "pwd",
        "passphrase",
        "credentials",
        "AWS_SECRET_ACCESS_KEY_ID",
        "SENTRY_DSN",
        "github_pat",
        "sas_token",
        "signature",
        "private_key",
        "webhook",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens",
        "output_tokens",
        "monkey",
        "author",
        "keyboard",
        "batch_size",
        "seed",
        "temperature",
        "hidden_size",
        "SSH_AUTH_SOCK",
        "passes",
        "HF_TOKEN_PATH",
        "TOKENIZERS_PARALLELISM",
        "auth_mode",
        "key_frames",
        "connections",
        "strings",
        "compass",
        "hotkey",
        "two_passes",
        "bypass",
        "secretary",
        "base_url",
    ],
)
def test_other_names_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)


@given(secret=SECRETS, before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_a_secret_stands_in_no_spelling(secret: str, before: bytes, after: bytes) -> None:
    redactor = Redactor({"MY_API_KEY": secret})
    data = before + secret.encode() + after
    for text in (
        f"so {secret} it is",
        json.dumps({"k": secret}),
        json.dumps({"k": secret}, ensure_ascii=False),
        urllib.parse.quote(secret, safe=""),
        urllib.parse.urlencode({"k": secret}),
        secret.encode().hex(),
        secret.encode().hex().upper(),
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
    ):
        shown = redactor.text(text)
        assert "[redacted]" in shown
        assert secret not in shown.replace("[redacted]", "")


@given(st.text(max_size=80))
def test_text_without_secrets_is_left_as_it_is(text: str) -> None:
    if "@" not in text:
        assert Redactor({}, ["bench"]).text(text) == text


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcdefgh12==;EndpointSuffix=x", "abcdefgh12"),
        ("Authorization: Bearer abcdefgh1234\nX-Trace: on", "abcdefgh1234"),
        ('{"type": "service_account", "private_key": "abcdefgh1234"}', "abcdefgh1234"),
        ("Bearer abcdefgh1234", "abcdefgh1234"),
    ],
)
def test_the_secret_within_a_value_is_known_by_itself(value: str, secret: str) -> None:
    redactor = Redactor({"X_CONNECTION_STRING": value})
    assert secret not in redactor.text(f"the server says that {secret} is wrong")


@pytest.mark.parametrize(
    "words",
    [
        "Unclosed connection https://store/dada/1.avi?sv=2022&sig=c2VjcmV0%3D&se=1 here",
        "Retrying after connection broken by 'SSLError': /dada/1.avi?X-Amz-Signature=c2VjcmV0 here",
        "URL('https://store/dada?token=c2VjcmV0') not found",
        '"GET /dada?key=c2VjcmV0 HTTP/1.1" 403',
    ],
)
def test_a_query_of_a_url_is_crossed_out_of_messages(words: str) -> None:
    told = Redactor({}).message(words)
    assert "c2VjcmV0" not in told
    assert told.startswith(words.partition("?")[0] + "?[redacted]")
    assert told.endswith(words[-4:])


@pytest.mark.parametrize("words", ["Really?", "what? a=b", "is it? x=1", "a ?b=c", "1 + 1 = 2?yes", "x == y?no"])
def test_what_is_no_query_is_left_in_messages(words: str) -> None:
    assert Redactor({}).message(words) == words


def test_the_signature_and_the_password_of_a_location_are_known_by_themselves() -> None:
    redactor = Redactor({}, [])
    url = "https://anna:pa55%2Bword@store/dada?sv=2022-11-02&sr=container&sig=c2VjcmV0%2Bc2Vj%3D&X-Amz-Credential=AKyz1234"
    redactor.learn_location(url)
    for secret in ("pa55%2Bword", "pa55+word", "c2VjcmV0%2Bc2Vj%3D", "c2VjcmV0+c2Vj=", "AKyz1234"):
        assert redactor.text(f"{{'sig': '{secret}'}}") == "{'sig': '[redacted]'}"
    assert redactor.text("the container of 2022-11-02 at https://store/dada") == (
        "the container of 2022-11-02 at https://store/dada"
    )
    with_token = Redactor({"AZURE_STORAGE_SAS_TOKEN": "?sv=2022-11-02&sig=c2VjcmV0%2Bc2Vj%3D"}, [])
    assert with_token.text("sig is c2VjcmV0+c2Vj= of 2022-11-02") == "sig is [redacted] of 2022-11-02"


@pytest.mark.parametrize(
    "words",
    [
        "Incorrect API key provided: sk-abcd1234********wxyz",
        "401 for Bearer abc.def-ghi",
        "sent Basic dXNlcjpwYXNzd29yZA==",
        "AKIAABCDEFGHIJKLMNOP is not known",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc expired",
    ],
)
def test_what_looks_like_a_key_is_crossed_out_of_messages_alone(words: str) -> None:
    assert "[redacted]" in Redactor({}).message(words)
    assert Redactor({}).text(words) == words


def test_settings_of_secret_names_are_crossed_out_whatever_they_hold() -> None:
    given: dict[str, Any] = {
        "auth": "abc",
        "headers": {"X-Api-Key": "abcdefgh1234"},
        "cookies": ["a=b"],
        "bearer": "",
        "token": None,
        "pin_memory": True,
        "share": 0.5,
        "note": "Bearer abcdefgh1234",
    }
    redactor = Redactor({})
    shown = redactor.settings(given)
    assert [shown[k] for k in ("auth", "headers", "cookies")] == ["[redacted]"] * 3
    assert (shown["bearer"], shown["token"], shown["pin_memory"], shown["share"]) == ("", None, True, 0.5)
    assert shown["note"] == "[redacted]"
    redactor.learn_settings(given)
    assert "abcdefgh1234" not in redactor.text("refused: abcdefgh1234")


@pytest.mark.parametrize(
    "pair",
    [
        "gpt4.api_key=sk-hunter2hunter2",
        "api_key=hunter2hunter2",
        "always.headers=hunter2hunter2",
        "x.y.auth=hunter2hunter2",
    ],
)
def test_a_mistyped_setting_does_not_show_its_secret(pair: str) -> None:
    choice = parse_model("always")
    with pytest.raises(BadInput) as complaint:
        build_settings(choice, parse_set([pair], [choice])["always"])
    assert "hunter2" not in str(complaint.value)
    assert "hunter2" not in Redactor({}, ["bench", "run", "--set", pair]).text(f"no model: {pair}")


def test_a_set_word_is_shown_without_its_secret() -> None:
    assert without_value("--set=m.auth=x") == "--set=m.auth=[redacted]"
    assert without_value("--data-root=/data/x") == "--data-root=/data/x"


def test_the_folder_that_a_shell_stands_in_is_no_password() -> None:
    redactor = Redactor({"PWD": "/home/me/project", "OLDPWD": "/home/me/before", "DB_PWD": "swordfish-and-chips"})
    text = "/home/me/project/clips and /home/me/before, swordfish-and-chips"
    assert redactor.text(text) == "/home/me/project/clips and /home/me/before, [redacted]"
