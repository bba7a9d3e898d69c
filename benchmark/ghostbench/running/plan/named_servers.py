"""Servers that the options of a run name: a run that is gone on with goes there only where its user says so again.

`--resume` takes its options from the run folder, and that may be a stranger's. A server that it names would be sent
the user's key, frames, or at least word that someone is there; what it has fetched takes the user's disk. So where such
a value comes from the folder alone, it is refused with the option to repeat. Of a model's settings that is every text
that its spec does not say to be harmless, since nobody else can tell what a model does with it. What names only this
machine's own files is taken: what is read of them goes to the terminal, into the folder itself, and to models whose
servers the user names.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ghostbench.credentials import without_credentials
from ghostbench.datasets.location import URL
from ghostbench.datasets.query import LABELS_VARIABLE, ROOT_VARIABLE
from ghostbench.datasets.schemes import LOCAL
from ghostbench.errors import BadInput
from ghostbench.plugins.choose import parse_model
from ghostbench.plugins.text import one_line
from ghostbench.running.plan.placement import Placement

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
"""A setting with one of these in its name holds a server, however that is written; so does what follows a family's
name where this is what the spec calls it."""
_FETCHES = {"download", "fetch", "pull", "online", "upload", "remote", "network"}
"""A setting with one of these in its name, and true, has something fetched or sent."""
_NO_TEXT = {
    "int",
    "float",
    "bool",
    "None",
    "NoneType",
    "Path",
    "pathlib",
    "Optional",
    "Union",
    "typing",
    "tuple",
    "class",
}
"""The words of types that hold no text that a connection could be made by."""
_OFF = {"none", "null", "false", ""}
_HERE = {"FILE", "PATH", "DIR", "FOLDER", "MODEL", "DEPLOYMENT", "REPO_OR_DIR"}
"""What a spec calls that which follows its family's name where it is none of the network's names."""
_HOST = re.compile(r"localhost|(?:[\w-]+\.)+(?:[^\W\d_]{2,}|xn--[\w-]+)|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\]")
_PATH = re.compile(r"(?:~?/|\.{1,2}/|[A-Za-z]:[\\/])(?![/\\]).*", re.DOTALL)


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
            # A variable that happens to hold the same word, such as "true", says nothing of servers.
            said = place.rstrip("/") in known and (_is_address(place) or _HOST.match(place) is not None)
            if said or not _names_a_server(name, key, place, models):
                continue
            option = "--set" if name == "settings" else f"--{name.replace('_', '-')}"
            found.append(NamedServer(word, (option, word)))
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
        f"not: only you say which servers a run goes to and what it fetches; if you mean it, add {words}"
    )


def _names_a_server(name: str, key: str, value: str, models: str) -> bool:
    if name == "models":
        return any(map(_model_names_a_server, re.split(r"[,>]", value)))
    if name == "settings":
        return _setting_names_a_server(key, value, models)
    if name == "on":
        try:
            return Placement.of(value).leads_elsewhere
        except BadInput:
            return False  # what is no place is refused as that
    return _is_address(value.removeprefix("@") if name == "clips" else value, ports=False)


def _model_names_a_server(word: str) -> bool:
    """Whether a model's word does, `NAME`, `FAMILY:ARG` or `FAMILY:ARG=ROW`."""
    argument = word.partition(":")[2]
    if _is_address(word) or _is_address(argument):
        return True
    try:
        family = parse_model(word.strip()).spec.family
    except BadInput:
        return False  # what is no model here is not asked
    if family is None or family in _HERE:
        return False
    return not _NAMES.isdisjoint(_words(family)) or _HOST.match(argument) is not None


def _setting_names_a_server(key: str, value: str, models: str) -> bool:
    row, _, name = key.rpartition(".")
    field = _fields(row, models).get(name)
    if value.lower() in _OFF or (field is not None and str(field.default).lower() == value.lower()):
        return False
    if any(_is_address(part.strip()) for part in value.split(",")):
        return True
    if field is not None and field.metadata.get("network") is not None:
        return bool(field.metadata["network"])
    if value.lower() == "true":
        return not _FETCHES.isdisjoint(_words(name))
    return not _NAMES.isdisjoint(_words(name)) or not _leads_nowhere(field, value)


def _words(name: str) -> list[str]:
    return re.split(r"[_.-]", name.lower())


def _leads_nowhere(field: dataclasses.Field[Any] | None, value: str) -> bool:
    """Whether the value is a path of this machine, or by the setting's type a path, a number or one of few words."""
    if field is None or _PATH.fullmatch(value):
        return _PATH.fullmatch(value) is not None
    return field.metadata.get("choices") is not None or set(re.findall(r"\w+", str(field.type))) <= _NO_TEXT


def _is_address(text: str, *, ports: bool = True) -> bool:
    match = URL.fullmatch(text)
    if match is not None:
        return match["scheme"].lower() not in LOCAL or match["rest"].startswith(_ON_A_SHARE)
    return "://" in text or text.startswith(_ON_A_SHARE) or (ports and _HOST_AND_PORT.match(text) is not None)


def _fields(row: str, models: str) -> dict[str, dataclasses.Field[Any]]:
    """The settings of the model that this row asks, by name; {} where there is no such model here."""
    for word in re.split(r"[,>]", models):
        try:
            choice = parse_model(word.strip())
        except BadInput:
            continue
        if choice.row == row.rpartition(">")[2]:
            return {field.name: field for field in dataclasses.fields(choice.spec.settings)}
    return {}
