"""What is made ready for, and reckoned with until clips have been seen: ten frames of DADA-2000 and a task's prompt."""

from __future__ import annotations

USUAL_POSITIONS = (2100 + 450, 2100 + 900)
"""The least and the most positions of a prompt."""
USUAL_TEXT = 400
"""Of these, the positions of a task's text before the frames, which are computed for the first clip alone."""
USUAL_WORDS = 100
"""Of these, the positions of a clip's own words behind its frames."""
USUAL_FRAME = (660, 1584)
"""Height and width of DADA-2000's frames."""
