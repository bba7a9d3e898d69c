"""Claude, over Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench import ModelSpec, hookimpl
from ghostbench_anthropic.settings import ClaudeSettings


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register `anthropic:MODEL`."""
    register(
        ModelSpec(
            name="anthropic",
            load="ghostbench_anthropic.messages:ClaudeModel",
            kind="remote",
            summary="a Claude model over Anthropic's Messages API (ANTHROPIC_API_KEY)",
            settings=ClaudeSettings,
            sees_examples=True,
            family="MODEL",
            extra="ghostbench[anthropic]",
            requires=("anthropic", "PIL"),
        )
    )
