"""Gemini, over Google's generateContent API."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench import ModelSpec, hookimpl
from ghostbench_google.settings import GeminiSettings


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register `google:MODEL`."""
    register(
        ModelSpec(
            name="google",
            load="ghostbench_google.generate:GeminiModel",
            kind="remote",
            summary="a Gemini model over Google's API (GEMINI_API_KEY or GOOGLE_API_KEY); frames as images",
            settings=GeminiSettings,
            family="MODEL",
            extra="ghostbench[google]",
            requires=("google.genai", "PIL"),
        )
    )
