"""Builds run folders in the contract's format, so that scoring and reports are tested on what a run leaves behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ghostbench.errors import Unparseable
from ghostbench.folder.manifest import DatasetEntry, Manifest, TaskEntry
from ghostbench.folder.seal import write_sealed
from ghostbench.plugins.installed import own_version
from ghostbench.tasks.ghost_probing import GhostProbing

LABELS_SHA = "a" * 64
TASK_SHA = "c" * 64


def clip(
    name: str,
    truth: str = "normal",
    *,
    time_s: float | None = None,
    category: int | None = 1,
    remark: str | None = None,
    duration_s: float | None = 8.0,
    frames: Sequence[float] | None = (0.4, 1.2, 2.0, 2.8, 3.6, 4.4, 5.2, 6.0, 6.8, 7.6),
) -> dict[str, Any]:
    return {
        "clip": name,
        "truth": truth,
        "truth_time_s": time_s,
        "category": category,
        "remark": remark,
        "duration_s": duration_s,
        "frame_indices": None if frames is None else [round(t * 30) for t in frames],
        "frame_times_s": None if frames is None else list(frames),
        "decoder": None if frames is None else "test decoder 1",
        "frames_sha256": None if frames is None else hashlib.sha256(name.encode()).hexdigest(),
    }


def attempt(model: str, clip_name: str, **fields: Any) -> dict[str, Any]:
    line: dict[str, Any] = {
        "model": model,
        "clip": clip_name,
        "repeat": 0,
        "attempt": 1,
        "fallback_level": 0,
        "outcome": "answered",
        "error": None,
        "started_at": "2026-01-01T00:00:00.000000+00:00",
        "wall_s": 0.5,
        "wait_s": 0.0,
        "stages": {"queue_s": 0.01, "video_decode_s": 0.1, "preprocess_s": 0.02, "vision_s": None, "prefill_s": None,
                   "first_token_s": None, "generate_s": 0.3},
        "batch_size": 1,
        "usage": {"input_tokens": None, "cached_tokens": None, "output_tokens": None, "cost_usd": None},
        "memory": {"peak_allocated_bytes": None, "peak_reserved_bytes": None, "process_bytes": None},
        "served_model": None,
        "system_fingerprint": None,
        "request_id": "-".join(
            ["r", model, clip_name, str(fields.get("repeat", 0)), str(fields.get("attempt", 1))]
        ),
        "server_request_id": None,
        "finish_reason": None,
        "grade_probabilities": None,
        "frames_sha256": hashlib.sha256(clip_name.encode()).hexdigest(),
        "prompt_sha256": hashlib.sha256(b"prompt" + clip_name.encode()).hexdigest(),
        "raw": None,
        "notes": [],
        "moment_s": None,
    }  # fmt: skip
    return {**line, **fields}


def raw_answer(grade: str, *, event_time_s: float | None = None, actor: str | None = None, evidence: str = "") -> str:
    """What a model writes for the task `ghost-probing`."""
    return json.dumps(
        {"grade": grade, "event_time_s": event_time_s, "actor": actor, "occluder": None, "evidence": evidence},
        ensure_ascii=False,
    )


def _said(raw: str | None) -> dict[str, Any]:
    """What a prediction carries of an answer, as the task `ghost-probing` reads it."""
    try:
        answer: Any = GhostProbing().parse(raw or "")
    except Unparseable:
        answer = None
    return {name: getattr(answer, name, None) for name in ("actor", "occluder", "evidence")}


class RunBuilder:
    """A run folder in the making: add clips, then one row a model, clip and repeat, then `write`."""

    def __init__(self, clips: Iterable[Mapping[str, Any]], *, repeats: int = 1) -> None:
        self.clips = [dict(line) for line in clips]
        self._by_id = {line["clip"]: line for line in self.clips}
        self.repeats = repeats
        self.models: dict[str, dict[str, Any]] = {}
        self.predictions: list[dict[str, Any]] = []
        self.attempts: list[dict[str, Any]] = []
        self.manifest: dict[str, Any] = {}

    def model(self, name: str, **entry: Any) -> None:
        self.models[name] = {
            "spec": name, "kind": "local", "argument": None, "mark": None, "reference": False, "asked_model": None,
            "settings": {}, "needs_frames": True, "ladder": [], "facts": {}, "load_s": 0.1, "stopped": None,
            "probe": None, "of": None, **entry,
        }  # fmt: skip

    def row(
        self,
        model: str,
        clip_name: str,
        grade: str | None,
        *,
        repeat: int = 0,
        outcome: str | None = None,
        attempts: Sequence[Mapping[str, Any]] | None = None,
        event_time_s: float | None = None,
        score: float | None = None,
        answered_by: str | None = None,
        raw: str | None = None,
    ) -> None:
        """One prediction and its ledger lines: `attempts` are overrides per line; default one line."""
        if model not in self.models:
            self.model(model)
        line = self._by_id[clip_name]
        outcome = outcome or ("answered" if grade else "unparseable")
        default_raw = raw if raw is not None else (raw_answer(grade, event_time_s=event_time_s) if grade else "no idea")
        lines = [
            attempt(model, clip_name, **{"repeat": repeat, "attempt": number, "outcome": outcome, "raw": default_raw,
                                         **over})
            for number, over in enumerate(attempts if attempts is not None else [{}], 1)
        ]  # fmt: skip
        self.attempts += lines
        self.predictions.append(
            {
                "model": model,
                "clip": clip_name,
                "repeat": repeat,
                "truth": line["truth"],
                "truth_time_s": line["truth_time_s"],
                "grade": grade,
                "event_time_s": event_time_s,
                "score": score,
                "answered_by": answered_by or ("model" if grade else None),
                "fallback_level": lines[-1]["fallback_level"] if lines else 0,
                "outcome": outcome,
                "attempts": len(lines),
                **_said(default_raw if grade else None),
                "alarm_time_s": None,
                "moments": None,
            }
        )

    def watch(
        self,
        model: str,
        clip_name: str,
        grades: Sequence[str | None],
        scores: Sequence[float | None] | None = None,
        *,
        repeat: int = 0,
    ) -> None:
        """One prediction of a clip that is asked about every half second, and a ledger line for each moment."""
        said = [
            {"moment_s": (place + 1) / 2, "grade": grade, "score": score, "outcome": _outcome(grade)}
            for place, (grade, score) in enumerate(zip(grades, scores or [None] * len(grades), strict=True))
        ]
        alarm = next((each["moment_s"] for each in said if each["grade"] == "ghost_probing"), None)
        whole = all(grades)
        self.row(
            model,
            clip_name,
            ("ghost_probing" if alarm is not None else "normal") if whole else None,
            repeat=repeat,
            attempts=[{"moment_s": each["moment_s"], "attempt": 1, "outcome": each["outcome"]} for each in said],
        )
        self.predictions[-1] |= {"moments": said, "alarm_time_s": alarm if whole else None}

    def rows(self, model: str, grades: Sequence[str | None], **fields: Any) -> None:
        """One row a clip, in the clips' order."""
        for line, grade in zip(self.clips, grades, strict=True):
            self.row(model, line["clip"], grade, **fields)

    def write(self, folder: Path, **manifest: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        texts = {
            "clips.jsonl": lines(self.clips),
            "attempts.jsonl": lines(self.attempts),
            "predictions.jsonl": lines(self.predictions),
        }
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        ids = "\n".join(line["clip"] for line in self.clips)
        self.manifest = {
            "format": 2,
            "status": "complete",
            "run_id": folder.name,
            "command": ["bench", "run", "--run-id", folder.name],
            "started_at": "2026-01-01T00:00:00+00:00",
            "finished_at": "2026-01-01T00:01:00+00:00",
            "versions": {"ghostbench": own_version()},
            "git": None,
            "hardware": {"cpu": "test", "cores": 2},
            "dataset": {
                "name": "test", "split": "all", "data_root": None, "labels": "labels.csv",
                "labels_sha256": LABELS_SHA, "split_sha256": hashlib.sha256(ids.encode()).hexdigest(),
                "filters": [], "skipped_labels": [], "n": len(self.clips),
            },
            "task": {"name": "ghost-probing", "version": "1", "template_sha256": TASK_SHA},
            "sampling": "uniform:10",
            "repeats": self.repeats,
            "seed": 0,
            "max_attempts": 3,
            "max_cost": None,
            "probes": [],
            "models": self.models,
            "digests": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
            "start_up_s": 0.5,
            **manifest,
        }  # fmt: skip
        write_sealed(folder / "manifest.json", self.manifest)
        return folder


def write_begun(folder: Path, **fields: Any) -> None:
    """manifest.json of a run that has begun and not ended, with these fields, in a folder that is there."""
    data = DatasetEntry(name="test", split="all", labels_sha256=LABELS_SHA, split_sha256="b" * 64, n=0)
    run = {"status": "interrupted", "run_id": folder.name, "dataset": data, "task": TaskEntry(name="ghost-probing")}
    Manifest(**{**run, "models": {}, **fields}).write(folder)


def _outcome(grade: str | None) -> str:
    return "answered" if grade else "unparseable"


def watched_clip(name: str, truth: str, moments: int, window: tuple[float, float] | None = None) -> dict[str, Any]:
    """A clip that is asked about every half second; window : from first visible to contact, seconds."""
    labels = {} if window is None else {"labels": {"first_visible_s": window[0], "contact_s": window[1]}}
    asked = [{"moment_s": (place + 1) / 2, "frames_sha256": None} for place in range(moments)]
    category = int(name.split("_")[1])
    return {**clip(name, truth, duration_s=moments / 2, category=category), "questions": asked, **labels}


def lines(values: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def dash_clips(positives: int, cut_ins: int, normals: int) -> list[dict[str, Any]]:
    """Clips named as DADA-2000 names them, positives first."""
    truths = ["ghost_probing"] * positives + ["cut_in"] * cut_ins + ["normal"] * normals
    return [
        clip(
            f"images_{1 + i % 5}_{i:04d}",
            truth,
            category=1 + i % 5,
            time_s=2.0 + i % 4 if truth == "ghost_probing" else None,
            remark="???" if i % 7 == 0 else None,
            duration_s=4.0 + i % 13,
        )
        for i, truth in enumerate(truths)
    ]
