"""A run that is gone on with goes to no server that its folder alone names."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evidence_data import write_begun

from ghostbench import ModelSpec, setting
from ghostbench.cli.run import command
from ghostbench.errors import BadInput
from ghostbench.plugins.choose import Choice
from ghostbench.running.plan import named_servers
from ghostbench.running.plan.named_servers import only_in_the_folder

if TYPE_CHECKING:
    from conftest import Listener


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GHOSTBENCH_DATA_ROOT", "GHOSTBENCH_LABELS", "OPENAI_BASE_URL", "GHOSTBENCH_OUT"):
        monkeypatch.delenv(name, raising=False)
    for value in ("True", "true", "nas", "evil"):
        monkeypatch.setenv(f"SOMETHING_ELSE_{value}", value)


def begun(folder: Path, **options: Any) -> list[str]:
    """A folder `r` as an unfinished run leaves it, with these options; the words that go on with it."""
    (folder / "r").mkdir(parents=True)
    write_begun(folder / "r", command=["bench", "run"], options=options)
    return ["--resume", "--run-id", "r", "--out", str(folder)]


def parsed(*words: str) -> dict[str, Any]:
    return command.make_context("run", list(words)).params


SERVER = "http://203.0.113.7:8000/v1"
NAMED: list[tuple[dict[str, Any], list[str]]] = [
    ({"models": "gpt-4.1", "settings": [f"gpt-4.1.base_url={SERVER}"]}, ["--set", f"gpt-4.1.base_url={SERVER}"]),
    ({"models": "m", "settings": ["m.base_url=https://h/v1"]}, ["--set", "m.base_url=https://h/v1"]),
    ({"models": "m", "settings": ["m.api_endpoint=h.example"]}, ["--set", "m.api_endpoint=h.example"]),
    ({"models": "m", "settings": ["m.api_base=h.example"]}, ["--set", "m.api_base=h.example"]),
    ({"models": "m", "settings": ["m.x= HTTP://h"]}, ["--set", "m.x= HTTP://h"]),
    ({"models": "m", "settings": ["m.peer=10.0.0.1:80"]}, ["--set", "m.peer=10.0.0.1:80"]),
    ({"models": "m", "settings": ["m.peers=a,ws://h.example"]}, ["--set", "m.peers=a,ws://h.example"]),
    ({"models": "m", "settings": [r"m.weights=\\h\share"]}, ["--set", r"m.weights=\\h\share"]),
    ({"models": "m", "settings": ["m.x=evil.com"]}, ["--set", "m.x=evil.com"]),
    ({"models": "m", "settings": ["m.x=nas"]}, ["--set", "m.x=nas"]),
    ({"models": "m", "settings": ["m.x=evil.com/v1"]}, ["--set", "m.x=evil.com/v1"]),
    ({"models": "m", "settings": ["m.x=2130706433"]}, ["--set", "m.x=2130706433"]),
    ({"models": "m", "settings": ["m.ip=10.0.0.1"]}, ["--set", "m.ip=10.0.0.1"]),
    ({"models": "m", "settings": ["m.download=True"]}, ["--set", "m.download=True"]),
    ({"models": "drivemm", "settings": ["drivemm.download=true"]}, ["--set", "drivemm.download=true"]),
    ({"models": "hf:some/tiny", "settings": ["tiny.download=true"]}, ["--set", "tiny.download=true"]),
    ({"models": "openai:x", "settings": ["openai:x.base_url=evil"]}, ["--set", "openai:x.base_url=evil"]),
    ({"models": "vllm:http://h:8000"}, ["--models", "vllm:http://h:8000"]),
    ({"models": "replay://h/share.jsonl"}, ["--models", "replay://h/share.jsonl"]),
    ({"data_root": "http://h/v"}, ["--data-root", "http://h/v"]),
    ({"data_root": "s3://bucket/v"}, ["--data-root", "s3://bucket/v"]),
    ({"data_root": "//h/share"}, ["--data-root", "//h/share"]),
    ({"data_root": "file:////h/share"}, ["--data-root", "file:////h/share"]),
    ({"labels": "https://h/labels.csv"}, ["--labels", "https://h/labels.csv"]),
    ({"labels": "reference://x::https://h/y"}, ["--labels", "reference://x::https://h/y"]),
    ({"clips": "@https://h/ids.txt"}, ["--clips", "@https://h/ids.txt"]),
    ({"dataset": r"\\h\share\set.yaml"}, ["--dataset", r"\\h\share\set.yaml"]),
]


@pytest.mark.parametrize(("options", "again"), NAMED, ids=lambda value: str(value)[:60])
def test_what_names_a_server_must_be_said_again(tmp_path: Path, options: dict[str, Any], again: list[str]) -> None:
    words = begun(tmp_path, **options)
    with pytest.raises(BadInput) as caught:
        parsed(*words)
    said = str(caught.value)
    assert shlex.split(said.partition("if you mean it, add ")[2]) == again
    assert said.isprintable()
    got = parsed(*words, *again)
    for name, value in options.items():
        assert got[name] == (tuple(value) if isinstance(value, list) else value)
    study = tmp_path / "study.yaml"
    row, _, setting = again[1].rpartition("=")[0].rpartition(".")
    file = {row: {setting: again[1].partition("=")[2]}} if again[0] == "--set" else again[1]
    study.write_text(json.dumps({again[0][2:]: file}), encoding="utf-8")
    assert parsed(str(study), *words) == {**got, "study": str(study)}


@pytest.mark.parametrize(
    "options",
    [
        {"models": "drivemm,openai:gpt-4.1:2024", "settings": ["drivemm.device=cuda:0", "drivemm.checkpoint=/c"]},
        {"models": "drivemm", "settings": ["drivemm.download=false", "drivemm.revision=v1.evil.com"]},
        {"models": "hf:models.example.com/tiny", "settings": ["tiny.revision=v1.evil.com"]},
        {"models": "motion,replay:a.jsonl=b", "settings": ["motion.threshold=0.25"]},
        {
            "models": "m",
            "settings": ["m.base_url=none", "m.use_server=false", "m.proxy=", "m.home=/data/x", "m.y=true"],
        },
        {"data_root": "/data/dada", "labels": "file:///data/labels.csv", "clips": "@ids.txt", "dataset": "a/b.yaml"},
        {"data_root": "C:/dada", "sampling": "fps:2"},
    ],
    ids=str,
)
def test_what_names_files_of_this_machine_comes_from_the_folder(tmp_path: Path, options: dict[str, Any]) -> None:
    got = parsed(*begun(tmp_path, **options))
    assert {name: list(got[name]) if name == "settings" else got[name] for name in options} == options


@pytest.mark.parametrize(("name", "value"), [("limit", "Infinity"), ("seed", "NaN"), ("deadline", "-Infinity")])
def test_an_option_that_is_no_number_costs_one_line(tmp_path: Path, name: str, value: str) -> None:
    words = begun(tmp_path, **{name: 12345})
    manifest = tmp_path / "r" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("12345", value))
    with pytest.raises(BadInput, match=f"for the option {name}"):
        parsed(*words)


@dataclass(frozen=True)
class Settings:
    """A plugin's settings of every kind."""

    text: str = setting("here", "a text")
    choice: str = setting("a", "one of two", choices=("a", "b"))
    count: int = setting(1, "a number")
    share: float | None = setting(None, "a number")
    home: Path | None = setting(None, "a folder")  # noqa: RUF009
    words: tuple[str, ...] = setting(("a",), "some words")
    whatever: Any = setting(None, "anything")  # noqa: RUF009
    said: str = setting("x", "a text that leads nowhere", network=False)
    peer: str = setting("x", "a text that leads elsewhere", network=True)
    hub: int = setting(0, "a number that leads elsewhere", network=True)
    online: bool = setting(True, "on already")
    fetch_weights: bool = setting(False, "off")


