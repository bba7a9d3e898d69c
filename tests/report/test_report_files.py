"""Markdown, CSV, LaTeX and terminal: complete, unrounded where they should be, harmless everywhere."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from evidence_data import RunBuilder, dash_clips
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from ghostbench.report.data import RunData, read_run
from ghostbench.report.escape import csv_cell, latex, markdown, plain
from ghostbench.report.facts import facts
from ghostbench.report.files import latex_table, markdown_table
from ghostbench.report.marks import marks, same_model
from ghostbench.report.table import Column, Table, shown
from ghostbench.report.tables import run_tables
from ghostbench.report.terminal import chosen_tables, print_table
from ghostbench.report.write import write_report
from ghostbench.scoring.score import score_run

G, N = "ghost_probing", "normal"
HOSTILE = Table(
    "hostile",
    "A & B_1 $x$ %",
    (Column("model", "Mod|el"), Column("f1", "F1", "rate")),
    (
        ("=cmd|' /C calc'!A0", None),
        ("[1em] 甲", None),
        ("* 乙 é", None),
        ("\\input{/etc/passwd} \\write18 ^_~ # -- <b> `x` \x1b[2J", {"value": 0.5, "low": 0.1, "high": 0.9}),
    ),
    "<script>alert(1)</script> [a](javascript:b)",
)


def test_every_table_is_written_in_every_format(rich_run: Path) -> None:
    names = {table.name for table in run_tables(read_run(rich_run))}
    assert {path.stem for path in (rich_run / "tables").glob("*.csv")} == names
    assert {path.stem for path in (rich_run / "tables").glob("*.tex")} == names
    text = (rich_run / "report.md").read_text()
    assert "recognition in retrospect, not early warning" in text
    for table in run_tables(read_run(rich_run)):
        assert f"## {markdown(table.title)}" in text


def test_csv_holds_the_numbers_of_the_metrics_unrounded(rich_run: Path) -> None:
    metrics = json.loads((rich_run / "metrics.json").read_text())
    for view in ("strict", "lenient"):
        for basis in ("answered", "worst_case"):
            rows = list(csv.DictReader((rich_run / "tables" / f"rates_{view}_{basis}.csv").open()))
            for row in rows:
                found = {**metrics["models"], **metrics["reference"]}[row["model"]]["views"][view][basis]
                assert row["tp"] == str(found["tp"])
                for rate in ("precision", "recall", "f1", "mcc"):
                    want = found[rate]
                    assert row[rate] == ("" if want is None else repr(want["value"]))
                    assert row[f"{rate}_low"] == ("" if want is None else repr(want["low"]))


def test_a_rate_without_a_denominator_is_shown_as_not_available_and_never_as_zero() -> None:
    assert shown(None, "rate") == "n/a"
    assert shown({"value": 0.0, "low": 0.0, "high": 0.1}, "rate") == ".000 [.000, .100]"
    assert shown({"value": -0.25, "low": -1.0, "high": 0.5}, "rate") == "-.250 [-1.000, .500]"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
@pytest.mark.slow
def test_latex_tables_compile_hostile_names_included(rich_run: Path, tmp_path: Path) -> None:
    tables = [latex_table(table) for table in run_tables(read_run(rich_run))] + [latex_table(HOSTILE)]
    body = "\n\n".join(f"\\resizebox{{\\textwidth}}{{!}}{{%\n{table}}}" for table in tables)
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,textcomp,graphicx}"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def test_names_of_any_script_stay_apart_in_latex_and_open_no_argument() -> None:
    text = latex_table(HOSTILE)
    assert r"{}[1em] \unicodechar{7532} & " in text
    assert r"{}* \unicodechar{4E59} \'e & " in text
    assert text.count(r"\providecommand{\unicodechar}") == 1
    assert "?" not in latex("甲乙")


def test_latex_has_a_name_for_letters_of_latin_and_greek_and_never_one_that_another_has() -> None:
    assert latex("Łódź, Kőszeg, ï, Ű") == r"\L{}\'od\'z, K\H{o}szeg, \"\i{}, \unicodechar{0170}"
    assert latex("κ ≥ 1 − Δ × µ") == (
        r"\ensuremath{\kappa} \ensuremath{\geq} 1 \ensuremath{-} \ensuremath{\Delta} \texttimes{} \unicodechar{00B5}"
    )
    letters = [chr(code) for code in range(0x20, 0x3100) if unicodedata.normalize("NFC", chr(code)) == chr(code)]
    letters = [letter for letter in letters if plain(letter) == letter]
    assert len({latex(letter) for letter in letters}) == len(letters)


def test_latex_tables_have_one_cell_a_column_and_balanced_braces(rich_run: Path) -> None:
    for table in [*run_tables(read_run(rich_run)), HOSTILE]:
        text = latex_table(table)
        lines = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert len(lines) == 1 + len(table.rows)
        for line in lines:
            assert len(re.findall(r"(?<!\\)&", line)) == len(table.columns) - 1
            bare = re.sub(r"\\[{}]", "", line)
            assert bare.count("{") == bare.count("}")


@given(st.text(max_size=60))
def test_no_text_leaves_its_place(text: str) -> None:
    assert "\n" not in plain(text)
    assert "\x1b" not in plain(text)
    cell = csv_cell(text)
    assert next(csv.reader(io.StringIO(_csv(cell)), strict=True)) == [cell]
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert re.search(r"(?<!\\)[&%$#_]", latex(text)) is None
    shown_as = markdown(text)
    assert "<" not in shown_as
    assert re.search(r"(?<!\\)(?:\\\\)*[|`*\[\]]", shown_as) is None


def _csv(cell: str) -> str:
    file = io.StringIO()
    csv.writer(file).writerow([cell])
    return file.getvalue()


def test_hostile_words_are_text_in_markdown() -> None:
    text = markdown_table(HOSTILE)
    page = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    assert not re.search(r"<(?!/?(h2|p|table|thead|tbody|tr|th|td)[ >])", page)
    assert page.count("<td") == 2 * len(HOSTILE.rows)
    for row in HOSTILE.rows:
        assert plain(str(row[0])) in html.unescape(page)


def test_hostile_words_are_text_in_a_terminal() -> None:
    file = io.StringIO()
    print_table(HOSTILE, Console(file=file, width=80, force_terminal=True))
    assert "\x1b[2J" not in file.getvalue()
    assert "[a](javascript:b)" in file.getvalue()


def print_all(run: RunData, console: Console) -> None:
    for table in chosen_tables(run):
        print_table(table, console)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_terminal_tables_keep_to_the_width_and_lose_no_column(rich_run: Path, width: int) -> None:
    file = io.StringIO()
    print_all(read_run(rich_run), Console(file=file, width=width))
    assert max(map(len, file.getvalue().splitlines())) <= width
    words = " ".join(file.getvalue().split())
    for title in ("Summary", "Confusion matrices", "Rates, strict view, worst case", "Latency by stage", "p99", "MCC"):
        assert title in words
    assert "recognition in retrospect" in words


def test_a_served_model_other_than_the_one_asked_for_is_marked(rich_run: Path) -> None:
    row = read_run(rich_run).rows["gpt-4.1"]
    assert "asked for gpt-4.1, served gpt-4o-2024-11-20" in map(str, marks(row))


@pytest.mark.parametrize(
    ("asked", "served", "same"),
    [
        ("gpt-4.1", "gpt-4.1", True),
        ("gpt-4.1", "gpt-4.1-2025-04-14", True),
        ("gpt-4.1", "gpt-4.1-mini", False),
        ("gpt-4.1", "gpt-4.1-mini-2025-04-14", False),
        ("gpt-4.1", "gpt-4o-2024-11-20", False),
        ("claude-3-7-sonnet", "claude-3-7-sonnet-20250219", True),
    ],
)
def test_a_dated_snapshot_of_the_asked_model_is_the_asked_model(asked: str, served: str, same: bool) -> None:
    assert same_model(asked, served) is same


def test_the_row_that_does_not_beat_the_best_baseline_names_it(rich_run: Path) -> None:
    table = next(t for t in run_tables(read_run(rich_run)) if t.name == "rates_strict_answered")
    beats = {str(row[0]): str(row[-1]) for row in table.rows}
    assert beats["gpt-4.1"].split(":")[0] in ("undecided", "does not beat")
    assert beats["always"] == "baseline"


def test_the_same_run_gives_the_same_files_to_the_byte(rich_run: Path) -> None:
    paths = [path for path in sorted(rich_run.rglob("*")) if path.is_file()]
    before = {path: path.read_bytes() for path in paths}
    score_run(rich_run)
    write_report(rich_run)
    assert {path: path.read_bytes() for path in paths} == before


def test_hostile_names_of_models_runs_and_datasets_are_text_everywhere(tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)> $x$ \\input{a} |*_`"
    run = RunBuilder(dash_clips(2, 0, 2))
    run.model(name, kind="remote", asked_model="<b>", load_s=0.1)
    run.rows(name, [G, N, N, N], score=0.4)
    dataset = {"name": name, "split": name, "labels_sha256": "a" * 64, "split_sha256": "b" * 64}
    folder = run.write(tmp_path / "run", dataset=dataset, run_id=name, sampling=name)
    score_run(folder)
    write_report(folder)
    assert "<img src=x" not in (folder / "report.html").read_text()
    assert "<img src=x" not in (folder / "report.md").read_text()
    for path in (folder / "tables").glob("*.tex"):
        assert "\\input" not in path.read_text()


def test_the_machine_is_told_in_words_and_units(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(1, 0, 1))
    run.rows("m", [G, N])
    gpus = [{"name": "Some GPU", "memory_bytes": 80 * 2**30}, {"name": "<b>odd</b>", "memory_bytes": 2**30}]
    hardware = {"processor": None, "cores": 2, "memory_bytes": 2**34, "gpus": gpus}
    found = dict(facts(read_run(run.write(tmp_path / "run", hardware=hardware))))
    assert found["Hardware"] == (
        "processor unknown, cores 2, 16.00 GiB memory, GPUs: Some GPU 80.00 GiB memory; <b>odd</b> 1.00 GiB memory"
    )


def test_a_model_that_takes_a_baselines_name_hides_no_baseline(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(2, 0, 2))
    run.model("always", spec="replay", kind="reference", reference=True, mark="recorded")
    run.rows("always", [G, N, N, N])
    folder = run.write(tmp_path / "run")
    score_run(folder)
    rows = read_run(folder).rows
    assert list(rows) == ["always", "always (baseline)", "never", "random", "category-prior"]
    assert rows["always"]["views"]["strict"]["answered"]["tp"] == 1
    assert rows["always (baseline)"]["views"]["strict"]["answered"]["tp"] == 2


def test_a_table_that_is_added_to_the_one_list_reaches_the_terminal_the_files_and_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghostbench.report import html as pages
    from ghostbench.report import tables, write

    run = RunBuilder(dash_clips(1, 0, 1))
    run.rows("m", [G, N])
    folder = run.write(tmp_path / "run")
    added = Table("brand_new", "Something brand new", (Column("model", "Model"),), (("only here",),))
    for module in (pages, tables, write):
        monkeypatch.setattr(module, "run_tables", lambda run: [*run_tables(run), added])
    score_run(folder)
    write.write_report(folder)
    page = (folder / "report.html").read_text()
    renamed = {"summary", "confusion", "scores", "slices", "event_time"}
    titles = [table.title for table in [*run_tables(read_run(folder)), added] if table.name not in renamed]
    assert [title for title in titles if f">{html.escape(title)}<" not in page] == []
    assert "only here" in page
    assert "only here" in (folder / "report.md").read_text()
    assert "only here" in (folder / "tables" / "brand_new.csv").read_text()
    out = io.StringIO()
    print_all(read_run(folder), Console(file=out, width=100))
    assert "only here" in out.getvalue()


def test_the_page_holds_no_absolute_path_of_the_machine_that_made_it(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(1, 0, 1))
    run.model("m", settings={"weights": "/home/me/secret-project/w.bin"}, argument="/home/me/secret-project/a.jsonl")
    run.row("m", run.clips[0]["clip"], G)
    fault = {"type": "DecodeFailed", "message": "cannot open '/home/me/secret-project/clip.avi'"}
    lines = [{"outcome": "decode_failed", "error": fault, "raw": None}]
    run.row("m", run.clips[1]["clip"], None, outcome="decode_failed", attempts=lines)
    folder = run.write(tmp_path / "run", command=["bench", "run", "--data-root", "/home/me/secret-project/DADA"])
    score_run(folder)
    write_report(folder)
    page = (folder / "report.html").read_text()
    assert "secret-project" not in page
    assert "…/DADA" in page
    assert "…/clip.avi" in page
