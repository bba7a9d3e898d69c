"""What is begun before a run is planned: imports, so that loading waits for none of the large ones."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("llguidance")

from ghostbench_drivemm.checkpoint.opened import open_checkpoint
from ghostbench_drivemm.input import tokens
from ghostbench_drivemm.input.tokens import load_tokens, make_ahead
from ghostbench_local.checkpoint.errors import CheckpointError

SCRIPT = """
import contextlib, gc, json, sys, threading
from ghostbench_drivemm.ahead import begin
from ghostbench_drivemm.settings import DriveMMSettings
light = "torch" not in sys.modules
# Where there is no GPU there may be no Triton either, which is for whoever loads the model to tell.
with contextlib.suppress(ImportError):
    begin(DriveMMSettings(device=sys.argv[1], checkpoint=sys.argv[2]))
found = {
    "light": light,
    "torch": "torch" in sys.modules,
    "collects": gc.isenabled(),
    "kept": gc.get_freeze_count(),
    "woken": any(thread.name.startswith("wake") for thread in threading.enumerate()),
    "triton": "triton" in sys.modules,
}
if sys.argv[1] == "cpu":
    for thread in threading.enumerate():
        if thread.name == "tokens":
            thread.join()
    from ghostbench_drivemm.input import tokens
    [ahead] = [made.result() for made in tokens._AHEAD.values()]
    before = set(sys.modules)
    import numpy as np
    from ghostbench_drivemm.adapter import DriveMMModel
    from ghostbench_drivemm.engine import GenerateOptions, generate_prepared
    from ghostbench_local.ahead import _SHAPES
    model = DriveMMModel(DriveMMSettings(checkpoint=sys.argv[2], device="cpu", dtype="float32"))
    model.load()
    model.warm_up()
    found["later"] = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
    found["taken"] = model._model.tokens is ahead and not tokens._AHEAD
    noise = np.random.default_rng(0).integers(0, 256, (2, 60, 80, 3), dtype=np.uint8)
    prepared = model._model.prepare(noise, "<image> Is it red?", kind="video")
    found["answer"] = generate_prepared(model._model, [prepared], GenerateOptions(max_new_tokens=4))[0].output_ids
    found["shapes"] = type(sys.modules[_SHAPES]).__name__
print(json.dumps(found))
"""


def begun(device: str, checkpoint: Path) -> dict[str, object]:
    words = [sys.executable, "-c", SCRIPT, device, str(checkpoint)]
    found: dict[str, object] = json.loads(
        subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
    )
    return found


def test_on_a_cpu_all_that_loading_takes_is_imported_and_no_device_is_woken(checkpoint: Path) -> None:
    found = begun("cpu", checkpoint)
    assert found["light"], "nothing heavy comes with the function itself"
    assert found["torch"]
    assert found["collects"]
    assert isinstance(found["kept"], int)
    assert found["kept"] > 10_000, "what is imported is no garbage and is not looked through"
    assert not found["woken"]
    assert not found["triton"]
    assert isinstance(found["later"], list)
    assert found["taken"], "the tokens are made while torch is imported, for whoever loads the model"
    assert isinstance(found["answer"], list)
    assert len(found["answer"]) == 4
    assert found["shapes"] == "_Unasked", "loading and answering trace nothing"
    large = {"transformers", "sympy", "tokenizers", "llguidance", "numpy", "PIL", "pynvml", "huggingface_hub"}
    assert not large & set(found["later"])


WHOLE = """
import sys
from ghostbench_local import ahead
ahead._TRIED = ("0.",)
ahead.import_torch()
print(type(sys.modules[ahead._SHAPES]).__name__)
"""
ASKED = """
import sys
from ghostbench_local import ahead
ahead.import_torch()
import torch
assert type(sys.modules[ahead._SHAPES]).__name__ == "_Unasked"
exec(sys.argv[1])
assert type(sys.modules[ahead._SHAPES]).__name__ == "module"
x = torch.zeros(2, 3, 4, 5, device="meta")
assert torch.nn.functional.scaled_dot_product_attention(x, x, x).shape == (2, 3, 4, 5)
assert torch.func.grad(lambda a: (a * a).sum())(torch.ones(2)).tolist() == [2.0, 2.0]
print(*(type(finder).__name__ for finder in sys.meta_path))
"""


def test_a_torch_with_which_this_was_not_tried_is_imported_whole() -> None:
    done = subprocess.run([sys.executable, "-c", WHOLE], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == ["module"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "asking",
    [
        "assert torch.compile(lambda a: a + 1, backend='eager')(torch.ones(1)).item() == 2",
        "import torch._inductor",
        "torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))])",
        "torch._meta_registrations.register_meta",
    ],
)
def test_whoever_traces_or_asks_has_the_functions_that_were_left_out(asking: str) -> None:
    done = subprocess.run([sys.executable, "-c", ASKED, asking], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if "register_meta" not in asking:
        assert "_ShapesFirst" not in done.stdout, "once is enough"


def test_tokens_are_taken_once_and_only_under_the_files_and_values_they_are_of(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint, folder)
    _, config = open_checkpoint(folder)
    make_ahead(folder)
    other = dataclasses.replace(config, eos_token_ids=(*config.eos_token_ids[:1], 5))
    assert load_tokens(folder, other).vocabulary is not load_tokens(folder, config).vocabulary
    assert not tokens._AHEAD, "the second of these had them"
    first, second = load_tokens(folder, config), load_tokens(folder, config)
    assert first.tokenizer is not second.tokenizer
    make_ahead(folder)
    with (folder / "tokenizer_config.json").open("a") as file:
        file.write("\n")
    assert load_tokens(folder, config).tokenizer.to_str() == first.tokenizer.to_str()
    assert len(tokens._AHEAD) == 1, "of files that are no longer there"
    tokens._AHEAD.clear()


def test_what_is_wrong_with_a_checkpoint_is_told_by_whoever_loads_it(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint, folder)
    _, config = open_checkpoint(folder)
    (folder / "tokenizer.json").write_text("{}")
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"tokenizer\.json cannot be read as a tokenizer"):
            make_ahead(folder)
        with pytest.raises(CheckpointError, match=r"tokenizer\.json cannot be read as a tokenizer"):
            load_tokens(folder, config)
    assert not tokens._AHEAD


def test_where_a_gpu_is_asked_for_and_none_is_there_nothing_is_left_undone(checkpoint: Path) -> None:
    found = begun("cuda", checkpoint)
    assert found["torch"]
    assert found["collects"], "garbage is collected again, whatever could not be imported"
