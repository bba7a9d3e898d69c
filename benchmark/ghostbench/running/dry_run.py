"""`bench run --dry-run`: what a run would send and cost at most, without sending anything or making a folder."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from ghostbench.errors import AttemptError, MediaError
from ghostbench.folder.manifest import RECORDED
from ghostbench.frames import Frames
from ghostbench.media.decode import decode
from ghostbench.media.own_file import read_video
from ghostbench.models import RemoteModel
from ghostbench.question import Question, examples_shown
from ghostbench.records import Clip, Request, Usage, Video
from ghostbench.running.ask.dispatch import estimated
from ghostbench.running.ask.examples import NO_EXAMPLES, by_digest, show_examples
from ghostbench.running.ask.questions import Questions
from ghostbench.running.plan.contenders import Contender
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import Plan, make_plan
from ghostbench.running.runner import DECODE_WORKERS
from ghostbench.scoring.significance import ALPHA, POWER, detectable_difference
from ghostbench.scoring.watched import window_of
from ghostbench.tasks.sustain import AT_ONCE

if TYPE_CHECKING:
    from ghostbench.running.terminal import Terminal


@dataclass(slots=True)
class Forecast:
    """What a row would send if every first attempt is answered at full length.

    input_tokens, output_tokens, cost_usd : at most, all requests together; None where the model cannot tell.
    unavailable_clips : clips of the split whose media is missing or broken, so that nothing would be sent.
    video_bytes : of media files that would be sent; None for a row that sees frames, or looks at nothing.
    """

    requests: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cost_usd: float | None = 0.0
    unavailable_clips: int = 0
    video_bytes: int | None = None


DISAGREEING: Final = (0.1, 0.2, 0.4)
"""Shares of clips on which two models may turn out to disagree; nobody knows before the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What the run can show of its rows' differences, in one family of tests.

    clips : that are counted. models : those that are set against each other. comparisons : the tests of the family, by
        which the level is corrected: every two models in `bench compare`; with other wordings, every two models in
        every wording, and every other wording against the main one; every probe against its model.
    level : what a p-value must reach, .05 over the number of comparisons (Holm's first step).
    detectable : by the share of clips that one of two models gets right and the other wrong, the smallest true
        difference in accuracy that comes out significant four times in five; None where none does. Of a task that asks
        at moments it is the share of clips warned of, or of those with a false alarm.
    """

    clips: int
    models: int
    comparisons: int
    level: float
    detectable: Mapping[str, float | None]


def design_of(clips: int, models: int, comparisons: int | None = None) -> Design | None:
    """The design of so many clips and models; None where nothing is compared.

    comparisons : the tests of the family; every two models where none is given.

    >>> found = design_of(200, 2)
    >>> found.comparisons, {share: round(d, 2) for share, d in found.detectable.items()}
    (1, {'0.1': 0.06, '0.2': 0.09, '0.4': 0.13})
    """
    if comparisons is None:
        comparisons = models * (models - 1) // 2
    if not comparisons:
        return None
    level = ALPHA / comparisons
    found = {str(share): detectable_difference(clips, share, level) for share in DISAGREEING}
    return Design(clips=clips, models=models, comparisons=comparisons, level=level, detectable=found)


def designs_of(plan: Plan) -> dict[str, Design]:
    """The designs of the families that the run's tables and `bench compare` will test, by what they compare."""
    clips = len(plan.split.clips)
    models = [row for row in plan.rows if _contends(row)]
    if plan.task.at_moments:
        # Warnings are compared there, and not what is said of whole clips.
        asked = {"warnings": sum(_has_window(clip, plan) for clip in plan.split.clips)}
        asked["false alarms"] = sum(clip.truth != "ghost_probing" for clip in plan.split.clips)
        each = {what: design_of(count, len(models)) for what, count in asked.items()}
        return {what: design for what, design in each.items() if design is not None}
    # Who saw the video is never set against who saw the frames.
    models = [row for row in models if not row.sees_video] or models
    worded = [row for row in plan.rows if row.variant is not None]
    several = {row.of for row in worded}
    pairs = len(several) * (len(several) - 1) // 2 * (len(plan.variants) + 1)
    probes = [row for row in plan.rows if row.probe is not None]
    found = {
        "models": design_of(clips, len(models)),
        "models in each wording": design_of(clips, len(several), pairs),
        "wordings": design_of(clips, len(several), len(worded)),
        "probes": design_of(clips, len({row.of for row in probes}), len(probes)),
    }
    return {what: design for what, design in found.items() if design is not None}


def _has_window(clip: Clip, plan: Plan) -> bool:
    """Whether a warning of the clip can be right: an alarm can hold before its window, and a moment is in it."""
    start_s, event_s, _ = window_of({"labels": clip.labels, "truth_time_s": clip.truth_time_s})
    if clip.truth != "ghost_probing" or start_s is None or event_s is None:
        return False
    rate = plan.task.moments_per_s
    if rate is None:
        return 0.0 < start_s <= event_s
    return (plan.sustain or AT_ONCE).k / rate < start_s <= math.floor(event_s * rate + 1e-9) / rate


def _contends(row: Contender) -> bool:
    """Whether `bench compare` sets it against others: no probe, no other wording, no yardstick; recorded responses are
    a model's, and a substitute's row contends under its own name."""
    spec = row.configured.choice.spec
    return row.probe is None and row.variant is None and (spec.kind != "reference" or spec.name == RECORDED)


def _said(what: str, design: Design) -> str:
    """The design in one line."""
    of_clips, measure, disagree = _WORDS[what]
    shown = [
        f"{difference:.2f} where {disagree} on {float(share):.0%} of the clips"
        for share, difference in design.detectable.items()
        if difference is not None
    ]
    pairs = "1 comparison" if design.comparisons == 1 else f"{design.comparisons} comparisons"
    counted = f"{design.clips} clips{of_clips}"
    if not shown:
        return f"{counted} are too few to show any difference between {_between(what)} ({pairs}, Holm-corrected)."
    between = "" if what == "models" else f" between {_between(what)}"
    return (
        f"With {counted} and {pairs} (Holm-corrected), true differences in {measure}{between} from these on are found "
        f"{POWER:.0%} of the time: {'; '.join(shown)}."
    )


def _between(what: str) -> str:
    return "models" if what in {"warnings", "false alarms"} else what


_TWO = "two models disagree"
_WORDS: Final = {
    "models": ("", "accuracy", _TWO),
    "models in each wording": ("", "accuracy", _TWO),
    "wordings": ("", "accuracy", "two wordings disagree"),
    "probes": ("", "accuracy", "a probe and its model disagree"),
    "warnings": (" whose window can be warned of", "the share of clips warned of", _TWO),
    "false alarms": (" without ghost probing", "the share of clips with a false alarm", _TWO),
}
"""By what is compared: which clips are counted, by what, and what an uneven answer to one is."""


def print_dry_run(options: Options, terminal: Terminal) -> int:
    """Print the forecast of every row; return exit status 0. Raises `BadInput`."""
    plan = make_plan(options)
    forecasts = forecast(plan)
    designs = designs_of(plan)
    if terminal.as_json:
        # No row's name begins with an underscore.
        told = {name: asdict(f) for name, f in forecasts.items()}
        every = {what: asdict(design) for what, design in designs.items()}
        designed = {"_design": every.pop("models", None), **({"_designs_beside": every} if every else {})}
        sys.stdout.write(json.dumps({**told, **designed}) + "\n")
        return 0
    if terminal.quiet:
        return 0
    from rich.table import Table

    filmed = any(f.video_bytes is not None for f in forecasts.values())
    columns = ["model", "requests", "input tokens", "output tokens", "cost at most", "clips without media"]
    table = Table(*columns, *(["bytes of video"] if filmed else []), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, f in forecasts.items():
        cost = "unknown" if f.cost_usd is None else f"${f.cost_usd:.4f}"
        cells = [str(f.requests), _count(f.input_tokens), _count(f.output_tokens), cost, str(f.unavailable_clips)]
        table.add_row(name, *cells, *([_count(f.video_bytes)] if filmed else []))
    terminal.out.print(table, markup=False)
    terminal.out.print("Nothing was sent. Retries and fallbacks come on top.")
    for what, design in designs.items():
        terminal.out.print(_said(what, design), markup=False, highlight=False)
    return 0


def forecast(plan: Plan) -> dict[str, Forecast]:
    """The forecast of every row, by name. Clips are decoded as in a run: image sizes and counts are the real ones."""
    found = {row.name: Forecast(video_bytes=0 if row.sees_video else None) for row in plan.rows if not row.substitute}
    rows = [row for row in plan.rows if not row.substitute]
    examples = by_digest(show_examples(plan))
    questions = Questions(plan.task, plan.variants)
    for frames, video in _media(plan):
        for row in rows:
            if row.sees_video:
                _add_video(found[row.name], row, video, plan)
            else:
                _add(found[row.name], row, frames, plan, questions, examples)
    return found


def _media(plan: Plan) -> Iterator[tuple[Frames | None, Video | None]]:
    """Each clip's frames and its own media file, None where they are not there or not needed, a few clips ahead."""
    frames = plan.task.at_moments or any(row.needs_frames for row in plan.rows)

    def one(clip: Clip) -> tuple[Frames | None, Video | None]:
        return (_decoded(clip, plan) if frames else None), (_filmed(clip, plan) if plan.filmed is not None else None)

    with ThreadPoolExecutor(DECODE_WORKERS) as pool:
        clips = plan.split.clips
        for start in range(0, len(clips), DECODE_WORKERS):
            yield from pool.map(one, clips[start : start + DECODE_WORKERS])


def _decoded(clip: Clip, plan: Plan) -> Frames | None:
    try:
        return decode(clip.media, plan.sampling, plan.split.credentials) if clip.media is not None else None
    except MediaError:
        return None


def _filmed(clip: Clip, plan: Plan) -> Video | None:
    try:
        return read_video(clip.media, clip.id, plan.split.credentials) if clip.media is not None else None
    except MediaError:
        return None


def _add_video(total: Forecast, row: Contender, video: Video | None, plan: Plan) -> None:
    if video is None or plan.filmed is None:
        total.unavailable_clips += 1
        return
    total.video_bytes = (total.video_bytes or 0) + len(video.data) * plan.options.repeats
    _add_request(total, row, Question(prompt=plan.filmed.build(None), frames=None, video=video), plan)


def _add(
    total: Forecast,
    row: Contender,
    frames: Frames | None,
    plan: Plan,
    questions: Questions,
    examples: Mapping[str, Frames],
) -> None:
    looking = row.needs_frames or plan.task.at_moments
    if looking and frames is None:
        total.unavailable_clips += 1
        return
    for moment_s in questions.moments(frames) if looking and frames is not None else (None,):
        shown = frames if row.needs_frames else None
        question = questions.asked(shown, moment_s, probe=row.probe, variant=row.variant)
        _add_request(total, row, question, plan, examples)


def _add_request(
    total: Forecast, row: Contender, question: Question, plan: Plan, examples: Mapping[str, Frames] = NO_EXAMPLES
) -> None:
    repeats = plan.options.repeats
    total.requests += repeats
    if not isinstance(row.configured.model, RemoteModel):
        total.input_tokens = total.output_tokens = None
        return
    request = Request(
        id="dry-run",
        prompt=question.prompt,
        frames=question.frames,
        seed=plan.options.seed,
        level=0,
        level_settings={},
        write_answer=plan.task.write,
        moment_s=question.moment_s,
        variant=row.variant,
        video=question.video,
        examples=examples_shown(question.prompt, examples),
    )
    try:
        usage = estimated(row.configured.model, request)
    except AttemptError:
        usage = Usage()
    if usage.input_tokens is None or total.input_tokens is None:
        total.input_tokens = None
    else:
        total.input_tokens += usage.input_tokens * repeats
    if usage.output_tokens is None or total.output_tokens is None:
        total.output_tokens = None
    else:
        total.output_tokens += usage.output_tokens * repeats
    if usage.cost_usd is None or total.cost_usd is None:
        total.cost_usd = None
    else:
        total.cost_usd += usage.cost_usd * repeats


def _count(tokens: int | None) -> str:
    return "n/a" if tokens is None else f"{tokens:,}"
