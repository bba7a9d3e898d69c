"""The trivial baselines that stand in every table, whether the run named them or not.

They are the models that plugins register under these names, asked here as the runner would ask them: a reference model
gets the clip and the split's truths, and writes its verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ghostbench.errors import AttemptError, BadInput
from ghostbench.folder.lines import MomentLine
from ghostbench.folder.run_records import RunRecords
from ghostbench.models import ReferenceModel, Truths
from ghostbench.outcomes import Outcome
from ghostbench.records import GRADES, Clip, Prompt, Request, Verdict
from ghostbench.scoring.watched import moments_of

TRIVIAL = ("always", "never", "random", "category-prior")
"""What a model has to beat, by name."""


def trivial_rows(run: RunRecords) -> dict[str, pd.DataFrame]:
    """The predictions of every trivial baseline for every clip and repeat: the run's own where it named one."""
    entries = run.manifest.models
    named = {name for name in run.names if name in TRIVIAL and name in entries and entries[name].spec == name}
    return {
        name: run.predictions[run.predictions["model"] == name] if name in named else reference_rows(run, name)
        for name in TRIVIAL
    }


def reference_rows(run: RunRecords, name: str) -> pd.DataFrame:
    """The predictions of the reference model `name` for every clip and repeat of the run, like `run.predictions`.

    Raises `BadInput` if no plugin brings the model.
    """
    from ghostbench.plugins.choose import build_model, build_settings, parse_model

    choice = parse_model(name)
    if choice.spec.kind != "reference":
        raise BadInput(f"the model '{name}' is not a reference model: uninstall the plugin that replaces it")
    model = build_model(choice, build_settings(choice, {}))
    assert isinstance(model, ReferenceModel)
    clips = _clips(run)
    model.begin(Truths(clips=clips, seed=run.manifest.seed))
    try:
        answers = [_ask(model, clip, run.manifest.seed + repeat) for repeat in repeats(run) for clip in clips]
    finally:
        model.close()
    questions = run.clips["questions"].to_list() * len(repeats(run))
    return predicted(
        run,
        name,
        grades=[grade for grade, _ in answers],
        scores=[score for _, score in answers],
        moments=[_moments(asked, grade) for asked, (grade, _) in zip(questions, answers, strict=True)],
    )


def predicted(
    run: RunRecords,
    name: str,
    *,
    grades: Sequence[Any],
    scores: Sequence[float | None],
    moments: Sequence[tuple[MomentLine, ...] | None],
) -> pd.DataFrame:
    """What a yardstick says of every clip in every repeat, clip by clip, as a frame like `run.predictions`.

    grades : None where it fails. moments : None for a clip that is asked about as a whole.
    """
    at = [place for _ in repeats(run) for place in range(len(run.clips))]
    frame = pd.DataFrame(
        {
            "model": name,
            "clip": run.clips["clip"].to_numpy()[at],
            "repeat": [repeat for repeat in repeats(run) for _ in range(len(run.clips))],
            "truth_time_s": run.clips["truth_time_s"].astype("float64").to_numpy()[at],
            "event_time_s": float("nan"),
            "score": pd.array(scores, dtype="float64"),
            "fallback_level": 0.0,
            "attempts": 0,
            "at": at,
        }
    )
    frame["moments"] = pd.Series(list(moments), dtype=object)
    frame["truth"] = pd.Categorical(
        run.clips["truth"].to_numpy()[at], categories=run.predictions["truth"].cat.categories
    )
    frame["grade"] = pd.Categorical(grades, categories=list(GRADES))
    frame["answered_by"] = pd.Categorical(
        [None if grade is None else "model" for grade in grades], categories=["model", "substitute"]
    )
    frame["outcome"] = pd.Categorical(
        ["answered" if grade is not None else "crashed" for grade in grades], categories=[str(o) for o in Outcome]
    )
    return frame


def _moments(questions: Any, grade: Any) -> tuple[MomentLine, ...] | None:
    """A clip's moments, at all of which a model that looks at nothing says the same."""
    outcome = Outcome.CRASHED if grade is None else Outcome.ANSWERED
    asked = moments_of(questions)
    return tuple(MomentLine(moment_s=m, grade=grade, score=None, outcome=outcome) for m in asked) or None


def repeats(run: RunRecords) -> range:
    """The repeats of the run, from 0."""
    return range(int(run.predictions["repeat"].max()) + 1)


def _ask(model: ReferenceModel, clip: Clip, seed: int) -> tuple[str | None, float | None]:
    """The model's grade and score for a clip: here "the task's format" is the grade itself."""
    try:
        reply = model.answer(clip, _request(clip, seed))
    except AttemptError:
        return None, None
    if reply.text not in GRADES:
        raise BadInput("a reference model answers without Request.write_answer: uninstall the plugin that brings it")
    return reply.text, (reply.grade_probabilities or {}).get("ghost_probing")


def _request(clip: Clip, seed: int) -> Request:
    def write(verdict: Verdict) -> str:
        return verdict.grade

    prompt = Prompt(
        system="",
        parts=(),
        schema={},
        schema_name="grade",
        verdict_field=None,
        verdict_values=GRADES,
        max_output_tokens=1,
        sha256="",
    )
    return Request(
        id="reference",
        prompt=prompt,
        frames=None,
        seed=seed,
        level=0,
        level_settings={},
        write_answer=write,
    )


def _clips(run: RunRecords) -> tuple[Clip, ...]:
    return tuple(
        Clip(
            id=row["clip"],
            truth=row["truth"],
            truth_time_s=_number(row["truth_time_s"]),
            category=None if pd.isna(row["category"]) else int(row["category"]),
            remark=row["remark"] if isinstance(row["remark"], str) else None,
            labels=row["labels"],
            parameters=row["parameters"],
        )
        for row in run.clips.to_dict("records")
    )


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
