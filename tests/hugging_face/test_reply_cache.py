"""A checkpoint's answers from a reply cache: taken where all that decides them is the same, and only there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

import ghostbench  # noqa: E402
from ghostbench_hf.source import digests_of  # noqa: E402
from ghostbench_local.arithmetic import arithmetic  # noqa: E402


@pytest.mark.slow
def test_an_answer_is_taken_where_all_that_decides_it_is_the_same(
    checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    # Scores and pages take longer than the asking.
    monkeypatch.setattr("ghostbench.running.execute.make_report", lambda folder: {})
    monkeypatch.setattr("ghostbench.running.execute.conclude", lambda folder, terminal, metrics: 0)
    for reading in ("read_finished", "read_run"):
        monkeypatch.setattr(f"ghostbench.api.{reading}", lambda folder: None)
    folder = tmp_path / "tiny"
    shutil.copytree(checkpoint("idefics3"), folder)

    def hits(run_id: str, **settings: Any) -> int:
        given = {"device": "cpu", "dtype": "float32", "mode": "score", **settings}
        ghostbench.run(
            f"hf:{folder}=tiny", settings={"tiny": given}, limit=1, sampling="uniform:1", on="thread",
            run_id=run_id, out=tmp_path / "results", cache=str(tmp_path / "cache"),
        )  # fmt: skip
        lines = (tmp_path / "results" / run_id / "attempts.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        assert {line["outcome"] for line in found} == {"answered"}
        return sum(line["from_cache"] is not None for line in found)

    assert hits("first") == 0
    assert hits("again", batch_size=1) == 1
    assert hits("type", dtype="bfloat16") == 0


def test_facts_hold_all_that_decides_an_answer_beside_settings(
    checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = arithmetic(torch.device("cpu"))
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert arithmetic(torch.device("cpu")) == {
        **before,
        "environment": {**before["environment"], "MKL_CBWR": "COMPATIBLE"},
    }
    folder = tmp_path / "tiny"
    shutil.copytree(checkpoint("idefics3"), folder)
    files = digests_of(folder)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "other.jinja").write_text("{{ messages }}")
    assert set(digests_of(folder)) - set(files) == {"additional_chat_templates/other.jinja"}
