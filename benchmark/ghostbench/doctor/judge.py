"""The judgement: one line for each thing that must be so, with its reason."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ghostbench.doctor.examine import Examination
from ghostbench.doctor.rounds import Round, Seen
from ghostbench.folder.lines import AttemptLine
from ghostbench.outcomes import Outcome

Judgement = Literal["pass", "fail", "not applicable"]

SCORE_STEP = 1e-6
"""Scores that differ by less are the same."""
MOST_WAVERING = 0.05
"""A model whose scores differ by more between two identical requests is too restless to hold frames against."""
CLEAR = 5
"""A score of a restless model has moved when it moved by this many times what it moves by itself."""
BATCH_STEP = 0.01
"""How far a score may move with the company it is computed in."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the doctor's report. why : what was seen, in words and measured numbers."""

    check: str
    judgement: Judgement
    why: str


def judge(found: Examination) -> list[Line]:
    """Every line, in the order shown. A model that cannot be loaded fails at that, and nothing else applies."""
    if found.unavailable is not None:
        rest = [Line(name, "not applicable", "the model could not be loaded") for name, _ in _CHECKS]
        return [Line("loads", "fail", found.unavailable), *rest]
    facts = ", ".join(f"{key} {value}" for key, value in list(found.facts.items())[:3])
    loads = Line("loads", "pass", f"in {_seconds(found.load_s)}" + (f"; {facts}" if facts else ""))
    return [loads, *(Line(name, *check(found)) for name, check in _CHECKS)]


def _answers(found: Examination) -> tuple[Judgement, str]:
    seen = _plain(found)
    outcomes = Counter(s.outcome for s in seen)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    why = f"{len(seen)} clips: {counts}"
    fallen = Counter(s.lines[-1].fallback_level for s in seen if s.lines and s.lines[-1].fallback_level)
    if fallen:
        why += "; " + ", ".join(f"{count} at fallback level {level}" for level, count in sorted(fallen.items()))
    if outcomes[Outcome.ANSWERED] == len(seen):
        return "pass", why
    last = next(s for s in seen if s.outcome is not Outcome.ANSWERED)
    # One that was never sent, since the model had stopped in an earlier round, has no words of its own.
    lines = last.lines or [line for asked in found.rounds.values() for s in _seen(asked) for line in s.lines]
    said = next((line.error.message for line in reversed(lines) if line.error), "")
    return "fail", why + (f"; the first says: {said}" if said else "")


