"""A run in short: thirty lines of eighty columns whatever the run holds, the reasons among them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from evidence_data import RunBuilder, clip, dash_clips, watched_clip
from rich.cells import cell_len
from rich.console import Console

from ghostbench.report.brief import print_brief
from ghostbench.report.data import RunData, read_run
from ghostbench.report.escape import plain
from ghostbench.report.other_task import read_by_another
from ghostbench.report.reasons import unanswered
from ghostbench.scoring.score import score_run

G, N = "ghost_probing", "normal"


def brief(run: RunData, width: int = 80) -> list[str]:
    """Both streams as one, as a terminal of that width shows them."""
    file = io.StringIO()
    print_brief(run, Console(file=file, width=width), Console(file=file, width=width))
    return file.getvalue().splitlines()


def fault(words: str, kind: str = "DecodeFailed") -> dict[str, object]:
    return {"error": {"type": kind, "message": words}, "raw": None}


def run_of(builder: RunBuilder, folder: Path) -> RunData:
    return read_run(builder.write(folder / "run"))


def test_one_table_the_marks_what_went_wrong_and_the_way_to_the_rest(rich_run: Path) -> None:
    lines = brief(read_run(rich_run), 400)
    assert lines[0].startswith("run: 6 clips of test, split all. A model sees the whole clip")
    assert lines[2].split() == ["Model", "Answered", "F1", "strict", "F1", "lenient", "Bal.acc.", "lenient"]
    assert lines[3].split()[:2] == ["gpt-4.1", "5/6"]
    assert "gpt-4.1: asked for gpt-4.1, served gpt-4o-2024-11-20" in lines
    assert "gpt-4.1 gave no answer for 1 of 6 clips: 1 refused" in lines
    assert f"all tables: bench report {rich_run} --all" in lines
    assert lines[-1].endswith("report.html")


def test_a_command_that_is_printed_can_be_pasted(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(1, 0, 1))
    run.rows("m", [G, N])
    folder = run.write(tmp_path / "my runs" / "a#1")
    assert f"all tables: bench report '{folder}' --all" in brief(read_run(folder), 400)


def test_a_run_that_only_met_401_is_short_and_says_why(tmp_path: Path) -> None:
    words = "401: Incorrect API key provided: sk-…. You can find your API key at https://platform.openai.com/account."
    run = RunBuilder(dash_clips(84, 18, 98))
    stopped = {"outcome": "auth_failed", "message": words}
    run.model("gpt-4.1", kind="remote", asked_model="gpt-4.1", stopped=stopped)
    first, *others = run.clips
    run.row("gpt-4.1", first["clip"], None, outcome="auth_failed", attempts=[fault(words, "AuthFailed")])
    for line in others:
        run.row("gpt-4.1", line["clip"], None, outcome="auth_failed", attempts=[])
    lines = brief(run_of(run, tmp_path))
    assert len(lines) <= 15
    assert f"gpt-4.1 gave no answer at all: 200 auth_failed ({words})" in " ".join(lines)
    assert not any("always" in line for line in lines)


def test_what_failed_alike_is_one_reason_and_rows_alike_are_one_line(tmp_path: Path) -> None:
    run = RunBuilder([clip(f"images_1_{n:03d}") for n in range(6)])
    for model in ("motion", "gpt"):
        for number, line in enumerate(run.clips):
            words = f"{line['clip']}.avi: 12{number} of 300 frames decoded" if number < 3 else "moov atom not found"
            broken = number < 4
            run.row(
                model, line["clip"], None if broken else N,
                outcome="decode_failed" if broken else None, attempts=[fault(words)] if broken else None,
            )  # fmt: skip
    [both] = unanswered(run_of(run, tmp_path))
    assert both.names == ("motion", "gpt")
    assert (both.count, both.of, both.silent) == (4, 6, False)
    assert [(r.outcome, r.count, r.words) for r in both.reasons] == [
        ("decode_failed", 3, "images_1_000.avi: 120 of 300 frames decoded"),
        ("decode_failed", 1, "moov atom not found"),
    ]


def test_the_words_are_of_the_moment_that_had_no_answer(tmp_path: Path) -> None:
    run = RunBuilder([watched_clip("images_1_001", G, 4, (0.6, 2.0))])
    run.watch("m", "images_1_001", [N, None, N, None])
    for line in run.attempts:
        line["outcome"] = "refused" if line["moment_s"] in (1.0, 2.0) else "answered"
        line["error"] = (
            {"type": "Refused", "message": f"not at {line['moment_s']}"} if line["outcome"] == "refused" else None
        )
    run.predictions[0]["outcome"] = "refused"
    # As a probe of a batch may come, the lines lie in no order of time.
    run.attempts = [run.attempts[place] for place in (3, 1, 0, 2)]
    [found] = unanswered(run_of(run, tmp_path))
    assert [str(reason) for reason in found.reasons] == ["1 refused (not at 1.0)"]


def test_a_probe_without_answers_is_told_and_is_no_silent_model(tmp_path: Path) -> None:
    run = RunBuilder([clip("a"), clip("b", G)])
    run.rows("m", [N, G])
    run.model("m+blank", probe="blank", of="m")
    run.rows("m+blank", [None, None])
    [found] = unanswered(run_of(run, tmp_path))
    assert (found.names, found.silent, found.probe) == (("m+blank",), True, True)


HOSTILE = ["\x1b[2J\x1b[31mred", "[bold]no[/bold]", "\u202etxet", "a\nb\r\n\tc", "鬼探头" * 90, "x" * 500, ""]


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("answered", [True, False])
def test_no_run_says_more_than_thirty_lines_or_anything_but_text(tmp_path: Path, count: int, answered: bool) -> None:
    run = RunBuilder([clip("a", G), clip("b")])
    for place in range(count):
        told, name = HOSTILE[place % len(HOSTILE)], f"{place}鬼" + "n-" * place
        run.model(name, kind="remote", mark=told[:60] or None, stopped={"outcome": "auth_failed", "message": told})
        run.row(name, "a", None, outcome="refused", attempts=[fault(told, "Refused")])
        run.row(name, "b", N if answered else None)
    folder = run.write(tmp_path / "r")
    lines = brief(read_run(folder))
    assert len(lines) <= 30
    assert [plain(line) for line in lines] == lines
    assert all(cell_len(line) <= 80 for line in lines if str(folder) not in line)
    assert "gave no answer" in " ".join(lines)


def test_answers_of_another_task_are_told_which_task_reads_them(tmp_path: Path) -> None:
    run = RunBuilder([clip("a", G), clip("b"), clip("c")])
    for line, raw in zip(
        run.clips, ['{"key_actions": "ghost probing"}', '{"key_actions": "cut-in"}', "?"], strict=True
    ):
        run.row("GPT", line["clip"], None, raw=raw)
        run.row("other", line["clip"], None, raw="I cannot tell")
    found = run_of(run, tmp_path)
    assert read_by_another(found) == []
    run = RunBuilder([clip(f"c{place}") for place in range(10)])
    for place, line in enumerate(run.clips):
        run.row("GPT", line["clip"], None, raw="?" if place == 3 else '{"key_actions": "cut-in"}')
        run.row("other", line["clip"], None, raw="I cannot tell")
    found = read_run(run.write(tmp_path / "ten"))
    [said] = read_by_another(found)
    assert said == (
        "GPT: the task ghost-probing-summary reads 9 of 10 of these answers; "
        "score them with --task ghost-probing-summary"
    )
    assert said in " ".join(brief(found, 400))


@pytest.mark.parametrize(("window", "says_why"), [((1.6, 1.9), True), ((1.2, 3.0), False)])
def test_a_run_in_which_nobody_can_warn_says_why(tmp_path: Path, window: tuple[float, float], says_why: bool) -> None:
    run = RunBuilder([watched_clip("images_1_001", G, 8, window), watched_clip("images_2_001", N, 8)])
    for name in ("images_1_001", "images_2_001"):
        run.watch("m", name, [N] * 8)
    task = {"name": "ghost-warning", "version": "1", "template_sha256": "c" * 64, "moments_per_s": 2.0}
    folder = run.write(tmp_path / "run", task=task, sampling="fps:2")
    score_run(folder)
    told = " ".join(" ".join(brief(read_run(folder))).split())
    assert ("No clip has a window that counts" in told) is says_why
