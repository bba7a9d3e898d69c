"""What `log.jsonl` holds: who spoke about what, and never a secret."""

from __future__ import annotations

import json
import logging
import threading
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from ghostbench.errors import BadInput
from ghostbench.folder import log
from ghostbench.folder.log import LOGGER, about, logging_into
from ghostbench.redact import Redactor
from ghostbench.running.ask.places.said import Said, into_the_log

SECRET = "swordfish-and-chips"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def redactor() -> Redactor:
    return Redactor({"SPY_API_KEY": SECRET}, [])


def test_the_harness_is_heard_from_info_and_libraries_from_warning(tmp_path: Path, redactor: Redactor) -> None:
    path = tmp_path / "log.jsonl"
    library = logging.getLogger("somebody.else")
    with logging_into(path, redactor):
        LOGGER.info("loaded %s", "x")
        library.info("not heard")
        library.warning("key %s", SECRET)
        try:
            raise ValueError(f"with {SECRET}")
        except ValueError:
            library.exception("broke")
    library.warning("after the run")
    seen = [(line["level"], line["logger"], line["message"]) for line in lines_of(path)]
    assert seen == [
        ("info", "ghostbench", "loaded x"),
        ("warning", "somebody.else", "key [redacted]"),
        ("error", "somebody.else", "broke: ValueError: with [redacted]"),
    ]
    assert logging.getLogger("ghostbench").level == logging.NOTSET


def test_a_library_that_was_told_to_say_more_is_heard_and_the_roots_level_tells_nobody(
    tmp_path: Path, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    told, other = logging.getLogger("somebody.told"), logging.getLogger("somebody.other")
    monkeypatch.setattr(told, "level", logging.DEBUG)
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    with logging_into(path, redactor):
        logging.getLogger("somebody.told.more").debug("key %s", SECRET)
        other.info("not heard")
    assert [line["message"] for line in lines_of(path)] == ["key [redacted]"]


def test_a_line_says_what_it_is_about_in_threads_too(tmp_path: Path, redactor: Redactor) -> None:
    path = tmp_path / "log.jsonl"
    library = logging.getLogger("somebody.else")
    with logging_into(path, redactor), about("gpt", "images_1_002"):
        library.warning("mine")
        context = copy_context()
        assert "images_1_002" not in repr(list(context.items()))
        thread = threading.Thread(target=context.run, args=(library.warning, "of a worker"), name="model_0")
        thread.start()
        thread.join()
        with about("drivemm"):
            library.warning("of a batch")
        LOGGER.warning("told outright", extra={"row": "other", "clip": None})
    assert [(line["row"], line["clip"], line["worker"]) for line in lines_of(path)] == [
        ("gpt", "images_1_002", None),
        ("gpt", "images_1_002", "model_0"),
        ("drivemm", None, None),
        ("other", None, None),
    ]


def test_what_a_library_calls_a_row_a_clip_or_its_thread_holds_no_secret(tmp_path: Path, redactor: Redactor) -> None:
    path = tmp_path / "log.jsonl"
    library = logging.getLogger("somebody.else")
    theirs = {"row": f"of {SECRET}", "clip": SECRET}
    with logging_into(path, redactor), about("gpt", "images_1_002"):
        library.warning("hello", extra=theirs)
        library.warning("hello", extra={"row": {"no": object()}, "clip": 1})
        thread = threading.Thread(target=library.warning, args=("hello",), name=f"for {SECRET}")
        thread.start()
        thread.join()
        LOGGER.warning("hello", extra=theirs)
    assert SECRET not in path.read_text(encoding="utf-8")
    assert [(line["row"], line["clip"], line["worker"]) for line in lines_of(path)] == [
        ("gpt", "images_1_002", None),
        ("gpt", "images_1_002", None),
        (None, None, "for [redacted]"),
        ("of [redacted]", "[redacted]", None),
    ]


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


def test_neither_a_line_that_cannot_be_made_nor_a_full_log_stops_anything(
    tmp_path: Path, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "MOST_BYTES", 6000)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    path = tmp_path / "log.jsonl"
    with logging_into(path, redactor):
        LOGGER.warning("%s", Unprintable())
        LOGGER.warning("%d", "no number")
        for number in range(40):
            LOGGER.warning("%s", f"{number} " + "x" * 9000)
    with logging_into(path, redactor):
        LOGGER.warning("%s", "resumed")
    messages = [line["message"] for line in lines_of(path)]
    assert [len(message) for message in messages[:2]] == [2000, 2000]
    assert messages[2:] == ["the log is full; further lines are left out", "resumed"]
    assert path.stat().st_size < 7000


def test_a_link_in_its_place_is_refused(tmp_path: Path, redactor: Redactor) -> None:
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "theirs")
    with pytest.raises(BadInput, match="is a link"), logging_into(tmp_path / "log.jsonl", redactor):
        pass
    assert not (tmp_path / "theirs").exists()


def test_a_run_logs_loading_failures_and_what_libraries_say(bench: Any) -> None:
    done = bench.run("--models", "always,talkative", "--run-id", "r", SPY_API_KEY=SECRET)
    assert done.returncode == 1, done.stderr
    lines = bench.lines("r", "log.jsonl")
    assert SECRET not in json.dumps(lines)
    told = [(line["row"], line["clip"] is not None, line["message"]) for line in lines]
    assert told[0] == (None, False, "begins: 2 rows, 6 units each")
    assert told[-1] == (None, False, "has asked all")
    assert ("talkative", False, "opening with [redacted]") in told
    assert ("talkative", False, "looking at a batch") in told
    failed = [line for line in lines if line["message"].startswith("attempt 1 at level 0: refused (Refused: no)")]
    assert {line["clip"] for line in failed} == {line["clip"] for line in bench.lines("r", "clips.jsonl")}
    assert {(line["level"], line["row"]) for line in failed} == {("warning", "talkative")}
    assert done.stderr.count("looking at a batch") == 0


def test_a_signed_url_that_a_library_quotes_in_a_worker_is_in_no_line(tmp_path: Path, redactor: Redactor) -> None:
    path = tmp_path / "log.jsonl"
    redactor.learn_location("https://store/dada?sv=2022-11-02&sig=c2lnbmF0dXJl%3D")
    told = (
        "/dada/1.avi?sv=2022-11-02&sig=c2lnbmF0dXJl%3D failed",
        "signed by c2lnbmF0dXJl=",
        "https://x/y?Key=bm9ib2R5",
    )
    with logging_into(path, redactor):
        for words in told:
            into_the_log("m#1", Said("aiohttp.client", logging.WARNING, words, 0.0, None))
    assert [line["message"] for line in lines_of(path)] == [
        "/dada/1.avi?[redacted] failed",
        "signed by [redacted]",
        "https://x/y?[redacted]",
    ]
    assert {line["worker"] for line in lines_of(path)} == {"worker m#1"}
