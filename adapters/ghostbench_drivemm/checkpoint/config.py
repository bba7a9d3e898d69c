"""The configuration in force: every value that the computation depends on, and where it came from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IMAGE_SIZE = 384
"""Side of the vision tower's input, pixels (SigLIP so400m patch 14 at 384; hard-coded in the authors' code)."""
PATCH_SIZE = 14
"""Side of a vision patch, pixels."""
PATCHES_PER_SIDE = IMAGE_SIZE // PATCH_SIZE
"""27: patches per side of a frame; the last 6 pixels of each side are dropped by the convolution."""
VISION_HEADS = 16
"""Attention heads of the vision tower (hard-coded in the authors' code)."""
VISION_LAYER_NORM_EPS = 1e-6
FULL_VISION_WIDTH = 1152
"""Width of the real tower, whose 27 layers are kept but for the last."""
FULL_VISION_LAYERS = 26

ANSWER_ROOM = 4096
"""Tokens that the authors' demo lets an answer have."""

PROJECTOR_TYPE = re.compile(r"mlp([1-9])x_gelu")
"""`mm_projector_type`; the group is the number of linear layers."""
ANYRES_MAX = re.compile(r"anyres_max_([1-9]\d{0,2})")
"""`image_aspect_ratio` with a limit; the group is the limit, in tiles."""

GENERATION_FILE = "generation_config.json"
DEFAULT = "authors' default"
OVERRIDE = "override"
TENSORS = "tensors"
PUBLIC_SHAPE = "public shape"


@dataclass(frozen=True)
class VisionShape:
    """Shape of the vision tower, read from its tensors.

    `width` and `feed_forward` are feature counts, `layers` is the number of layers that the checkpoint keeps.
    """

    width: int
    feed_forward: int
    layers: int


@dataclass(frozen=True)
class DriveMMConfig:
    """Every value in force; `origins` says of each field whence it came.

    Origins are `config.json`, `generation_config.json`, `override`, `authors' default` (key absent from the
    file), `tensors` (read from the weights' shapes), `tokenizer.json` (a vocabulary cut to the tokenizer's) and
    `public shape` (see `full_shape`).
    Sizes count features, layers, heads or tokens; `rope` holds `rope_type`, `rope_theta` and that type's factors.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    hidden_act: str
    rms_norm_eps: float
    max_position_embeddings: int
    attention_bias: bool
    mlp_bias: bool
    tie_word_embeddings: bool
    rope: Mapping[str, Any]
    vision: VisionShape
    mm_vision_tower: str
    mm_projector_type: str
    mm_spatial_pool_mode: str
    mm_newline_position: str
    mm_patch_merge_type: str
    mm_use_im_patch_token: bool
    image_aspect_ratio: str
    image_grid_pinpoints: tuple[tuple[int, int], ...]
    tokenizer_model_max_length: int | None
    eos_token_ids: tuple[int, ...]
    do_sample: bool
    temperature: float
    top_p: float
    top_k: int | None
    origins: Mapping[str, str]
    unused: tuple[str, ...] = ()
    """Keys of `config.json` that the authors' inference code does not read either."""

    @property
    def projector_depth(self) -> int:
        """Linear layers in the projector."""
        return int(PROJECTOR_TYPE.fullmatch(self.mm_projector_type)[1])  # type: ignore[index]

    @property
    def position_limit(self) -> int | None:
        """Positions that a prompt may have: the checkpoint's own limit, and where its rotary embedding would change.

        With rope type `dynamic` the frequencies are the default ones up to `max_position_embeddings` and change with
        every token beyond; only the former is computed here, with room left for an answer.
        """
        limits = [self.tokenizer_model_max_length] if self.tokenizer_model_max_length is not None else []
        if self.rope["rope_type"] == "dynamic":
            limits.append(self.max_position_embeddings - ANSWER_ROOM)
        return min(limits, default=None)

    @property
    def has_newline(self) -> bool:
        """Whether the merge type uses the learned `image_newline` token."""
        return "unpad" in self.mm_patch_merge_type

    @property
    def anyres_limit(self) -> int | None:
        """N of `anyres_max_N`: the number of tiles' worth of tokens above which an image is shrunk; else None."""
        found = ANYRES_MAX.fullmatch(self.image_aspect_ratio)
        return int(found[1]) if found else None

    @property
    def is_anyres(self) -> bool:
        """Whether images (never video frames) are cut into tiles."""
        return self.image_aspect_ratio.startswith("anyres")

    def described(self) -> dict[str, Any]:
        """All values with their origins, ready for JSON: `{key: {"value": …, "from": …}}`, and the unused keys."""
        values = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("origins", "unused")
        }
        values["rope"] = dict(self.rope)
        values["vision"] = dataclasses.asdict(self.vision)
        described: dict[str, Any] = {key: {"value": value, "from": self.origins[key]} for key, value in values.items()}
        described["unused"] = list(self.unused)
        return described

    @classmethod
    def full_shape(cls) -> DriveMMConfig:
        """The public checkpoint's exact shape (8,449,517,088 parameters), for measuring with random weights.

        Sizes follow from its public tensor index; modes are its training code's defaults with `pad`.
        """
        values: dict[str, Any] = {
            "vocab_size": 128256,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "max_position_embeddings": 131072,
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": False,
            "rope": {
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": 8.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192,
            },
            "vision": VisionShape(width=FULL_VISION_WIDTH, feed_forward=4304, layers=FULL_VISION_LAYERS),
            "mm_vision_tower": "google/siglip-so400m-patch14-384",
            "mm_projector_type": "mlp2x_gelu",
            "mm_spatial_pool_mode": "bilinear",
            "mm_newline_position": "grid",
            "mm_patch_merge_type": "spatial_unpad",
            "mm_use_im_patch_token": False,
            "image_aspect_ratio": "pad",
            "image_grid_pinpoints": (),
            "tokenizer_model_max_length": 32768,
            "eos_token_ids": (128001, 128008, 128009),
            "do_sample": True,
            "temperature": 0.6,
            "top_p": 0.9,
            "top_k": 50,
        }
        return cls(**values, origins=dict.fromkeys(values, PUBLIC_SHAPE))
