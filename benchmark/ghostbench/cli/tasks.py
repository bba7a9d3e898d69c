"""`bench tasks`."""

from __future__ import annotations

import json
import sys

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both


@click.command(epilog="Examples:\n\n\b\n  bench tasks\n  bench tasks ghost-probing\n  bench tasks my-task.yaml --json")
@click.argument("name", required=False, metavar="[NAME|FILE.yaml]", shell_complete=complete.tasks)
@quiet_option()
@as_json_option("Print the list, or the task's words, as JSON.")
def command(name: str | None, quiet: bool, as_json: bool) -> int:
    """List the tasks, or print the words that one task puts to a model, in each of its wordings.

    A run folder holds the same words under prompts/, by their digest.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ghostbench.plugins.registry import registry
    from ghostbench.report.prompt import wordings_as_text
    from ghostbench.tasks.load import load_task
    from ghostbench.tasks.wording import IN_VIDEO, MAIN

    refuse_both(quiet, as_json)
    if name is not None:
        task = load_task(name)
        wordings = dict(task.variants())
        filmed = task.in_video()
        if as_json:
            worded = {name: {"sha256": each.template_sha256(), **each.template()} for name, each in wordings.items()}
            stated = {"sha256": task.template_sha256(), **task.template(), "variants": worded}
            if filmed is not None:
                stated["video"] = {"sha256": filmed.template_sha256(), **filmed.template()}
            sys.stdout.write(json.dumps(stated, ensure_ascii=False) + "\n")
        elif not quiet:
            click.echo(f"{task.name}, version {task.version}, SHA-256 {task.template_sha256()}\n")
            wordings |= {} if filmed is None else {IN_VIDEO: filmed}
            words = {MAIN: task.template(), **{name: each.template() for name, each in wordings.items()}}
            click.echo(wordings_as_text(words))
        return 0
    specs = registry().tasks.values()
    if as_json:
        sys.stdout.write(json.dumps([{"name": spec.name, "summary": spec.summary} for spec in specs]) + "\n")
    elif not quiet:
        table = Table("task", "what it asks", box=None, pad_edge=False, header_style="bold")
        for spec in specs:
            table.add_row(escape(spec.name), escape(spec.summary))
        Console().print(table)
        click.echo("The words of one: bench tasks NAME, or bench tasks FILE.yaml")
    return 0
