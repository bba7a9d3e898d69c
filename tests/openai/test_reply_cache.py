"""Answers of earlier runs: taken where nothing that decides one has changed, marked, free, and never told twice."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from loopback_openai import Fault, Server

import ghostbench
from ghostbench import BadInput, Compared, Reply, imported
from ghostbench.evidence.verify import verify
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.manifest import Gpu, Hardware
from ghostbench.models import ModelSpec
from ghostbench.outcomes import Outcome
from ghostbench.plugins import sources
from ghostbench.plugins.registry import registry
from ghostbench.redact import Redactor
from ghostbench.report.data import RunData
from ghostbench.running.manifest import model_key
from ghostbench.running.settle.cache_entry import Entry, Unsound, keep, path_of, read_entries
from ghostbench.running.settle.reply_cache import ReplyCache

Ask = Callable[..., RunData]
Lines = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def ask_cached(server: Server, tmp_path: Path, draw_dataset: Callable[[int], Path]) -> Ask:
    """A run of three clips against the fresh server, with the cache `tmp_path / "cache"`."""

    def run(run_id: str, models: str = "gpt-4.1", settings: dict[str, Any] | None = None, **options: Any) -> RunData:
        names = {name.partition("=")[2] or name for name in models.split(",")} - {"motion", "echoing"}
        urls = {
            name: {"base_url": server.url, **(settings or {})} for name in names if name not in {"motion", "echoing"}
        }
        given = {"cache": str(tmp_path / "cache"), "sampling": "uniform:2", "on": "thread", "limit": 3, **options}
        return ghostbench.run(
            models, settings=urls, dataset=str(draw_dataset(6)), out=tmp_path / "results", run_id=run_id, **given
        )

    return run


@pytest.fixture
def just_ask(ask_cached: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """The same without scores and pages, which take longer than the asking: the ledger's lines."""
    monkeypatch.setattr("ghostbench.running.execute.make_report", lambda folder: {})
    monkeypatch.setattr("ghostbench.running.execute.conclude", lambda folder, terminal, metrics: 0)
    monkeypatch.setattr("ghostbench.api.read_finished", lambda folder: None)
    monkeypatch.setattr("ghostbench.api.read_run", lambda folder: None)

    def run(run_id: str, *given: Any, **options: Any) -> list[dict[str, Any]]:
        ask_cached(run_id, *given, **options)
        return lines_of(tmp_path / "results" / run_id)

    return run


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]


def hits(lines: list[dict[str, Any]]) -> int:
    return sum(line["from_cache"] is not None for line in lines)


def answers(run: RunData) -> list[tuple[Any, ...]]:
    found = run.predictions.sort_values(["model", "clip", "repeat"])
    return list(found[["clip", "repeat", "grade", "score", "evidence"]].itertuples(index=False, name=None))


def findings(folder: Path) -> list[str]:
    return [str(finding) for finding in verify(folder).findings]


def entries(root: Path) -> list[Path]:
    return sorted(root.rglob("*.json"))


