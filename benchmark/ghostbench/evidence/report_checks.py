"""The metrics, tables and pages of a run folder against what its ledger gives, and every file against SHA256SUMS."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from ghostbench.datasets.granted import NOTHING, Granted
from ghostbench.digests import digest
from ghostbench.errors import BadInput
from ghostbench.evidence.differences import Finding, differences, different_lines
from ghostbench.evidence.page_checks import check_page
from ghostbench.folder.metrics_file import has_metrics, stated_metrics
from ghostbench.folder.names import JOURNALS, METRICS, PAGE, SENSITIVITY, SUMS, TABLES
from ghostbench.folder.run_records import RunRecords
from ghostbench.folder.sums import listed_files, read_sums
from ghostbench.plugins.installed import own_version
from ghostbench.report.data import RunData
from ghostbench.report.twin_tables import fitting_is_here, has_curves, was_fitted
from ghostbench.report.write import report_files
from ghostbench.scoring.metrics import Metrics
from ghostbench.scoring.score import SCHEMA_VERSION


def check_metrics(run: RunRecords, computed: Metrics) -> list[Finding]:
    """metrics.json against the metrics computed again."""
    if not has_metrics(run.folder):
        return [Finding(METRICS, "is missing: `bench report` writes it")]
    try:
        stated = stated_metrics(run.folder)
    except (ValueError, RecursionError):
        return [Finding(METRICS, "is not JSON that can be read")]
    again = json.loads(json.dumps(computed))
    return [Finding(METRICS, words) for words in differences(stated, again)]


def scored_before(folder: Path) -> Finding | None:
    """What to say of scores that another version's rules gave, which cannot be compared; None for this version's.

    A metrics.json that is missing, or no JSON, is for `check_metrics` to name.
    """
    try:
        stated = stated_metrics(folder)["schema_version"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None
    if not isinstance(stated, int) or stated == SCHEMA_VERSION:
        return None
    return Finding(
        METRICS,
        f"was scored by the rules of schema {stated}, and these are {SCHEMA_VERSION}: its numbers and the report are "
        f"not compared; score it anew with: bench report {shlex.quote(str(folder))}",
    )


def check_reports(run: RunRecords, computed: Metrics, granted: Granted = NOTHING) -> tuple[list[Finding], list[str]]:
    """report.md, report.html and the tables against what the ledger gives; and what was not compared, and why.

    Another version of ghostbench words its pages otherwise: then the CSV tables alone are compared. granted : where the
    media of embedded frames may be looked for.
    """
    data = RunData(run.folder, run, computed)
    data = replace(data, fits=_fits(data))
    want = report_files(data)
    notes = []
    known = {Path(name).name for name in want}
    wrote, here = run.manifest.versions.get("ghostbench"), own_version()
    other = wrote is not None and wrote != here
    if other:
        want = {name: text for name, text in want.items() if name.endswith(".csv")}
        notes.append(f"of the reports only the CSV tables were compared: ghostbench {wrote} wrote them, this is {here}")
    found = []
    for name in (*want, PAGE):
        path = run.folder / name
        if not path.is_file():
            found.append(Finding(name, "is missing: `bench report` writes it"))
            continue
        if name == PAGE and other:
            continue
        stated = path.read_text(encoding="utf-8", errors="replace")
        if name == PAGE:
            page, said = check_page(stated, data, granted)
            found += page
            notes += said
        else:
            lines = different_lines(stated, want[name], table=name.endswith(".csv"))
            found += [Finding(name, words) for words in lines]
    for path in sorted((run.folder / TABLES).glob("*")):
        if path.name not in known and not path.name.startswith(f"{SENSITIVITY}_"):
            found.append(Finding(f"{TABLES}/{path.name}", "is no table of this run"))
    return found, notes


def _fits(data: RunData) -> bool:
    """Whether the run's report was written with fitted curves. Raises `BadInput` where it was, and none can be here."""
    try:
        written = (data.folder / TABLES / "dose_response.csv").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    if not was_fitted(written):
        return False
    if has_curves(data.rows) and not fitting_is_here():
        raise BadInput(
            f"the curves of {data.folder} were fitted by psignifit, which is not installed here: they cannot be "
            "compared; pip install 'ghostbench[grid]'"
        )
    return True


def check_sums(folder: Path, named: Collection[str]) -> Iterator[Finding]:
    """Every file against SHA256SUMS: the least edit, of a file that cannot be computed again too.

    named : files with findings already, which need no other.
    """
    try:
        stated = read_sums(folder)
    except OSError:
        yield Finding(SUMS, "is missing: `bench report` writes it")
        return
    except ValueError as error:
        yield Finding(SUMS, str(error))
        return
    for name in dict.fromkeys([*stated, *listed_files(folder)]):
        if name in named:
            continue
        if name not in stated:
            yield Finding(name, f"is not in {SUMS}")
        elif not (folder / name).is_file():
            yield Finding(name, f"is missing: {SUMS} names it")
        elif digest(folder / name) != stated[name]:
            yield Finding(name, f"its SHA-256 is not the one in {SUMS}: one of the two was edited after it was written")


def unchecked(folder: Path) -> Iterator[str]:
    """What no check computes again, in words."""
    if (folder / f"{SENSITIVITY}.md").is_file():
        yield (
            f"{SENSITIVITY}.md and its tables were compared with their digests alone: "
            "the run does not hold the second label file"
        )
    if (folder / JOURNALS).is_dir():
        yield f"{JOURNALS}/ was not checked: models keep there what they need to go on after a kill"
