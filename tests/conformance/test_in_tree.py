"""Every adapter of this repository keeps the rules."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ghostbench import Nonfinite, OutOfMemory, Refused, TimedOut, Truncated, Verdict
from ghostbench.conformance import FAULTS, AdapterConformance, Fault, NotApplicable, Twin
from ghostbench.conformance.clips import drawn_clips
from ghostbench.tasks.load import load_task

sys.path.insert(0, str(Path(__file__).parents[1] / "openai" / "server"))
sys.path.insert(0, str(Path(__file__).parents[1] / "hugging_face" / "tiny"))

LOOKS_UP = {fault: NotApplicable("it looks up what it says") for fault in FAULTS}


class TestAlways(AdapterConformance):
    model = "always"
    faults = LOOKS_UP


class TestNever(AdapterConformance):
    model = "never"
    faults = LOOKS_UP


class TestRandom(AdapterConformance):
    model = "random"
    faults = LOOKS_UP


class TestCategoryPrior(AdapterConformance):
    model = "category-prior"
    faults = LOOKS_UP


class TestReplay(AdapterConformance):
    faults = LOOKS_UP

    @pytest.fixture(autouse=True)
    def _recording(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        task = load_task("ghost-probing")
        path = tmp_path_factory.mktemp("recording") / "answers.jsonl"
        rows = [
            {"clip": clip.id, "raw": task.write(Verdict(grade="normal", evidence=f"clip {number}"))}
            for number, clip in enumerate(drawn_clips())
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        self.model = f"replay:{path}=recorded"


class TestMotion(AdapterConformance):
    model = "motion"
    faults: ClassVar = {
        TimedOut: NotApplicable("computed here, without a deadline"),
        Refused: NotApplicable("it writes no words of its own"),
        Truncated: NotApplicable("it writes no words of its own"),
        OutOfMemory: NotApplicable("it holds two frames of a clip that is in memory already"),
        Nonfinite: NotApplicable("its score is a share of counted pixels"),
    }


class TestOpenAI(AdapterConformance):
    model = "gpt-4.1"
    secret_variables = ("OPENAI_API_KEY",)

    @pytest.fixture(autouse=True)
    def _server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        pytest.importorskip("openai")
        loopback = pytest.importorskip("loopback_openai")
        for name in ("OPENAI_BASE_URL", "OPENAI_LOG"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-loopback0123456789abcdefghijklmnop")
        with loopback.running(loopback.Server()) as server:
            self.settings = {"base_url": server.url}
            self.twin = Twin(settings={"batch": "true"})

            def next_answer(**fault: object) -> Fault:
                return Fault(by=lambda model: server.chat.script.append(loopback.Fault(**fault)))

            hang = next_answer(kind="hang")
            self.faults = {
                TimedOut: Fault(by=hang.by, settings={"timeout_s": "0.3"}),
                Refused: next_answer(kind="say", message={"refusal": "I cannot help with that.", "content": None}),
                Truncated: next_answer(kind="say", finish="length"),
                OutOfMemory: NotApplicable("computed on the server"),
                Nonfinite: NotApplicable("computed on the server"),
            }
            yield
            self.teardown_class()


class _OfNatives(AdapterConformance):
    """A model over an API of its own, on loopback."""

    package: ClassVar[str]
    refusal: ClassVar[Any]
    cut: ClassVar[dict[str, Any]]

    @pytest.fixture(autouse=True)
    def _server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        pytest.importorskip(self.package)
        loopback = pytest.importorskip("loopback_openai")
        for name in self.secret_variables:
            monkeypatch.setenv(name, "key-of-loopback-0123456789abcdef")
        with loopback.running(loopback.Server()) as server:
            self.settings = {"base_url": f"http://127.0.0.1:{server.port}"}

            def next_answer(**fault: object) -> Fault:
                return Fault(by=lambda model: server.natives.script.append(loopback.Fault(**fault)))

            hang, refusal = next_answer(kind="hang"), self.refusal
            self.faults = {
                TimedOut: Fault(by=hang.by, settings={"timeout_s": "0.3"}),
                Refused: next_answer(kind="say", message=refusal) if isinstance(refusal, dict) else refusal,
                Truncated: next_answer(kind="say", message=self.cut),
                OutOfMemory: NotApplicable("computed on the server"),
                Nonfinite: NotApplicable("computed on the server"),
            }
            yield
            self.teardown_class()


class TestClaude(_OfNatives):
    model = "anthropic:claude-sonnet-4-5-20250929"
    secret_variables = ("ANTHROPIC_API_KEY",)
    package = "anthropic"
    refusal: ClassVar = {"stop_reason": "refusal", "content": []}
    cut: ClassVar = {"stop_reason": "max_tokens"}


class TestGemini(_OfNatives):
    model = "google:gemini-2.5-flash"
    secret_variables = ("GEMINI_API_KEY",)
    package = "google.genai"
    refusal = NotApplicable("its API knows filters, and no refusal")
    cut: ClassVar = {"candidates": [{"finishReason": "MAX_TOKENS", "content": {"role": "model"}}]}


class TestGeminiVideo(TestGemini):
    model = "google-video:gemini-2.5-flash"


def starve(model: Any) -> None:
    """Run out of memory where the frames enter the language model, as a device would."""
    import torch

    def out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model._model.projector[0].register_forward_pre_hook(out_of_memory)


def spoil(model: Any) -> None:
    """Put NaN into a weight that every frame meets."""
    model._model.projector[0].weight.data.fill_(float("nan"))


class TestDriveMM(AdapterConformance):
    """On a tiny checkpoint in the authors' layout, on the CPU."""

    model = "drivemm"
    faults: ClassVar = {
        TimedOut: NotApplicable("computed here, without a deadline"),
        Refused: NotApplicable("it writes what the task's schema allows, and the schema has no word for no"),
        Truncated: Fault(settings={"max_new_tokens": "32"}),
        OutOfMemory: Fault(by=starve),
        Nonfinite: Fault(by=spoil),
    }

    @pytest.fixture(autouse=True)
    def _checkpoint(self, shared_data: Path) -> None:
        pytest.importorskip("torch")
        folder = shared_data / "drivemm" / "ckpt_a"
        self.settings = {
            "checkpoint": str(folder),
            "device": "cpu",
            "dtype": "float32",
            "batch_size": "4",
            "max_new_tokens": "100",
        }


