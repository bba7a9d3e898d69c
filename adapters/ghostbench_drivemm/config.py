"""The configuration in force: every value the computation depends on, checked, and where it came from.

Keys and defaults are those of the authors' code (zhijian11/DriveMM, built on LLaVA-NeXT): a key that is
absent takes the value that their code would fall back to, a value that their inference code cannot run,
or that is not known here, is a `CheckpointError` that names key and value.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
VISION_ACTIVATION = "gelu_pytorch_tanh"
FULL_VISION_WIDTH = 1152
"""Width of the real tower, whose 27 layers are kept but for the last."""
FULL_VISION_LAYERS = 26

ANSWER_ROOM = 4096
"""Tokens that the authors' demo lets an answer have."""

POOL_MODES = ("average", "bilinear", "max")
NEWLINE_POSITIONS = ("frame", "grid", "no_token", "one_token")
ROPE_TYPES = ("default", "dynamic", "linear", "llama3", "yarn")
MODEL_TYPES = ("llama", "llava_llama")
VISION_TOWERS = ("siglip-so400m-patch14-384",)

CONFIG_FILE = "config.json"
GENERATION_FILE = "generation_config.json"
DEFAULT = "authors' default"
OVERRIDE = "override"
TENSORS = "tensors"
CONSTANT = "authors' constant"


class CheckpointError(Exception):
    """A checkpoint that cannot be used. The message is one line that names the file, key or tensor."""


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
    file), `authors' constant` (hard-coded in their code) and `tensors` (read from the weights' shapes).
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
    origins: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    """Keys of `config.json` that the authors' inference code does not read either."""

    @property
    def projector_depth(self) -> int:
        """Linear layers in the projector."""
        return int(_PROJECTOR.fullmatch(self.mm_projector_type)[1])  # type: ignore[index]

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
        found = _ANYRES_MAX.fullmatch(self.image_aspect_ratio)
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
        described: dict[str, Any] = {
            key: {"value": value, "from": self.origins.get(key, CONSTANT)} for key, value in values.items()
        }
        described["unused"] = list(self.unused)
        return described

    @classmethod
    def full_shape(cls) -> DriveMMConfig:
        """The public checkpoint's exact shape (8,449,517,088 parameters), for measuring with random weights.

        Sizes follow from its public tensor index; modes are its training code's defaults with `pad`.
        """
        raw = {
            "model_type": "llama",
            "vocab_size": 128256,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "rms_norm_eps": 1e-5,
            "max_position_embeddings": 131072,
            "rope_theta": 500000.0,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192,
            },
            "mm_vision_tower": "google/siglip-so400m-patch14-384",
            "mm_projector_type": "mlp2x_gelu",
            "mm_spatial_pool_mode": "bilinear",
            "mm_newline_position": "grid",
            "mm_patch_merge_type": "spatial_unpad",
            "mm_use_im_patch_token": False,
            "image_aspect_ratio": "pad",
            "tokenizer_model_max_length": 32768,
        }
        generation = {"eos_token_id": [128001, 128008, 128009], "do_sample": True, "temperature": 0.6, "top_p": 0.9}
        return resolve(raw, generation, {}, VisionShape(width=1152, feed_forward=4304, layers=FULL_VISION_LAYERS))


_PROJECTOR = re.compile(r"mlp([1-9])x_gelu")
_ANYRES_MAX = re.compile(r"anyres_max_([1-9]\d{0,2})")
_MERGE_TYPE = re.compile(r"flat|spatial(_unpad|_maxpool2x2|_nobase)*")


