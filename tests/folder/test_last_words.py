"""The last word of each question in a ledger, whatever the order of its lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evidence_data import attempt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ghostbench.errors import BadInput
from ghostbench.folder import ledger_text
from ghostbench.folder.last_words import LastWords
from ghostbench.folder.ledger import recover
from ghostbench.folder.run_records import read_attempts

CLIPS = ("b", "a", "clip of ünlike name")
LINE = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["one", "two", "one+blank"]),
        "clip": st.sampled_from([*CLIPS, "of another run"]),
        "repeat": st.integers(0, 2),
        "moment_s": st.sampled_from([None, 0.0, 0.5, 1.25]),
        "outcome": st.sampled_from(["answered", "timed_out", "refused", "worker_lost"]),
        "fallback_level": st.integers(0, 2),
        "raw": st.sampled_from([None, "", "no", "ja,\n\U0001f600"]),
        "grade_probabilities": st.sampled_from([None, {}, {"ghost_probing": 0.25, "normal": 0.75}]),
    }
)


def found_one_by_one(
    lines: list[dict[str, Any]], row: str, clip: str, repeat: int
) -> dict[float | None, tuple[Any, ...]]:
    found: dict[float | None, tuple[Any, ...]] = {}
    for line in lines:
        if (line["model"], line["clip"], line["repeat"]) == (row, clip, repeat):
            before = found.get(line["moment_s"], (0,))[-1]
            own = line["outcome"] == "answered"
            score = (line["grade_probabilities"] or {}).get("ghost_probing") if own else None
            said = (line["outcome"], line["fallback_level"], line["raw"] if own else None, score)
            found[line["moment_s"]] = (*said, before + 1)
    return found


@pytest.mark.parametrize("room", [0, 1 << 20])
@given(lines=st.lists(LINE, max_size=30), torn=st.sampled_from([0, 1, 40]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_that_of_the_last_line_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, lines: list[dict[str, Any]], torn: int
) -> None:
    monkeypatch.setattr(ledger_text, "KEPT", room)
    written = [attempt(line["model"], line["clip"]) | line for line in lines]
    whole = "".join(json.dumps(line) + "\n" for line in written)
    path = tmp_path / "attempts.jsonl"
    path.write_text(whole + json.dumps(attempt("one", CLIPS[0], raw="yes"))[:torn], encoding="utf-8")
    recover(path)  # as a run does that is gone on with after a kill
    words = LastWords(read_attempts(tmp_path), CLIPS, 2)
    for row in ("one", "two", "one+blank", "of no line"):
        said = [
            {
                moment: (str(word.outcome), word.fallback_level, word.raw, word.score, word.attempts)
                for moment, word in each.items()
            }
            for each in words.of(row)
        ]
        assert said == [found_one_by_one(lines, row, clip, repeat) for clip in CLIPS for repeat in range(2)]


def test_a_ledger_that_changes_meanwhile_is_no_ground_for_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_text, "KEPT", 0)
    path = tmp_path / "attempts.jsonl"
    path.write_text("".join(json.dumps(attempt("one", clip, raw="yes")) + "\n" for clip in CLIPS), encoding="utf-8")
    words = LastWords(read_attempts(tmp_path), CLIPS, 1)
    path.write_text("\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(BadInput, match=r"attempts\.jsonl changed while it was read"):
        list(words.of("one"))
