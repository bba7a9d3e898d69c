"""What the commands that serve a local page share: the extra they need, and how they tell the address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ghostbench.cli.speaking import refuse_both
from ghostbench.errors import BadInput

if TYPE_CHECKING:
    from ghostbench.viewer.guard import Access


def check_can_serve(command: str, *, quiet: bool, as_json: bool, no_browser: bool) -> None:
    """Raise `BadInput` where nobody would learn the address, or the extra is not installed."""
    refuse_both(quiet, as_json)
    if quiet and no_browser:
        raise BadInput("--quiet with --no-browser tells nobody the address: leave out one")
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise BadInput(f"`bench {command}` needs the extra [view]: pip install 'ghostbench[view]'") from None


def serve_page(app: Any, access: Access, how_it_ends: str, *, quiet: bool, as_json: bool, no_browser: bool) -> int:
    """Tell the address, open a browser unless told otherwise, and serve until it is ended; the exit status."""
    from ghostbench.viewer.server import serve

    if as_json:
        click.echo(json.dumps({"address": access.link}))
    elif not quiet:
        click.echo(f"{access.link}\n{how_it_ends}")
    if not no_browser:
        click.launch(access.link)
    serve(app, access)
    return 0
