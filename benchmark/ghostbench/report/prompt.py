"""The prompt's words as a report shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ghostbench.report.escape import plain


def words_as_text(words: Mapping[str, Any]) -> str:
    """The words as a model gets them, in order: the system text, the frames, the question; then the answer's schema."""
    frames = words["frames"]
    parts = [
        ("System", words["system"]),
        ("User", f"{frames['clip']}\n{frames['frame']} [the frame]\n…\n{words['question']}"),
        ("User, where no frames are given", f"{frames['no_frames']}\n{words['question']}"),
        ("Schema of the answer", json.dumps(words["schema"], ensure_ascii=False, indent=1)),
        ("Longest answer", f"{words['max_output_tokens']} tokens"),
    ]
    return plain("\n\n".join(f"{title}:\n{text}" for title, text in parts), lines=True)
