"""Models behind the OpenAI API, Azure OpenAI, and any server that speaks Chat Completions."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench import ModelSpec, hookimpl
from ghostbench_openai.settings import OpenAISettings

_EXTRA = "ghostbench[openai]"
_REQUIRES = ("openai", "PIL")
_CITATION = """@misc{openai2025gpt41,
  author = {{OpenAI}},
  title = {Introducing {GPT-4.1} in the {API}},
  year = {2025}, month = apr,
  howpublished = {\\url{https://openai.com/index/gpt-4-1/}},
}"""


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register `gpt-4.1`, `gpt-4.1-mini`, `openai:MODEL` and `azure:DEPLOYMENT`."""
    for name in ("gpt-4.1", "gpt-4.1-mini"):
        register(
            ModelSpec(
                name=name,
                load="ghostbench_openai.chat:ChatModel",
                kind="remote",
                summary=f"{name} over Chat Completions (OPENAI_API_KEY, or a server of yours by base_url)",
                settings=OpenAISettings,
                sees_examples=True,
                argument=name,
                citation=_CITATION,
                extra=_EXTRA,
                requires=_REQUIRES,
            )
        )
    register(
        ModelSpec(
            name="openai",
            load="ghostbench_openai.chat:ChatModel",
            kind="remote",
            summary="any model of the OpenAI API or of a compatible server (OPENAI_API_KEY, base_url)",
            settings=OpenAISettings,
            sees_examples=True,
            family="MODEL",
            extra=_EXTRA,
            requires=_REQUIRES,
        )
    )
    register(
        ModelSpec(
            name="azure",
            load="ghostbench_openai.chat:AzureChatModel",
            kind="remote",
            summary="a deployment of Azure OpenAI (AZURE_OPENAI_API_KEY, AZURE_OPENAI_ENDPOINT)",
            settings=OpenAISettings,
            sees_examples=True,
            family="DEPLOYMENT",
            extra=_EXTRA,
            requires=_REQUIRES,
        )
    )
