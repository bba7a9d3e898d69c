"""`bench`: the group of subcommands, and how every error becomes one line and an exit status."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from ghostbench import own_process
from ghostbench.cli import environment
from ghostbench.cli.streams import forgiving_streams
from ghostbench.errors import BadInput, OurFault, OutputFailed
from ghostbench.plugins.installed import forgive_broken_distributions

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

USAGE_ERROR, INTERRUPTED = 2, 130
_LAST_S = 5.0
"""How long what libraries registered for the end may take, where a thread is left, seconds."""

_SUMMARIES = {
    "run": "Put models through a task on a dataset and report what happened.",
    "merge": "Put the runs over all shards of a split together to one.",
    "view": "Look at runs in a browser, as they go on, and at every clip.",
    "ls": "List the runs below a folder, a line each.",
    "tag": "Write tags and a note on a run.",
    "show": "Show what a run was, or all that it says of a clip.",
    "export": "Write a run as tables for other programs.",
    "publish": "Write runs as a static folder of the page of bench view.",
    "status": "Say how far a run is, what it has cost and when it ends.",
    "report": "Print a run in short, or its tables; write its pages again.",
    "compare": "Compare runs on the clips they have in common.",
    "verify": "Recompute a run's every number from its ledger.",
    "label": "Label clips in a browser, blind, frame by frame, by keyboard.",
    "agree": "Say how far annotators agree on labels and times.",
    "regress": "Hold a run against a committed reference: a gate for CI.",
    "models": "List the models, or one model's settings.",
    "datasets": "List the datasets and what is known of them.",
    "tasks": "List the tasks, or print one task's words.",
    "doctor": "Load a model and judge it: frames, determinism, batches, speed.",
    "render": "Draw a grid of scenes and their twins as a dataset.",
    "new-adapter": "Write the start of an adapter package.",
}


class Lazy(click.Group):
    """A group whose subcommands live in `ghostbench.cli.<name>` as `command`, imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands in the order in which one meets them."""
        return list(_SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name, or None."""
        if cmd_name not in _SUMMARIES:
            return None
        module = importlib.import_module(f"ghostbench.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that the first word names; an unknown one is told the nearest."""
        word = args[0]
        if word not in _SUMMARIES and not word.startswith("-") and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(word, _SUMMARIES, n=2, cutoff=0.6)
            hint = f"did you mean {' or '.join(near)}?" if near else f"commands: {', '.join(_SUMMARIES)}"
            raise click.UsageError(f"there is no command '{word}'; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The subcommands that begin so, from the table above: nothing is imported for a press of Tab."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=text) for name, text in _SUMMARIES.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of subcommands, from the table above: nothing is imported for `bench --help`."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from ghostbench.plugins.installed import own_version

        click.echo(f"ghostbench {own_version()}")
        ctx.exit()


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Examples:\n\n\b\n  bench run\n  bench run --models motion,always --dataset dada2000 --data-root DADA\n"
    "  bench run --models replay:answers.jsonl=gpt-4.1 --dataset dada2000 \\\n      --labels labels.csv\n"
    "  bench models gpt-4.1",
)
@click.option("--version", is_flag=True, callback=_version, expose_value=False, is_eager=True, help="Show the version.")
def bench() -> None:
    """Compare multimodal models on ghost probing: a road user who suddenly emerges from behind an occlusion."""


def main(arguments: list[str] | None = None) -> Any:
    """The console script. Exit status: 0 done, 1 no answers or a failed gate, 2 bad input, 130 interrupted."""
    environment.settle()
    forgive_broken_distributions()
    own_process.claim()
    # Nobody needs the garbage that is left at the end: looking for it in all that libraries hold takes half a second.
    atexit.register(gc.freeze)
    with forgiving_streams():
        status = _run(arguments)
        if status == INTERRUPTED or _threads_left():
            _leave_now(status)
    sys.exit(status)


def _run(arguments: list[str] | None) -> int:
    try:
        status = bench.main(args=arguments, prog_name="bench", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        status = 0
    except click.ClickException as error:
        status = _complain(error.format_message())
    except BadInput as error:
        status = _complain(str(error))
    except OurFault as error:
        status = _complain(str(error))
    except OSError as error:
        # What the machine does not let be read or written, and nobody foresaw: a folder that is not writable, a full
        # disk. One that names no file tells the user nothing.
        if error.filename is None:
            raise
        status = _complain(f"{error.filename2 or error.filename}: {error.strerror}; see to it, and try again")
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        status = INTERRUPTED
    return status if isinstance(status, int) else 0


def _complain(message: str) -> int:
    from ghostbench.redact import Redactor

    line = " ".join(Redactor().message(message).split())
    click.echo(f"error: {''.join(c if c.isprintable() else '?' for c in line)}", err=True)
    return USAGE_ERROR


def _threads_left() -> bool:
    """Whether a thread is left that would keep the process alive."""
    return any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate())


def _leave_now(status: int) -> None:
    """End without waiting for threads that compute what nobody will read; everything to keep is on disk."""
    if status != INTERRUPTED:
        # What libraries do at the end, such as to stop processes of theirs.
        last = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
        last.start()
        last.join(_LAST_S)
    with contextlib.suppress(OutputFailed):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
