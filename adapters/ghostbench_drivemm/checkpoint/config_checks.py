"""`config.json` and `generation_config.json` checked, key by key, and made into the configuration in force.

Keys and defaults are those of the authors' code (zhijian11/DriveMM, built on LLaVA-NeXT): a key that is absent takes
the value that their code would fall back to; a value that their inference code cannot run, or that is not known here,
is a `CheckpointError` that names key and value.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from ghostbench_drivemm.checkpoint.config import (
    ANYRES_MAX,
    GENERATION_FILE,
    IMAGE_SIZE,
    PROJECTOR_TYPE,
    TENSORS,
    DriveMMConfig,
    VisionShape,
)
from ghostbench_drivemm.checkpoint.config_values import ConfigValues, is_positive, unknown
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import CONFIG_FILE

_POOL_MODES = ("average", "bilinear", "max")
_NEWLINE_POSITIONS = ("frame", "grid", "no_token", "one_token")
_MODEL_TYPES = ("llama", "llava_llama")
_VISION_TOWERS = ("siglip-so400m-patch14-384",)

_MERGE_TYPE = re.compile(r"flat|spatial(_unpad|_maxpool2x2|_nobase)*")


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
    values = ConfigValues(raw, overrides, CONFIG_FILE)
    answer = ConfigValues(generation, overrides, GENERATION_FILE)
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


def _refuse_what_cannot_run(values: ConfigValues) -> None:
    """Stop at settings that would change the function and that the authors' inference code does not run."""
    values.choice("model_type", "llava_llama", _MODEL_TYPES, _MODEL_TYPES.__contains__)
    values.flag("add_faster_video", False, known=[False])
    values.flag("mm_use_im_start_end", False, known=[False])
    for key in ("mm_resampler_type", "quantization_config"):
        value = values(key, None)
        if value is not None:
            raise unknown(key, value, ["null"])


def _language_model(values: ConfigValues) -> dict[str, Any]:
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
    "dynamic": (("factor",), ("original_max_position_embeddings",)),
    "linear": (("factor",), ()),
    "llama3": (("factor", "high_freq_factor", "low_freq_factor", "original_max_position_embeddings"), ()),
    "yarn": (
        ("factor",),
        ("attention_factor", "beta_fast", "beta_slow", "original_max_position_embeddings", "mscale", "mscale_all_dim"),
    ),
}
"""What each rope type must and may have beside `rope_theta`."""


def _rope(values: ConfigValues, positions: int) -> dict[str, Any]:
    """Rotary settings from `rope_theta` and `rope_scaling`, or from transformers 5's `rope_parameters`."""
    key = "rope_parameters" if values.has("rope_parameters") else "rope_scaling"
    scaling = values(key, None, under="rope")
    if scaling is not None and not isinstance(scaling, Mapping):
        raise unknown(key, scaling, ["null", "an object with rope_type"])
    given = dict(scaling or {})
    kind = given.pop("rope_type", given.pop("type", "default"))
    given.pop("type", None)
    if not isinstance(kind, str) or kind not in _ROPE_FACTORS:
        raise unknown(f"{key}.rope_type", kind, tuple(_ROPE_FACTORS))
    theta = given.pop("rope_theta", None)
    if theta is None:
        theta = values.number("rope_theta", 10000.0)
    elif not is_positive(theta):
        raise unknown(f"{key}.rope_theta", theta, ["a finite number above 0"])
    must, may = _ROPE_FACTORS[kind]
    for name, value in given.items():
        if name not in must + may:
            raise unknown(f"{key}.{name}", value, [*must, *may] or ["nothing beside rope_type"])
        if value is not None and not is_positive(value):
            raise unknown(f"{key}.{name}", value, ["a finite number above 0"])
    for name in must:
        if given.get(name) is None:
            raise CheckpointError(f"configuration value {key}.{name} is missing; rope_type {kind} needs it")
    return {"rope_type": kind, "rope_theta": float(theta), **{k: v for k, v in given.items() if v is not None}}


def _multimodal(values: ConfigValues) -> dict[str, Any]:
    """The `mm_*` values, with the defaults that the authors' model code falls back to."""
    tower = values(
        "mm_vision_tower" if values.has("mm_vision_tower") else "vision_tower", None, under="mm_vision_tower"
    )
    if not isinstance(tower, str) or re.split(r"[/\\]", tower.rstrip("/\\"))[-1] not in _VISION_TOWERS:
        raise unknown("mm_vision_tower", tower, _VISION_TOWERS)
    aspects = ("anyres", "anyres_max_N", "pad", "square")
    aspect = values.choice(
        "image_aspect_ratio",
        "square",
        aspects,
        lambda value: value in ("anyres", "pad", "square") or ANYRES_MAX.fullmatch(value),
    )
    pinpoints = _pinpoints(values("image_grid_pinpoints", None), needed=aspect.startswith("anyres"))
    merges = ("flat", "spatial", "spatial_unpad", "and spatial types with _maxpool2x2 or _nobase")
    length = values("tokenizer_model_max_length", None)
    if length is not None:
        length = values.integer("tokenizer_model_max_length", None)
    return {
        "mm_vision_tower": tower,
        "mm_projector_type": values.choice("mm_projector_type", "linear", ["mlpNx_gelu"], PROJECTOR_TYPE.fullmatch),
        "mm_spatial_pool_mode": values.choice(
            "mm_spatial_pool_mode", "bilinear", _POOL_MODES, _POOL_MODES.__contains__
        ),
        "mm_newline_position": values.choice(
            "mm_newline_position", "one_token", _NEWLINE_POSITIONS, _NEWLINE_POSITIONS.__contains__
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


_NOT_COMPUTED: Mapping[str, tuple[Any, ...]] = {
    "bad_words_ids": (),
    "begin_suppress_tokens": (),
    "diversity_penalty": (0.0,),
    "encoder_no_repeat_ngram_size": (0,),
    "encoder_repetition_penalty": (1.0,),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "exponential_decay_length_penalty": (),
    "force_words_ids": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "guidance_scale": (1.0,),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "min_p": (0.0,),
    "no_repeat_ngram_size": (0,),
    "num_beams": (1,),
    "penalty_alpha": (0.0,),
    "repetition_penalty": (1.0,),
    "sequence_bias": (),
    "suppress_tokens": (),
    "typical_p": (1.0,),
    "watermarking_config": (),
}
"""Keys of transformers' `GenerationConfig` by which its `generate` chooses other tokens, and what each says, beside
null, where it changes nothing. None of them is computed here."""


def _generation(answer: ConfigValues, values: ConfigValues) -> dict[str, Any]:
    """End tokens and sampling settings; the end tokens may stand in `config.json` alone."""
    for key, neutral in _NOT_COMPUTED.items():
        value = answer(key, None)
        if value is not None and value not in neutral:
            raise unknown(key, value, ["null", *neutral])
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
        # 50 is the default of `transformers.GenerationConfig` 4.43; 0 and null are no limit.
        "top_k": answer.integer("top_k", 50) if answer("top_k", 50) not in (0, None) else None,
    }
