"""How many tokens a request is, before it is sent: what is charged at most, and what is likely.

Images: "Calculating costs" in OpenAI's images and vision guide
(https://developers.openai.com/api/docs/guides/images-vision, as of 2026-11-23). Models of the tile kind shrink an image
to fit 2048 × 2048 pixels, then its shorter side to 768, and charge for each 512-pixel tile that covers it plus a base;
at low detail the base alone. Models of the patch kind charge a factor for each 32-pixel patch that covers the image,
which they shrink until it has no more than a given number of patches; they charge the same at low detail.
"""

from __future__ import annotations

import math

from ghostbench_remote.prices import Patches, Tiles

_TILE = 512
_TILED_LONG = 2048
_TILED_SHORT = 768
_PATCH = 32

ENVELOPE_TOKENS = 64
"""Above what role markers and the answer's priming cost per request (under ten each in OpenAI's own counts)."""
PART_TOKENS = 8
"""Above what separates two parts of a message."""
_BYTES_PER_TOKEN = 4
"""English text's usual ratio, which OpenAI's own rate limiter goes by too."""


def image_tokens(formula: Tiles | Patches, width: int, height: int, detail: str) -> int:
    """Tokens of one image of width × height pixels; detail "auto" is counted as "high", the dearer one."""
    if isinstance(formula, Patches):
        return _patch_tokens(formula, width, height)
    return formula.base_tokens if detail == "low" else _tile_tokens(formula, width, height)


def _tile_tokens(formula: Tiles, width: int, height: int) -> int:
    fit = min(1.0, _TILED_LONG / max(width, height))
    short = min(1.0, _TILED_SHORT / (min(width, height) * fit))
    across, down = (math.ceil(round(side * fit * short) / _TILE) for side in (width, height))
    return formula.base_tokens + formula.tokens_per_tile * max(1, across) * max(1, down)


def _patch_tokens(formula: Patches, width: int, height: int) -> int:
    # Shrinking to whole patches can leave fewer than the cap by the guide's rounding, yet images that large have been
    # billed at the cap itself, so the cap is the bound.
    patches = min(math.ceil(width / _PATCH) * math.ceil(height / _PATCH), formula.most_patches)
    return math.ceil(patches * formula.multiplier)


def most_text_tokens(text: str) -> int:
    """No fewer tokens than any byte-level tokenizer makes of the text: one for each byte of UTF-8."""
    return len(text.encode())


def likely_text_tokens(text: str) -> int:
    """About how many tokens the text is, for pacing."""
    return math.ceil(len(text.encode()) / _BYTES_PER_TOKEN)
