"""Whether what models do on rendered twins carries over to real clips: their ranks and their errors on both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.models import SEES_VIDEO
from ghostbench.report.columns import MODEL
from ghostbench.report.data import RunData
from ghostbench.report.table import Column, Table

CANNOT_SHOW = (
    "A rendered street shows drawn people in drawn light, no aftermath and no contact, and half of its clips may hold "
    "the event by choice: it tells which of two models sees more of the same, and no rate on a road. Ranks that agree "
    "on these models say nothing of others."
)

_COLUMNS = (
    MODEL,
    Column("grid_rank", "Rank, twins", "number"),
    Column("real_rank", "Rank, real", "number"),
    Column("both_right", "Right on both", "rate"),
    Column("real_balanced_accuracy", "Bal. accuracy, real", "rate"),
    Column("grid_recall", "Recall, twins", "rate"),
    Column("real_recall", "Recall, real", "rate"),
    Column("grid_fpr", "FPR, twins", "rate"),
    Column("real_fpr", "FPR, real", "rate"),
)


@dataclass(frozen=True, slots=True)
class CarryOver:
    """table : one line a model that both runs asked. tau, p : Kendall's rank correlation over the models that have both
    scores, and its exact two-sided p-value; None below three models, or where all are equal."""

    table: Table
    models: int
    tau: float | None
    p: float | None

    def words(self) -> str:
        """What the ranks say, in a sentence."""
        if self.tau is None or self.p is None:
            return f"{self.models} models with different scores: too few to say whether their ranks agree."
        told = "agree" if self.tau > 0 else "disagree" if self.tau < 0 else "are unrelated"
        doubt = "" if self.p < 0.05 else ", which so few models cannot tell from chance"
        return f"The ranks of {self.models} models {told} (Kendall's tau {self.tau:.2f}, p {self.p:.3f}){doubt}."


def carry_over(grid: RunData, real: RunData) -> CarryOver:
    """The models of a run over twins, by right on both, beside those of a run over real clips, by balanced accuracy.

    Strict view, over answered clips; baselines are left out. Raises `BadInput` where the first run has no twins or the
    second has, or where no model is in both, or saw the same in both.
    """
    from scipy.stats import kendalltau

    for run, wanted, told in ((grid, True, "has no twins"), (real, False, "is over twins, too")):
        if any("twins" in row for row in run.metrics["models"].values()) is not wanted:
            raise BadInput(f"{run.folder} {told}: name a run over rendered twins and then one over real clips")
    drawn, filmed = grid.metrics["models"], real.metrics["models"]
    # A row under a probe, in another wording or with a substitute's answers is no further model.
    shared = [name for name, row in drawn.items() if not row["baseline"] and row["of"] is None and name in filmed]
    if not shared:
        raise BadInput(f"no model is in both {grid.folder} and {real.folder}: run one model on both datasets")
    # Ranks of models that did not see the same say nothing, nor do those of one that saw other things in each run.
    saw = {name: {bool(models[name].get("sees_video")) for models in (drawn, filmed)} for name in shared}
    alike = [[name for name in shared if saw[name] == {seen}] for seen in (False, True)]
    of_videos, left_out = not alike[0], [name for name in shared if name not in (alike[0] or alike[1])]
    shared = alike[0] or alike[1]
    if not shared:
        raise BadInput(
            f"no model saw the same in {grid.folder} and {real.folder}: {left_out[0]} saw the video in one and the "
            "frames in the other; run one model on both datasets"
        )
    lines = [_line(name, drawn[name], filmed[name]) for name in shared]
    ranks = [_ranks([line[key] for line in lines]) for key in ("both_right", "real_balanced_accuracy")]
    for line, grid_rank, real_rank in zip(lines, *ranks, strict=True):
        line |= {"grid_rank": grid_rank, "real_rank": real_rank}
    both = [(one, other) for one, other in zip(*ranks, strict=True) if one is not None and other is not None]
    tau, p = None, None
    if len(both) >= 3 and all(len(set(each)) > 1 for each in zip(*both, strict=True)):
        found = kendalltau(*zip(*both, strict=True))
        tau, p = float(found.statistic), float(found.pvalue)
    rows = tuple(tuple(line[column.key] for column in _COLUMNS) for line in lines)
    note = "Strict view, answered clips; rank 1 is best, equals share the mean rank."
    if of_videos:
        note += f" Each of these models {SEES_VIDEO}."
    if left_out:
        why = "saw the frames in one of the runs" if of_videos else SEES_VIDEO
        note += f" Left out: {', '.join(left_out)}, which {why}."
    return CarryOver(Table("carry_over", "From twins to real clips", _COLUMNS, rows, note), len(both), tau, p)


def _line(name: str, grid: Mapping[str, Any], real: Mapping[str, Any]) -> dict[str, Any]:
    drawn, filmed = (row["views"]["strict"]["answered"] for row in (grid, real))
    return {
        "model": name,
        "both_right": grid["twins"]["views"]["strict"]["both_right"],
        "real_balanced_accuracy": filmed["balanced_accuracy"],
        "grid_recall": drawn["recall"],
        "real_recall": filmed["recall"],
        "grid_fpr": drawn["fpr"],
        "real_fpr": filmed["fpr"],
    }


def _ranks(scores: list[Mapping[str, Any] | None]) -> list[float | None]:
    """Ranks from 1 for the highest score, equals sharing their mean; None without a score."""
    from scipy.stats import rankdata

    known = [-float(score["value"]) for score in scores if score is not None]
    ranks = iter(rankdata(known))
    return [None if score is None else float(next(ranks)) for score in scores]
