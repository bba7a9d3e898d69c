"""What transformers itself writes for conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from ghostbench_hf.loading import load_processor


def library_writes(folder: Path, turns: list[Any], limit: int) -> list[list[int]]:
    """New tokens of the library's own greedy `generate`, all conversations in one batch that the processor pads."""
    processor = load_processor(folder, "images")
    network = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    inputs = processor.apply_chat_template(
        turns,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left"},
    )
    written = network.generate(**inputs, do_sample=False, max_new_tokens=limit)[:, inputs["input_ids"].shape[1] :]
    ends = network.generation_config.eos_token_id
    return [_until(row, ends if isinstance(ends, list) else [ends]) for row in written.tolist()]


def _until(row: list[int], ends: list[int]) -> list[int]:
    first = next((place for place, token in enumerate(row) if token in ends), len(row))
    return row[: first + 1]