def _frames(found: Examination) -> tuple[Judgement, str]:
    if found.kind == "reference":
        return "not applicable", "a reference model never sees frames"
    if found.plan.rows[0].sees_video:
        return "not applicable", "it sees the video, not the frames"
    if not found.plan.rows[0].needs_frames:
        return "not applicable", "it is registered as a model that needs no frames"
    noise = _noise(found)
    counts = {name: _moved(found, name, noise) for name in ("blank", "another clip's", "shuffled")}
    told = "; ".join(
        f"{name} frames change {moved} of {compared} answers" if compared else f"{name} frames: nothing to compare"
        for name, (moved, compared) in counts.items()
    )
    for name in ("blank", "another clip's"):
        moved, compared = counts[name]
        if not compared:
            return "fail", f"it cannot be told: too few clips gave the same answer twice to hold others against; {told}"
        if moved < (1 if noise <= SCORE_STEP else (compared + 1) // 2):
            return "fail", f"the answer does not depend on the frames: {told}"
    if counts["shuffled"][1] and not counts["shuffled"][0]:
        told += ", so it does not see their order"
    return "pass", told


def _deterministic(found: Examination) -> tuple[Judgement, str]:
    pairs = list(_answered_pairs(_first(found), found.rounds["again"]))
    if not pairs:
        return "fail", "no clip was answered twice"
    same = sum(a.text == b.text for a, b in pairs)
    gap = _largest_gap(pairs)
    why = f"{same} of {len(pairs)} texts are the same when asked again"
    if gap is not None:
        why += f", scores within {gap:.2g}"
    return ("pass" if same == len(pairs) and (gap or 0.0) <= SCORE_STEP else "fail"), why


def _batches(found: Examination) -> tuple[Judgement, str]:
    if found.kind != "local":
        return "not applicable", "each request is sent by itself"
    if found.batch_size == 1:
        return "not applicable", "its batch size is 1"
    if len(found.clips) == 1:
        return "not applicable", "one clip makes no batch"
    pairs = list(_answered_pairs(found.rounds["alone"], found.rounds["together"]))
    if not pairs:
        return "fail", "no clip was answered both alone and in a batch"
    same = sum(a.text == b.text for a, b in pairs)
    gap = _largest_gap(pairs)
    size = max((line.batch_size or 0 for s in _seen(found.rounds["together"]) for line in s.lines), default=0)
    company = f"in batches of up to {size or min(found.batch_size, len(found.clips))}"
    why = f"{same} of {len(pairs)} texts are the same alone and {company}"
    if gap is not None:
        why += f", scores within {gap:.2g}"
    return ("pass" if same == len(pairs) and (gap or 0.0) <= BATCH_STEP else "fail"), why


def _finite(found: Examination) -> tuple[Judgement, str]:
    lines = [line for r in found.rounds.values() for s in _seen(r) for line in s.lines]
    bad = [line for line in lines if line.outcome == Outcome.NONFINITE]
    broken = [line for line in lines if line.outcome == Outcome.CRASHED]
    if bad:
        return "fail", f"{len(bad)} of {len(lines)} attempts met NaN or infinity: {_message(bad[0])}"
    if broken:
        return "fail", f"{len(broken)} of {len(lines)} attempts crashed: {_message(broken[0])}"
    replied = sum(line.raw is not None for line in lines)
    if not replied:
        return "fail", "there was no reply to look at"
    return "pass", f"{replied} replies of {len(lines)} attempts, every number in them finite"


def _speed(found: Examination) -> tuple[Judgement, str]:
    if found.kind == "reference":
        return "not applicable", "a reference model computes nothing worth timing"
    crowd = found.rounds["together"]
    answered = sum(s.outcome is Outcome.ANSWERED for s in _seen(crowd))
    if not answered:
        return "fail", "no clip was answered, so there is nothing to time"
    timed = found.rounds.get("alone", crowd)
    ended = [s.lines[-1].wall_s for s in _seen(timed) if s.outcome is Outcome.ANSWERED]
    walls = [wall for wall in ended if wall is not None]
    first, rest = walls[:1], walls[1:]
    how = "alone" if "alone" in found.rounds else "side by side"
    told = [f"first answer after {_seconds(first[0])}"] if first else []
    told += [f"then {_seconds(statistics.median(rest))} a clip {how}"] if rest else []
    told.append(f"{60 * answered / crowd.seconds:,.0f} clips a minute together")
    return "pass", ", ".join(told)


def _memory(found: Examination) -> tuple[Judgement, str]:
    if found.kind == "remote":
        return "not applicable", "computed on the server"
    before, loaded, peak = found.process_bytes
    why = f"the process: {_bytes(before)} before loading, {_bytes(loaded)} after, {_bytes(peak)} at its peak"
    lines = [line.memory for r in found.rounds.values() for s in _seen(r) for line in s.lines]
    for key, word in (("peak_allocated_bytes", "allocated"), ("peak_reserved_bytes", "reserved")):
        most = max((getattr(memory, key) or 0 for memory in lines), default=0)
        if most:
            why += f"; {_bytes(most)} {word} on the device"
    return "pass", why


def _cost(found: Examination) -> tuple[Judgement, str]:
    clips, split = len(found.plan.split.clips), found.plan.split
    if found.kind == "reference":
        return "not applicable", "a reference model costs nothing"
    run = f"a run over {split.dataset} ({clips} clip{'s' if clips != 1 else ''})"
    seconds = _run_seconds(found)
    lasts = f"about {_seconds(seconds)}" if seconds is not None else "an unknown time"
    if found.kind != "remote":
        return "not applicable", f"nothing is billed; {run} takes {lasts} of answering"
    lines = [line for r in found.rounds.values() for s in _seen(r) for line in s.lines]
    billed = [line.usage.cost_usd for line in lines if line.usage.cost_usd is not None]
    most = [usage.cost_usd for usage in found.most if usage.cost_usd is not None]
    limit = f"at most ${statistics.mean(most) * clips:.4f} without retries" if most else ""
    if billed:
        each = statistics.mean(billed) * clips
        why = f"{len(billed)} requests cost ${sum(billed):.4f}; {run} would cost about ${each:.4f} and take {lasts}"
        return "pass", f"{why}, {limit}" if limit else why
    if limit:
        return "fail", f"its price is known, and no reply said what it cost; {run} would cost {limit}"
    tokens = [line.usage.input_tokens for line in lines if line.usage.input_tokens is not None]
    seen = f"; {statistics.mean(tokens):,.0f} input tokens a request" if tokens else ""
    return "not applicable", f"its price is unknown{seen}; {run} takes {lasts}"


_CHECKS: tuple[tuple[str, Callable[[Examination], tuple[Judgement, str]]], ...] = (
    ("answers", _answers),
    ("depends on the frames", _frames),
    ("deterministic", _deterministic),
    ("same in any batch", _batches),
    ("finite", _finite),
    ("speed", _speed),
    ("memory", _memory),
    ("cost of a run", _cost),
)


def _first(found: Examination) -> Round:
    """The round that asks plainly: the first of all, but for local models the one whose batches `again` repeats."""
    return found.rounds.get("together", found.rounds.get("alone", Round((), 0.0)))


def _plain(found: Examination) -> list[Seen]:
    return _seen(_first(found))


def _seen(asked: Round) -> list[Seen]:
    return [seen for seen in asked.seen if seen is not None]


def _answered_pairs(a: Round, b: Round) -> Iterable[tuple[Seen, Seen]]:
    for one, other in zip(a.seen, b.seen, strict=True):
        if one is not None and other is not None and one.text is not None and other.text is not None:
            yield one, other


def _largest_gap(pairs: Sequence[tuple[Seen, Seen]]) -> float | None:
    return max((abs(a.score - b.score) for a, b in pairs if a.score is not None and b.score is not None), default=None)


def _noise(found: Examination) -> float:
    """How far scores move by themselves, between two identical rounds."""
    return _largest_gap(list(_answered_pairs(_first(found), found.rounds["again"]))) or 0.0


def _moved(found: Examination, name: str, noise: float) -> tuple[int, int]:
    """Of the clips that can be compared, how many answer otherwise with other frames: (moved, compared).

    With scores: by clearly more than they move by themselves. Without: a text that was the same twice, and is now
    another. Scores or texts that waver by themselves, and clips without an answer, cannot be compared.
    """
    moved = compared = 0
    rounds = (_first(found).seen, found.rounds["again"].seen, found.rounds[name].seen)
    for plain, again, other in zip(*rounds, strict=True):
        if plain is None or again is None or other is None or None in (plain.text, again.text, other.text):
            continue
        if plain.score is not None and other.score is not None:
            compared += noise <= MOST_WAVERING
            moved += noise <= MOST_WAVERING and abs(plain.score - other.score) > max(CLEAR * noise, SCORE_STEP)
        elif plain.text == again.text:
            compared += 1
            moved += plain.text != other.text
    return moved, compared


def _run_seconds(found: Examination) -> float | None:
    crowd = found.rounds["together"]
    answered = sum(s.outcome is Outcome.ANSWERED for s in _seen(crowd))
    return crowd.seconds / answered * len(found.plan.split.clips) if answered else None


def _seconds(value: float) -> str:
    if value >= 120:
        return f"{value / 60:.0f} min"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.2g} ms" if value < 0.1 else f"{value * 1000:.0f} ms"


def _bytes(value: int) -> str:
    return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def _message(line: AttemptLine) -> str:
    return line.error.message if line.error else "no reason was given"


def as_json(lines: Sequence[Line]) -> list[Mapping[str, Any]]:
    """The lines as JSON objects: check, judgement, why."""
    return [{"check": line.check, "judgement": line.judgement, "why": line.why} for line in lines]
