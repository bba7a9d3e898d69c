"""Clips are decoded while models load, each once, and no more of them than the window holds."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

PLUGIN = """
    import os
    import sys
    import time
    from pathlib import Path

    from ghostbench import LocalModel, ModelSpec, Reply, Unavailable, hookimpl

    OPENED = []
    sys.addaudithook(lambda event, found: OPENED.append(Path(str(found[0])).name)
                     if event == "open" and str(found[0]).endswith(".avi") else None)

    class Waiting(LocalModel):
        def load(self):
            until = time.monotonic() + 120
            while time.monotonic() < until and len(set(OPENED)) < 4:
                time.sleep(0.01)
            if os.environ.get("LOAD_FAILS"):
                raise Unavailable("after all")
            return {"opened_while_loading": sorted(set(OPENED))}

        def answer(self, requests):
            return [Reply(text=str(len(request.frames.pixels))) for request in requests]

        def close(self):
            Path("opened.txt").write_text("\\n".join(OPENED))

    @hookimpl
    def register_models(register):
        register(ModelSpec(name="waiting", load="waiting:Waiting", kind="local", summary="waits for clips"))
"""


def install(site: Path) -> None:
    (site / "waiting.py").write_text(dedent(PLUGIN))
    info = site / "waiting-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: waiting\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ghostbench]\nwaiting = waiting\n")


def test_clips_are_decoded_while_a_model_loads_and_each_only_once(bench: Any) -> None:
    install(bench.folder / "site")
    done = bench.run("--models", "waiting", "--on", "thread", "--run-id", "r")
    assert "Traceback" not in done.stderr
    assert len(bench.manifest("r")["models"]["waiting"]["facts"]["opened_while_loading"]) >= 4
    opened = (Path(bench.folder) / "opened.txt").read_text().split()
    assert sorted(opened) == sorted({*opened})
    assert len(opened) == 6
    for line in bench.lines("r", "attempts.jsonl"):
        assert line["raw"] == "10"
        assert line["stages"]["video_decode_s"] > 0


def test_a_model_that_fails_to_load_leaves_the_clips_described(bench: Any) -> None:
    install(bench.folder / "site")
    done = bench.run("--models", "waiting", "--on", "thread", "--run-id", "r", LOAD_FAILS="1")
    assert done.returncode == 1
    assert "was never" not in done.stderr
    assert "Traceback" not in done.stderr
    assert [line["outcome"] for line in bench.lines("r", "predictions.jsonl")] == ["unavailable"] * 6
    assert all(line["frames_sha256"] for line in bench.lines("r", "clips.jsonl"))