@pytest.mark.slow
def test_a_second_run_takes_the_answers_of_the_first_at_no_cost_and_in_no_time(
    ask_cached: Ask, server: Server, tmp_path: Path
) -> None:
    first = ask_cached("a")
    assert (hits(lines_of(first.folder)), len(server.log.chats), len(entries(tmp_path / "cache"))) == (0, 3, 3)
    again = ask_cached("b")
    lines = lines_of(again.folder)
    assert (hits(lines), len(server.log.chats)) == (3, 3)
    assert answers(first) == answers(again)
    row = again.metrics["models"]["gpt-4.1"]
    assert row["from_cache"] == 3
    assert "from_cache" not in first.metrics["models"]["gpt-4.1"]
    assert row["usage"] == {
        "input_tokens": None,
        "cached_tokens": None,
        "output_tokens": None,
        "cost_usd": 0.0,
        "attempts_without_price": 0,
    }
    assert set(row["latency"].values()) == {None}
    assert row["throughput_clips_per_s"] is None
    assert row["served_models"] == ["gpt-4.1-2025-04-14"]
    for line in lines:
        assert line["outcome"] == "answered"
        assert line["wall_s"] is line["wait_s"] is line["server_request_id"] is None
        assert set(line["stages"].values()) == {None}
        assert any(note.startswith("from the cache: entry ") for note in line["notes"])
    assert "From the cache" in (again.folder / "report.md").read_text()
    assert not (again.folder / "sent.jsonl").exists(), "nothing was sent"
    assert findings(again.folder) == []
    text = "".join(path.read_text() for path in entries(tmp_path / "cache"))
    assert os.environ["OPENAI_API_KEY"] not in text
    assert [clip for clip in again.clips["clip"] if clip in text] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": {"detail": "low"}},
        {"seed": 1},
        {"sampling": "uniform:3"},
        {"task": "ghost-probing-zh"},
        {"models": "openai:gpt-4.1-mini=gpt-4.1"},
    ],
    ids=str,
)
def test_nothing_is_taken_where_what_decides_an_answer_is_another(
    just_ask: Lines, server: Server, changed: dict[str, Any]
) -> None:
    just_ask("a", limit=1)
    assert hits(just_ask("b", limit=1, **changed)) == 0
    assert len(server.log.chats) == 2


ECHOING = """
from ghostbench import RemoteModel, Reply
from echoing.words import EVIDENCE

class Echoing(RemoteModel):
    def is_deterministic(self, request):
        return True

    async def answer(self, request):
        text = '{"grade": "normal", "event_time_s": null, "actor": null, "occluder": null, "evidence": "%s"}'
        return Reply(text=text % EVIDENCE)
"""


EDITED_ON_THE_WAY = """
from pathlib import Path
from ghostbench import RemoteModel, Reply

class Echoing(RemoteModel):
    def is_deterministic(self, request):
        return True

    async def answer(self, request):
        words = Path(__file__).with_name("words.py")
        if "one" in words.read_text():
            words.write_text("EVIDENCE = 'late'")
        from echoing.words import EVIDENCE
        text = '{"grade": "normal", "event_time_s": null, "actor": null, "occluder": null, "evidence": "%s"}'
        return Reply(text=text % EVIDENCE)
"""


