"""`drivemm:fp8` in the harness: a model of another name, whose distance to bfloat16 is measured or said not to be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

import ghostbench  # noqa: E402
from ghostbench import GRADES, BadInput, Frames, Nonfinite, Reply, Request, Unavailable  # noqa: E402
from ghostbench.evidence.verify import verify  # noqa: E402
from ghostbench.plugins.choose import parse_model, spec_named  # noqa: E402
from ghostbench.tasks.ghost_probing import GhostProbing  # noqa: E402
from ghostbench_drivemm.adapter import DriveMMModel  # noqa: E402
from ghostbench_drivemm.adapter_float8 import DriveMMFloat8  # noqa: E402
from ghostbench_drivemm.settings import DriveMMFloat8Settings, DriveMMSettings  # noqa: E402

TASK = GhostProbing()


def request(seed: int, **more: Any) -> Request:
    pixels = np.random.default_rng(seed).integers(0, 256, (1, 60, 90, 3), dtype=np.uint8)
    frames = Frames(pixels, indices=(0,), times_s=(0.5,), duration_s=1.0, decoder="drawn")
    given = {"level": 0, "level_settings": {}, **more}
    return Request(id=f"r{seed}", prompt=TASK.build(frames), frames=frames, seed=7, write_answer=TASK.write, **given)


def look_at(model: DriveMMFloat8) -> None:
    model.check()
    model.check_here()


def loaded(checkpoint: Path, **settings: Any) -> DriveMMFloat8:
    given = {"checkpoint": str(checkpoint), "device": "cpu", "mode": "score"} | settings
    model = DriveMMFloat8(DriveMMFloat8Settings(**given))
    look_at(model)
    model.facts = model.load()
    return model


def answers(model: DriveMMModel, *requests: Request) -> list[Any]:
    return list(model.answer([replace(one, prepared=model.prepare(one)) for one in requests]))


@pytest.fixture(scope="module")
def plain(checkpoint: Path) -> list[Any]:
    """What drivemm gives in bfloat16, for the requests 1 and 2."""
    model = DriveMMModel(DriveMMSettings(checkpoint=str(checkpoint), device="cpu", mode="score"))
    model.load()
    return answers(model, request(1), request(2))


def test_it_is_another_model_than_drivemm_and_cannot_take_its_name() -> None:
    choice = parse_model("drivemm:fp8")
    assert (choice.row, choice.spec.name, choice.spec.mark) == ("drivemm:fp8", "drivemm:fp8", "rounded to FP8")
    assert parse_model("drivemm").spec.name == "drivemm"
    for other in ("drivemm:fp9", "drivemm:fp8=drivemm", "drivemm:"):
        with pytest.raises(BadInput, match="write drivemm or drivemm:fp8"):
            parse_model(other)
        with pytest.raises(BadInput, match="write drivemm or drivemm:fp8"):
            spec_named(other)


def test_what_it_is_compared_with_is_what_drivemm_gives_and_no_more_is_asked_than_was_wanted(
    checkpoint: Path, plain: list[Any]
) -> None:
    model = loaded(checkpoint, compare=1)
    assert model.facts["compared_with"] == "bfloat16"
    assert model.facts["dtype"] == "float8_e4m3"
    assert list(model._replica._models) == ["bfloat16", "float8_e4m3"]
    first = answers(model, request(1), request(2))
    for reply, other in zip(first, plain, strict=True):
        assert reply.compared.against == "bfloat16"
        assert reply.compared.grade_probabilities == pytest.approx(other.grade_probabilities, abs=1e-3)
        assert reply.grade_probabilities != other.grade_probabilities
        assert "answered in bfloat16 too" in reply.notes[-1]
    # A batch is compared as a whole, or not at all: its time is that of one model, or of both.
    assert list(model._replica._models) == ["float8_e4m3"]
    (third,) = answers(model, request(1))
    assert third.compared is None
    assert third.notes == ()
    assert third.grade_probabilities == pytest.approx(first[0].grade_probabilities, abs=1e-3)


def test_without_comparing_no_bfloat16_model_is_held(checkpoint: Path) -> None:
    model = loaded(checkpoint)
    assert list(model._replica._models) == ["float8_e4m3"]
    (reply,) = answers(model, request(1))
    assert reply.compared is None


def test_a_written_answer_is_compared_by_the_same_probabilities(checkpoint: Path, plain: list[Any]) -> None:
    (reply,) = answers(loaded(checkpoint, compare=1, mode="generate", max_new_tokens=100), request(1))
    assert TASK.parse(reply.text).grade in GRADES
    assert reply.compared.grade_probabilities == pytest.approx(plain[0].grade_probabilities, abs=1e-3)


def test_values_that_are_not_finite_are_answered_by_a_real_float32_model_and_that_is_told(checkpoint: Path) -> None:
    model = loaded(checkpoint, compare=9)
    model._model.language_model.model.layers[1].mlp.down_proj.scale.data[3] = float("inf")
    (failed,) = answers(model, request(1))
    assert isinstance(failed, Nonfinite)
    assert "language_model.model.layers.1.mlp.down_proj" in str(failed)
    (level,) = [level for level in model.ladder if level.name == "float32"]
    (reply,) = answers(model, request(1, level=1, level_settings=level.settings))
    exact = DriveMMModel(DriveMMSettings(checkpoint=str(checkpoint), device="cpu", dtype="float32", mode="score"))
    exact.load()
    assert reply.grade_probabilities == pytest.approx(answers(exact, request(1))[0].grade_probabilities, abs=1e-6)
    assert reply.notes == ("computed in float32, not in float8",)
    assert reply.compared is None
    types = {str(own.dtype) for own in model._replica.model("float32").language_model.parameters()}
    assert types == {"torch.float32"}


def test_memory_that_is_not_enough_for_both_costs_the_comparison_alone(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model = loaded(checkpoint, compare=9)
    monkeypatch.setattr(model, "_in_bfloat16", out_of_memory)
    (reply,) = answers(model, request(1))
    assert isinstance(reply, Reply)
    assert reply.compared is None
    assert reply.notes == ("not compared with bfloat16: there is not enough memory for both",)
    assert list(model._replica._models) == ["float8_e4m3"]


def test_a_gpu_that_multiplies_no_float8_is_refused_in_one_line(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA A100")
    model = DriveMMFloat8(DriveMMFloat8Settings(checkpoint=str(checkpoint)))
    for capability, refused in (((8, 0), True), ((8, 9), False), ((9, 0), False), ((12, 0), False)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        if not refused:
            model.check_here()
            continue
        with pytest.raises(BadInput, match=r"cuda \(NVIDIA A100\) is of .* 8\.0, and .* need 8\.9"):
            model.check_here()


def test_a_machine_whose_products_fail_makes_it_unavailable(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object, **__: object) -> None:
        raise RuntimeError("CUBLAS_STATUS_NOT_SUPPORTED when calling\n a function")

    monkeypatch.setattr("ghostbench_drivemm.engine.float8.scaled_mm", unsupported)
    with pytest.raises(Unavailable, match=r"cpu computes no float8 products here \(CUBLAS_STATUS_NOT_SUPPORTED when"):
        loaded(checkpoint)


def test_messages_name_it_by_its_own_name(checkpoint: Path) -> None:
    for settings, words in (
        ({"checkpoint": "/nowhere"}, "drivemm:fp8.checkpoint"),
        ({"checkpoint": str(checkpoint), "revision": "v1.0"}, "drivemm:fp8.revision"),
    ):
        model = DriveMMFloat8(DriveMMFloat8Settings(device="cpu", **settings))
        with pytest.raises(BadInput, match=words):
            look_at(model)


@pytest.mark.slow
def test_a_run_shows_how_far_it_is_from_bfloat16_in_ledger_facts_and_report(tmp_path: Path, checkpoint: Path) -> None:
    both = {"checkpoint": str(checkpoint), "device": "cpu", "mode": "score"}

    def run(models: str, run_id: str, **more: Any) -> Any:
        settings = {"drivemm": both, "drivemm:fp8": {**both, "compare": 1}}
        return ghostbench.run(
            models, settings={name: settings[name] for name in models.split(",")}, limit=2, sampling="uniform:2",
            on="thread", run_id=run_id, out=tmp_path, **more,
        )  # fmt: skip

    done = run("drivemm,drivemm:fp8", "r")
    folder = tmp_path / "r"
    lines = [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]
    plain, rounded = (
        {one["clip"]: one for one in lines if one["model"] == name} for name in ("drivemm", "drivemm:fp8")
    )
    changes = []
    for clip, line in rounded.items():
        given = line["compared"]["grade_probabilities"]
        assert given == pytest.approx(plain[clip]["grade_probabilities"], abs=1e-3)
        assert plain[clip]["compared"] is None
        changes.append(max(abs(line["grade_probabilities"][grade] - given[grade]) for grade in GRADES))
    facts = json.loads((folder / "manifest.json").read_text())["models"]["drivemm:fp8"]["facts"]
    assert (facts["compared_with"], facts["compared_answers"], len(changes)) == ("bfloat16", 2, 2)
    assert facts["largest_score_change"] == pytest.approx(max(changes))
    assert facts["changed_grade_rate"] in {0.0, 0.5, 1.0}
    row = done.metrics["models"]["drivemm:fp8"]
    assert row["latency"]["wall_s"] is None
    assert done.metrics["models"]["drivemm"]["latency"]["wall_s"]["n"] == 2
    report = (folder / "report.md").read_text()
    assert "rounded to FP8; against bfloat16, of 2 answers" in report
    assert (folder / "tables" / "compared.csv").is_file()
    assert verify(folder).findings == ()
    with pytest.raises(BadInput, match="drivemm"):
        run("drivemm", "r", resume=True)
