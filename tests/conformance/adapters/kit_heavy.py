"""A plugin that imports a heavy library."""

import numpy as np

from ghostbench import ModelSpec, hookimpl


@hookimpl
def register_models(register):
    register(ModelSpec(name="Heavy", load="kit_models:Local", kind="local", summary=f"numpy {np.__version__}"))
