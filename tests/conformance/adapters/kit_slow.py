"""A plugin that computes for a while when it is imported."""

import time

from ghostbench import ModelSpec, hookimpl

_UNTIL = time.process_time() + 0.4
while time.process_time() < _UNTIL:
    pass


@hookimpl
def register_models(register):
    register(ModelSpec(name="Slow", load="kit_models:Local", kind="local", summary="slow"))
