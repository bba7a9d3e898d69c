"""Servers that the options of a run name: a run that is gone on with goes there only where its user says so again.

`--resume` takes its options from the run folder, and that may be a stranger's. A server that it names would be sent
the user's key, frames, or at least word that someone is there. So where such a value comes from the folder alone, it
is refused with the option to repeat. What names only this machine's own files is taken: what is read of them goes to
the terminal, into the folder itself, and to models whose servers the user names.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ghostbench.datasets.credentials import without_credentials
from ghostbench.datasets.schemes import LOCAL, URL
from ghostbench.datasets.select import LABELS_VARIABLE, ROOT_VARIABLE
from ghostbench.errors import BadInput
from ghostbench.plugins.choose import parse_model
from ghostbench.plugins.text import one_line

_VARIABLES = {"data_root": ROOT_VARIABLE, "labels": LABELS_VARIABLE}
_ON_A_SHARE = ("//", "\\\\")
"""How Windows names another machine's folder: to look there is to introduce oneself."""
_HOST_AND_PORT = re.compile(
    r"(?:localhost|\[[0-9A-Fa-f:.]+\]|\d{1,3}(?:\.\d{1,3}){3}|(?:[\w-]+\.)+[A-Za-z]{2,}):\d{1,5}\b"
)
_NAMES = {
    "url",
    "uri",
    "endpoint",
    "host",
    "hostname",
    "server",
    "proxy",
    "address",
    "base",
    "gateway",
    "domain",
    "ip",
    "dsn",
}
"""A setting with one of these in its name holds a server, however that is written."""
_NO_SERVER = re.compile(r"none|null|true|false|[\d.]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NamedServer:
    """A server, as the option says it. words : the option with its value, as on a command line."""

    place: str
    words: tuple[str, ...]


def only_in_the_folder(options: Mapping[str, Any], models: str, environ: Mapping[str, str]) -> list[NamedServer]:
    """The servers that these options name and that neither the environment nor a model's own default does.

    options : by their parameters' names, as a manifest keeps them. models : the value of `--models`, whose settings
    they are.
    """
    known = {value.rstrip("/") for value in environ.values()}
    found = []
    for name, value in options.items():
        for word in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(word, str) or from_environment(name, word, environ) is not None:
                continue
            key, _, place = word.partition("=") if name == "settings" else ("", "", word)
            if not _names_a_server(name, key, place) or place.rstrip("/") in known or _is_default(key, place, models):
                continue
            option = "--set" if name == "settings" else f"--{name.replace('_', '-')}"
            found.append(NamedServer(place, (option, word)))
    return found


def from_environment(name: str, value: str, environ: Mapping[str, str]) -> str | None:
    """What the environment says where that is the same as the folder says, credentials aside; else None."""
    given = environ.get(_VARIABLES.get(name, ""), "")
    same = given and without_credentials(given).rstrip("/") == without_credentials(value).rstrip("/")
    return given if same else None


def refuse(run_id: str, servers: list[NamedServer]) -> BadInput:
    """The error, with what to add to the command line."""
    places = one_line(", ".join(server.place for server in servers))
    words = one_line(shlex.join(word for server in servers for word in server.words))
    return BadInput(
        f"the folder of run '{one_line(run_id)}' names {places}, and your command line, run file and environment do "
        f"not: only you say which servers a run goes to; if you mean it, add {words}"
    )


def _names_a_server(name: str, key: str, value: str) -> bool:
    if name == "models":
        words = re.split(r"[,>]", value)
        return any(_is_address(word) or _is_address(word.partition(":")[2]) for word in words)
    if name == "settings":
        words = re.split(r"[_.-]", key.rpartition(".")[2].lower())
        held = not _NAMES.isdisjoint(words) and _NO_SERVER.fullmatch(value) is None
        return held or any(_is_address(part.strip()) for part in value.split(","))
    return _is_address(value.removeprefix("@") if name == "clips" else value, ports=False)


def _is_address(text: str, *, ports: bool = True) -> bool:
    match = URL.fullmatch(text)
    if match is not None:
        return match["scheme"].lower() not in LOCAL or match["rest"].startswith(_ON_A_SHARE)
    return "://" in text or text.startswith(_ON_A_SHARE) or (ports and _HOST_AND_PORT.match(text) is not None)


def _is_default(key: str, value: str, models: str) -> bool:
    """Whether a setting has its model's own default."""
    row, _, name = key.rpartition(".")
    for word in re.split(r"[,>]", models):
        try:
            choice = parse_model(word.strip())
        except BadInput:
            continue
        if choice.row == row.rpartition(">")[2]:
            fields = {field.name: field.default for field in dataclasses.fields(choice.spec.settings)}
            return fields.get(name) == value
    return False
