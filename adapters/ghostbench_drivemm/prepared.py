"""What a prompt and its pictures become on the CPU, ready to be embedded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Prepared:
    """One request after its CPU work.

    input_ids : int64 [n], -200 for each visual item, in order.
    pixel_values : one array for each visual item, uint8 [F, 3, 384, 384]: the frames of a video, the tiles of an
        image (the whole image first), in RGB.
    sizes : (width, height) in pixels of each visual item before anything was done to it (a video's: its first frame's).
    video : whether the visual items are videos, whose tokens are pooled.
    length : number of positions after merging: text tokens and visual tokens.
    prompt_text : the prompt as text, as the tokenizer saw it.
    """

    input_ids: npt.NDArray[np.int64]
    pixel_values: tuple[npt.NDArray[np.uint8], ...]
    sizes: tuple[tuple[int, int], ...]
    video: bool
    length: int
    prompt_text: str
