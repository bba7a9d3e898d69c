"""A plugin that takes its time."""

import time

from ghostbench import ModelSpec, hookimpl

time.sleep(0.25)


@hookimpl
def register_models(register):
    register(ModelSpec(name="Slow", load="kit_models:Local", kind="local", summary="slow"))
