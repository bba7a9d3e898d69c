"""Requests that say nothing: for tests of how requests travel, whatever they ask."""

from __future__ import annotations

from ghostbench.records import Prompt, Request


def request(name: str) -> Request:
    """A request of that id, without words and frames."""
    prompt = Prompt(
        system="",
        parts=(),
        schema={},
        schema_name="",
        verdict_field=None,
        verdict_values=(),
        max_output_tokens=1,
        sha256="",
    )
    return Request(id=name, prompt=prompt, frames=None, seed=0, level=0, level_settings={}, write_answer=str)
