"""The rules, one test method each. A rule that does not apply is skipped aloud, with the reason."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import pytest

from ghostbench.conformance import canaries, likeness
from ghostbench.conformance.clips import drawn_frames
from ghostbench.conformance.declarations import Fault, NotApplicable, Twin
from ghostbench.conformance.session import Result, Session
from ghostbench.conformance.sources import inner_imports
from ghostbench.errors import ModelError, Nonfinite, OutOfMemory, Refused, TimedOut, Truncated
from ghostbench.frames import pixels_sha256
from ghostbench.models import LocalModel, Model, RemoteModel
from ghostbench.plugins.choose import parse_model
from ghostbench.plugins.import_cost import ImportCost, measure
from ghostbench.plugins.registry import registry
from ghostbench.records import Reply
from ghostbench.running.rules.replies import checked

IMPORT_LIMIT_S = 0.2
_TRIES = 3


class AdapterConformance:
    """Inherit it in a test module, name the model, and say how its failures are provoked.

    model : as after `--models`, e.g. "toy" or "openai:some-model".
    settings : texts as after `--set`, under which it is tested. A temperature is 0 unless set here.
    faults : for each error of `FAULTS`, the `Fault` that provokes it or `NotApplicable`. None may be left out.
    deterministic, ordered, batched : `NotApplicable` for a model that cannot promise it.
    tolerance : how much a grade's probability may differ between a batch of one and of many, in [0, 1].
    twin : the other way to ask the same model where there is one, whose replies must be the same; `NotApplicable`
        for a twin that cannot be compared. None where there is none.
    secret_variables : environment variables that the adapter reads secrets from.

    A class that needs fixtures (a server's address) sets these on `self` in an autouse fixture.
    """

    model: str
    settings: Mapping[str, str] = {}
    faults: Mapping[type[ModelError], Fault | NotApplicable] = {}
    deterministic: NotApplicable | None = None
    ordered: NotApplicable | None = None
    batched: NotApplicable | None = None
    tolerance: float = 1e-3
    twin: Twin | NotApplicable | None = None
    secret_variables: Sequence[str] = ()

    _open: ClassVar[dict[tuple[str, str], tuple[Session, dict[str, list[Result]]]]] = {}

    def test_its_plugin_is_imported_quickly_and_lightly(self) -> None:
        """Importing the plugin takes under 0.2 s and none of the heavy libraries."""
        plugin = registry().origin[f"model {parse_model(self.model).spec.name}"].name
        cost = _import_cost(plugin)
        if heavy := cost.heavy:
            _fail(f"importing plugin '{plugin}' imports {', '.join(heavy)}; import it where it is used")
        if cost.seconds >= IMPORT_LIMIT_S:
            _fail(
                f"importing plugin '{plugin}' takes {cost.seconds:.3f} s, the best of {_TRIES}; "
                f"{IMPORT_LIMIT_S} s is the limit"
            )

    def test_its_description_is_readable_without_importing_the_model(self) -> None:
        """Name, kind, summary and settings are there without the module that holds the model."""
        spec = parse_model(self.model).spec
        plugin = registry().origin[f"model {spec.name}"]
        home = spec.load.partition(":")[0]
        if home in _import_cost(plugin.name).modules:
            _fail(
                f"plugin '{plugin.name}' imports {home}, which `load` names: let the harness import it when it is used"
            )
        if not spec.summary.strip() or not spec.summary.isprintable():
            _fail(f"the summary of '{spec.name}' is not one line of text: {spec.summary!r}")
        for field in dataclasses.fields(spec.settings):
            if not field.metadata.get("help"):
                _fail(f"the setting '{field.name}' has no help text; write it as setting(default, help)")

    def test_it_imports_only_public_names_of_the_harness(self) -> None:
        """Its source imports nothing of ghostbench but what the top level exports."""
        spec = parse_model(self.model).spec
        point = registry().origin[f"model {spec.name}"].point
        homes = {spec.load.partition(":")[0]} | ({point.module} if point is not None else set())
        inner = [
            found for package in sorted({home.partition(".")[0] for home in homes}) for found in inner_imports(package)
        ]
        if inner:
            _fail(f"it reaches into the harness: {'; '.join(inner)}; use what `import ghostbench` offers")

    def test_every_clip_gets_a_reply_that_keeps_the_contract(self) -> None:
        """One Reply for each request, its text a text, its numbers numbers, its probabilities probabilities."""
        for how in ("alone", "together"):
            for number, result in enumerate(self._results(how)):
                kept = checked(result)
                if not isinstance(kept, Reply):
                    _fail(f"clip {number} asked {how} gave {type(kept).__name__}: {kept}")

    def test_replies_come_in_the_order_of_the_requests(self) -> None:
        """Asked together, each clip gets the reply that it gets alone, not its neighbour's."""
        _skip_if(self.ordered)
        alone, together = self._alone_and_together()
        if likeness.all_alike(alone):
            _fail("it replies the same to every clip, so their order cannot be seen; say why in `ordered`")
        for number, result in enumerate(together):
            owner = likeness.nearest(result, alone, number)
            if owner != number and likeness.distance(result, alone[owner]) <= self.tolerance:
                _fail(f"asked together, clip {number} got the reply of clip {owner}: {_show(result)}")

    def test_a_batch_of_one_and_a_batch_of_many_give_the_same_replies(self) -> None:
        """Asked together or alone, a clip gets the same text, and probabilities within the tolerance."""
        _skip_if(self.batched)
        session = self._session()
        if isinstance(session.model, LocalModel) and session.model.batch_size == 1:
            pytest.skip("not applicable: its batch_size is 1")
        alone, together = self._alone_and_together()
        for number, result in enumerate(together):
            owner = likeness.nearest(result, alone, number)  # a reply that went to a neighbour is another rule's affair
            if likeness.distance(result, alone[owner]) > self.tolerance:
                _fail(f"clip {number} alone: {_show(alone[number])}; among others: {_show(result)}")

    def test_the_same_request_gets_the_same_reply(self) -> None:
        """Asked twice with the same seed, at temperature 0 where there is one, a clip gets the same reply twice."""
        _skip_if(self.deterministic)
        for number, (once, again) in enumerate(zip(self._results("alone"), self._results("again"), strict=True)):
            if likeness.distance(once, again) > 1e-9:
                _fail(f"clip {number} first: {_show(once)}; then: {_show(again)}")

    def test_its_sync_and_async_ways_agree(self) -> None:
        """Where a model can be asked in two ways, both give the same replies."""
        if self.twin is None and not _has_batch_interface(self._session().model):
            pytest.skip("not applicable: there is one way to ask it")
        if self.twin is None:
            _fail("it has a batch interface beside `answer`; name it in `twin`, with the setting that turns it on")
        _skip_if(self.twin)
        assert isinstance(self.twin, Twin)
        other = Session(self.twin.model or self.model, {**self.settings, **self.twin.settings})
        try:
            theirs = other.together()
        finally:
            other.close()
        for number, (ours, other_reply) in enumerate(zip(self._results("alone"), theirs, strict=True)):
            if likeness.distance(ours, other_reply) > self.tolerance:
                _fail(f"clip {number}: {_show(ours)}; the other way: {_show(other_reply)}")

    def test_a_timeout_is_timed_out(self) -> None:
        """No answer before the deadline raises `TimedOut`."""
        self._check_fault(TimedOut)

    def test_a_refusal_is_refused(self) -> None:
        """A refusal raises `Refused`."""
        self._check_fault(Refused)

    def test_an_answer_cut_off_is_truncated(self) -> None:
        """An answer that the output limit cut off raises `Truncated`."""
        self._check_fault(Truncated)

    def test_exhausted_memory_is_out_of_memory(self) -> None:
        """A request that memory cannot hold raises `OutOfMemory`."""
        self._check_fault(OutOfMemory)

    def test_numbers_that_are_not_finite_are_nonfinite(self) -> None:
        """NaN or infinity where a probability is needed raises `Nonfinite`."""
        self._check_fault(Nonfinite)

    def test_no_record_holds_a_secret(self) -> None:
        """Facts, replies, errors, tracebacks and the log hold none of the secrets that the environment holds."""
        texts: dict[str, Any] = {}
        with canaries.planted(self.secret_variables) as planted, canaries.logged() as log:
            session = Session(self.model, self.settings)
            try:
                texts["the facts for the manifest"] = dict(session.facts)
                texts["a reply"] = canaries.written(session.first())
            finally:
                session.close()
            for kind, fault in self.faults.items():
                if isinstance(fault, Fault):
                    texts[f"a provoked {kind.__name__}"] = canaries.written(self._provoke(fault))
            texts["the log"] = "\n".join(log)
        if found := canaries.leaks(planted, texts):
            _fail(f"a secret shows: {'; '.join(found)}")

    def test_frames_are_left_as_they_were(self) -> None:
        """The frames are shared by all models: after an answer every pixel and timestamp is what it was."""
        session = self._session()
        if not session.choice.spec.needs_frames:
            pytest.skip("not applicable: it never gets frames")
        frames = {clip.id: drawn_frames(clip) for clip in session.clips}
        session.alone(frames)
        for clip in session.clips:
            before, after = drawn_frames(clip), frames[clip.id]
            if pixels_sha256(after.pixels) != before.sha256 or after.sha256 != before.sha256:
                _fail("it changed the pixels of the frames; work on a copy")
            if after.pixels.flags.writeable:
                _fail("it made the frames writable; work on a copy")
            if (after.indices, after.times_s, after.duration_s) != (before.indices, before.times_s, before.duration_s):
                _fail("it changed the frames' times; work on a copy")

    def test_examples_before_the_question_are_not_the_clip(self) -> None:
        """Shown another clip's frames as an example, it replies about the clip, and leaves the example as it was."""
        session = self._session()
        if not session.choice.spec.sees_examples:
            pytest.skip("not applicable: its spec does not say that it is shown examples")
        # Each clip behind the next one's frames, of which there may be more or fewer.
        others = dict(zip((clip.id for clip in session.clips), (*session.clips[1:], session.clips[0]), strict=True))
        examples = {clip: drawn_frames(other) for clip, other in others.items()}
        found = session.with_examples(examples)
        for number, result in enumerate(found):
            kept = checked(result)
            if not isinstance(kept, Reply):
                _fail(f"clip {number} behind an example gave {type(kept).__name__}: {kept}")
        alone = self._results("alone")
        told = (*alone[1:], alone[0])
        if not likeness.all_alike(alone) and all(
            likeness.distance(*pair) <= self.tolerance for pair in zip(found, told, strict=True)
        ):
            _fail("behind an example, each clip got the reply of its example: that is not the clip asked about")
        for clip, other in others.items():
            if pixels_sha256(examples[clip].pixels) != drawn_frames(other).sha256:
                _fail("it changed the pixels of an example; work on a copy")

    @classmethod
    def teardown_class(cls) -> None:
        """Close the models that the rules shared."""
        while AdapterConformance._open:
            _, (session, _) = AdapterConformance._open.popitem()
            session.close()

    def _session(self) -> Session:
        return self._shared()[0]

    def _shared(self) -> tuple[Session, dict[str, list[Result]]]:
        key = (self.model, repr(sorted(self.settings.items())))
        if key not in AdapterConformance._open:
            AdapterConformance._open[key] = (Session(self.model, self.settings), {})
        return AdapterConformance._open[key]

    def _results(self, how: str) -> list[Result]:
        """The replies to all clips, asked once per class: "alone", "again" (alone once more) or "together"."""
        session, results = self._shared()
        if how not in results:
            results[how] = session.together() if how == "together" else session.alone()
        return results[how]

    def _alone_and_together(self) -> tuple[list[Result], list[Result]]:
        """Both, for a model that is asked about several clips at once and replies to them."""
        if not isinstance(self._session().model, LocalModel | RemoteModel):
            pytest.skip("not applicable: a reference model is asked about one clip at a time")
        alone, together = self._results("alone"), self._results("together")
        if not all(isinstance(checked(result), Reply) for result in (*alone, *together)):
            pytest.skip("not applicable: there are no sound replies to compare; another rule says so")
        return alone, together

    def _check_fault(self, kind: type[ModelError]) -> None:
        fault = self.faults.get(kind)
        if fault is None:
            _fail(f"say in `faults` how to provoke {kind.__name__}: a Fault, or NotApplicable with the reason")
        _skip_if(fault)
        assert isinstance(fault, Fault)
        result = self._provoke(fault)
        if not isinstance(result, kind):
            _fail(f"provoking {kind.__name__} gave {_show(result)}")

    def _provoke(self, fault: Fault) -> Result:
        session = Session(self.model, {**self.settings, **fault.settings})
        try:
            if fault.by is not None:
                fault.by(session.model)
            return session.first()
        finally:
            session.close()


@functools.cache
def _import_cost(plugin: str) -> ImportCost:
    """Of importing it once where that is quick enough, else the best of a few times: others share the machine."""
    cost = measure(plugin)
    for _ in range(_TRIES - 1):
        if cost.seconds < IMPORT_LIMIT_S:
            break
        cost = min(cost, measure(plugin), key=lambda each: each.seconds)
    return cost


def _fail(reason: str) -> NoReturn:
    raise AssertionError(reason)


def _skip_if(declared: object) -> None:
    if isinstance(declared, NotApplicable):
        pytest.skip(f"not applicable: {declared.why}")


def _has_batch_interface(model: Model) -> bool:
    return isinstance(model, RemoteModel) and type(model).answer_batch is not RemoteModel.answer_batch


def _show(result: Result) -> str:
    if isinstance(result, Reply):
        given = result.grade_probabilities
        shown = "" if given is None else f" { ({grade: round(p, 6) for grade, p in given.items()}) }"
        return f"{result.text[:160]!r}{shown}"
    return f"{type(result).__name__}: {str(result)[:160]}"
