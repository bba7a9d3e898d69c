"""`bench report --paper`: tables that fit a column in real LaTeX, figures, methods with every setting, true sources."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from evidence_data import RunBuilder, clip, dash_clips, watched_clip
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.cli.main import bench
from ghostbench.errors import BadInput
from ghostbench.report.data import read_run
from ghostbench.report.paper.methods import methods
from ghostbench.report.paper.narrow import COLUMN_PT, TEXT_PT, panels_of, paper_table
from ghostbench.report.paper.references import AUTHOR, TITLE, references
from ghostbench.report.paper.widths import broken, width_pt
from ghostbench.report.table import Column, Table
from ghostbench.scoring.score import score_run

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"
LONG = "a-model-with-a-very-long-name/and-a-path_2025-04-14#final&50%"
FOREIGN = "汉字模型"
_TABULAR = re.compile(r"\\begin\{tabular\}.*?\\end\{tabular\}", re.DOTALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rows with names of every kind on twenty clips of DADA-2000's name."""
    builder = RunBuilder(dash_clips(9, 2, 9))
    builder.model("gpt-4.1", kind="remote", argument="gpt-4.1", asked_model="gpt-4.1", settings={"temperature": 0.25})
    builder.model("drivemm", settings={"checkpoint": "/home/somebody/weights", "precision": "bf16"})
    builder.model("always", kind="reference", reference=True, needs_frames=False, mark="trivial baseline")
    for model, name in enumerate(("gpt-4.1", "drivemm", LONG, FOREIGN, "always")):
        for place, line in enumerate(builder.clips):
            said = G if name == "always" else (G, N, P, None)[(place * 3 + model) % 4]
            builder.row(
                name, line["clip"], said, score=0.05 * place if model < 2 and said else None,
                attempts=[{"served_model": "gpt-4o-2024-11-20" if name == "gpt-4.1" else None}],
            )  # fmt: skip
    versions = {"ghostbench": "0.1.1", "numpy": "2.4.0"}
    dataset = {
        "name": "dada2000", "split": "all", "data_root": "/home/somebody/DADA", "labels": "/home/somebody/labels.csv",
        "labels_sha256": "a" * 64, "split_sha256": "b" * 64, "n": 20,
    }  # fmt: skip
    options = {"dataset": "dada2000", "deadline": 120.0, "labels": "/home/somebody/labels.csv", "limit": 20}
    place = tmp_path_factory.mktemp("paper")
    folder = builder.write(place / "r", versions=versions, dataset=dataset, options=options, seed=17)
    score_run(folder)
    return folder


