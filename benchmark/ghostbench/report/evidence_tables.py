"""Tables beside the rates: repeats, probabilities, event times, actors, slices. One without rows is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ghostbench.report.columns import COUNTS, MODEL, Rows, line, rate_columns
from ghostbench.report.data import RunData
from ghostbench.report.table import Column, Table
from ghostbench.report.titles import TRUTH_TITLES
from ghostbench.scoring.prevalence import PREVALENCES
from ghostbench.scoring.rates import RATES, Estimate, RateName
from ghostbench.scoring.slices import SMALL
from ghostbench.scoring.trivial import LEAST
from ghostbench.scoring.views import VIEWS, Basis


def trivial(held: Mapping[str, Mapping[str, Any] | None]) -> Table:
    """Every model beside every trivial baseline, on the clips that the model answered.

    held : `beats_trivial` of each row; None for baselines, which have no line.
    """
    columns = (
        MODEL,
        Column("view", "View"),
        Column("clips", "Clips", "count"),
        Column("f1", "F1", "rate"),
        Column("baseline", "Baseline"),
        Column("baseline_f1", "Its F1 there", "rate"),
        Column("difference", "Model − baseline", "rate"),
        Column("verdict", "Verdict"),
    )
    lines = []
    for name, bars in held.items():
        if bars is None:
            continue
        for view in VIEWS:
            for baseline, found in bars[view]["baselines"].items():
                verdict = bars[view]["verdict"].replace("_", " ")
                lines.append(
                    (name, view, bars["clips"], bars[view]["f1"], baseline, found["f1"], found["difference"], verdict)
                )
    note = (
        "On the very clips that the model answered. Beats: better than every baseline, by the interval of the paired "
        f"difference in F1, on {LEAST} clips or more. Does not beat: worse than the best baseline by that interval. "
        "Else undecided: so many clips do not tell."
    )
    return Table("trivial", "Against trivial baselines", columns, tuple(lines), note)


def repeats(rows: Rows) -> Table:
    """How far each model agrees with itself."""
    columns = (
        MODEL,
        Column("clips", "Clips", "count"),
        Column("unanimous", "Unanimous", "count"),
        Column("rate", "Agreement", "share"),
        Column("kappa", "Fleiss’ κ", "rate"),
    )
    lines = tuple(
        line(columns, {"model": name, **row["agreement"]}) for name, row in rows.items() if row["agreement"] is not None
    )
    note = (
        "Agreement: the chance that two repeats of a clip say the same; two without an answer do too. n/a for a model "
        "that never answered. Intervals of all rates cluster by clip."
    )
    return Table("repeats", "Agreement between repeats", columns, lines, note)


def scores(rows: Rows) -> Table:
    """Ranking and calibration of stated probabilities."""
    columns = (
        MODEL,
        Column("n", "n", "count"),
        Column("positives", "Positives", "count"),
        Column("auc", "ROC AUC", "rate"),
        Column("average_precision", "Average precision", "rate"),
        Column("average_precision_null", "AP by chance", "rate"),
        Column("brier", "Brier", "rate"),
        Column("brier_null", "Brier of a constant", "rate"),
        Column("ece", "ECE", "rate"),
        Column("ece_null", "ECE by chance", "rate"),
    )
    lines = tuple(
        line(columns, {"model": name, **row["scores"]}) for name, row in rows.items() if row["scores"] is not None
    )
    note = (
        "Over answered clips with a probability of ghost probing. Brier and ECE: lower is better. Beside each figure "
        "what it is for nothing: AP of any constant; Brier of always saying the share of positives; ECE (ten equal "
        "bins) that chance gives a perfectly calibrated model with these scores on so few clips."
    )
    return Table("scores", "Probabilities", columns, lines, note)


def operating_points(rows: Rows) -> Table:
    """What a threshold for a given recall would cost."""
    columns = (
        MODEL,
        Column("recall_wanted", "Recall wanted"),
        Column("threshold", "Threshold", "rate"),
        *rate_columns("recall", "precision", "specificity"),
    )
    lines = tuple(
        line(columns, {"model": name, "recall_wanted": f"{100 * float(wanted):.0f}%", **point})
        for name, row in rows.items()
        if row["scores"] is not None
        for wanted, point in row["scores"]["operating_points"].items()
    )
    note = (
        "Threshold: the highest that reaches the recall on all clips. The rates are by leave-one-out: each clip is "
        "judged by the threshold that the other clips give, so the recall may miss the one wanted."
    )
    return Table("operating_points", "Operating points", columns, lines, note)


def event_time(run: RunData) -> Table:
    """How well events are dated, and why positives were missed."""
    columns = (
        MODEL,
        Column("view", "View"),
        Column("true_positives", "True positives", "count"),
        Column("stated", "Both times stated", "count"),
        Column("median_abs_error_s", "Median |t − t*|", "seconds"),
        Column("within_1s", "Within 1 s", "rate"),
        Column("within_2s", "Within 2 s", "rate"),
        Column("constant_s", "Constant", "seconds"),
        Column("constant_2s", "Constant within 2 s", "rate"),
        Column("gain_2s", "Gain on it", "rate"),
        Column("event_not_sampled", "Missed: event not sampled", "count"),
        Column("sampled_but_missed", "Missed: event was sampled", "count"),
        Column("unknown", "Missed: unknown", "count"),
    )
    lines = []
    for name, row in run.rows.items():
        for view, found in row["event_time"].items():
            if not row["baseline"]:
                lines.append(
                    line(columns, {"model": name, "view": view, **found, **found["misses"], **_constant(found)})
                )
    covered = run.metrics["event_coverage"]
    note = (
        f"Event coverage of the sampling: a frame lies in [t*, t* + 1 s] for {covered['covered']} of "
        f"{covered['with_frames']} positives with a stated time and decoded frames ({covered['positives']} positives "
        "in all). Constant: the median of the times that the labels of all other positives state, said of every clip "
        "without a look at it, on the same clips; gain: the model’s share within 2 s minus the constant’s, paired. "
        f"{run.claim}"
    )
    return Table("event_time", "Event time", columns, tuple(lines), note)


def _constant(found: Mapping[str, Any]) -> dict[str, Any]:
    constant = found["constant"] or {"time_s": None, "within_2s": None, "gain_2s": None}
    return {
        "constant_s": constant["time_s"],
        "constant_2s": constant["within_2s"],
        "gain_2s": constant["gain_2s"],
    }


def precision_at(rows: Rows) -> Table:
    """The precision that each model would have where positives are rarer."""
    columns = (
        MODEL,
        Column("view", "View"),
        *(Column(f"at_{1 / at:.0f}", f"1 in {1 / at:.0f}", "rate") for at in PREVALENCES),
    )
    lines = tuple(
        (name, view, *found["prevalences"].values())
        for name, row in rows.items()
        if not row["baseline"]
        for view, found in row["precision_at"].items()
    )
    note = (
        "The share of alarms that would be right where one clip in so many is a ghost probing, by the recall and the "
        "specificity over answered clips. n/a where there was no alarm, or a truth is missing."
    )
    return Table("precision_at", "Precision at other prevalences", columns, lines, note)


def actors(rows: Rows) -> Table:
    """Alarms by the road user that the answer names."""
    columns = (
        MODEL,
        Column("actor", "Actor named"),
        Column("alarms", "Alarms", "count"),
        Column("tp", "TP", "count"),
        Column("fp", "FP", "count"),
        *rate_columns("precision"),
    )
    lines = tuple(
        line(columns, {"model": name, "actor": actor, **counts})
        for name, row in rows.items()
        if not row["baseline"]
        for actor, counts in row.get("actors", {}).items()
    )
    note = (
        "Alarms in the lenient view by the actor that the answer itself names; labels name none. Fewer than "
        f"{SMALL} alarms show counts and no rate."
    )
    return Table("actors", "Alarms by the actor named", columns, lines, note)


def label_doubt(rows: Rows) -> Table:
    """Between what each rate lies, whichever way the doubted labels go."""
    columns = (MODEL, Column("view", "View"), Column("doubted", "Doubted", "count"), *rate_columns(*RATES))
    lines = [
        line(columns, {"model": name, "view": view, "doubted": row["label_doubt"]["clips"], **_by_name(found)})
        for name, row in rows.items()
        if row["label_doubt"] is not None
        for view, found in row["label_doubt"]["views"].items()
    ]
    note = (
        "Each rate over answered clips as the labels stand, and in brackets the least and the largest that it can be "
        "whichever way the doubted labels go: bounds, not a 95% interval."
    )
    return Table("label_doubt", "Rates if doubted labels are wrong", columns, tuple(lines), note)


def _by_name(found: Mapping[Basis, Mapping[RateName, Estimate | None]]) -> dict[str, Estimate | None]:
    return {str(rate): bounds for rate, bounds in found["answered"].items()}


def slices(run: RunData) -> Table:
    """Counts, and rates where there are enough clips, by part of the split."""
    columns = (
        MODEL,
        Column("by", "By"),
        Column("part", "Part"),
        Column("n", "n", "count"),
        Column("answered", "Answered", "count"),
        *COUNTS,
        *rate_columns("recall", "specificity", "accuracy"),
    )
    lines = []
    for name, row in run.rows.items():
        if row["baseline"]:
            continue
        for way, found in row["slices"].items():
            for part, counts in found.items():
                shown = TRUTH_TITLES.get(part, part) if way == "truth" else part
                by = way.partition(".")[2] or way
                lines.append(line(columns, {"model": name, "by": by, "part": shown, **counts, **counts["lenient"]}))
    note = (
        f"Lenient view, answered clips. Parts with fewer than {SMALL} answered clips show counts and no rates. n "
        "counts clips, “answered” every repeat."
    )
    left_out = [name.partition(".")[2] for name in run.metrics.get("slices_left_out", ())]
    if left_out:
        note += f" Not shown, since hardly two clips share a value or there are too many: {', '.join(left_out)}."
    return Table("slices", "Slices", columns, tuple(lines), note)
