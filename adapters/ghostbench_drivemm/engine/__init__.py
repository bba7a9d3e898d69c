"""The decode engine: packed prefill, a cache laid out for grouped heads, captured graphs for each step."""

from __future__ import annotations

from ghostbench_drivemm.engine.options import GenerateOptions, Generation, RowTimes, Sampling
from ghostbench_drivemm.engine.run import Engine, engine_of, generate, generate_prepared
from ghostbench_drivemm.engine.warm import in_the_largest, plan, warm

__all__ = [
    "Engine",
    "GenerateOptions",
    "Generation",
    "RowTimes",
    "Sampling",
    "engine_of",
    "generate",
    "generate_prepared",
    "in_the_largest",
    "plan",
    "warm",
]
