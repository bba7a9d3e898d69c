"""A substitute's row is gone on with like any other."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

ROW = "local-spy>remote-spy"


@pytest.mark.slow
def test_a_substitute_killed_between_two_attempts_goes_on_where_it_was(bench: Any) -> None:
    given = ["--models", ROW, "--set", "local-spy.outcome=Refused", "--run-id", "r"]
    assert bench.run(*given).returncode == 1
    folder = bench.folder / "results" / "r"
    lines = bench.lines("r", "attempts.jsonl")
    half = next(line for line in lines if line["model"] == ROW)
    half |= {"outcome": "rate_limited", "error": {"type": "RateLimited", "message": "busy"}, "raw": None}
    (folder / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    manifest = {**bench.manifest("r"), "status": "running", "finished_at": None, "digests": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert bench.run(*given, "--resume").returncode == 1
    tried = [a for a in bench.lines("r", "attempts.jsonl") if (a["model"], a["clip"]) == (ROW, half["clip"])]
    assert [(a["attempt"], a["outcome"]) for a in tried] == [(1, "rate_limited"), (2, "answered")]
    rows = Counter((p["model"], p["outcome"]) for p in bench.lines("r", "predictions.jsonl"))
    assert rows == {("local-spy", "refused"): 6, (ROW, "answered"): 6}
    assert len(bench.lines("r", "attempts.jsonl")) == 13
