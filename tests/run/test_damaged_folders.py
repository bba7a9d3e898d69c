"""Run folders as accidents and strangers leave them: whatever a file holds, a command tells of it in one line.

No traceback, no blame on ghostbench, nothing opened elsewhere, nothing waited for.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ghostbench.cli.main import _run
from ghostbench.folder.seal import write_sealed
from ghostbench.folder.sums import write_sums
from ghostbench.running.watch import guard

Damage = Callable[[bytes], bytes]
DEEP = b"[" * 100_000
WHOLE: dict[str, Damage] = {
    "empty": lambda _: b"",
    "torn": lambda data: data[: len(data) * 2 // 3],
    "garbage": lambda _: bytes(random.Random(0).randrange(256) for _ in range(500)),
    "another encoding": lambda data: data.decode().encode("utf-16"),
    "nested": lambda _: DEEP + b"]" * len(DEEP) + b"\n",
    "nested and torn": lambda _: DEEP,
    "digits": lambda _: b"9" * 10_000 + b"\n",
    "null": lambda _: b"null\n",
    "a list": lambda _: b"[]\n",
    "an empty object": lambda _: b"{}\n",
    "doubled": lambda data: data + data,
    "blank lines": lambda data: data.replace(b"\n", b"\n\n"),
}
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0.5, 10**30, float("nan"), float("inf"), 2**63, "", "x", "\ud800", "\x1b[31m", "a" * 5000),
    *([], {}, [None], {"": {}}, [[[[[1]]]]], "2026-13-45", "../../x", "/etc/passwd", "[bold]", "http://127.0.0.1:9/x"),
)
COMMANDS = ("verify", "report", "compare", "status", "regress", "resume")
DRAWS = int(os.environ.get("GHOSTBENCH_DRAWS", "15"))
"""How many damages are drawn for each file; more of them look further."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run `whole`, and `part`: the same with two clips to go, and something that was lost with a process."""
    out = tmp_path_factory.mktemp("out")
    can_fork, guard._CAN_FORK = guard._CAN_FORK, False
    try:
        words = ["run", "--models", "always,random", "--max-cost", "1", "--out", str(out), "--run-id", "whole"]
        assert _run([*words, "--quiet"]) == 0
    finally:
        guard._CAN_FORK = can_fork
    assert _run(["regress", str(out / "whole"), "--against", str(out / "reference.json"), "--update"]) == 0
    part = out / "part"
    shutil.copytree(out / "whole", part)
    manifest = json.loads((part / "manifest.json").read_text())
    unfinished = {"run_id": "part", "status": "interrupted", "digests": {}, "seal": None}
    (part / "manifest.json").write_text(json.dumps({**manifest, **unfinished}))
    lines = (part / "attempts.jsonl").read_text().splitlines(keepends=True)
    last = json.loads(lines[-1])
    (part / "attempts.jsonl").write_text("".join(lines[:-2]))
    (part / "predictions.jsonl").unlink()
    sent = [json.loads(line)["request_id"] for line in lines[:3]]
    (part / "sent.jsonl").write_text("".join(json.dumps({"request_id": r, "most_usd": 0.01}) + "\n" for r in sent))
    known = {key: last[key] for key in ("model", "clip", "repeat", "fallback_level", "started_at")}
    begun = {**known, "request_id": "lost", "frames_sha256": None, "prompt_sha256": None}
    (part / "begun.jsonl").write_text(f"{json.dumps(begun)}\n" + json.dumps({"ended": "was ended by signal 9"}) + "\n")
    (part / "printed.txt").write_text("what models printed\n")
    return out


@pytest.fixture
def command(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Path], int]:
    """Runs a command on a folder and holds what it says against what every command keeps to; returns its status."""
    monkeypatch.setattr(guard, "_CAN_FORK", False)

    def run(name: str, folder: Path) -> int:
        words = {
            "compare": ["compare", str(folder), str(made / "whole")],
            "regress": ["regress", str(folder), "--against", str(made / "reference.json")],
            "resume": ["run", "--resume", "--run-id", folder.name, "--out", str(folder.parent)],
        }.get(name, [name, str(folder)])
        capfd.readouterr()
        status = _run(words)
        said = capfd.readouterr().err
        errors = [line for line in said.splitlines() if line.startswith("error:")]
        assert status in ({0, 1, 2} if name in {"verify", "regress"} else {0, 2}), said
        assert len(errors) == (status == 2), said
        assert "fault of ghostbench" not in said
        assert "Traceback" not in said
        assert "\x1b" not in said
        assert all(len(line) < 1500 for line in errors)
        return status

    return run


def damaged(made: Path, place: Path, kind: str) -> Path:
    """A copy of a run to damage."""
    return Path(shutil.copytree(made / kind, place / kind))


