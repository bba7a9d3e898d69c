"""Imports what is the harness's own."""

from kit_models import Local

from ghostbench.records import Verdict  # noqa: F401


class Nosy(Local):
    pass
