"""Where the datasets that come with the package lie, in a wheel and in a source tree."""

from __future__ import annotations

from pathlib import Path

from ghostbench.errors import BadInput


def embedded_folder() -> Path:
    """The folder that holds one folder per embedded dataset.

    A wheel carries it as `ghostbench/embedded`; in a source tree it is `datasets` at the top, three levels above this
    package. Raises `BadInput` where neither is there (a broken installation).
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "embedded", package.parents[1] / "datasets"):
        if folder.is_dir():
            return folder
    raise BadInput("the embedded datasets are missing from this installation; reinstall ghostbench")


def ghost5() -> Path:
    """The dataset file of `ghost5`."""
    return embedded_folder() / "ghost5" / "dataset.yaml"


def ghost_grid() -> Path:
    """The dataset file of `ghost-grid`."""
    return embedded_folder() / "ghost-grid" / "dataset.yaml"


def dada2000() -> Path:
    """The dataset file of `dada2000`."""
    return embedded_folder() / "dada2000" / "dataset.yaml"
