"""Tables of rows beside a model's own: other wordings of the question, and frames that a probe changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ghostbench.media.corruptions import described
from ghostbench.report.columns import MODEL, Rows
from ghostbench.report.data import RunData
from ghostbench.report.table import Column, Table, Value
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.views import VIEWS
from ghostbench.scoring.wording_metrics import PairOrder, RateSpread

_VIEW = Column("view", "View")
_PARTS = {
    "model": "model",
    "wording": "wording",
    "both": "model × wording",
    "clips": "clips: chance of these and no others",
}
_EVERY_CLIP = "Every clip counts, and a missing answer is wrong."


def wordings(run: RunData) -> Table:
    """How far each model's score moves between wordings, beside its interval in the main one."""
    columns = (
        MODEL,
        _VIEW,
        Column("wordings", "Wordings", "count"),
        Column("f1", "F1, main wording", "rate"),
        Column("lowest", "Lowest F1", "rate"),
        Column("lowest_in", "In wording"),
        Column("highest", "Highest F1", "rate"),
        Column("highest_in", "In wording"),
        Column("range", "Range", "rate"),
        Column("sd", "SD", "rate"),
        Column("balanced_accuracy_range", "Range, bal. accuracy", "rate"),
        Column("same_verdict", "Same yes or no in all", "rate"),
    )
    found = run.metrics.get("wordings")
    lines: list[tuple[Value, ...]] = []
    for model in found["models"] if found else ():
        for view in VIEWS:
            assert found is not None
            spread = found["views"][view]["spread"][model]
            f1 = spread["f1"]
            lowest, highest = _at(f1, f1["lowest"]), _at(f1, f1["highest"])
            lines.append(
                (
                    model,
                    view,
                    len(found["names"]),
                    f1["by_wording"]["main"],
                    None if lowest is None else lowest["value"],
                    _where(f1, f1["lowest"]),
                    None if highest is None else highest["value"],
                    _where(f1, f1["highest"]),
                    f1["range"],
                    f1["sd"],
                    spread["balanced_accuracy"]["range"],
                    spread["same_verdict"],
                )
            )
    note = (
        f"{_EVERY_CLIP} The row without an @ is the main wording, and it stands first whatever its score: the best of "
        "several wordings is no measure of a model. Same yes or no: the share of clips of which the model says the "
        "same in every wording."
    )
    return Table("wordings", "Spread over wordings", columns, tuple(lines), note)


def _at(f1: RateSpread, wording: str | None) -> Estimate | None:
    return None if wording is None else f1["by_wording"][wording]


def _where(f1: RateSpread, wording: str | None) -> str:
    """The wording at an end, where there are two ends."""
    return "all alike" if f1["range"] == 0 else wording or "n/a"


def wording_variance(run: RunData) -> Table:
    """What differs between scores, split into model, wording and both."""
    columns = (
        _VIEW,
        Column("part", "Part"),
        Column("sd", "SD of the share of right answers", "rate"),
        Column("share", "Of the variance", "share"),
    )
    found = run.metrics.get("wordings")
    lines: list[tuple[Value, ...]] = []
    shape: Mapping[str, int] = {}
    for view in VIEWS if found else ():
        assert found is not None
        variance = found["views"][view]["variance"]
        if variance is not None:
            shape = variance["of"]
            lines += [
                (view, words, variance["sds"][part], variance["shares"].get(part) if part != "clips" else None)
                for part, words in _PARTS.items()
            ]
    note = (
        f"{_EVERY_CLIP} Of {shape.get('models', 0)} models, {shape.get('wordings', 0)} wordings and "
        f"{shape.get('clips', 0)} clips, all crossed and taken as draws of many: analysis-of-variance estimators of "
        "a balanced random model (Searle, Casella & McCulloch 1992, ch. 4; Brennan 2001), none below 0. Model × "
        "wording: what a wording does to one model and not to another. Clips: what the choice of clips leaves in a "
        "score, for comparison. With few models or wordings the parts are rough."
    )
    return Table("wording_variance", "Model or wording", columns, tuple(lines), note)


