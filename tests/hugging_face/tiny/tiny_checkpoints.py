"""Tiny checkpoints with random weights, one of each family, laid out as the hub's repositories are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast

from ghostbench.tasks.ghost_probing import GhostProbing

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% elif part['type'] == 'image' %}IMAGE{% elif part['type'] == 'video' %}VIDEO{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PICTURES_FIRST = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'video' %}<video>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<start_of_turn>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] | trim }}\n{% endif %}"
    "{% endfor %}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
IDEFICS = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% elif part['type'] == 'image' %}<image>{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
_TASK = GhostProbing()
_TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
_TEXT |= {"num_key_value_heads": 2, "max_position_embeddings": 4096}
_SIGLIP = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
_GREY = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_convert_rgb": True}


def _corpus() -> list[str]:
    form = _TASK.form
    return [
        form.system,
        form.question,
        "Frame at 0.50 s:",
        "frame 3 of the video",
        json.dumps(form.schema_),
        "grade",
    ] * 3


def _bytes_tokenizer(specials: list[str]) -> Tokenizer:
    """Byte-level BPE, as of Qwen, Llama 3, SmolLM."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return tokenizer


def _pieces_tokenizer(specials: list[str]) -> Tokenizer:
    """BPE on words with a mark for spaces and bytes to fall back on, as of Gemma."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁"), "merged_with_next")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    whole = [*specials, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    alphabet = [chr(letter) for letter in range(33, 127)]
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=whole, initial_alphabet=[*alphabet, "▁"], show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    # The trainer makes special tokens of the bytes, which are ordinary ones.
    stated = json.loads(tokenizer.to_str())
    stated["added_tokens"] = [token for token in stated["added_tokens"] if token["content"] in (*specials, "<unk>")]
    return Tokenizer.from_str(json.dumps(stated))


def _write(
    folder: Path, config: Any, tokenizer: PreTrainedTokenizerFast, template: str, image: dict[str, Any],
    processor: dict[str, Any],
) -> None:  # fmt: skip
    torch.manual_seed(0)
    network = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                # So widely spread that answers differ with what is shown.
                weight.normal_(std=0.3)
    network.generation_config.eos_token_id = tokenizer.eos_token_id
    network.generation_config.pad_token_id = tokenizer.pad_token_id
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(template)
    (folder / "preprocessor_config.json").write_text(json.dumps(image))
    (folder / "processor_config.json").write_text(json.dumps(processor))


def _fast(tokenizer: Tokenizer, **special: Any) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def _chatml(extra: list[str], **named: str) -> PreTrainedTokenizerFast:
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *extra]
    return _fast(
        _bytes_tokenizer(specials),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", *extra],
        **({"extra_special_tokens": named} if named else {}),
    )


def llava_onevision(folder: Path) -> None:
    tokenizer = _chatml(["<image>", "<video>"])
    number = tokenizer.convert_tokens_to_ids
    config = transformers.LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", **_SIGLIP, "image_size": 28, "patch_size": 14,
                       "vision_use_head": False},
        text_config={"model_type": "qwen2", **_TEXT, "vocab_size": len(tokenizer)},
        image_token_index=number("<image>"), video_token_index=number("<video>"),
        image_grid_pinpoints=[[28, 28], [28, 56]],
    )  # fmt: skip
    size = {"height": 28, "width": 28}
    image = {"image_processor_type": "LlavaOnevisionImageProcessor", "size": size, **_GREY,
             "image_grid_pinpoints": [[28, 28], [28, 56]]}  # fmt: skip
    processor = {"processor_class": "LlavaOnevisionProcessor", "num_image_tokens": 4,
                 "vision_feature_select_strategy": "full", "vision_aspect_ratio": "anyres_max_9"}  # fmt: skip
    _write(folder, config, tokenizer, PICTURES_FIRST, image, processor)
    video = {"video_processor_type": "LlavaOnevisionVideoProcessor", "size": size, **_GREY}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video))


def _qwen(folder: Path, config_class: Any, processor: str, video: str, vision: dict[str, Any], **text: Any) -> None:
    extra = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer = _chatml(extra)
    number = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1], **text.pop("rope", {})}
    config = config_class(
        vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "patch_size": 14,
                       "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32, **vision},
        text_config={**_TEXT, "vocab_size": len(tokenizer), "rope_parameters": rope, **text},
        image_token_id=number("<|image_pad|>"), video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"), vision_end_token_id=number("<|vision_end|>"),
    )  # fmt: skip
    template = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    template = template.replace("VIDEO", "<|vision_start|><|video_pad|><|vision_end|>")
    sizes = {"size": {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}, "patch_size": 14, "merge_size": 2,
             "temporal_patch_size": 2, **_GREY}  # fmt: skip
    _write(folder, config, tokenizer, template, {"image_processor_type": "Qwen2VLImageProcessor", **sizes},
           {"processor_class": processor})  # fmt: skip
    sizes["size"] = {"shortest_edge": 28 * 28, "longest_edge": 8 * 56 * 56}
    (folder / "video_preprocessor_config.json").write_text(json.dumps({"video_processor_type": video, **sizes}))


def qwen2_5_vl(folder: Path) -> None:
    vision = {"window_size": 56, "fullatt_block_indexes": [1], "tokens_per_second": 2}
    _qwen(folder, transformers.Qwen2_5_VLConfig, "Qwen2_5_VLProcessor", "Qwen2VLVideoProcessor", vision)


def qwen3_vl(folder: Path) -> None:
    vision = {"deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16}
    rope = {"mrope_interleaved": True}
    _qwen(
        folder, transformers.Qwen3VLConfig, "Qwen3VLProcessor", "Qwen3VLVideoProcessor", vision, rope=rope, head_dim=8
    )


def idefics3(folder: Path) -> None:
    extra = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    extra += [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    tokenizer = _fast(
        _bytes_tokenizer(["<|endoftext|>", "<|im_start|>", *extra]),
        eos_token="<end_of_utterance>", pad_token="<|endoftext|>", additional_special_tokens=["<|im_start|>", *extra],
    )  # fmt: skip
    config = transformers.Idefics3Config(
        vision_config={**_SIGLIP, "image_size": 56, "patch_size": 14},
        text_config={"model_type": "llama", **_TEXT, "vocab_size": len(tokenizer), "pad_token_id": 0},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), scale_factor=2, pad_token_id=0,
    )  # fmt: skip
    image = {"image_processor_type": "Idefics3ImageProcessor", "size": {"longest_edge": 56},
             "do_image_splitting": False, "max_image_size": {"longest_edge": 56}, **_GREY}  # fmt: skip
    _write(folder, config, tokenizer, IDEFICS, image, {"processor_class": "Idefics3Processor", "image_seq_len": 4})


def internvl(folder: Path) -> None:
    named = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
             "video_token": "<video>"}  # fmt: skip
    tokenizer = _chatml(list(named.values()), **named)
    config = transformers.InternVLConfig(
        vision_config={**_SIGLIP, "image_size": [28, 28], "patch_size": [7, 7]},
        text_config={"model_type": "qwen2", **_TEXT, "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), image_seq_length=4,
    )  # fmt: skip
    size = {"height": 28, "width": 28}
    image = {"image_processor_type": "GotOcr2ImageProcessor", "size": size, "max_patches": 1, **_GREY}
    template = CHATML.replace("IMAGE", "<IMG_CONTEXT>\n").replace("VIDEO", "<video>\n")
    _write(folder, config, tokenizer, template, image, {"processor_class": "InternVLProcessor", "image_seq_length": 4})
    video = {"video_processor_type": "InternVLVideoProcessor", "size": size, **_GREY}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video))


def gemma3(folder: Path) -> None:
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    specials = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", *named.values()]
    tokenizer = _fast(
        _pieces_tokenizer(specials),
        bos_token="<bos>", eos_token="<end_of_turn>", pad_token="<pad>", unk_token="<unk>",
        additional_special_tokens=["<start_of_turn>", *named.values()], extra_special_tokens=named,
    )  # fmt: skip
    number = tokenizer.convert_tokens_to_ids
    config = transformers.Gemma3Config(
        vision_config={**_SIGLIP, "image_size": 56, "patch_size": 14, "vision_use_head": False},
        text_config={**_TEXT, "head_dim": 8, "vocab_size": len(tokenizer), "sliding_window": 64,
                     "layer_types": ["sliding_attention", "full_attention"], "tie_word_embeddings": False},
        mm_tokens_per_image=4, boi_token_index=number(named["boi_token"]), eoi_token_index=number(named["eoi_token"]),
        image_token_index=number(named["image_token"]), tie_word_embeddings=False,
    )  # fmt: skip
    image = {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 56, "width": 56}, **_GREY}
    _write(folder, config, tokenizer, GEMMA, image, {"processor_class": "Gemma3Processor", "image_seq_length": 4})


FAMILIES: dict[str, Callable[[Path], None]] = {
    "llava_onevision": llava_onevision,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "idefics3": idefics3,
    "internvl": internvl,
    "gemma3": gemma3,
}
