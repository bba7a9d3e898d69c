"""`bench regress`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ghostbench.cli import complete
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both

if TYPE_CHECKING:
    from ghostbench.evidence.regress import Check


@click.command(
    epilog="Examples:\n\n\b\n  bench regress results/RUN --against results/reference/ghost5.json\n"
    "  bench regress results/RUN --against reference.json --times --junit r.xml\n"
    "  bench regress results/RUN --against reference.json --update"
)
@click.argument("run", shell_complete=complete.runs, type=click.Path(path_type=Path))
@click.option(
    "--against", required=True, metavar="REFERENCE.json", type=click.Path(path_type=Path), help="The reference file."
)
@click.option("--times", is_flag=True, help="Fail on longer times too; without it they are warnings.")
@click.option("--update", is_flag=True, help="Write the run as the new reference, and print what changes.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML for CI.")
@quiet_option("Print only what fails.")
@as_json_option("Print every check as JSON.")
def command(
    *, run: Path, against: Path, times: bool, update: bool, junit: Path | None, quiet: bool, as_json: bool
) -> int:
    """Hold a finished run against a reference: outcomes, grades and digests clip by clip, coverage, parse rate, times.

    Exit status 0 if nothing changed, 1 with one line for each change. Times depend on the machine and on what else runs
    there: longer ones are warnings, unless --times.
    """
    from rich.console import Console
    from rich.text import Text

    from ghostbench.errors import BadInput
    from ghostbench.evidence.regress import check_run, write_junit, write_reference
    from ghostbench.evidence.snapshot import read_snapshot, take_snapshot
    from ghostbench.folder.run_records import read_run_records
    from ghostbench.report.escape import plain

    refuse_both(quiet, as_json)
    console = Console(quiet=as_json)

    def say(text: str, style: str = "") -> None:
        console.print(Text(plain(text), style=style), soft_wrap=True)

    records = read_run_records(run)
    try:
        reference = read_snapshot(against)
    except BadInput as error:
        if not update:
            raise
        replaced = f": {error}" if against.exists() else ""
        write_reference(against, take_snapshot(records))
        if not quiet:
            say(f"wrote {against}{replaced}")
        _print_json(as_json, against, (), updated=True)
        return 0
    now = take_snapshot(records, reference.tolerances)
    checks = check_run(now, reference, times=times)
    changed = [check for check in checks if check.changes]
    failed = [check for check in checks if check.fails]
    if junit is not None:
        write_junit(junit, checks)
    _print_json(as_json, against, checks, updated=update)
    for check in changed if not quiet else failed:
        say(f"{'' if check.fails else 'warning: '}{check}", "red" if check.fails and not update else "yellow")
    if update:
        write_reference(against, now)
        if not quiet:
            say(f"wrote {against}: {len(changed)} changes")
        return 0
    if failed:
        say(f"{len(failed)} of {len(checks)} checks against {against} failed")
        return 1
    slower = f", {len(changed)} with a warning" if changed else ""
    if not quiet:
        say(f"{len(checks)} checks against {against} hold{slower}")
    return 0


def _print_json(wanted: bool, against: Path, checks: Sequence[Check], *, updated: bool) -> None:
    import json
    import sys

    if wanted:
        listed = [
            {"group": check.group, "name": check.name, "changes": list(check.changes), "fails": check.fails}
            for check in checks
        ]
        holds = not any(check.fails for check in checks)
        stated = {"against": str(against), "holds": holds, "updated": updated, "checks": listed}
        sys.stdout.write(json.dumps(stated, ensure_ascii=False) + "\n")
