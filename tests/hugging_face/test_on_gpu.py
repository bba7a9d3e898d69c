"""On a GPU: the library's own tokens there too, in any batch, with memory accounted for and running out for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from drawn_requests import written  # noqa: E402
from tiny_checkpoints import FAMILIES  # noqa: E402

from ghostbench import GRADES, Reply  # noqa: E402
from ghostbench.tasks.ghost_probing import GhostProbing  # noqa: E402
from ghostbench_hf.adapter import HFModel  # noqa: E402
from ghostbench_hf.loading import load_processor  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

Checkpoint = Callable[[str], Path]
Load = Callable[..., HFModel]
Ask = Callable[..., list[Any]]
TASK = GhostProbing()


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_on_the_gpu_are_the_librarys(family: str, checkpoint: Checkpoint, loaded: Load, ask: Ask) -> None:
    model = loaded(checkpoint(family), device="cuda", grammar=False, max_new_tokens=16)
    requests = ask(model, (2, 1, 3))
    turns = [model._reader.conversation.of(request)[0] for request in requests]
    processor = load_processor(checkpoint(family), "images")
    network = transformers.AutoModelForImageTextToText.from_pretrained(
        checkpoint(family), dtype=torch.float32, device_map="cuda"
    )
    inputs = processor.apply_chat_template(
        turns, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left"},
    ).to("cuda")  # fmt: skip
    new = network.generate(**inputs, do_sample=False, max_new_tokens=16)[:, inputs["input_ids"].shape[1] :]
    expected = processor.tokenizer.batch_decode(new, skip_special_tokens=True)
    assert [written(reply).text for reply in model.answer(requests)] == expected


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_in_16_bits_keep_to_the_schema(
    family: str, dtype: str, checkpoint: Checkpoint, loaded: Load, ask: Ask
) -> None:
    model = loaded(checkpoint(family), device="cuda", dtype=dtype)
    for reply in model.answer(ask(model, (2, 1, 3))):
        assert isinstance(reply, Reply)
        assert TASK.parse(reply.text).grade in GRADES
        assert reply.memory.peak_allocated_bytes > 0
        assert reply.memory.peak_reserved_bytes >= reply.memory.peak_allocated_bytes
        assert 0 < reply.stages.vision_s <= reply.stages.prefill_s
    assert 1 <= model.batch_size <= 32


def test_memory_that_runs_out_halves_the_batch(checkpoint: Checkpoint, loaded: Load, ask: Ask) -> None:
    model = loaded(
        checkpoint("qwen2_5_vl"), fresh=True, device="cuda", grammar=False, max_new_tokens=4, attention="eager"
    )
    requests = ask(model, (3,) * 48)
    expected = [written(model.answer([request])[0]).text for request in requests[:2]]
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    # Room for the scores of some rows' attention, not of all.
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (96 << 20)) / total)
    try:
        found = model.answer(requests)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    told = [written(reply) for reply in found]
    assert [reply.text for reply in told[:2]] == expected
    assert any("batch halved" in note for note in told[-1].notes)
    assert model.batch_size < 48
