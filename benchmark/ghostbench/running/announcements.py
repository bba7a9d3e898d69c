"""What a run says before it asks anything, and the command line that goes on with it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ghostbench.credentials import without_credentials
from ghostbench.datasets.clip_ids import clip_id
from ghostbench.datasets.storage import Location, list_folder
from ghostbench.folder.manifest import Manifest
from ghostbench.plugins.registry import printable
from ghostbench.redact import CROSSED_OUT
from ghostbench.running.plan.named_servers import only_in_the_folder
from ghostbench.running.plan.plan import Plan
from ghostbench.running.terminal import Terminal

_FEW = 4
"""Names that are shown of what lies in a folder."""


def say_what_it_was(before: Manifest, command: list[str], terminal: Terminal) -> None:
    """Show how the run was begun, where the command line that goes on with it does not say it all."""
    if not terminal.quiet and not any(word == "--models" or word.startswith("--models=") for word in command):
        begun = printable(f"run '{before.run_id}' was begun with: {shlex.join(before.command)}")
        terminal.err.print(begun, markup=False, highlight=False, soft_wrap=True)


def say_what_is_early(put_off: Iterable[tuple[str, datetime]], terminal: Terminal) -> None:
    """Warn of servers that asked to be left alone for longer than it has been."""
    for row, until in put_off:
        terminal.warn(
            f"{row}: the server asked to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC; asking again already"
        )


def say_what_is_left_out(plan: Plan, terminal: Terminal) -> None:
    """Name the examples that the wordings tell of: those that are not scored, and those that nobody knows."""
    left_out = plan.split.left_out
    told = {clip_id(clip) for wording in plan.wordings for clip in (*wording.example_clips, *wording.shown_clips)}
    if examples := [clip for clip in left_out if clip in told]:
        terminal.warn(f"not scored, as examples are told with their answers: {printable(', '.join(examples))}")
    if twins := [clip for clip in left_out if clip not in told]:
        terminal.warn(f"not scored, as the scene of an example is shown: {printable(', '.join(twins))}")
    # Of one whose frames are shown, a clip under another name is told by its own.
    if strangers := sorted(told - set(left_out) - set(plan.split.examples)):
        named = printable(", ".join(strangers))
        terminal.warn(f"examples that are no clips of this run: {named}; a clip under another name would be scored")


def say_what_is_missing(plan: Plan, terminal: Terminal) -> None:
    """Name the clips without media before anything is asked: a wrong root costs a whole run otherwise."""
    clips, root = plan.split.clips, plan.split.data_root
    missing = sum(clip.media is None for clip in clips)
    if missing and root is not None and plan.needs_media:
        where = printable(without_credentials(root))
        terminal.warn(
            f"{missing} of {len(clips)} clips have no media under {where}: "
            "models that look at frames give no answer for them; leave them out with --only-available"
            + (_what_is_there(root) if missing == len(clips) else "")
        )


def _what_is_there(root: str) -> str:
    """A few names in a local root in which no clip was found: of another form, in another folder, in other letters."""
    place = Location(root)
    found = sorted((place.is_local and list_folder(place)) or ())
    shown = [printable(name) for name in found[:_FEW]]
    further = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
    return f" (there are: {', '.join(shown)}{further})" if shown else ""


def resume_command(command: list[str], plan: Plan, kept: Mapping[str, Any]) -> str:
    """The command line that goes on with this run, ready to paste: the whole one where the manifest keeps no secret.

    kept : the options as the manifest has them.
    """
    if CROSSED_OUT not in json.dumps(kept, ensure_ascii=False):
        servers = only_in_the_folder(kept, plan.options.models, os.environ)
        again = [word for server in servers for word in server.words]
        # A folder outside the run is opened for the user's word alone, and not for the manifest's.
        again += ["--cache", str(plan.options.cache)] if plan.options.cache is not None else []
        return shlex.join(["bench", "run", "--resume", "--run-id", plan.run_id, "--out", str(plan.options.out), *again])
    words = [word for word in command if word != "--resume"]
    if "--run-id" not in words and not any(word.startswith("--run-id=") for word in words):
        words += ["--run-id", plan.run_id]
    return shlex.join([*words, "--resume"])
