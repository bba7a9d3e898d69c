"""Where checkpoints come from, and what is refused in one line before anything is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from ghostbench import BadInput, Unavailable
from ghostbench.plugins.choose import parse_model
from ghostbench_hf.adapter import HFModel
from ghostbench_hf.settings import HFSettings
from ghostbench_hf.source import WANTED

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LIGHT = """
import sys
from ghostbench_hf.adapter import HFModel
from ghostbench_hf.settings import HFSettings
model = HFModel(HFSettings(device="cpu"), sys.argv[1])
model.check()
model.check_here()
print(*(name for name in ("torch", "transformers") if name in sys.modules))
"""


@pytest.fixture(autouse=True)
def _no_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def copied(tmp_path: Path, checkpoint: Callable[[str], Path]) -> Path:
    """A copy of a checkpoint that may be changed."""
    folder = tmp_path / "copied"
    shutil.copytree(checkpoint("qwen2_5_vl"), folder)
    return folder


def refusal(argument: str, **settings: Any) -> str:
    """The one line with which a checkpoint is refused before anything runs."""
    model = HFModel(HFSettings(**{"device": "cpu", **settings}), argument)

    def look() -> None:
        model.check()
        model.check_here()

    with pytest.raises(BadInput) as caught:
        look()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_row_is_named_by_the_repository_or_folder() -> None:
    assert parse_model("hf:Qwen/Qwen2.5-VL-7B-Instruct").row == "Qwen2.5-VL-7B-Instruct"
    assert parse_model("hf:/models/tiny/").row == "tiny"
    assert parse_model("hf:OpenGVLab/InternVL3-1B-hf=mine").row == "mine"


@pytest.mark.parametrize("argument", ["/no/where", "../away", "name", "a/b/c", "a/..", "-x/y", "a--b/c", "~/none"])
def test_what_is_neither_a_folder_nor_a_repositorys_name_is_refused(argument: str) -> None:
    assert "no such folder" in refusal(argument)


def test_a_repository_that_is_not_here_is_not_fetched_unasked() -> None:
    assert "--set b.download=true" in refusal("a/b")
    assert "@v2 " in refusal("a/b", revision="v2")


def test_settings_that_do_not_go_together_are_refused(checkpoint: Callable[[str], Path]) -> None:
    folder = str(checkpoint("qwen2_5_vl"))
    assert "revision" in refusal(folder, revision="v2")
    assert "qwen2_5_vl.device" in refusal(folder, device="gpu")
    assert "leave one out" in refusal(folder, devices="0,1")


def test_planning_imports_neither_torch_nor_transformers(checkpoint: Callable[[str], Path]) -> None:
    words = [sys.executable, "-c", LIGHT, str(checkpoint("qwen2_5_vl"))]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() == []


def test_pickles_are_never_loaded(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    assert "pytorch_model.bin" in refusal(str(copied))


def test_a_file_that_is_cut_short_is_named(copied: Path) -> None:
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[:-100])
    assert "model.safetensors is not a whole safetensors file" in refusal(str(copied))


def test_the_whole_file_is_read_before_shards_and_it_is_what_the_manifest_holds(
    copied: Path, loaded: Callable[..., HFModel]
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    shard = "model-00001-of-00001.safetensors"
    save_file({name: torch.zeros_like(weight) for name, weight in weights.items()}, copied / shard, {"format": "pt"})
    (copied / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict.fromkeys(weights, shard)}))
    model = loaded(copied, fresh=True)
    assert any(weight.any() for weight in model._replica.model("float32").network.parameters())
    assert "model.safetensors" in model.facts["files"]
    assert shard not in model.facts["files"]


def test_an_adapter_is_refused_with_the_way_out(copied: Path) -> None:
    (copied / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    message = refusal(str(copied))
    assert "adapter_config.json" in message
    assert "merge" in message


def test_weights_that_the_configuration_names_otherwise_are_refused(copied: Path) -> None:
    (copied / "other.safetensors").write_bytes((copied / "model.safetensors").read_bytes())
    assert "transformers_weights" in refusal(
        str(changed(copied, "config.json", transformers_weights="other.safetensors"))
    )


def test_a_folder_without_a_configuration_is_no_checkpoint(copied: Path) -> None:
    (copied / "config.json").unlink()
    assert "config.json" in refusal(str(copied))


def changed(folder: Path, file: str, **values: Any) -> Path:
    stated = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**stated, **values}))
    return folder


CODE = {"auto_map": {"AutoModelForImageTextToText": "modeling.Net", "AutoConfig": "modeling.Config"}}


def test_code_of_a_repositorys_own_is_never_run(copied: Path, loaded: Callable[..., HFModel]) -> None:
    (copied / "modeling.py").write_text("raise SystemExit('this code was run')")
    changed(copied, "config.json", **CODE)
    loaded(copied, fresh=True)
    changed(copied, "config.json", model_type="own_net")
    with pytest.raises(Unavailable, match="code of its own, which is never run"):
        loaded(copied, fresh=True)
    stated = json.loads((copied / "config.json").read_text())
    del stated["model_type"]
    (copied / "config.json").write_text(json.dumps(stated))
    assert "code of its own, which is never run" in refusal(str(copied))


def test_a_model_without_pictures_is_refused(copied: Path, loaded: Callable[..., HFModel]) -> None:
    with pytest.raises(Unavailable, match="'qwen2' is none that transformers reads with images and text"):
        loaded(changed(copied, "config.json", model_type="qwen2"), fresh=True)


def test_a_missing_weight_is_not_made_up(copied: Path, loaded: Callable[..., HFModel]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    name = next(name for name in weights if name.endswith("q_proj.weight"))
    save_file(
        {key: value for key, value in weights.items() if key != name}, copied / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(Unavailable, match=r"q_proj\.weight is missing"):
        loaded(copied, fresh=True)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("", "no chat template"),
        ("{% for message in messages %}{{ message['content'][0]['text'] }}{% endfor %}", "leaves out the text"),
        (
            "{% for m in messages %}{% for p in m['content'] %}{{ p['text'] }}{% endfor %}{% endfor %}",
            "no place for image",
        ),
        ("{{ nonsense(", "cannot be used"),
    ],
)
def test_a_chat_template_that_cannot_show_pictures_and_text_is_refused(
    template: str, words: str, copied: Path, loaded: Callable[..., HFModel]
) -> None:
    (copied / "chat_template.jinja").write_text(template)
    with pytest.raises(Unavailable, match=words):
        loaded(copied, fresh=True)


def test_a_snapshot_of_the_hub_librarys_is_pinned_by_its_commit(
    tmp_path: Path, checkpoint: Callable[[str], Path], loaded: Callable[..., HFModel]
) -> None:
    cache = tmp_path / "hub" / "models--some--tiny"
    snapshot = cache / "snapshots" / COMMIT
    shutil.copytree(checkpoint("idefics3"), snapshot)
    # As some repositories hold them: what lies beside the whole file is none of the checkpoint's.
    shutil.copy(snapshot / "model.safetensors", snapshot / "consolidated.safetensors")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(COMMIT)
    for settings in ({}, {"revision": COMMIT}):
        facts = loaded(Path("some/tiny"), fresh=True, **settings).facts
        assert facts["source"] == {
            "repository": "some/tiny",
            "commit": COMMIT,
            "revision": settings.get("revision", "main"),
        }


def test_video_input_without_torchvision_is_told_with_the_way_out(
    checkpoint: Callable[[str], Path], loaded: Callable[..., HFModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ghostbench_hf.loading

    monkeypatch.setattr(ghostbench_hf.loading, "has_torchvision", lambda: False)
    with pytest.raises(Unavailable, match="pip install torchvision, or leave frames_as=images"):
        loaded(checkpoint("qwen2_5_vl"), fresh=True, frames_as="video")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("model-00001-of-00004.safetensors", True),
        ("model.safetensors.index.json", True),
        ("chat_template.jinja", True),
        ("tokenizer.model", True),
        ("merges.txt", True),
        ("pytorch_model.bin", False),
        ("modeling_own.py", False),
        ("consolidated.00.safetensors", False),
        ("onnx/model.safetensors", False),
        ("../config.json", False),
        ("training_args.pt", False),
    ],
)
def test_of_a_repository_weights_in_safetensors_and_small_files_are_fetched(name: str, wanted: bool) -> None:
    assert (WANTED.files.fullmatch(name) is not None) == wanted
