"""What is no `Exception`, and what cannot be read twice, costs a model its own row: Rust libraries panic so."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ghostbench.errors import Crashed, RequestRejected, TimedOut, Unavailable
from ghostbench.models import LocalModel, NoSettings, ReferenceModel, RemoteModel, Truths
from ghostbench.records import Clip, Prompt, Reply, Request, Stages, Usage
from ghostbench.running.ask import dispatch
from ghostbench.running.ask.dispatch import Delivery, Dispatcher, ReferenceDispatcher, RemoteDispatcher
from ghostbench.running.ask.local import LocalDispatcher
from ghostbench.running.ask.places.place import InThread
from ghostbench.running.rules.replies import LONGEST_MESSAGE, checked, told

CLIP = Clip(id="c", truth="normal")


class PanicException(BaseException):
    """As extension modules written in Rust raise it."""


RAISED = [PanicException, GeneratorExit, KeyboardInterrupt, SystemExit, StopIteration]


def request() -> Request:
    prompt = Prompt(
        system="",
        parts=(),
        schema={},
        schema_name="x",
        verdict_field=None,
        verdict_values=(),
        max_output_tokens=1,
        sha256="0" * 64,
    )
    return Request(
        id="r", prompt=prompt, frames=None, seed=0, level=0, level_settings={}, write_answer=lambda _: "normal"
    )


class Local(LocalModel):
    raised: type[BaseException]

    def load(self) -> dict[str, Any]:
        raise self.raised("x")

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        raise self.raised("x")

    def close(self) -> None:
        raise self.raised("x")


class Remote(RemoteModel):
    raised: type[BaseException]

    async def load(self) -> dict[str, Any]:
        raise self.raised("x")

    async def admit(self, request: Request) -> None:
        if request.level:
            raise self.raised("x")

    async def answer(self, request: Request) -> Reply:
        raise self.raised("x")

    async def aclose(self) -> None:
        raise self.raised("x")


class Reference(ReferenceModel):
    raised: type[BaseException]

    def begin(self, truths: Truths) -> dict[str, Any]:
        raise self.raised("x")

    def answer(self, clip: Clip, request: Request) -> Reply:
        raise self.raised("x")


def local(pool: ThreadPoolExecutor, raised: type[BaseException]) -> Dispatcher:
    model = Local(NoSettings())
    model.raised = raised
    return LocalDispatcher([InThread(model)], pool, 20)


def remote(pool: ThreadPoolExecutor, raised: type[BaseException]) -> Dispatcher:
    model = Remote(NoSettings())
    model.raised = raised
    return RemoteDispatcher(model, 20)


def reference(pool: ThreadPoolExecutor, raised: type[BaseException]) -> Dispatcher:
    model = Reference(NoSettings())
    model.raised = raised
    return ReferenceDispatcher(model, Truths(clips=(CLIP,), seed=0))


@pytest.mark.parametrize("raised", [*RAISED, TimedOut])
@pytest.mark.parametrize("way", [local, remote, reference])
def test_whatever_loading_raises_is_the_models_own_word_at_once(
    way: Callable[..., Dispatcher], raised: type[BaseException]
) -> None:
    async def load(pool: ThreadPoolExecutor) -> None:
        await asyncio.wait_for(way(pool, raised).load(), 10)

    with ThreadPoolExecutor() as pool, pytest.raises(Unavailable) as found:
        asyncio.run(load(pool))
    # A coroutine cannot raise StopIteration: Python makes another error of it.
    assert str(found.value) in {f"{raised.__name__}: x", "RuntimeError: coroutine raised StopIteration"}


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("way", [remote, reference])
def test_whatever_answering_raises_is_a_crash_of_the_clip(
    way: Callable[..., Dispatcher], raised: type[BaseException]
) -> None:
    async def ask(pool: ThreadPoolExecutor) -> Delivery:
        return await way(pool, raised).ask(CLIP, request())

    with ThreadPoolExecutor() as pool:
        result = asyncio.run(ask(pool)).result
    assert isinstance(result, Crashed)


@pytest.mark.parametrize("raised", RAISED)
def test_whatever_admitting_and_closing_raise_ends_nothing_else(raised: type[BaseException]) -> None:
    async def ask(pool: ThreadPoolExecutor) -> Delivery:
        dispatcher = remote(pool, raised)
        delivery = await dispatcher.ask(CLIP, dataclasses.replace(request(), level=1))
        with pytest.raises(Crashed):
            await dispatcher.close()
        return delivery

    with ThreadPoolExecutor() as pool:
        assert isinstance(asyncio.run(ask(pool)).result, Crashed)


class Scribbling(ReferenceModel):
    def begin(self, truths: Truths) -> dict[str, Any]:
        for clip in truths.clips:
            self._scribble(clip)
        return {}

    def answer(self, clip: Clip, request: Request) -> Reply:
        self._scribble(clip)
        return Reply(text="")

    def _scribble(self, clip: Clip) -> None:
        object.__setattr__(clip, "truth", "normal")
        clip.parameters["seen"] = True  # type: ignore[index]


def test_what_a_reference_model_makes_of_its_clip_is_the_clip_for_nobody_else() -> None:
    clip = Clip(id="a", truth="ghost_probing", parameters={"light": "day"})

    async def ask() -> None:
        dispatcher = ReferenceDispatcher(Scribbling(NoSettings()), Truths(clips=(clip,), seed=0))
        await dispatcher.load()
        await dispatcher.ask(clip, request())

    asyncio.run(ask())
    assert clip == Clip(id="a", truth="ghost_probing", parameters={"light": "day"})


class NeverAdmitting(Remote):
    async def admit(self, request: Request) -> None:
        await asyncio.Event().wait()


def test_a_model_that_never_gives_leave_to_send_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "LONGEST_PAUSE_S", 0.05)
    told = asyncio.run(RemoteDispatcher(NeverAdmitting(NoSettings()), 0.05).ask(CLIP, request()))
    assert isinstance(told.result, TimedOut)
    assert str(told.result) == "no leave to send within the deadline of 0.1 s"
    assert told.wall_s is None, "it was not asked"


class Own(Reply):
    """A reply that is made in another way than ours."""

    def __init__(self, text: str, more: int) -> None:
        super().__init__(text=text)
        object.__setattr__(self, "batch_size", more)


class Lazy(Reply):
    """A reply whose text can be read once."""

    def __getattribute__(self, name: str) -> Any:
        if name == "text" and not READ.pop():
            raise RuntimeError("read already")
        return super().__getattribute__(name)


READ: list[bool] = []


class Number(float):
    def __repr__(self) -> str:
        return "NaN"


class Word(str):
    __slots__ = ()

    def isascii(self) -> bool:
        return True


def test_a_reply_of_the_adapters_own_class_is_read_once_and_made_plain() -> None:
    assert checked(Own("x", 3)) == Reply(text="x", batch_size=3)
    READ[:] = [False, True]
    assert checked(Lazy(text="once")) == Reply(text="once")
    assert READ == [False]
    assert isinstance(checked(Lazy(text="")), Crashed)


def test_numbers_and_words_of_the_adapters_own_classes_become_plain() -> None:
    given = Reply(
        text=Word("a\ud800"),
        usage=Usage(cost_usd=Number(1.5)),
        stages=Stages(vision_s=Number(2.0)),
        grade_probabilities={Word("normal"): Number(0.25)},  # type: ignore[dict-item]
        notes=(Word("n"),),
    )
    reply = checked(given)
    assert isinstance(reply, Reply)
    assert reply.text == "a\ufffd"
    assert reply.grade_probabilities is not None
    [(grade, probability)] = reply.grade_probabilities.items()
    for value, plain in (
        (reply.text, str),
        (reply.notes[0], str),
        (grade, str),
        (probability, float),
        (reply.usage.cost_usd, float),
        (reply.stages.vision_s, float),
    ):
        assert type(value) is plain
    assert (probability, reply.usage.cost_usd, reply.stages.vision_s) == (0.25, 1.5, 2.0)


def test_of_a_message_without_end_the_beginning_is_kept() -> None:
    whole = "e" * LONGEST_MESSAGE
    assert told(RequestRejected(whole)) == whole
    assert told(RequestRejected("e" * 10**6)) == f"{whole}… (cut; it has 1000000 characters)"


@pytest.mark.parametrize("count", [2**63, 10**400])
def test_a_count_that_no_reader_holds_is_no_measurement(count: int) -> None:
    assert isinstance(checked(Reply(text="x", usage=Usage(input_tokens=count))), Crashed)
    assert isinstance(checked(Reply(text="x", batch_size=count)), Crashed)