@pytest.mark.parametrize(
    ("word", "leads_out"),
    [
        ("text=here", False),
        ("text=there", True),
        ("text=7", True),
        ("text=/there", False),
        ("text=../there", False),
        ("text=//there", True),
        ("text=none", False),
        ("choice=b", False),
        ("count=7", False),
        ("share=0.5", False),
        ("share=none", False),
        ("home=there", False),
        ("words=a,evil.com", True),
        ("whatever=evil", True),
        ("said=evil.com", False),
        ("said=https://evil.com", True),
        ("peer=evil", True),
        ("peer=x", False),
        ("hub=1", True),
        ("hub=0", False),
        ("online=true", False),
        ("fetch_weights=true", True),
        ("fetch_weights=false", False),
        ("nothing_of_it=evil", True),
    ],
)
def test_a_setting_leads_out_unless_its_spec_or_its_type_says_that_it_cannot(
    monkeypatch: pytest.MonkeyPatch, word: str, leads_out: bool
) -> None:
    spec = ModelSpec(name="p", load="p:P", kind="local", summary="a plugin", settings=Settings)
    monkeypatch.setattr(named_servers, "parse_model", lambda text: Choice(text, spec, None))
    found = only_in_the_folder({"settings": [f"p.{word}"]}, "p", {})
    assert [server.words for server in found] == [("--set", f"p.{word}")] * leads_out


