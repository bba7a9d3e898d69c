"""A checkpoint's chat template: untrusted Jinja, run in a sandbox by the very rules that transformers has for it.

What a template may use is what transformers gives it: blocks trimmed, loop controls, the `generation` tag, a `tojson`
that escapes nothing, `raise_exception`, a `dict` and a `namespace` without a way to Python's insides. Only the clock is
another: it stands still, whatever the day.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, Template, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

TEMPLATE_DATE = "26 Jul 2024"
"""Llama 3.1's template prints a date; it is fixed to the template's own default, whatever the day."""


class ChatTemplate:
    """A template, ready to render. Safe to use from several threads.

    Parameters
    ----------
    source : Jinja.
    special : special tokens by their names (`bos_token`, …), which the template may read.

    Raises
    ------
    jinja2.TemplateError
        It is not Jinja.
    """

    def __init__(self, source: str, special: Mapping[str, str]) -> None:
        self._template = _compiled(source)
        self._variables = {**special, "date_string": TEMPLATE_DATE}

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """A conversation as the template writes it, without a header for an answer.

        messages : each with `role` and `content`. Raises whatever the template does.
        """
        chat = [dict(message) for message in messages]
        return self._template.render(
            messages=chat, tools=None, documents=None, add_generation_prompt=False, **self._variables
        )


def _compiled(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals |= {
        "raise_exception": _raise_exception,
        "strftime_now": _strftime_now,
        "dict": _Dict(),
        "namespace": _Namespace,
    }
    return environment.from_string(source)


class _Generation(Extension):
    """`{% generation %}` around what a model wrote, for whoever trains on it: here its content and no more."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller: Callable[[], str]) -> str:
        return caller()


class _Dict:
    """`dict` to call, and nothing of the type's to climb."""

    def __call__(self, *args: Any, **values: Any) -> dict[Any, Any]:
        return dict(*args, **values)

    def fromkeys(self, *args: Any, **values: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **values)


class _Namespace(Namespace):
    """A namespace that takes no name which begins with an underscore: those lead to Python's insides."""

    # As in Jinja's own, so that a template may store something under the name `self`.
    def __init__(*args: Any, **values: Any) -> None:
        stored = dict(*args[1:], **values)
        for name in stored:
            _check_name(name)
        Namespace.__init__(args[0], stored)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a chat template may not store {name!r} in a namespace: it begins with an underscore")


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(format: str) -> str:
    del format
    return TEMPLATE_DATE
