"""Answers of earlier runs, used in the place of asking again where nothing that decides an answer has changed.

What is kept is an answer, never a failure, of a request that the model calls deterministic; what decides it is the key.
An entry serves one request of a run at most, and none of the run that it is from: answers that are compared with each
other, repeats and rows of the same model among them, are never one answer told twice.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from ghostbench.errors import BadInput
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.log import LOGGER
from ghostbench.models import LocalModel, ReferenceModel
from ghostbench.outcomes import Outcome
from ghostbench.plugins.registry import printable
from ghostbench.plugins.sources import Sources, SourcesUnknown, sources_of
from ghostbench.records import Reply, Request
from ghostbench.redact import Redactor
from ghostbench.running.ask.units import Ask
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.contenders import Contender
from ghostbench.running.settle.cache_entry import FROM_THE_CACHE, Entry, Unsound, keep, read_entries

_LONGEST = 24
"""Characters of an entry's digest that its note shows."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer of another run. sha256 : the entry's. asked_at : when it was asked, UTC."""

    reply: Reply
    sha256: str
    asked_at: str

    @property
    def note(self) -> str:
        """What the ledger says of it."""
        return f"{FROM_THE_CACHE}entry {self.sha256[:_LONGEST]}, asked in another run at {self.asked_at}"


@dataclass(kw_only=True)
class ReplyCache:
    """The cache of one run.

    root : its folder. run : names this run, the same after `--resume`. model_key : what decides a row's answers beside
    the request, as JSON; None where nobody knows. say : how a warning is given. elsewhere : whether local models are
    computed on machines whose devices are not known here; their answers are then neither taken nor kept.
    code : the sources that `model_key` has of a row: where one has changed since, nobody knows what was imported.
    """

    root: Path
    run: str
    redactor: Redactor
    model_key: Callable[[Contender], Mapping[str, JsonValue] | None]
    say: Callable[[str], None]
    elsewhere: bool = False
    code: Callable[[Contender], Sources | None] = lambda row: None
    _edited: set[str] = field(default_factory=set)
    _used: set[str] = field(default_factory=set)
    _served: dict[str, str | None] = field(default_factory=dict)
    _warned: bool = False

    def recall(self, lines: Iterable[AttemptLine]) -> None:
        """Learn from this run's ledger which entries it has used, and who served its rows."""
        for line in lines:
            if line.from_cache is not None:
                self._used.add(line.from_cache)
            if line.outcome is Outcome.ANSWERED:
                self._served[line.model] = line.served_model

    async def find(self, unit: Ask, request: Request) -> Hit | None:
        """The answer of an earlier run to the unit's next request.

        Where the model was served under several names, that is the one under which this run's answers came; as long as
        there are none, nobody knows, and it is asked.
        """
        key = self.key(unit, request)
        if key is None:
            return None
        found = await asyncio.to_thread(lambda: list(read_entries(self.root, key)))
        entries = [entry for entry in found if isinstance(entry, Entry)]
        for unsound in found:
            if isinstance(unsound, Unsound):
                self._warn(f"{unsound}; the cache passes it over")
        row = unit.row.name
        if row in self._served:
            entries = [entry for entry in entries if entry.served_model == self._served[row]]
        if len(entries) != 1 or entries[0].run == self.run or entries[0].sha256 in self._used:
            return None
        (entry,) = entries
        self._used.add(entry.sha256)
        self._served[row] = entry.served_model
        return Hit(entry.reply(), entry.sha256, entry.asked_at)

    def give_back(self, hit: Hit) -> None:
        """The hit was no answer after all: the unit is asked."""
        self._used.discard(hit.sha256)

    async def keep(self, row: Contender, key: Mapping[str, JsonValue] | None, reply: Reply, asked_at: str) -> None:
        """Keep the answer that a request of a row got; key : as `key` gave it for the request.

        One beside which another model was asked is not kept: what is said of that is not true of a run that takes it.
        """
        self._served[row.name] = reply.served_model
        if key is None or reply.compared is not None or await self._is_edited(row):
            return

        def clean(text: str | None) -> str | None:
            return None if text is None else self.redactor.text(text)

        given = reply.grade_probabilities
        entry = Entry(
            key=dict(key),
            run=self.run,
            asked_at=asked_at,
            text=self.redactor.text(reply.text),
            finish_reason=clean(reply.finish_reason),
            served_model=clean(reply.served_model),
            system_fingerprint=clean(reply.system_fingerprint),
            grade_probabilities=None if given is None else {grade: float(p) for grade, p in given.items()},
            notes=[self.redactor.message(note) for note in reply.notes],
        ).sealed()
        try:
            await asyncio.to_thread(keep, self.root, entry)
        except (OSError, BadInput) as error:
            self._warn(f"the cache {self.root} cannot be written: {error}")

    def key(self, unit: Ask, request: Request) -> dict[str, JsonValue] | None:
        """All that decides the answer; None where that is not the request alone."""
        model = unit.row.configured.model
        if unit.row.name in self._edited:
            return None
        if model is None or isinstance(model, ReferenceModel) or (self.elsewhere and isinstance(model, LocalModel)):
            return None
        try:
            deterministic = model.is_deterministic(request)
        except Exception:  # noqa: BLE001 - a stranger's method may raise anything: then nobody knows
            LOGGER.warning("%s cannot say whether a request is deterministic", unit.row.name)
            return None
        if deterministic is not True:
            return None
        decides = self.model_key(unit.row)
        if decides is None:
            return None
        return {**decides, **request_key(request), "repeat": unit.repeat}

    async def _is_edited(self, row: Contender) -> bool:
        """Whether the row's code is no longer what the key says. What is imported late may then be of after: asked when
        an answer is there."""
        code = self.code(row)
        edited = await asyncio.to_thread(code.changed) if code is not None else None
        if edited is None:
            return False
        if row.name not in self._edited:
            self._edited.add(row.name)
            self._warn(f"{edited} was changed while the run went on: {row.name} goes without the cache from here on")
        return True

    def _warn(self, words: str) -> None:
        LOGGER.warning("%s", words)
        if not self._warned:
            self._warned = True
            self.say(f"warning: {printable(words)} (said once)")


