"""Chat templates are rendered as transformers renders them, in as narrow a sandbox, by a clock that stands still."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.utils import chat_template_utils

from ghostbench_drivemm.input.template import ChatTemplate

SPECIAL = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
TURNS = (
    [{"role": "system", "content": ' You <see> & "tell".\n'}],
    [{"role": "user", "content": "<image>\nIs it 鬼探头? 🚗 {{ bos_token }}"}, {"role": "assistant", "content": ""}],
)
LLAMA_3_1 = """\
{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""
USUAL = (
    LLAMA_3_1,
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m['content'] | trim }}\n{% endfor %}{{ eos_token }}",
    "\n  {% for m in messages %}\n  {{ loop.index0 }}{{ m.role }}\n  {% endfor %}\n\n",
    "{% for m in messages %}{% if m.content == '' %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% endfor %}|",
    "a{% generation %}{% for m in messages %} {{ m.content }} {% endfor %}{% endgeneration %}b",
    "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}",
    "{% generation %}never closed",
    "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}{{ {'b': 1, 'a': '<é>'} | tojson(sort_keys=true) }}",
    "{{ messages | tojson(ensure_ascii=True) }}{{ [1, 2] | tojson(separators=(',', ':')) }}{{ none | tojson }}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
    "{% set ns = namespace(self='x', dict={'a': 1}) %}{{ ns.self }}{{ ns.dict.a }}{{ ns }}",
    "{% set ns = namespace({'k': messages}) %}{{ ns.k[0].role }}",
    "{% set d = dict(a=1, **{'b': 2}) %}{{ d.b }}{{ dict([('k', 'v')]).k }}{{ dict.fromkeys('ab', 3) }}",
    "{{ strftime_now('%d %b %Y') }}{{ date_string }}",
    "{{ raise_exception('no ' + messages[0].role) }}",
    "{{ raise_exception() }}",
    "{{ missing }}|{{ missing.more }}",
    "{{ missing is defined }}{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}",
    "{% macro turn(m) %}[{{ m.role }}]{% endmacro %}{% for m in messages %}{{ turn(m) }}{% endfor %}",
    "{% set x %}{{ messages[0].content }}{% endset %}{{ x | length }}{{ x | upper }}",
    "{{ messages[0].content.split('\\n')[0] }}{{ '%s-%d' | format('a', 3) }}{{ '{}'.format(messages[0].role) }}",
    "{% if messages[0].role in ['user'] and true %}u{% elif none %}n{% else %}e{% endif %}",
    "{# a remark #}{% raw %}{{ {% endraw %}",
    "{% if %}",
    "{{ messages[7].role }}",
    "{{ 1 // 0 }}",
    "{% include 'other' %}",
    "{% filter upper %}{{ messages[0].role }}{% endfilter %}{% do messages %}",
)
HOSTILE = (
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch TRAP') }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('touch TRAP').read() }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ namespace(_x=1)._x }}",
    "{{ namespace({'__class__': 1}) }}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}{{ ns._x }}",
    "{% set ns = namespace() %}{{ ns.__setitem__('_x', 1) }}",
    "{{ dict.mro() }}",
    "{{ dict.__base__.__subclasses__() }}",
    "{{ dict.__call__ }}{{ dict.__class__ }}",
    "{{ messages | attr('__class__') }}",
    "{{ ''['__class__'] }}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ ('{0.__class__}' | format) }}",
    "{{ messages.append({}) }}{{ messages | length }}",
    "{{ messages[0].update(role='x') }}{{ messages[0].role }}",
    "{{ messages[0].__setitem__('role', 'x') }}",
    "{% for i in range(10000000000) %}{{ i }}{% endfor %}",
    "{{ self._TemplateReference__context }}",
    "{{ self.__init__.__globals__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ raise_exception.__closure__ }}",
    "{{ strftime_now.__globals__['__builtins__'] }}",
    "{{ (messages | map(attribute='__class__') | list) }}",
    "{{ [''] | map('attr', '__class__') | list }}",
    "{% import 'os' as os %}{{ os }}",
    "{{ caller.__globals__ }}",
    "{% macro m() %}{{ caller }}{% endmacro %}{{ m.__globals__ }}{{ m._func }}",
)


class StandingStill(datetime.datetime):
    """The clock that a checkpoint's prompts are made by."""

    @classmethod
    def now(cls, tz: Any = None) -> StandingStill:
        return cls(2024, 7, 26, tzinfo=tz)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template_utils, "datetime", StandingStill)


def outcome(render: Any) -> str | tuple[type, str]:
    """The text, or the kind of failure, and its words where they are the template's own or the parser's."""
    try:
        return str(render())
    except Exception as error:
        return type(error), str(error) if type(error) in (jinja2.TemplateError, jinja2.TemplateSyntaxError) else ""


def ours(source: str, turns: Any) -> Any:
    return outcome(lambda: ChatTemplate(source, SPECIAL).render(turns))


def theirs(source: str, turns: Any) -> Any:
    variables = {**SPECIAL, "date_string": "26 Jul 2024"}
    return outcome(lambda: chat_template_utils.render_jinja_template([turns], chat_template=source, **variables)[0][0])


@pytest.mark.parametrize("source", USUAL)
def test_a_template_gives_what_transformers_gives(source: str) -> None:
    for turns in TURNS:
        assert ours(source, turns) == theirs(source, turns)


@pytest.mark.parametrize("source", HOSTILE)
def test_a_hostile_template_gets_no_further_than_in_transformers(source: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    source = source.replace("TRAP", str(trap))
    turns = [{"role": "system", "content": "x"}]
    found, expected = ours(source, turns), theirs(source, turns)
    assert found == expected
    # Where it is rendered at all, nothing of Python's own was met: such a thing is written as nothing.
    if isinstance(found, str):
        assert not any(mark in found for mark in ("<class", "<function", "<module", "0x"))
    assert not trap.exists()
    assert turns == [{"role": "system", "content": "x"}]


PIECES = st.sampled_from(
    [
        "{{ bos_token }}", "{{ messages[0].role }}", " {{- m.content -}} ", "\n", "  ", "x", "{# c #}", "{{ m }}",
        "{% for m in messages %}", "{%- for m in messages -%}", "{% endfor %}", "  {% if m %}", "{% else %}\n",
        "{% endif %}\n", "{% set a = 1 %}", "{{ a }}", "{% generation %}", "{% endgeneration %}\n", "{% break %}",
        "{% continue %}", "{{ strftime_now('') }}", "{{ date_string | tojson }}", "{% set ns = namespace(b=2) %}",
        "{% set ns.b = 3 %}", "{{ ns.b }}", "{{ ns._b }}", "{{ m.__class__ }}", "{{ dict(a=m) | tojson(indent=1) }}",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=9).map("".join))
def test_templates_put_together_by_chance_give_what_transformers_gives(source: str) -> None:
    source = source.replace("strftime_now('')", "strftime_now('%d %b %Y')")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(chat_template_utils, "datetime", StandingStill)
        assert ours(source, TURNS[1]) == theirs(source, TURNS[1])


def test_what_is_not_jinja_is_told_before_anything_is_rendered() -> None:
    with pytest.raises(jinja2.TemplateSyntaxError):
        ChatTemplate("{{ bos_token }}{% if %}", SPECIAL)


def test_a_templates_first_blanks_and_line_ends_are_rendered_as_they_stand() -> None:
    assert ChatTemplate("\n{{ bos_token }}", SPECIAL).render([]) == "\n<|begin_of_text|>"
    assert ChatTemplate("  {% if true %}{{ bos_token }}{% endif %}", SPECIAL).render([]) == "<|begin_of_text|>"
