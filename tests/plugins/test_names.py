"""A name that nobody registered is answered with the nearest ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import PluginSite


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("run", "--models", "alway"), "unknown model 'alway'; did you mean always"),
        (("run", "--models", "gpt4.1"), "did you mean gpt-4.1"),
        (("models", "replai"), "unknown model 'replai'; did you mean replay"),
        (("run", "--models", "opneai:x"), "unknown model 'opneai'; did you mean openai?"),
        (("run", "--task", "ghost-probin"), "unknown task 'ghost-probin'; did you mean ghost-probing"),
        (("run", "--models", "always", "--dataset", "dada"), "unknown dataset 'dada'; did you mean dada2000"),
        (("run", "--models", "zzzzzz"), "unknown model 'zzzzzz'; known: always, "),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(plugin_site: PluginSite, words: tuple[str, ...], hint: str) -> None:
    done = plugin_site.bench(*words)
    assert done.returncode == 2
    assert hint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_model_of_a_plugin_that_was_left_out_says_so(plugin_site: PluginSite) -> None:
    plugin_site.add("toy", modules={"toy.py": "import not_there"})
    done = plugin_site.bench("run", "--models", "toy")
    assert done.returncode == 2
    assert "toy; bench models says why)" in done.stderr
