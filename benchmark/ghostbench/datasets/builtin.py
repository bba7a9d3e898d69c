"""Registers the datasets that come with the package."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench.plugins.hookspecs import DatasetSpec, hookimpl


@hookimpl
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register ghost5, ghost-grid and dada2000."""
    register(
        DatasetSpec(
            name="ghost5",
            load="ghostbench.datasets.embedded:ghost5",
            summary="five rendered clips that come with the package",
        )
    )
    register(
        DatasetSpec(
            name="ghost-grid",
            load="ghostbench.datasets.embedded:ghost_grid",
            summary="49 rendered clips, each scene with twins that differ in one thing (see bench render)",
        )
    )
    register(
        DatasetSpec(
            name="dada2000",
            load="ghostbench.datasets.embedded:dada2000",
            summary="DADA-2000 dashcam accidents; bring the media (--data-root) and the labels (--labels)",
        )
    )