def put_right(folder: Path) -> None:
    """Digests and seal anew, as a stranger would write them who wants the damage to be read."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        for name in manifest["digests"]:
            manifest["digests"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        write_sealed(folder / "manifest.json", manifest)
        write_sums(folder)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return


FILES = {
    "whole": ["manifest.json", "clips.jsonl", "attempts.jsonl", "predictions.jsonl", "metrics.json", "SHA256SUMS",
              "report.md", "report.html", "tables/summary.csv", "prompts"],
    "part": ["manifest.json", "clips.jsonl", "attempts.jsonl", "sent.jsonl", "begun.jsonl", "printed.txt", "prompts"],
}  # fmt: skip
READ_BY_VERIFY_ALONE = ("metrics.json", "SHA256SUMS", "report.md", "report.html", "tables/summary.csv")


def target(folder: Path, name: str) -> Path:
    return next((folder / name).iterdir()) if name == "prompts" else folder / name


QUICK = ("torn", "garbage", "nested", "an empty object")


@pytest.mark.parametrize("how", [how if how in QUICK else pytest.param(how, marks=pytest.mark.slow) for how in WHOLE])
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in FILES.items() for name in names])
def test_a_file_that_is_no_longer_what_it_was_costs_one_line(
    made: Path, tmp_path: Path, command: Callable[[str, Path], int], kind: str, name: str, how: str
) -> None:
    folder = damaged(made, tmp_path, kind)
    file = target(folder, name)
    file.write_bytes(WHOLE[how](file.read_bytes()))
    if name in READ_BY_VERIFY_ALONE:
        names: tuple[str, ...] = ("verify",)
    elif kind == "part":
        names = ("status", "report", "resume")
    else:
        names = ("status", "verify", "report")
    for each in names:
        status = command(each, folder)
        assert status in {1, 2} or each != "verify", f"{each} of {how} {name}"


@pytest.mark.parametrize("how", [pytest.param("gone", marks=pytest.mark.slow), "a folder", "a looping link", "a pipe"])
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in FILES.items() for name in names])
def test_a_file_that_is_something_else_is_named_and_not_opened(
    made: Path, tmp_path: Path, command: Callable[[str, Path], int], kind: str, name: str, how: str
) -> None:
    folder = damaged(made, tmp_path, kind)
    file = target(folder, name)
    file.unlink()
    if how == "a folder":
        file.mkdir()
    elif how == "a looping link":
        file.symlink_to(file.name)
    elif how == "a pipe":
        os.mkfifo(file)
    for each in ("status", "verify", "resume") if how == "gone" else ("status", "report", "resume"):
        status = command(each, folder)
        assert status == 2 or how == "gone", each


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value within a JSON value, the whole first."""
    yield at
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*at, key))
    elif isinstance(value, list):
        for index, part in enumerate(value[:2]):
            yield from places(part, (*at, index))


def changed(text: str, draw: random.Random) -> bytes:
    """A JSON text with one value in it that is another, gone, or one too many."""
    value = json.loads(text)
    at = draw.choice(list(places(value)))
    if not at:
        return json.dumps(draw.choice(VALUES)).encode()
    holder = value
    for step in at[:-1]:
        holder = holder[step]
    how = draw.randrange(8)
    if how == 0:
        del holder[at[-1]]
    elif how == 1 and isinstance(holder, dict):
        holder[draw.choice(["x", "", "\ud800"])] = draw.choice(VALUES)
    else:
        holder[at[-1]] = draw.choice(VALUES)
    return json.dumps(value, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")


def change_one(folder: Path, name: str, draw: random.Random) -> None:
    file = target(folder, name)
    if file.suffix == ".json":
        file.write_bytes(changed(file.read_text(), draw))
        return
    lines = file.read_bytes().splitlines()
    number = draw.randrange(len(lines))
    lines[number] = changed(lines[number].decode(), draw)
    file.write_bytes(b"\n".join(lines) + b"\n")


def try_at_random(
    made: Path, tmp_path: Path, command: Callable[[str, Path], int], seeds: range, kind: str, name: str
) -> None:
    for seed in seeds:
        draw = random.Random(f"{kind} {name} {seed}")
        folder = damaged(made, tmp_path / str(seed), kind)
        change_one(folder, name, draw)
        if kind == "whole" and draw.random() < 0.8:
            put_right(folder)
        for each in draw.sample(COMMANDS, 2):
            try:
                command(each, folder)
            except BaseException:
                print(f"seed {seed}, {each}")
                raise
        shutil.rmtree(tmp_path / str(seed))


VALUED = [(k, n) for k, names in FILES.items() for n in names if n.endswith(("json", "jsonl")) or n == "prompts"]


@pytest.mark.parametrize(("kind", "name"), VALUED)
def test_a_value_of_another_kind_costs_one_line(
    made: Path, tmp_path: Path, command: Callable[[str, Path], int], kind: str, name: str
) -> None:
    try_at_random(made, tmp_path, command, range(1), kind, name)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "name"), VALUED)
def test_many_values_of_another_kind_cost_one_line(
    made: Path, tmp_path: Path, command: Callable[[str, Path], int], kind: str, name: str
) -> None:
    try_at_random(made, tmp_path, command, range(1, DRAWS), kind, name)
