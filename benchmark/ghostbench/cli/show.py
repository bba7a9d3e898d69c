"""`bench show`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both

if TYPE_CHECKING:
    from ghostbench.folder.reader import Folder


@click.command(epilog="Examples:\n\n\b\n  bench show results/RUN\n  bench show results/RUN images_1_001 --json")
@click.argument("run", shell_complete=complete.runs, type=click.Path(path_type=Path))
@click.argument("clip", required=False)
@quiet_option("Print nothing; exit status 1 if the run is not complete.")
@as_json_option("Print the manifest, or the clip's lines, as one JSON object.")
def command(run: Path, clip: str | None, quiet: bool, as_json: bool) -> int:
    """Show what a run was, or all that it says of one clip: the label, every answer and every attempt.

    RUN is the folder that `bench run` wrote, finished or not.
    """
    from ghostbench.folder.lines import as_mapping
    from ghostbench.folder.reader import Folder

    refuse_both(quiet, as_json)
    opened = Folder.open(run)
    if clip is None:
        if as_json:
            said = {"state": opened.state, "manifest": opened.header.as_mapping()}
            sys.stdout.write(json.dumps(said, ensure_ascii=False) + "\n")
        elif not quiet:
            _print_run(opened)
        return int(quiet and opened.state != "complete")
    line, predictions, attempts = opened.clip(clip), opened.predictions_for(clip), opened.attempts_at(clip)
    if as_json:
        found = {
            "clip": as_mapping(line),
            "predictions": [as_mapping(each) for each in predictions],
            "attempts": [as_mapping(each) for each in attempts],
        }
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    elif not quiet:
        _print_clip(opened, clip)
    return int(quiet and opened.state != "complete")


def _print_run(run: Folder) -> None:
    from ghostbench.folder.tags import read_tags

    head = run.header
    _say(f"{head.run_id}: {run.state}")
    for title, words in (
        ("task", f"{head.task.name} (version {head.task.version})"),
        ("dataset", f"{head.dataset.name}, split {head.dataset.split}, {head.dataset.n} clips, {head.repeats} x each"),
        ("sampling", head.sampling or "none"),
        ("begun", head.started_at or "unknown"),
        ("ended", head.finished_at or "not yet"),
        ("command", " ".join(head.command)),
        ("versions", ", ".join(f"{name} {version}" for name, version in head.versions.items() if version)),
    ):
        _say(f"{title:<9} {words}")
    written = read_tags(run.path)
    if written.tags or written.note:
        _say(f"{'tags':<9} {', '.join(written.tags)}{f' “{written.note}”' if written.note else ''}")
    for name, entry in head.models.items():
        stopped = f", stopped: {entry.stopped.outcome}: {entry.stopped.message}" if entry.stopped else ""
        _say(f"model     {name} ({entry.kind}{', ' + entry.remark if entry.remark else ''}{stopped})")


def _print_clip(run: Folder, clip: str) -> None:
    line = run.clip(clip)
    at = "" if line.truth_time_s is None else f" at {line.truth_time_s:g} s"
    _say(f"{line.clip}: {line.truth}{at}{f', {line.remark}' if line.remark else ''}")
    if line.frame_indices is not None:
        _say(f"frames {', '.join(map(str, line.frame_indices))} ({line.decoder})")
    for said in run.predictions_for(clip):
        what = said.grade or str(said.outcome)
        when = "" if said.event_time_s is None else f" at {said.event_time_s:g} s"
        score = "" if said.score is None else f", score {said.score:.3f}"
        _say(f"{said.model}, repeat {said.repeat}: {what}{when}{score}")
    for each in run.attempts_at(clip):
        fault = f": {each.error.type}: {each.error.message}" if each.error else ""
        _say(f"  {each.model}, repeat {each.repeat}, attempt {each.attempt}: {each.outcome}{fault}")
        if each.raw is not None:
            _say(f"    {each.raw}")


def _say(words: str) -> None:
    from ghostbench.report.escape import plain

    click.echo(plain(words))
