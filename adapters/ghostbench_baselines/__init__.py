"""Yardsticks that never look at a clip: what any model has to beat, and how much the categories give away."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench import ModelSpec, hookimpl


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register `always`, `never`, `random` and `category-prior`."""
    trivial = "trivial baseline"
    for name, class_name, summary, mark in (
        ("always", "Always", "says ghost_probing of every clip", trivial),
        ("never", "Never", "says normal of every clip", trivial),
        ("random", "Random", "draws ghost_probing at the split's own prevalence, seeded", trivial),
        ("category-prior", "CategoryPrior", "says what most other clips of the accident category are", "leak probe"),
    ):
        register(
            ModelSpec(
                name=name,
                load=f"ghostbench_baselines.models:{class_name}",
                kind="reference",
                summary=summary,
                needs_frames=False,
                mark=mark,
            )
        )
