"""The conformance kit: what an adapter promises, as a test class to inherit.

    from ghostbench.conformance import AdapterConformance, Fault, NotApplicable

    class TestToy(AdapterConformance):
        model = "toy"
        faults = {OutOfMemory: Fault(by=starve), TimedOut: NotApplicable("computed here, without a deadline"), ...}

Needs pytest, and the adapter's package installed.
"""

from ghostbench.conformance.declarations import FAULTS, Fault, NotApplicable, Twin
from ghostbench.conformance.rules import AdapterConformance

__all__ = ["FAULTS", "AdapterConformance", "Fault", "NotApplicable", "Twin"]
