"""An image baseline: how strongly something new and moving appears in the road ahead between two sampled frames."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench import ModelSpec, hookimpl
from ghostbench_motion.settings import MotionSettings


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register `motion`."""
    register(
        ModelSpec(
            name="motion",
            load="ghostbench_motion.model:Motion",
            kind="local",
            summary="image baseline: a new moving region near the ego path, ego motion compensated",
            settings=MotionSettings,
            reads_words=False,
            extra="ghostbench[motion]",
            requires=("cv2",),
        )
    )