def request_key(request: Request) -> dict[str, JsonValue]:
    """What of a request decides its answer: all but its random id."""
    prompt, frames = request.prompt, request.frames
    shown: dict[str, JsonValue] | None = None
    if frames is not None:
        shown = {"sha256": frames.sha256, "times_s": list(frames.times_s), "duration_s": frames.duration_s}
    seen: dict[str, JsonValue] = {} if request.video is None else {"video": request.video.sha256}
    return {
        **seen,
        "prompt": prompt.sha256,
        "schema_name": prompt.schema_name,
        "verdict": [prompt.verdict_field, *prompt.verdict_values],
        "max_output_tokens": prompt.max_output_tokens,
        "frames": shown,
        "moment_s": request.moment_s,
        "seed": request.seed,
        "level": request.level,
        "level_settings": _plain(request.level_settings),
    }


def code_of(
    configured_models: Iterable[ConfiguredModel], say: Callable[[str], None]
) -> dict[ConfiguredModel, Sources | None]:
    """Each model's code, as the sources are now; None, and said, where nobody knows it."""

    def look(package: str) -> Sources | None:
        try:
            return sources_of(package)
        except SourcesUnknown as why:
            say(f"warning: {printable(str(why))}: models of {package} go without the cache")
            return None

    look_once = functools.cache(look)
    loaded = {
        configured: configured.choice.spec.load.partition(":")[0].partition(".")[0] for configured in configured_models
    }
    return {
        configured: look_once(package) if configured.model is not None else None
        for configured, package in loaded.items()
    }


def run_name(run_id: str, started_at: str) -> str:
    """What names a run in its entries, and tells nothing of it."""
    return hashlib.sha256(f"{run_id}\n{started_at}".encode()).hexdigest()


def _plain(value: Any) -> JsonValue:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
