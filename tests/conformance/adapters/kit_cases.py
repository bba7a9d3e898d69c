"""The kit run on each model. Each class of a broken one names the only rule that may fail in `breaks`."""

from ghostbench import Nonfinite, OutOfMemory, Refused, ServerError, TimedOut, Truncated
from ghostbench.conformance import FAULTS, AdapterConformance, Fault, NotApplicable, Twin


def failing_with(error):
    return Fault(by=lambda model: setattr(model, "fault", error))


class Kit(AdapterConformance):
    __test__ = False
    model = "Local"
    secret_variables = ("KIT_API_KEY",)
    faults = {kind: failing_with(kind("provoked")) for kind in FAULTS}  # noqa: RUF012


def case(model, breaks=None, **declared):
    return type(f"Test{model}", (Kit,), {"__test__": True, "model": model, "breaks": breaks, **declared})


NEVER = {kind: NotApplicable("it looks up a label") for kind in FAULTS}
TestLocal = case("Local")
TestRemote = case("Remote")
TestReference = case("Reference", faults=NEVER)
TestTwin = case("Local", twin=Twin(model="Remote"))
TestExcused = case("Constant", ordered=NotApplicable("it is a constant"), faults=NEVER)

TestHeavy = case("Heavy", "its_plugin_is_imported_quickly_and_lightly")
TestSlow = case("Slow", "its_plugin_is_imported_quickly_and_lightly")
TestEager = case("Eager", "its_description_is_readable_without_importing_the_model", faults=NEVER)
TestMute = case("Mute", "its_description_is_readable_without_importing_the_model")
TestHelpless = case("Helpless", "its_description_is_readable_without_importing_the_model")
TestNosy = case("Nosy", "it_imports_only_public_names_of_the_harness")
TestNosier = case("Nosier", "it_imports_only_public_names_of_the_harness")
CONTRACT = "every_clip_gets_a_reply_that_keeps_the_contract"
TestOverconfident = case("Overconfident", CONTRACT, faults=NEVER)
TestShort = case("Short", CONTRACT)
TestWordless = case("Wordless", CONTRACT, faults=NEVER)
TestTimeless = case("Timeless", CONTRACT, faults=NEVER)
TestRaw = case("Raw", CONTRACT, faults=NEVER)
TestReversed = case("Reversed", "replies_come_in_the_order_of_the_requests")
TestRotated = case("Rotated", "replies_come_in_the_order_of_the_requests")
TestMixedUp = case("MixedUp", "replies_come_in_the_order_of_the_requests")
TestConstant = case("Constant", "replies_come_in_the_order_of_the_requests", faults=NEVER)
TestBatchDependent = case("BatchDependent", "a_batch_of_one_and_a_batch_of_many_give_the_same_replies", faults=NEVER)
TestRestless = case("Restless", "the_same_request_gets_the_same_reply", faults=NEVER)
TestOffset = case("Local", "its_sync_and_async_ways_agree", twin=Twin(model="Offset"))
TestTwoWays = case("TwoWays", "its_sync_and_async_ways_agree")
TestTellsFacts = case("TellsFacts", "no_record_holds_a_secret")
TestTellsEnvironment = case("TellsEnvironment", "no_record_holds_a_secret")
TestTellsError = case("TellsError", "no_record_holds_a_secret")
TestTellsLog = case("TellsLog", "no_record_holds_a_secret")
TestScribbler = case("Scribbler", "frames_are_left_as_they_were")
TestUnlocker = case("Unlocker", "frames_are_left_as_they_were")
TestRetimer = case("Retimer", "frames_are_left_as_they_were")
TestTakesExample = case("TakesExample", "examples_before_the_question_are_not_the_clip", faults=NEVER)
TestSpoilsExample = case("SpoilsExample", "examples_before_the_question_are_not_the_clip")


def faulty(kind, fault):
    """A model whose failure of that kind shows as something else."""
    return {**Kit.faults, kind: fault}


NOTHING = Fault(by=lambda model: None)
TestUntimely = case("Local", "a_timeout_is_timed_out", faults=faulty(TimedOut, failing_with(ServerError("slow"))))
TestCompliant = case("Local", "a_refusal_is_refused", faults=faulty(Refused, NOTHING))
TestCutOff = case("Local", "an_answer_cut_off_is_truncated", faults=faulty(Truncated, NOTHING))
TestCrashing = case(
    "Local", "exhausted_memory_is_out_of_memory", faults=faulty(OutOfMemory, failing_with(MemoryError("no room")))
)
TestNanny = case(
    "Local", "numbers_that_are_not_finite_are_nonfinite", faults=faulty(Nonfinite, failing_with(ValueError("nan")))
)
TestSilent = case(
    "Local", "a_timeout_is_timed_out", faults={kind: f for kind, f in Kit.faults.items() if kind is not TimedOut}
)
for name, found in list(globals().items()):
    if name.startswith("Test"):
        found.__name__ = found.__qualname__ = name