@pytest.mark.parametrize(
    ("family", "argument", "leads_out"),
    [
        ("HOST", "nas", True),
        ("SERVER-URL", "nas", True),
        ("NAME", "evil.com", True),
        ("NAME", "10.0.0.1", True),
        ("NAME", "nas", False),
        ("FILE", "answers.jsonl", False),
        ("MODEL", "gpt-4.1", False),
    ],
)
def test_what_follows_a_familys_name_leads_out_where_it_is_a_host(
    monkeypatch: pytest.MonkeyPatch, family: str, argument: str, leads_out: bool
) -> None:
    spec = ModelSpec(name="p", load="p:P", kind="remote", summary="a plugin", family=family)
    monkeypatch.setattr(named_servers, "parse_model", lambda text: Choice(text, spec, argument))
    assert bool(only_in_the_folder({"models": f"p:{argument}"}, f"p:{argument}", {})) == leads_out


def test_the_environment_may_say_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = begun(
        tmp_path, data_root="https://h/v", labels="https://h/l", models="m", settings=[f"m.base_url={SERVER}"]
    )
    monkeypatch.setenv("GHOSTBENCH_DATA_ROOT", "https://anna:secret@h/v/")
    monkeypatch.setenv("OPENAI_BASE_URL", SERVER + "/")
    with pytest.raises(BadInput, match=r"names https://h/l,.* add --labels https://h/l\Z"):
        parsed(*words)
    monkeypatch.setenv("GHOSTBENCH_LABELS", "https://h/l")
    got = parsed(*words)
    assert got["data_root"] == "https://anna:secret@h/v/", "only the environment has the credentials"
    assert got["settings"] == (f"m.base_url={SERVER}",)
    monkeypatch.setenv("GHOSTBENCH_DATA_ROOT", "https://other/v")
    with pytest.raises(BadInput, match="--data-root"):
        parsed(*words)


def test_nothing_is_sent_where_only_the_folder_names_a_server(bench: Any, listener: Listener) -> None:
    assert bench.run("--models", "blind-remote", "--run-id", "r", "--limit", "2").returncode == 0
    path = bench.folder / "results/r/manifest.json"
    manifest = json.loads(path.read_text())
    stranger = {"models": "gpt-4.1", "settings": [f"gpt-4.1.base_url={listener.url}/v1"]}
    for options in (stranger, {"data_root": f"{listener.url}/v"}, {"labels": f"{listener.url}/labels.csv"}):
        named = {**manifest, "status": "interrupted", "digests": {}, "options": {**manifest["options"], **options}}
        path.write_text(json.dumps(named))
        done = bench.run("--resume", "--run-id", "r", "--quiet", dataset=False, OPENAI_API_KEY="sk-mine")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "if you mean it, add --" in done.stderr
        assert "Traceback" not in done.stderr
    assert listener.connections == 0
    pytest.importorskip("aiohttp")
    done = bench.run("--resume", "--run-id", "r", "--labels", f"{listener.url}/labels.csv", dataset=False)
    assert done.returncode == 2
    assert listener.connections > 0, "what the user names is asked"


@pytest.mark.parametrize(
    ("place", "leads_out"),
    [
        ("ray:10.0.0.1:6379", True),
        ("ray:head.example:6379", True),
        ("ray", False),
        ("ray:local", False),
        ("ray:auto", False),
        ("process", False),
    ],
)
def test_a_cluster_is_joined_where_the_user_names_it_alone(place: str, leads_out: bool) -> None:
    assert bool(only_in_the_folder({"on": place}, "motion", {})) == leads_out
