"""Ask tiny checkpoints with frames as video, torchvision being in a folder of its own; prints one JSON line for each.

    python ask_with_video.py TORCHVISION_FOLDER CHECKPOINT…

Of each: what the adapter answers to clips of one size together, what the library's own `generate` writes for the same
conversations, and the answers with the grammar, alone and together. The third clip is the second one behind an example.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parents
sys.path[:0] = [sys.argv[1], str(HERE[1] / "tiny"), str(HERE[2] / "drawn_data")]

# torchvision's compiled part is for torch's CUDA build; its transforms, which processors use, do without it.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    _LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import transformers  # noqa: E402
from drawn_examples import with_examples  # noqa: E402
from drawn_requests import drawn_request  # noqa: E402

from ghostbench import Truncated  # noqa: E402
from ghostbench_hf.adapter import HFModel  # noqa: E402
from ghostbench_hf.loading import load_processor  # noqa: E402
from ghostbench_hf.settings import HFSettings  # noqa: E402

TOKENS = 16


def loaded(folder: str, **settings: object) -> HFModel:
    model = HFModel(HFSettings(**{"device": "cpu", "dtype": "float32", "frames_as": "video", **settings}), folder)
    model.check()
    model.check_here()
    model.load()
    return model


def text_of(reply: Any) -> str:
    """What was written, also where the limit cut it off."""
    return str(reply.reply.text if isinstance(reply, Truncated) else reply.text)


def written(processor: Any, network: Any, own: list[Any]) -> list[str]:
    """What the library writes for conversations that show as many videos each, in one batch."""
    told = {**own[0][1], "video_metadata": [told["video_metadata"][0] for _, told in own]}
    inputs = processor.apply_chat_template(
        [turns for turns, _ in own], add_generation_prompt=True, tokenize=True, return_dict=True,
        return_tensors="pt", processor_kwargs={**told, "padding": True, "padding_side": "left"},
    )  # fmt: skip
    tokens = network.generate(
        **{name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)},
        do_sample=False, max_new_tokens=TOKENS,
    )[:, inputs["input_ids"].shape[1] :]  # fmt: skip
    return list(processor.tokenizer.batch_decode(tokens, skip_special_tokens=True))


def main() -> None:
    torch.set_num_threads(1)
    for folder in sys.argv[2:]:
        free = loaded(folder, grammar=False, max_new_tokens=TOKENS)
        clips = [drawn_request(seed, 4) for seed in (1, 2)]
        clips.append(with_examples(clips[1], clips[0].frames))
        requests = [replace(one, prepared=free.prepare(one)) for one in clips]
        own = [free._reader.conversation.of(request) for request in requests]
        processor = load_processor(Path(folder), "video")
        network = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        library = [*written(processor, network, own[:2]), *written(processor, network, own[2:])]
        held = loaded(folder, max_new_tokens=90)
        found = {
            "folder": folder,
            "answers": [text_of(reply) for reply in free.answer(requests)],
            "library": library,
            "together": [reply.text for reply in held.answer(requests)],
            "chances": [reply.grade_probabilities for reply in held.answer(requests)],
            "alone": [held.answer([request])[0].text for request in requests],
            "inputs": sorted(requests[0].prepared.tensors),
            "prompt": processor.tokenizer.decode(requests[0].prepared.tensors["input_ids"][0]),
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