def wording_order(run: RunData) -> Table:
    """For each two models whether their order depends on the wording."""
    columns = (
        MODEL,
        Column("other", "Other model"),
        _VIEW,
        Column("order", "Ahead by F1"),
        Column("model_in", "Model ahead in"),
        Column("other_in", "Other ahead in"),
        Column("least_lead", "Least lead", "rate"),
        Column("largest_lead", "Largest lead", "rate"),
        Column("shown_model", "Shown for the model", "count"),
        Column("shown_other", "Shown for the other", "count"),
    )
    found = run.metrics.get("wordings")
    lines: list[tuple[Value, ...]] = []
    for view in VIEWS if found else ():
        assert found is not None
        for pair in found["views"][view]["order"]:
            leads = [each["f1"] for each in pair["by_wording"].values() if each["f1"] is not None]
            lines.append(
                (
                    pair["first"],
                    pair["second"],
                    view,
                    _ahead(pair),
                    ", ".join(pair["ahead"]["first"]) or "none",
                    ", ".join(pair["ahead"]["second"]) or "none",
                    min(leads, key=lambda lead: lead["value"], default=None),
                    max(leads, key=lambda lead: lead["value"], default=None),
                    pair["shown"]["first"],
                    pair["shown"]["second"],
                )
            )
    note = (
        f"{_EVERY_CLIP} Leads are the model's F1 minus the other's in one wording, paired by clip; undefined where no "
        "clip is a ghost probing and one of the two never says so. Shown: in how many "
        "wordings that model has significantly more answers right (exact McNemar, Holm over all pairs and wordings of "
        "the view)."
    )
    return Table("wording_order", "Order of models, by wording", columns, tuple(lines), note)


def probes(rows: Rows) -> Table:
    """How each model's rates change where a probe changed its frames."""
    return _changes(
        rows,
        "probe",
        Table(
            "probes",
            "Frames changed by probes",
            (),
            (),
            "A probe's row is the same model on frames that were changed on purpose: it says nothing of how good the "
            "model is, and is never ranked. Changes are the probe's rate minus the model's, paired by clip, over clips "
            "answered both times; in the worst case a missing answer is wrong. Changed: the share whose yes or no is "
            "another. McNemar, Holm over all probes of the view. A mirror image (flip) has the answer of the clip: "
            "what changes there, changes without a reason.",
        ),
    )


def wording_changes(rows: Rows) -> Table:
    """How each other wording changes a model's rates."""
    return _changes(
        rows,
        "variant",
        Table(
            "wording_changes",
            "Other wordings against the main one",
            (),
            (),
            "Changes are the rate in that wording minus the one in the main wording, paired by clip, over clips "
            "answered both times; in the worst case a missing answer is wrong. Changed: the share whose yes or no is "
            "another. McNemar, Holm over all wordings of the view.",
        ),
    )


def _changes(rows: Rows, kind: str, empty: Table) -> Table:
    columns = (
        MODEL,
        Column(kind, "Probe" if kind == "probe" else "Wording"),
        *([Column("what", "What it does")] if kind == "probe" else []),
        _VIEW,
        Column("clips", "Clips", "count"),
        Column("changed", "Changed", "rate"),
        Column("f1_change", "F1", "rate"),
        Column("balanced_accuracy_change", "Bal. accuracy", "rate"),
        Column("recall_change", "Recall", "rate"),
        Column("specificity_change", "Specificity", "rate"),
        Column("worst_case_f1_change", "F1, worst case", "rate"),
        Column("p", "McNemar p", "p"),
        Column("p_holm", "p, Holm", "p"),
    )
    lines: list[tuple[Value, ...]] = []
    for row in rows.values():
        named: Any = row.get(kind)
        if not named or "change" not in row:
            continue
        for view in VIEWS:
            found = row["change"][view]
            answered, worst = found["answered"], found["worst_case"]
            own, all_ = answered["differences"] or {}, worst["differences"] or {}
            lines.append(
                (
                    row["of"],
                    named,
                    *([_what(named)] if kind == "probe" else []),
                    view,
                    answered["n"],
                    found["verdict_changed"],
                    *(own.get(rate) for rate in ("f1", "balanced_accuracy", "recall", "specificity")),
                    all_.get("f1"),
                    answered["p"],
                    answered["p_holm"],
                )
            )
    return Table(empty.name, empty.title, columns, tuple(lines), empty.note)


def _what(probe: str) -> str:
    return described(probe) or _TAKEN_AWAY.get(probe, "")


_TAKEN_AWAY = {"blank": "every pixel mid-grey", "shuffled": "frames in another order", "text-only": "no frames"}


def _ahead(pair: PairOrder) -> str:
    """Who is ahead, in words; nobody is where F1 is undefined, and no two models are equal there."""
    wordings, order = pair["by_wording"].values(), pair["order"]
    known = sum(each["f1"] is not None for each in wordings)
    if order is None:
        return "undefined"
    if order == "depends":
        said = "depends on the wording"
    elif order == "equal":
        said = "neither"
    elif len(pair["ahead"][order]) < known:
        said = f"{pair[order]}, or equal"
    else:
        said = f"{pair[order]} in every wording"
    return said if known == len(wordings) else f"{said} (F1 undefined in {len(wordings) - known} of {len(wordings)})"