def spoil_scale(model: Any) -> None:
    """Make the scale of a float8 matrix infinite, one that every prompt meets."""
    model._model.language_model.model.layers[0].mlp.down_proj.scale.data.fill_(float("inf"))


@pytest.mark.slow
class TestDriveMMFloat8(TestDriveMM):
    """With float8 products, and bfloat16 beside them for the first answers."""

    model = "drivemm:fp8"
    faults: ClassVar = {**TestDriveMM.faults, Nonfinite: Fault(by=spoil_scale)}

    @pytest.fixture(autouse=True)
    def _rounded(self, _checkpoint: None) -> None:
        self.settings = {**self.settings, "dtype": "float8_e4m3", "compare": "1"}


def starve_network(model: Any) -> None:
    """Run out of memory where the prompt enters the network, as a device would."""
    import torch

    def out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model._replica.model("float32").network.register_forward_pre_hook(out_of_memory)


def spoil_head(model: Any) -> None:
    """Put NaN where every token's score comes from."""
    model._replica.model("float32").network.get_output_embeddings().weight.data.fill_(float("nan"))


@pytest.fixture(scope="module")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of Qwen2.5-VL's kind with random weights."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    tiny = pytest.importorskip("tiny_checkpoints")
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    folder.mkdir()
    tiny.qwen2_5_vl(folder)
    return folder


class TestHuggingFace(AdapterConformance):
    """On a tiny checkpoint of Qwen2.5-VL's kind, on the CPU."""

    settings: ClassVar = {"device": "cpu", "dtype": "float32", "batch_size": "4", "max_new_tokens": "100"}
    secret_variables = ("HF_TOKEN",)
    faults: ClassVar = {
        TimedOut: NotApplicable("computed here, without a deadline"),
        Refused: NotApplicable("it writes what the task's schema allows, and the schema has no word for no"),
        Truncated: Fault(settings={"max_new_tokens": "12"}),
        OutOfMemory: Fault(by=starve_network),
        Nonfinite: Fault(by=spoil_head),
    }

    @pytest.fixture(autouse=True)
    def _checkpoint(self, tiny_checkpoint: Path) -> None:
        self.model = f"hf:{tiny_checkpoint}"


def test_a_server_that_repeats_the_key_does_not_get_it_into_a_record() -> None:
    pytest.importorskip("openai")
    loopback = pytest.importorskip("loopback_openai")
    with loopback.running(loopback.Server(key="another")) as server:

        class WrongKey(AdapterConformance):
            model = "gpt-4.1"
            secret_variables = ("OPENAI_API_KEY",)
            settings: ClassVar = {"base_url": server.url}

        WrongKey().test_no_record_holds_a_secret()
        assert any("canary-" in sent for sent in server.log.authorizations), "the canary was sent, and came back"
