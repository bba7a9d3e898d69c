"""How a command speaks while a run is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """How the command speaks: `quiet` prints nothing but errors, `as_json` prints the metrics as one JSON object."""

    out: Console
    err: Console
    quiet: bool = False
    as_json: bool = False

    def warn(self, line: str) -> None:
        """Say what is worth knowing and no error, unless nothing but errors is to be said."""
        if not self.quiet:
            self.err.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def looking_for_media(self, listed: int, of: int) -> None:
        """Say how far the listing of a dataset's folders has come."""
        if not self.quiet:
            self.err.print(f"looking for the media: {listed} of {of} folders listed", style="dim", highlight=False)
