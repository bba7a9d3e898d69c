"""What scoring and reports are made with, imported and tried while models start in their workers: a third of a short
run."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable, Iterator

from ghostbench.report.rehearsal import rehearse
from ghostbench.running.ask.places.started import SHORT_TURN_S
from ghostbench.running.plan.plan import Plan

MODULES = (
    "ghostbench.scoring.score",
    "sklearn.metrics",
    "scipy.stats",
    "statsmodels.stats.proportion",
    "ghostbench.report.write",
    "ghostbench.report.html",
    "ghostbench.report.plots",
    "ghostbench.report.brief",
    "ghostbench.report.frame_strips",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "matplotlib.style",
)
"""In the order in which they will be wanted."""


@contextlib.contextmanager
def importing_ahead(plan: Plan) -> Iterator[Callable[[], None]]:
    """Import `MODULES` in a thread of its own, from a call of what this gives to the end of a `with`, which ends when
    the import under way has; and when all are, make what a process makes once for its reports.

    Whoever decodes clips in many threads calls it when these are done: an import lets go of the interpreter a few times
    a second, and each of them needs it hundreds of times.

    Only where every model that computes has a process of its own: whoever is asked from this one, or computes in it,
    would be measured as slower, and may import the same libraries at the same time.
    """
    if not _lets_us(plan):
        yield lambda: None
        return
    over = threading.Event()

    def load() -> None:
        for name in MODULES:
            if over.is_set():
                return
            # Whoever wants it imports it again, and is told then.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        if not over.is_set():
            with contextlib.suppress(Exception):
                rehearse()

    thread = threading.Thread(target=load, name="imports ahead")
    turn_s = sys.getswitchinterval()

    def begin() -> None:
        if thread.ident is None and not over.is_set():
            sys.setswitchinterval(SHORT_TURN_S)
            thread.start()

    try:
        yield begin
    finally:
        over.set()
        if thread.ident is not None:
            thread.join()
        sys.setswitchinterval(turn_s)


def _lets_us(plan: Plan) -> bool:
    kinds = {configured.choice.spec.kind for configured in plan.configured_models}
    return plan.options.placement.place == "process" and "local" in kinds and "remote" not in kinds