class _Values:
    """Looks values up (override, then file, then default) and writes down where each came from."""

    def __init__(self, raw: Mapping[str, Any], overrides: Mapping[str, Any], file: str) -> None:
        self._raw = raw
        self._overrides = overrides
        self._file = file
        self.origins: dict[str, str] = {}
        self.read: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether a file or an override sets the key, to null even."""
        self.read.add(key)
        return key in self._raw or key in self._overrides

    def __call__(self, key: str, default: Any, *, under: str | None = None) -> Any:
        self.read.add(key)
        name = under or key
        for source, origin in ((self._overrides, OVERRIDE), (self._raw, self._file)):
            if key in source:
                self.origins[name] = origin
                return source[key]
        self.origins[name] = DEFAULT
        return default

    def integer(self, key: str, default: int | None) -> int:
        """A whole number >= 1."""
        value = self(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise unknown(key, value, ["a whole number of at least 1"])
        return value

    def number(self, key: str, default: float) -> float:
        """A finite number > 0."""
        value = self(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise unknown(key, value, ["a finite number above 0"])
        return float(value)

    def flag(self, key: str, default: bool, known: Sequence[bool] = (False, True)) -> bool:
        """True or false; `known` where only one of them can be run."""
        value = self(key, default)
        if not isinstance(value, bool) or value not in known:
            raise unknown(key, value, known)
        return value

    def choice(self, key: str, default: str, known: Sequence[str], is_known: Callable[[str], Any]) -> str:
        """One of the known strings."""
        value = self(key, default)
        if not isinstance(value, str) or not is_known(value):
            raise unknown(key, value, known)
        return value


def unknown(key: str, value: object, known: Sequence[object]) -> CheckpointError:
    """The error for a configuration value that is not known: one line with key, value and the known ones."""
    shown = repr(value)
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return CheckpointError(f"configuration value {key}={shown} is not known here; known: {', '.join(map(str, known))}")


def resolve(
    raw: Mapping[str, Any],
    generation: Mapping[str, Any],
    overrides: Mapping[str, Any],
    vision: VisionShape,
) -> DriveMMConfig:
    """Check `config.json` and `generation_config.json` and make the configuration in force.

    Parameters
    ----------
    raw, generation : the two files' contents (`generation` is empty where there is no such file).
    overrides : values set over either file; a key that nothing reads is an error.
    vision : shape of the vision tower, from the tensors.

    Raises
    ------
    CheckpointError
        A value is not known, or an override's key is not.
    """
    values = _Values(raw, overrides, CONFIG_FILE)
    answer = _Values(generation, overrides, GENERATION_FILE)
    _refuse_what_cannot_run(values)
    fields: dict[str, Any] = {**_language_model(values), **_multimodal(values), **_generation(answer, values)}
    known = values.read | answer.read
    for key in overrides:
        if key not in known:
            raise CheckpointError(f"override {key!r} is not a configuration key; known: {', '.join(sorted(known))}")
    origins = {**values.origins, **answer.origins, "vision": TENSORS}
    return DriveMMConfig(
        **fields,
        vision=vision,
        origins={f.name: origins[f.name] for f in dataclasses.fields(DriveMMConfig) if f.name in origins},
        unused=tuple(sorted(set(raw) - values.read)),
    )


def _refuse_what_cannot_run(values: _Values) -> None:
    """Stop at settings that would change the function and that the authors' inference code does not run."""
    values.choice("model_type", "llava_llama", MODEL_TYPES, MODEL_TYPES.__contains__)
    values.flag("add_faster_video", False, known=[False])
    values.flag("mm_use_im_start_end", False, known=[False])
    for key in ("mm_resampler_type", "quantization_config"):
        value = values(key, None)
        if value is not None:
            raise unknown(key, value, ["null"])


def _language_model(values: _Values) -> dict[str, Any]:
    """The Llama's values; defaults are those of `transformers.LlamaConfig` 4.43, which the authors' class inherits."""
    hidden = values.integer("hidden_size", 4096)
    heads = values.integer("num_attention_heads", 32)
    if values("num_key_value_heads", None) is None:
        key_value_heads = heads
    else:
        key_value_heads = values.integer("num_key_value_heads", heads)
    head_dim = hidden // heads if values("head_dim", None) is None else values.integer("head_dim", None)
    if heads * head_dim != hidden or heads % key_value_heads:
        raise CheckpointError(
            f"configuration values num_attention_heads={heads}, num_key_value_heads={key_value_heads}, "
            f"head_dim={head_dim} do not fit hidden_size={hidden}"
        )
    positions = values.integer("max_position_embeddings", 2048)
    return {
        "vocab_size": values.integer("vocab_size", 32000),
        "hidden_size": hidden,
        "intermediate_size": values.integer("intermediate_size", 11008),
        "num_hidden_layers": values.integer("num_hidden_layers", 32),
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "head_dim": head_dim,
        "hidden_act": values.choice("hidden_act", "silu", ["silu"], ["silu"].__contains__),
        "rms_norm_eps": values.number("rms_norm_eps", 1e-6),
        "max_position_embeddings": positions,
        "attention_bias": values.flag("attention_bias", False),
        "mlp_bias": values.flag("mlp_bias", False),
        "tie_word_embeddings": values.flag("tie_word_embeddings", False),
        "rope": _rope(values, positions),
    }


_ROPE_FACTORS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "default": ((), ()),
    "linear": (("factor",), ()),
    "dynamic": (("factor",), ("original_max_position_embeddings",)),
    "llama3": (("factor", "high_freq_factor", "low_freq_factor", "original_max_position_embeddings"), ()),
    "yarn": (
        ("factor",),
        ("attention_factor", "beta_fast", "beta_slow", "original_max_position_embeddings", "mscale", "mscale_all_dim"),
    ),
}
"""What each rope type must and may have beside `rope_theta`."""


def _rope(values: _Values, positions: int) -> dict[str, Any]:
    """Rotary settings from `rope_theta` and `rope_scaling`, or from transformers 5's `rope_parameters`."""
    key = "rope_parameters" if values.has("rope_parameters") else "rope_scaling"
    scaling = values(key, None, under="rope")
    if scaling is not None and not isinstance(scaling, Mapping):
        raise unknown(key, scaling, ["null", "an object with rope_type"])
    given = dict(scaling or {})
    kind = given.pop("rope_type", given.pop("type", "default"))
    given.pop("type", None)
    if kind not in ROPE_TYPES:
        raise unknown(f"{key}.rope_type", kind, ROPE_TYPES)
    theta = given.pop("rope_theta", None)
    theta = values.number("rope_theta", 10000.0) if theta is None else float(theta)
    must, may = _ROPE_FACTORS[kind]
    for name, value in given.items():
        if name not in must + may:
            raise unknown(f"{key}.{name}", value, [*must, *may] or ["nothing beside rope_type"])
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
            raise unknown(f"{key}.{name}", value, ["a number above 0"])
    for name in must:
        if given.get(name) is None:
            raise CheckpointError(f"configuration value {key}.{name} is missing; rope_type {kind} needs it")
    return {"rope_type": kind, "rope_theta": theta, **{k: v for k, v in given.items() if v is not None}}


