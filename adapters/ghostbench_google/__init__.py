"""Gemini, over Google's generateContent API: shown the frames as images, or the clip's own video."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench import ModelSpec, hookimpl
from ghostbench_google.settings import GeminiSettings, GeminiVideoSettings


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register `google:MODEL` and `google-video:MODEL`."""
    register(
        ModelSpec(
            name="google",
            load="ghostbench_google.generate:GeminiModel",
            kind="remote",
            summary="a Gemini model over Google's API (GEMINI_API_KEY or GOOGLE_API_KEY); frames as images",
            settings=GeminiSettings,
            sees_examples=True,
            family="MODEL",
            extra="ghostbench[google]",
            requires=("google.genai", "PIL"),
        )
    )
    register(
        ModelSpec(
            name="google-video",
            load="ghostbench_google.video:GeminiVideoModel",
            kind="remote",
            summary="a Gemini model over Google's API, shown the clip's own video file",
            settings=GeminiVideoSettings,
            family="MODEL",
            needs_frames=False,
            sees_video=True,
            extra="ghostbench[google]",
            requires=("google.genai",),
        )
    )