@pytest.fixture
def words_of_echoing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model from a checkout on the path, `echoing`; the file of its words."""
    package = tmp_path / "checkout" / "echoing"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text(ECHOING)
    (package / "words.py").write_text("EVIDENCE = 'one'\n")
    monkeypatch.syspath_prepend(package.parent)
    spec = ModelSpec(name="echoing", load="echoing.model:Echoing", kind="remote", summary="a test's")
    monkeypatch.setitem(registry().models, "echoing", spec)
    # As in a process that was started after these files were written.
    monkeypatch.setattr(imported, "AT_NS", time.time_ns() + 10**12)
    as_a_new_process_has_it()
    return package / "words.py"


def as_a_new_process_has_it() -> None:
    sources._first_seen.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in {"echoing", "helping"}]:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_a_model_whose_sources_were_edited_is_asked_anew(
    just_ask: Lines, words_of_echoing: Path, tmp_path: Path
) -> None:
    def evidence(lines: list[dict[str, Any]]) -> list[str]:
        return [json.loads(line["raw"])["evidence"] for line in lines]

    just_ask("a", models="echoing", limit=1)
    again = just_ask("b", models="echoing", limit=1)
    assert (hits(again), evidence(again)) == (1, ["one"])
    words_of_echoing.write_text("EVIDENCE = 'another'\n")
    old = just_ask("c", models="echoing", limit=1)
    assert (hits(old), len(entries(tmp_path / "cache"))) == (0, 1), "the old code, of which nothing may be kept as new"
    log = (tmp_path / "results" / "c" / "log.jsonl").read_text()
    assert "the sources of echoing have changed since this process first looked" in log
    as_a_new_process_has_it()
    new = just_ask("d", models="echoing", limit=1)
    assert (hits(new), evidence(new), len(entries(tmp_path / "cache"))) == (0, ["another"], 2)
    assert hits(just_ask("e", models="echoing", limit=1)) == 1


def test_code_edited_between_its_import_and_the_first_look_at_it_is_kept_under_no_key(
    just_ask: Lines, words_of_echoing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(0.03)  # longer than a step of the file system's clock
    monkeypatch.setattr(imported, "AT_NS", time.time_ns())
    just_ask("a", models="echoing", limit=1)
    (kept,) = entries(tmp_path / "cache")
    assert json.loads(kept.read_text())["text"].count("one") == 1
    sources._first_seen.clear()
    words_of_echoing.write_text("EVIDENCE = 'another'\n")
    (old,) = just_ask("b", models="echoing", limit=1)
    assert json.loads(old["raw"])["evidence"] == "one", "the code as it was imported"
    assert old["from_cache"] is None
    assert entries(tmp_path / "cache") == [kept], "and nothing under the digest of what it was not"
    log = (tmp_path / "results" / "b" / "log.jsonl").read_text()
    assert f"{words_of_echoing} was changed after this process began" in log


def test_modules_that_were_there_before_ghostbench_are_as_old_as_the_process(
    words_of_echoing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imported, "BEFORE", frozenset({"echoing"}))
    with pytest.raises(sources.SourcesUnknown, match=r"echoing.* was changed after this process began"):
        sources.sources_of("echoing")


def test_code_edited_while_the_run_goes_on_is_kept_under_no_key(
    just_ask: Lines, words_of_echoing: Path, tmp_path: Path
) -> None:
    (words_of_echoing.parent / "model.py").write_text(EDITED_ON_THE_WAY)
    as_a_new_process_has_it()
    lines = just_ask("a", models="echoing", limit=3)
    assert {json.loads(line["raw"])["evidence"] for line in lines} == {"late"}
    assert entries(tmp_path / "cache") == []
    log = (tmp_path / "results" / "a" / "log.jsonl").read_text()
    assert "words.py was changed while the run went on: echoing goes without the cache from here on (said once)" in log


def digests(package: str) -> dict[str, str]:
    return dict(sources.sources_of(package).digests)


def test_sources_are_told_apart_by_content_with_all_that_they_import_from_a_checkout(words_of_echoing: Path) -> None:
    helper = words_of_echoing.parent.parent / "helping.py"
    helper.write_text("SIDE = 1\n")
    first = digests("echoing")
    assert set(first) == {"ghostbench", "echoing"}
    os.utime(words_of_echoing, (0, 0))
    (words_of_echoing.parent / "__pycache__").mkdir()
    (words_of_echoing.parent / "__pycache__" / "words.pyc").write_bytes(b"x")
    assert digests("echoing") == first
    words_of_echoing.write_text("def f():\n    import json, helping as h\n")
    as_a_new_process_has_it()
    second = digests("echoing")
    assert set(second) == {"ghostbench", "echoing", "helping"}
    helper.write_text("SIDE = 2\n")
    as_a_new_process_has_it()
    third = digests("echoing")
    assert {name for name in third if third[name] != second[name]} == {"helping"}
    assert set(digests("ghostbench_openai")) == {"ghostbench", "ghostbench_openai", "ghostbench_remote"}
    linked = words_of_echoing.parent.parent / "linked"
    linked.mkdir()
    (linked / "part.py").write_text("PART = 1\n")
    (linked / "round").symlink_to(words_of_echoing.parent)
    (words_of_echoing.parent / "part").symlink_to(linked)
    as_a_new_process_has_it()
    by_link = digests("echoing")
    (linked / "part.py").write_text("PART = 2\n")
    as_a_new_process_has_it()
    assert digests("echoing")["echoing"] not in {by_link["echoing"], third["echoing"]}
    with pytest.raises(sources.SourcesUnknown, match="not_there"):
        sources.sources_of("not_there")


def test_settings_of_throughput_and_the_rows_name_decide_no_answer(just_ask: Lines) -> None:
    just_ask("a", models="openai:gpt-4.1=x", limit=1)
    fast = {"concurrency": 2, "timeout_s": 50}
    assert hits(just_ask("b", models="openai:gpt-4.1=y", limit=1, settings=fast)) == 1


def test_an_answer_that_is_drawn_is_not_kept(just_ask: Lines, server: Server, tmp_path: Path) -> None:
    just_ask("a", settings={"temperature": 0.7}, limit=1)
    just_ask("b", settings={"temperature": None}, limit=1)
    server.chat.rejects = ("temperature",)
    lines = just_ask("c", limit=1)
    assert lines[-1]["outcome"] == "answered", "at whatever temperature the server has"
    assert entries(tmp_path / "cache") == []


def test_failures_are_not_kept(just_ask: Lines, server: Server, tmp_path: Path) -> None:
    server.chat.script = [
        Fault("say", message={"content": None, "refusal": "no"}),
        Fault("status", 400, {}, json.dumps({"error": {"code": "content_filter", "message": "filtered"}})),
        Fault("say", message={"content": '{"grade": "nor'}, finish="length"),
        Fault("say", message={"content": "no json"}),
    ]
    lines = just_ask("a", settings={"concurrency": 1}, max_attempts=1, limit=4)
    assert {line["outcome"] for line in lines} == {"refused", "content_filtered", "truncated", "unparseable"}
    assert entries(tmp_path / "cache") == []


def test_repeats_and_rows_of_one_model_are_each_asked_and_not_told_one_answer(just_ask: Lines, server: Server) -> None:
    two = {"models": "openai:gpt-4.1=x,openai:gpt-4.1=y", "limit": 2, "repeats": 2}
    assert hits(just_ask("a", **two)) == 0, "no answer of a run is used in it"
    assert len(server.log.chats) == 8
    used = [line["from_cache"] for line in just_ask("b", **two) if line["from_cache"]]
    assert len(used) == len(set(used)) == 4, "an entry serves a run once: the second row is asked"
    assert len(server.log.chats) == 12
    assert hits(just_ask("c", models="openai:gpt-4.1=z", limit=2, repeats=3)) == 4, (
        "the third repeat has never been asked"
    )


def test_a_run_that_is_gone_on_with_uses_no_entry_twice(just_ask: Lines, server: Server, tmp_path: Path) -> None:
    just_ask("a", models="openai:gpt-4.1=x", limit=2)
    two = {"models": "openai:gpt-4.1=x,openai:gpt-4.1=y", "limit": 2}
    kept = [line for line in just_ask("b", **two) if line["from_cache"] is not None]
    assert len(kept) == 2
    folder = tmp_path / "results" / "b"
    (folder / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    as_a_kill_leaves_it(folder)
    asked = len(server.log.chats)
    again = just_ask("b", **two, resume=True)
    assert (len(again), hits(again), len(server.log.chats)) == (4, 2, asked + 2)


def test_the_cache_that_a_run_folder_names_is_not_opened(just_ask: Lines, server: Server, tmp_path: Path) -> None:
    just_ask("b", limit=2)
    folder = tmp_path / "results" / "b"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["options"]["cache"] == str(tmp_path / "cache")
    as_a_kill_leaves_it(folder, cache=str(tmp_path / "strangers"))
    (folder / "attempts.jsonl").write_text("")
    just_ask("b", limit=2, resume=True, cache=None)
    assert not (tmp_path / "strangers").exists()
    assert len(server.log.chats) == 4


def as_a_kill_leaves_it(folder: Path, **options: Any) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest |= {"status": "running", "finished_at": None, "digests": {}, "seal": None}
    manifest["options"] |= options
    path.write_text(json.dumps(manifest))


def test_of_two_served_models_none_is_guessed(just_ask: Lines, server: Server, tmp_path: Path) -> None:
    just_ask("a", limit=1)
    shutil.move(tmp_path / "cache", tmp_path / "old")
    server.chat.script = [Fault("say", model="gpt-4.1-2030-01-01")]
    just_ask("b", limit=1)
    shutil.copytree(tmp_path / "old", tmp_path / "cache", dirs_exist_ok=True)
    assert len(entries(tmp_path / "cache")) == 2
    assert hits(just_ask("c", limit=1)) == 0


async def test_what_another_served_model_said_is_no_answer_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for served in ("m-1", "m-2"):
        keep(tmp_path, _entry(served_model=served))
    monkeypatch.setattr(ReplyCache, "key", lambda self, unit, request: KEY)
    unit: Any = SimpleNamespace(row=SimpleNamespace(name="row"))
    request: Any = None
    for served, wanted in (("m-2", "m-2"), ("m-3", None), (None, None)):
        cache = ReplyCache(
            root=tmp_path, run="this", redactor=Redactor(), model_key=lambda row: {}, say=lambda words: None
        )
        line = AttemptLine(
            model="row",
            clip="c",
            repeat=0,
            attempt=1,
            fallback_level=0,
            outcome=Outcome.ANSWERED,
            started_at=None,
            served_model=served,
        )
        cache.recall([line])
        hit = await cache.find(unit, request)
        assert (hit.reply.served_model if hit is not None else None) == wanted
        assert await cache.find(unit, request) is None, "an entry serves a run once"


async def test_an_answer_beside_which_another_model_was_asked_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_edited(*_: Any) -> bool:
        return False

    monkeypatch.setattr(ReplyCache, "_is_edited", not_edited)
    cache = ReplyCache(root=tmp_path, run="this", redactor=Redactor(), model_key=lambda row: {}, say=print)
    row: Any = SimpleNamespace(name="row")
    alone = Reply(text="{}", served_model="m", grade_probabilities={"normal": 1.0})
    beside = replace(alone, compared=Compared(against="other", grade_probabilities={"normal": 1.0}))
    for reply, kept in ((beside, 0), (alone, 1)):
        await cache.keep(row, KEY, reply, "2026-01-01T00:00:00Z")
        assert len(entries(tmp_path)) == kept


def test_those_who_write_at_the_same_time_leave_whole_entries(tmp_path: Path) -> None:
    def write_and_read(number: int) -> list[Entry | Unsound]:
        keep(tmp_path, _entry(text=f"{number}" * 5000))
        return list(read_entries(tmp_path, KEY))

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(write_and_read, range(64)):
            assert [type(entry) for entry in found] == [Entry]
    assert len(entries(tmp_path)) == 1
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


def test_a_batch_takes_and_keeps_answers_too(just_ask: Lines) -> None:
    assert hits(just_ask("a", settings={"batch": True}, limit=1)) == 0
    assert hits(just_ask("b", settings={"batch": True}, limit=1)) == 1


def test_a_cache_that_cannot_be_one_is_bad_input(just_ask: Lines, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"--cache .*file"):
        just_ask("a", cache=str(tmp_path / "file"))


def test_a_damaged_entry_costs_a_request_and_one_warning(just_ask: Lines, server: Server, tmp_path: Path) -> None:
    just_ask("a")
    for path in entries(tmp_path / "cache"):
        _torn(path)
    lines = just_ask("b")
    assert (hits(lines), [line["outcome"] for line in lines]) == (0, ["answered"] * 3)
    log = (tmp_path / "results" / "b" / "log.jsonl").read_text().splitlines()
    assert sum("(said once)" in json.loads(line)["message"] for line in log) == 1
    assert hits(just_ask("c")) == 3, "a sound answer has taken the place of the damaged one"


KEY = {"spec": "openai", "seed": 0, "times_s": [0.0, 0.5]}


def _entry(**changes: Any) -> Entry:
    given = {"key": KEY, "run": "r", "asked_at": "2026-01-01T00:00:00Z", "text": "{}", "finish_reason": "stop"}
    given |= {"served_model": "m-1", "system_fingerprint": None, "grade_probabilities": {"normal": 0.1 + 0.2}}
    return Entry(**{**given, "notes": ["n"], **changes}).sealed()


def test_an_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    keep(tmp_path, _entry())
    keep(tmp_path, _entry(text="a later answer is not put in its place"))
    (found,) = read_entries(tmp_path, KEY)
    assert found == _entry()
    assert list(read_entries(tmp_path, {**KEY, "seed": 1})) == []
    keep(tmp_path, _entry(served_model=None))
    assert len(list(read_entries(tmp_path, KEY))) == 2


def _torn(path: Path) -> None:
    path.write_text(path.read_text()[:-40])


def _edited(path: Path) -> None:
    path.write_text(path.read_text().replace("stop", "halt"))


def _of_another(path: Path) -> None:
    entry = json.loads(path.read_text())
    entry["key"]["seed"] = 99
    path.write_text(json.dumps(entry))


def _pickle(path: Path) -> None:
    path.write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 << 20)


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _impossible(path: Path) -> None:
    entry = _entry(grade_probabilities={"normal": 7.0})
    path.write_text(json.dumps(entry.model_dump()))


def _further_field(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "import": "os"}))


HARMS = [_torn, _edited, _of_another, _pickle, _deep, _huge, _link, _pipe, _folder, _impossible, _further_field]


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_no_entry_is_told_from_one_and_never_run(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    keep(tmp_path, _entry())
    (path,) = entries(tmp_path)
    harm(path)
    (found,) = read_entries(tmp_path, KEY)
    assert isinstance(found, Unsound), found
    assert str(path) in str(found) or harm is _impossible
    if harm is not _folder:
        keep(tmp_path, _entry())
        assert list(read_entries(tmp_path, KEY)) == [_entry()], "a sound one takes its place"


FORGED = {
    "no time": {"asked_at": "yesterday"},
    "time without a zone": {"asked_at": "2026-01-01T00:00:00"},
    "no date": {"asked_at": "2026-13-01T00:00:00Z"},
    "words after the time": {"asked_at": "2026-01-01T00:00:00Z\n| row |"},
    "many notes": {"notes": ["n"] * 33},
    "long note": {"notes": ["n" * 1001]},
    "lines in a note": {"notes": ["n\n| row | 1 |"]},
    "control characters in a note": {"notes": ["\x1b[2J"]},
    "control characters in a name": {"served_model": "m\x1b[2J"},
    "levels": {"notes": ["in force: levels 1, 2, without seed"]},
    "refused parts": {"notes": ["refused by name: seed"]},
    "another entry": {"notes": ["from the cache: entry 00, asked in another run at 2026-01-01T00:00:00Z"]},
    **{reason: {"finish_reason": reason} for reason in ("length", "MAX_TOKENS", "content_filter", "SAFETY", "refusal")},
    "broken off": {"finish_reason": "error"},
}


@pytest.mark.parametrize("forged", FORGED)
def test_an_entry_that_no_run_keeps_is_passed_over_however_well_it_is_sealed(tmp_path: Path, forged: str) -> None:
    entry = _entry(**FORGED[forged])
    keep(tmp_path, entry)
    assert entries(tmp_path) == [], "nor is it kept"
    path = path_of(tmp_path, KEY, entry.served_model)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(entry.model_dump()))
    (found,) = read_entries(tmp_path, KEY)
    assert isinstance(found, Unsound), found
    assert str(path) in str(found)


EDITS = {
    "wall_s": {"wall_s": 1.0},
    "stages": {"stages": {"generate_s": 1.0}},
    "tokens": {"usage": {"input_tokens": 5}},
    "cost": {"usage": {"cost_usd": 0.5}},
    "twice": {"from_cache": "the first's"},
    "server": {"server_request_id": "req_1"},
}


@pytest.fixture(scope="module")
def hit_run(tmp_path_factory: pytest.TempPathFactory, draw_dataset: Callable[[int], Path]) -> Path:
    """A run of a local model whose answers are all from a cache, made once: copy it, and change nothing."""
    root = tmp_path_factory.mktemp("hits")
    given = {"dataset": str(draw_dataset(6)), "limit": 2, "out": root, "cache": str(root / "cache"), "on": "thread"}
    ghostbench.run("motion", run_id="a", **given)
    return ghostbench.run("motion", run_id="b", **given).folder


@pytest.mark.parametrize("edit", EDITS)
def test_verify_finds_a_hit_that_claims_more_than_one_can(hit_run: Path, tmp_path: Path, edit: str) -> None:
    shutil.copytree(hit_run, tmp_path / "b")
    ledger = tmp_path / "b" / "attempts.jsonl"
    first, second = map(json.loads, ledger.read_text().splitlines())
    changed = EDITS[edit]
    for name, value in changed.items():
        inner = first["from_cache"] if edit == "twice" else value
        second[name] = {**second[name], **inner} if isinstance(inner, dict) else inner
    ledger.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in (first, second)))
    found = [str(finding) for finding in verify(tmp_path / "b").findings]
    assert any("from the cache" in words or "from an entry of the cache" in words for words in found), found


def test_a_local_model_is_served_too_and_its_machine_and_code_count(hit_run: Path) -> None:
    assert hits(lines_of(hit_run)) == 2
    assert findings(hit_run) == []
    key = json.loads(entries(hit_run.parent / "cache")[0].read_text())["key"]
    assert key["code"]["ghostbench"]
    assert set(key["sources"]) == {"ghostbench", "ghostbench_motion"}
    stated = json.loads((hit_run / "manifest.json").read_text())["hardware"]
    assert key["machine"] == [stated["processor"], stated["cores"], [gpu["name"] for gpu in stated["gpus"]]]


def test_libraries_files_arithmetic_and_machine_of_a_local_model_count(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = registry().models["hf"]
    configured = SimpleNamespace(choice=SimpleNamespace(spec=spec), settings=spec.settings())
    entry = SimpleNamespace(spec="hf", argument="some/model", settings={}, identity=None)
    manifest: Any = SimpleNamespace(models={"model": entry})
    row: Any = SimpleNamespace(name="model", configured=configured)
    task: Any = SimpleNamespace(name="task", template_sha256=lambda: "0")
    here = Hardware(processor="a", cores=2, gpus=[Gpu(name="GPU", memory_bytes=1)])

    def key(hardware: Hardware = here, **facts: Any) -> str:
        state: Any = SimpleNamespace(facts=facts)
        monkeypatch.setattr("ghostbench.running.manifest._hardware", lambda: hardware)
        return json.dumps(model_key(manifest, row, state, task, {}), sort_keys=True)

    known = {"files": {"a": 1}, "libraries": {"pillow": "12"}, "arithmetic": {"threads": 2}}
    two = {**known, "by_worker": {"m#2": {"load_s": 3.0}}}
    other = {**known, "by_worker": {"m#2": {"arithmetic": {"threads": 2, "device": "other"}}}}
    assert key(**known) == key(**known) == key(**two), "replicas that compute alike"
    keys = [
        key(**known),
        key(**other),
        key(**{**known, "files": {"a": 2}}),
        key(**{**known, "libraries": {"pillow": "12", "torchvision": "0.28"}}),
        key(**{**known, "arithmetic": {"threads": 4}}),
        key(here.model_copy(update={"processor": "b"}), **known),
        key(here.model_copy(update={"cores": 4}), **known),
        key(here.model_copy(update={"gpus": []}), **known),
    ]
    assert len(set(keys)) == len(keys)


def test_verify_finds_hits_of_a_run_without_a_cache(hit_run: Path, tmp_path: Path) -> None:
    shutil.copytree(hit_run, tmp_path / "b")
    path = tmp_path / "b" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["options"]["cache"] = None
    path.write_text(json.dumps(manifest))
    assert any("is from a cache: the run had none" in str(finding) for finding in verify(tmp_path / "b").findings)
