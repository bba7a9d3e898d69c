"""`bench view`."""

from __future__ import annotations

from pathlib import Path

import click

from ghostbench.cli.serving import check_can_serve, serve_page
from ghostbench.cli.speaking import as_json_option, quiet_option


@click.command(
    epilog="Examples:\n\n\b\n  bench view\n  bench view results --data-root DADA\n  bench view results/RUN --no-browser"
)
@click.argument("results", default="results", type=click.Path(path_type=Path))
@click.option("--port", default=7576, show_default=True, type=click.IntRange(1, 65535), help="Where to listen.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; others than this machine's own "
    "let whoever has the link look.",
)  # fmt: skip
@click.option("--data-root", metavar="DIR|URL", help="Where the media is; ghost5's comes with the package.")
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@quiet_option("Print no address; a browser is opened.")
@as_json_option("Print the address as one JSON object.")
def command(
    *, results: Path, port: int, host: str, data_root: str | None, no_browser: bool, quiet: bool, as_json: bool
) -> int:
    """Look at runs in a browser: as they go on, their tables, and every clip with what each model said of it.

    RESULTS is a folder of runs, or one run. Nothing is written, and nothing is fetched from anywhere. The address that
    is printed holds a token: whoever has it on this machine can look, nobody else.
    """
    from ghostbench.datasets.granted import Granted
    from ghostbench.errors import BadInput
    from ghostbench.plugins.text import printable

    if not results.is_dir():
        raise BadInput(f"there is no folder {printable(str(results))}: give the one that `bench run` writes to")
    check_can_serve("view", quiet=quiet, as_json=as_json, no_browser=no_browser)
    from ghostbench.viewer.guard import Access
    from ghostbench.viewer.server import application

    access = Access.new(host, port)
    app = application(results, Granted.of(data_root=data_root), access)
    return serve_page(app, access, "Ctrl-C ends it.", quiet=quiet, as_json=as_json, no_browser=no_browser)
