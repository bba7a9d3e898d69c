"""`bench label`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ghostbench.cli.serving import check_can_serve, serve_page
from ghostbench.cli.speaking import as_json_option, quiet_option, refuse_both

FORMS = ("csv", "via", "via-project", "label-studio", "boris")
"""As `ghostbench.labelling.export` has them."""


@click.command(
    epilog="Examples:\n\n\b\n  bench label ghost5 --annotator anna --out anna.jsonl\n"
    "  bench label dada2000 --data-root DADA --labels clips.csv \\\n"
    "    --annotator ben --out ben.jsonl\n"
    "  bench label ghost5 --annotator cleo --out settled.jsonl \\\n"
    "    --settle anna.jsonl --settle ben.jsonl\n"
    "  bench label recordings/ --annotator anna --out anna.jsonl\n"
    "  bench label --out anna.jsonl --export anna.csv\n"
    "  bench label --out anna.jsonl --export anna.boris --form boris"
)
@click.argument("datasets", nargs=-1, metavar="DATASET...")
@click.option("--annotator", metavar="NAME", help="Whose labels these are.")
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="The annotator's own file.")
@click.option("--data-root", metavar="DIR|URL", help="Where the clips are.  [else: the dataset's]")
@click.option("--labels", metavar="FILE", help="A label file that names the clips; what it says of them is not shown.")
@click.option("--clips", metavar="GLOB|@FILE", help="These clips alone.")
@click.option(
    "--settle", multiple=True, metavar="FILE", help="Ask only where these annotators differ, and show what they said."
)
@click.option(
    "--export", metavar="FILE", type=click.Path(path_type=Path), help="Write the labels to this file, and end."
)
@click.option("--form", type=click.Choice(FORMS), default="csv", show_default=True, help="The form of --export.")
@click.option("--port", default=7577, show_default=True, type=click.IntRange(1, 65535), help="Where to listen.")
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@quiet_option("Print no address; a browser is opened.")
@as_json_option("Print the address, or what was exported, as one JSON object.")
def command(  # noqa: PLR0913 - one parameter an option
    *,
    datasets: tuple[str, ...],
    annotator: str | None,
    out: Path,
    data_root: str | None,
    labels: str | None,
    clips: str | None,
    settle: tuple[str, ...],
    export: Path | None,
    form: str,
    port: int,
    no_browser: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Label clips in a browser, frame by frame and by keyboard.

    DATASET is a data set, or a folder of videos that nobody has labelled yet. The clips come in an order of the
    annotator's own, without names, without what models or others say of them; a tenth
    comes twice. Every key is on disk before the page shows it: end it as you like, and go on with the same command.
    """
    from ghostbench.errors import BadInput
    from ghostbench.labelling.export import write_labels
    from ghostbench.labelling.log import read

    refuse_both(quiet, as_json)
    if export is not None:
        if datasets or settle:
            raise BadInput("--export writes the labels of --out and ends: leave out the data set and --settle")
        count = write_labels(read(out), export, form)
        if as_json:
            click.echo(json.dumps({"clips": count, "file": str(export)}))
        elif not quiet:
            click.echo(f"{count} clips: {export}")
        return 0
    if not datasets or not annotator:
        raise BadInput("name a data set and say who labels: bench label DATASET --annotator NAME --out FILE")
    check_can_serve("label", quiet=quiet, as_json=as_json, no_browser=no_browser)
    from ghostbench.datasets.query import SplitQuery
    from ghostbench.viewer.guard import Access
    from ghostbench.viewer.labels import application, labelling_of

    queries = [SplitQuery(dataset=name, data_root=data_root, labels=labels, clips=clips) for name in datasets]
    access = Access.new("127.0.0.1", port)
    labelling = labelling_of(queries, annotator, out, settle)
    if labelling.unasked and not quiet:
        clips_are = "1 clip is" if labelling.unasked == 1 else f"{labelling.unasked} clips are"
        click.echo(f"{clips_are} not asked: {out} was begun without; label what is new into another file.", err=True)
    app = application(labelling, access)
    ends = "Ctrl-C ends it; the same command goes on."
    return serve_page(app, access, ends, quiet=quiet, as_json=as_json, no_browser=no_browser)
