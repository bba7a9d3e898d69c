"""`bench run --dry-run`: what a run would send and cost at most, without sending anything or making a folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ghostbench.errors import AttemptError, MediaError
from ghostbench.media.decode import decode
from ghostbench.models import RemoteModel
from ghostbench.question import Question
from ghostbench.records import Clip, Frames, Request, Usage
from ghostbench.running.ask.dispatch import estimated
from ghostbench.running.ask.questions import Questions
from ghostbench.running.plan.plan import Contender, Options, Plan, make_plan
from ghostbench.running.runner import DECODE_WORKERS

if TYPE_CHECKING:
    from ghostbench.running.execute import Terminal


@dataclass(slots=True)
class Forecast:
    """What a row would send if every first attempt is answered at full length.

    input_tokens, output_tokens, cost_usd : at most, all requests together; None where the model cannot tell.
    unavailable_clips : clips of the split whose media is missing or broken, so that nothing would be sent.
    """

    requests: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cost_usd: float | None = 0.0
    unavailable_clips: int = 0


def print_dry_run(options: Options, voice: Terminal) -> int:
    """Print the forecast of every row; return exit status 0. Raises `BadInput`."""
    plan = make_plan(options)
    forecasts = forecast(plan)
    if voice.as_json:
        sys.stdout.write(json.dumps({name: asdict(f) for name, f in forecasts.items()}) + "\n")
        return 0
    if voice.quiet:
        return 0
    from rich.table import Table

    table = Table("model", "requests", "input tokens", "output tokens", "cost at most", "clips without media", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, f in forecasts.items():
        cost = "unknown" if f.cost_usd is None else f"${f.cost_usd:.4f}"
        table.add_row(
            name, str(f.requests), _count(f.input_tokens), _count(f.output_tokens), cost, str(f.unavailable_clips)
        )
    voice.out.print(table, markup=False)
    voice.out.print("Nothing was sent. Retries and fallbacks come on top.")
    return 0


def forecast(plan: Plan) -> dict[str, Forecast]:
    """The forecast of every row, by name. Clips are decoded as in a run: image sizes and counts are the real ones."""
    found = {row.name: Forecast() for row in plan.rows if not row.substitute}
    rows = [row for row in plan.rows if not row.substitute]
    questions = Questions(plan.task)
    for frames in _frames(plan, plan.needs_media):
        for row in rows:
            _add(found[row.name], row, frames, plan, questions)
    return found


def _frames(plan: Plan, needed: bool) -> Iterator[Frames | None]:
    """Each clip's frames, or None where there are none, a few clips ahead."""

    def one(clip: Clip) -> Frames | None:
        if clip.media is None or not needed:
            return None
        try:
            return decode(clip.media, plan.sampling)
        except MediaError:
            return None

    with ThreadPoolExecutor(DECODE_WORKERS) as pool:
        clips = plan.split.clips
        for start in range(0, len(clips), DECODE_WORKERS):
            yield from pool.map(one, clips[start : start + DECODE_WORKERS])


def _add(total: Forecast, row: Contender, frames: Frames | None, plan: Plan, questions: Questions) -> None:
    looking = row.needs_frames or plan.task.at_moments
    if looking and frames is None:
        total.unavailable_clips += 1
        return
    for moment_s in questions.moments(frames) if looking and frames is not None else (None,):
        question = questions.asked(frames if row.needs_frames else None, moment_s, probe=row.probe)
        _add_request(total, row, question, plan)


def _add_request(total: Forecast, row: Contender, question: Question, plan: Plan) -> None:
    repeats = plan.options.repeats
    total.requests += repeats
    if not isinstance(row.host.model, RemoteModel):
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
    )
    try:
        usage = estimated(row.host.model, request)
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
