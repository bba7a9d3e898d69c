"""The append-only files: torn lines, order, a full disk."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ghostbench.errors import BadInput
from ghostbench.folder.ledger import DiskFailed, Ledger, encode, recover
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.reading import read_lines
from ghostbench.outcomes import Outcome
from ghostbench.redact import Redactor


def line(number: int, raw: str = "") -> AttemptLine:
    return AttemptLine(
        model="m",
        clip=f"c{number}",
        repeat=0,
        attempt=1,
        fallback_level=0,
        outcome=Outcome.ANSWERED,
        started_at="2026-01-01T00:00:00Z",
        raw=raw,
    )


async def write(path: Path, count: int, redactor: Redactor | None = None) -> None:
    ledger = Ledger(path, redactor or Redactor({}))
    await asyncio.gather(*(ledger.append(line(i, raw='\n"ü"')) for i in range(count)))
    ledger.close()


async def test_lines_come_back_in_the_order_written(tmp_path: Path) -> None:
    await write(tmp_path / "a.jsonl", 500)
    assert [entry["clip"] for entry in read_lines(tmp_path / "a.jsonl")] == [f"c{i}" for i in range(500)]


async def test_a_line_torn_at_any_byte_is_cut_off_and_no_other(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    await write(whole, 3)
    data = whole.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    torn = tmp_path / "torn.jsonl"
    for length in range(len(data) + 1):
        torn.write_bytes(data[:length])
        recover(torn)
        assert len(list(read_lines(torn))) == sum(end <= length for end in ends)


async def test_a_torn_line_longer_than_a_block_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n' + b"x" * 200_000)
    recover(path)
    assert path.read_bytes() == b'{"a":1}\n'


def test_a_whole_line_that_is_no_object_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":1}\n[]\n')
    with pytest.raises(BadInput, match=r"a\.jsonl line 2"):
        list(read_lines(path))


async def test_secrets_of_the_environment_never_reach_the_file(tmp_path: Path) -> None:
    secret = 'sk-"tricky\\'
    ledger = Ledger(tmp_path / "a.jsonl", Redactor({"SOME_API_KEY": secret, "OTHER_TOKEN": "geheim-ü-geheim"}))
    await ledger.append(line(0, raw=f"my key is {secret} and geheim-ü-geheim, or http://me:pw@host/x"))
    ledger.close()
    raw = json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8"))["raw"]
    assert raw == "my key is [redacted] and [redacted], or http://[redacted]@host/x"


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger import line
from ghostbench.folder.ledger import DiskFailed, Ledger
from ghostbench.redact import Redactor
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
async def main():
    ledger = Ledger(Path(sys.argv[1]), Redactor({}))
    written = 0
    try:
        for number in range(1000):
            await ledger.append(line(number))
            written += 1
    except DiskFailed:
        print(written)
    ledger.close()
asyncio.run(main())
"""


def test_a_full_disk_is_told_to_the_one_who_writes_and_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", FULL_DISK, str(path), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    written = int(done.stdout)
    assert 0 < written < 1000
    assert len(list(read_lines(path))) == written


def test_a_line_is_one_line_of_json() -> None:
    text = encode(line(1, raw="a\nb\u2028c"))
    assert "\n" not in text
    assert json.loads(text)["raw"] == "a\nb\u2028c"


async def test_a_secret_that_is_an_ordinary_word_garbles_no_field_of_the_harness(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.jsonl", Redactor({"MY_TOKEN": "answered", "OTHER_KEY": "fallback_level"}))
    await ledger.append(line(0, raw="it answered at fallback_level 0"))
    ledger.close()
    written = next(iter(read_lines(tmp_path / "a.jsonl")))
    assert (written["outcome"], written["fallback_level"]) == ("answered", 0)
    assert written["raw"] == "it [redacted] at [redacted] 0"


async def test_a_file_that_somebody_closed_under_it_fails_the_line_and_nobody_waits(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.jsonl", Redactor({}))
    os.close(ledger._file.fileno())
    for number in (0, 1):
        with pytest.raises(DiskFailed, match="Bad file descriptor"):
            await asyncio.wait_for(ledger.append(line(number)), 10)
    with pytest.raises(OSError, match="Bad file descriptor"):
        ledger.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
async def test_a_file_that_can_be_neither_written_nor_cut_fails_for_good() -> None:
    ledger = Ledger(Path("/dev/full"), Redactor({}))
    for number in range(3):
        with pytest.raises(DiskFailed, match="No space left"):
            await asyncio.wait_for(ledger.append(line(number)), 10)
    ledger.close()


async def test_after_a_failure_nothing_is_written_any_more(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ROOM_AGAIN, str(tmp_path / "a.jsonl"), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["failed", "failed"]
    assert list(read_lines(tmp_path / "a.jsonl")) == []


ROOM_AGAIN = """
import asyncio, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger import line
from ghostbench.folder.ledger import DiskFailed, Ledger
from ghostbench.redact import Redactor
async def main():
    ledger = Ledger(Path(sys.argv[1]), Redactor({}))
    for room in (50, 50_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            await ledger.append(line(1))
            print("written")
        except DiskFailed:
            print("failed")
    ledger.close()
asyncio.run(main())
"""