def _multimodal(values: _Values) -> dict[str, Any]:
    """The `mm_*` values, with the defaults that the authors' model code falls back to."""
    tower = values(
        "mm_vision_tower" if values.has("mm_vision_tower") else "vision_tower", None, under="mm_vision_tower"
    )
    if not isinstance(tower, str) or re.split(r"[/\\]", tower.rstrip("/\\"))[-1] not in VISION_TOWERS:
        raise unknown("mm_vision_tower", tower, VISION_TOWERS)
    aspects = ("anyres", "anyres_max_N", "pad", "square")
    aspect = values.choice(
        "image_aspect_ratio",
        "square",
        aspects,
        lambda value: value in ("anyres", "pad", "square") or _ANYRES_MAX.fullmatch(value),
    )
    pinpoints = _pinpoints(values("image_grid_pinpoints", None), needed=aspect.startswith("anyres"))
    merges = ("flat", "spatial", "spatial_unpad", "and spatial types with _maxpool2x2 or _nobase")
    length = values("tokenizer_model_max_length", None)
    if length is not None:
        length = values.integer("tokenizer_model_max_length", None)
    return {
        "mm_vision_tower": tower,
        "mm_projector_type": values.choice("mm_projector_type", "linear", ["mlpNx_gelu"], _PROJECTOR.fullmatch),
        "mm_spatial_pool_mode": values.choice("mm_spatial_pool_mode", "bilinear", POOL_MODES, POOL_MODES.__contains__),
        "mm_newline_position": values.choice(
            "mm_newline_position", "one_token", NEWLINE_POSITIONS, NEWLINE_POSITIONS.__contains__
        ),
        "mm_patch_merge_type": values.choice("mm_patch_merge_type", "flat", merges, _MERGE_TYPE.fullmatch),
        "mm_use_im_patch_token": values.flag("mm_use_im_patch_token", True),
        "image_aspect_ratio": aspect,
        "image_grid_pinpoints": pinpoints,
        "tokenizer_model_max_length": length,
    }


def _pinpoints(value: object, *, needed: bool) -> tuple[tuple[int, int], ...]:
    """Tile grids as (width, height) in pixels; the file has a list, a list as text, or `(1x1),...,(6x6)`."""
    key = "image_grid_pinpoints"
    known = ["a list of [width, height]", "(1x1),...,(6x6)"]
    grids: object = value
    if isinstance(value, str) and "x" in value:
        pairs = [(int(a), int(b)) for a, b in re.findall(r"\((\d{1,2})x(\d{1,2})\)", value)]
        if not pairs:
            raise unknown(key, value, known)
        (a, b), (c, d) = pairs[0], pairs[-1]
        grids = [[i * IMAGE_SIZE, j * IMAGE_SIZE] for i in range(a, c + 1) for j in range(b, d + 1)]
    elif isinstance(value, str):
        try:
            grids = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise unknown(key, value, known) from None
    if grids is None:
        if needed:
            raise unknown(key, None, known)
        return ()
    if not isinstance(grids, list | tuple) or not grids:
        raise unknown(key, value, known)
    checked = []
    for grid in grids:
        if (
            not isinstance(grid, list | tuple)
            or len(grid) != 2
            or any(not isinstance(side, int) or side < IMAGE_SIZE or side % IMAGE_SIZE for side in grid)
        ):
            raise unknown(key, grid, [f"pairs of multiples of {IMAGE_SIZE}"])
        checked.append((grid[0], grid[1]))
    return tuple(checked)


def _generation(answer: _Values, values: _Values) -> dict[str, Any]:
    """End tokens and sampling settings; the end tokens may stand in `config.json` alone."""
    source = answer if answer.has("eos_token_id") else values
    ids = source("eos_token_id", None, under="eos_token_ids")
    ids = [ids] if isinstance(ids, int) else ids
    if not isinstance(ids, list | tuple) or not ids or any(isinstance(i, bool) or not isinstance(i, int) for i in ids):
        raise unknown("eos_token_id", ids, ["a token id", "a list of token ids"])
    values.read.add("eos_token_id")
    top_p = answer.number("top_p", 1.0)
    if top_p > 1:
        raise unknown("top_p", top_p, ["a number above 0, at most 1"])
    return {
        "eos_token_ids": tuple(ids),
        "do_sample": answer.flag("do_sample", False),
        "temperature": answer.number("temperature", 1.0) if answer("temperature", 1.0) != 0 else 0.0,
        "top_p": top_p,
    }
