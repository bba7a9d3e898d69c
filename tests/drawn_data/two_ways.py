"""The smallest written task: yes or no. Tests add what they are about."""

from __future__ import annotations

from typing import Any

TWO_WAYS: dict[str, Any] = {
    "name": "two-ways",
    "version": "1",
    "language": "en",
    "summary": "yes or no",
    "system": 'Look at the frames. Answer {"ghost": "yes"} or {"ghost": "no"}.',
    "frames": {"opening": "{count} frames follow.", "none": "There are none.", "each": "At {time:.1f} s:"},
    "question": "Is there ghost probing?",
    "schema_name": "two_ways",
    "schema": {
        "type": "object",
        "properties": {"ghost": {"type": "string", "enum": ["yes", "no"]}},
        "required": ["ghost"],
        "additionalProperties": False,
    },
    "reader": "json",
    "verdict": "ghost",
    "grades": {"yes": "ghost_probing", "no": "normal"},
}