@pytest.fixture(scope="module")
def paper(run: Path) -> Path:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = CliRunner().invoke(bench, ["report", str(run), "--paper", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    folder = Path(said["folder"])
    assert folder == run.with_name("r-paper")
    assert sorted(map(Path, said["files"])) == sorted(path for path in folder.rglob("*") if path.is_file())
    return folder


def latex(folder: Path, text: str) -> str:
    """What LaTeX says of a document, without making its pages."""
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("no pdflatex here")
    (folder / "test.tex").write_text(text)
    words = [program, "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "test.tex"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "test.log").read_text(errors="replace")


@pytest.mark.slow
def test_latex_makes_every_table_no_wider_than_its_column_and_no_wider_than_was_reckoned(paper: Path) -> None:
    measured, limits, reckoned = [], [], []
    for path in sorted((paper / "tables").iterdir()):
        text = path.read_text()
        for tabular in _TABULAR.findall(text):
            measured.append(f"\\sbox\\probe{{{tabular}}}\\typeout{{WIDTH \\the\\wd\\probe}}")
            limits.append(COLUMN_PT if path.stem.endswith("-column") else TEXT_PT)
            reckoned.append(path.name)
    assert len(measured) > 60
    log = latex(
        paper,
        "\\documentclass[10pt]{article}\\usepackage[T1]{fontenc}\\usepackage{textcomp,booktabs}\n"
        "\\newcommand{\\unicodechar}[1]{U+#1}\\newsavebox\\probe\\begin{document}\\footnotesize\n"
        "\\setlength{\\tabcolsep}{3pt}\n" + "\n".join(measured) + "\\end{document}\n",
    )
    widths = [float(found) for found in re.findall(r"WIDTH ([\d.]+)pt", log)]
    over = [(name, got) for name, got, most in zip(reckoned, widths, limits, strict=True) if got > most]
    assert over == []
    # Room is used: a table that has more columns than one panel takes fills most of the width.
    assert max(width for width, most in zip(widths, limits, strict=True) if most == COLUMN_PT) > 0.85 * COLUMN_PT


def test_latex_sets_the_whole_document_without_a_line_that_is_too_wide(paper: Path) -> None:
    log = latex(paper, (paper / "paper.tex").read_text())
    assert re.findall(r"Overfull \\hbox.*|LaTeX Error.*|undefined control.*", log) == []


@given(st.text(alphabet="abcXYZ019 -_/.%&#汉é~…", max_size=60), st.floats(12, 300))
def test_text_is_broken_within_the_limit_and_none_of_it_is_lost(text: str, limit: float) -> None:
    lines = broken(text, limit)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width_pt(line) <= limit or len(line) == 1 for line in lines)


@given(
    st.lists(st.sampled_from(["text", "count", "rate", "share"]), min_size=1, max_size=14),
    st.sampled_from([COLUMN_PT, TEXT_PT]),
    st.text(alphabet="ab_ c-", max_size=80),
)
def test_any_table_keeps_every_column_within_the_width(kinds: list, width: float, words: str) -> None:
    columns = tuple(Column(f"c{at}", f"Column {at} of a kind", kind) for at, kind in enumerate(kinds))
    value = {"text": words, "count": 12345, "rate": {"value": 0.5, "low": 0.25, "high": 0.75}, "share": 0.5}
    panels = panels_of(Table("any", "Any", columns, (tuple(value[kind] for kind in kinds),) * 2), width)
    for panel in panels:
        assert sum(column.width + 6 for column in panel) - 6 <= width + 0.01
    titles = [" ".join(column.title) for panel in panels for column in panel]
    assert {column.title for column in columns} == set(titles)


def test_a_table_of_many_rows_is_spread_over_pages_and_keeps_them_all() -> None:
    rows = tuple((f"row-{at}", at) for at in range(150))
    text = paper_table(Table("many", "Many", (Column("m", "Model"), Column("n", "n", "count")), rows), COLUMN_PT)
    assert text.count(r"\begin{table}") == 4
    assert re.findall(r"row-(\d+)", text) == [str(at) for at in range(150)]
    assert text.count(r"\label{") == 1


def test_methods_say_every_setting_and_version_and_no_place_of_the_machine(paper: Path) -> None:
    text = (paper / "methods.tex").read_text().replace(r"\allowbreak{}", "")
    for words in (
        "ghost-probing (version 1)", "ghostbench 0.1.1", "numpy 2.4.0", "seed 17", "uniform:10", "deadline 120.0",
        "limit 20", "temperature 0.25", "precision bf16", "The server named gpt-4o-2024-11-20", "test decoder 1",
        "a" * 64, "b" * 64, "recognition in retrospect", "z = 1.959964", "cpu test",
    ):  # fmt: skip
        assert words in text, words
    written = [path for path in paper.rglob("*") if path.suffix in {".tex", ".bib", ".svg"}]
    everything = "".join(path.read_text(errors="replace") for path in written)
    assert "somebody" not in everything


def methods_of(builder: RunBuilder, folder: Path, **manifest: Any) -> str:
    """What `methods.tex` says of a run, with its words unbroken."""
    score_run(builder.write(folder, **manifest))
    run = read_run(folder)
    return methods(run, references(run)).replace(r"\allowbreak{}", "").replace(r"\%", "%")


def test_methods_of_a_run_that_asks_at_moments_are_those_of_warnings(tmp_path: Path) -> None:
    clips = [watched_clip(f"images_1_{n:03}", G, 8, (1.2, 3.0)) for n in range(4)]
    clips += [watched_clip(f"images_2_{n:03}", N, 8) for n in range(4)]
    builder = RunBuilder(clips)
    for place, line in enumerate(clips):
        grades = [G if at == 4 and place < 3 else N for at in range(8)]
        builder.watch("graded", line["clip"], grades)
        builder.watch("scored", line["clip"], grades, [0.75 if said == G else 0.25 for said in grades])
    task = {"name": "ghost-warning", "version": "1", "template_sha256": "c" * 64, "moments_per_s": 2.0}
    text = methods_of(builder, tmp_path / "r", task={**task, "sustain": "2/3"}, sampling="fps:2")
    for words in (
        "Moments were asked 2 times a second", "where 2 of the last 3 moments alarm (sustain 2/3)",
        "false alarms over all safe clips", "no interval where",
        "answered or not: a clip with failed media or a moment without an answer is a miss",
        "at most 10% of safe clips have an alarm", "of positives for AP", "percentiles of 1000 redrawn sets of clips",
        "It alarms by grade.", "It alarms by score, from 0.2",
    ):  # fmt: skip
        assert words in text, words
    for words in ("over answered clips", "F1", "MCC", "worst case", "Of twins"):
        assert words not in text, words
    assert "at once (sustain 1/1)" in methods_of(
        builder, tmp_path / "once", task={**task, "sustain": "1/1"}, sampling="fps:2"
    )


def test_methods_of_a_run_over_twins_say_what_its_pairs_and_d_prime_are(tmp_path: Path) -> None:
    twins = [clip(f"{scene}-{twin}", G if twin == "as_is" else N) for scene in "ab" for twin in ("as_is", "no_actor")]
    for line in twins:
        line["parameters"] = dict(zip(("scene", "twin"), line["clip"].split("-"), strict=True))
    builder = RunBuilder(twins)
    builder.rows("m", [G, N, G, G])
    text = methods_of(builder, tmp_path / "r")
    for words in ("right on both", "clustered by scene", "Hautus, 1995", "other rates are over answered clips", "MCC"):
        assert words in text, words
    assert "$d'$ and criterion are over answered clips" in text


def test_counts_that_nobody_knows_are_not_said_to_be_none(tmp_path: Path) -> None:
    builder = RunBuilder(dash_clips(2, 0, 2))
    builder.rows("m", [G, N, G, N], attempts=[])
    score_run(builder.write(tmp_path / "r"))
    run = read_run(tmp_path / "r")
    unknown = dict.fromkeys(("attempts", "retries", "fallbacks"))
    rows = {name: {**row, **unknown} for name, row in run.metrics["models"].items()}
    known = replace(run, metrics={**run.metrics, "models": rows})  # type: ignore[typeddict-item]
    text = methods(known, references(known))
    assert "in n/a attempts, n/a of them retries, n/a at fallback levels" in text


def test_what_is_cited_has_an_entry_and_says_what_is_known_of_it(paper: Path) -> None:
    bib = (paper / "references.bib").read_text()
    keys = re.findall(r"^@\w+\{([^,]+),", bib, re.MULTILINE)
    cited = set(re.findall(r"\\cite\{([^}]+)\}", (paper / "methods.tex").read_text()))
    assert cited == set(keys)
    assert cited == {
        "fang2019dada", "huang2024drivemm", "openai2025gpt41", "ghostbench", "wilson1927", "model-3", "model-4",
    }  # fmt: skip
    for true in ("10.1109/ITSC.2019.8917218", "arXiv:2412.07689", "https://openai.com/index/gpt-4-1/"):
        assert true in bib
    assert bib.count("{") == bib.count("}")
    citation = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text())
    assert (citation["title"], citation["authors"][0]["name"]) == (TITLE, AUTHOR)


def test_figures_are_pdf_and_svg_as_wide_as_a_column(paper: Path) -> None:
    stems = {path.stem for path in (paper / "figures").iterdir()}
    assert {"forest-strict", "forest-lenient", "roc", "latency"} <= stems
    for stem in stems:
        pdf, svg = (paper / "figures" / f"{stem}.pdf").read_bytes(), (paper / "figures" / f"{stem}.svg").read_text()
        assert pdf.startswith(b"%PDF-")
        assert svg.startswith("<?xml")
        box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", pdf)
        assert box is not None
        assert abs(float(box[1]) - 72 * COLUMN_PT / 72.27) < 0.5
        assert "#010203" not in svg
        assert "#010204" not in svg


@pytest.mark.slow
def test_nothing_of_somebody_elses_is_replaced(run: Path, paper: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    (tmp_path / "paper.tex").write_text("precious")
    refused = runner.invoke(bench, ["report", str(run), "--paper", "--out", str(tmp_path)])
    assert isinstance(refused.exception, BadInput)
    assert (tmp_path / "paper.tex").read_text() == "precious"
    mine = tmp_path / "mine"
    shutil.copytree(paper, mine)
    (mine / "paper.aux").write_text("LaTeX's own")
    assert runner.invoke(bench, ["report", str(run), "--paper", "--out", str(mine)]).exit_code == 0
    (mine / "methods.tex").write_text("edited")
    refused = runner.invoke(bench, ["report", str(run), "--paper", "--out", str(mine)])
    assert "methods.tex was written or changed by somebody else" in str(refused.exception)
    assert (mine / "methods.tex").read_text() == "edited"
    refused = runner.invoke(bench, ["report", str(run), "--paper", "--out", str(run / "paper")])
    assert "is a run's folder, or in one" in str(refused.exception)


def test_what_cannot_be_is_said_in_one_line(run: Path, tmp_path: Path) -> None:
    for words, why in (
        (["--out", str(tmp_path)], "--out goes with --paper"),
        (["--paper", "--all"], "leave out --table"),
        (["--paper", "--out", str(run)], "is a run's folder"),
    ):
        with pytest.raises(Exception, match=why):
            bench.main(["report", str(run), *words], standalone_mode=False)
