"""Imports a module of the harness through the top level."""

from kit_models import Local

from ghostbench import outcomes  # noqa: F401


class Nosier(Local):
    pass
