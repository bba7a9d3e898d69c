"""report.html: one self-contained file, without network, that shows the run's tables."""

from __future__ import annotations

from pathlib import Path

from ghostbench.report.data import RunData
from ghostbench.report.table import shown
from ghostbench.report.tables import IN_RETROSPECT, run_tables

TEMPLATES = Path(__file__).parent / "templates"


def report_html(run: RunData, *, embed_frames: bool = False) -> str:
    """The whole page. Everything that comes from models, labels or names is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from ghostbench.report.write import facts

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.globals["shown"] = shown
    return environment.get_template("report.html.j2").render(
        run_id=run.manifest.run_id,
        facts=facts(run),
        retrospect=IN_RETROSPECT,
        tables=run_tables(run),
    )
