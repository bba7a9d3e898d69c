"""Tables of a run over twins: the pairs, one model against another on them, and the dose at which a model sees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ghostbench.models import SEES_VIDEO
from ghostbench.report.columns import MODEL, Rows
from ghostbench.report.data import RunData
from ghostbench.report.table import Column, Table, Value
from ghostbench.scoring.counts import own_answers
from ghostbench.scoring.dose_response import DoseResponse, curve, why_no_curve
from ghostbench.scoring.metrics import TableRow
from ghostbench.scoring.pairs import signs_by_scene
from ghostbench.scoring.significance import holm
from ghostbench.scoring.twin_metrics import Detection, InLight, OnTwins, PairRates
from ghostbench.scoring.twins import DOSES, LIGHT_DOSE, Twins, levels_of
from ghostbench.scoring.views import VIEWS

_NO_FIT = "not fitted: pip install 'ghostbench[grid]'"


def pairs(rows: Rows) -> Table:
    """How often each model is right on both of a pair, by view and by what differs."""
    columns = (
        MODEL,
        Column("view", "View"),
        Column("twin", "Counterpart"),
        Column("pairs", "Pairs", "count"),
        Column("both_right", "Right on both", "rate"),
        Column("worst_case", "Worst case", "rate"),
        Column("flip_rate", "Flips", "rate"),
        Column("event_only", "Alarm on event only", "count"),
        Column("twin_only", "On counterpart only", "count"),
        Column("p", "McNemar p", "p"),
        Column("d_prime", "d′", "rate"),
        Column("criterion", "c", "rate"),
    )
    lines: list[tuple[Value, ...]] = []
    for name, row in rows.items():
        for view in VIEWS if "twins" in row else ():
            found = row["twins"]["views"][view]
            lines.append(_pair_line(name, view, "all", found, found))
            lines += [_pair_line(name, view, twin, each, None) for twin, each in found["by_twin"].items()]
    note = (
        "A pair is a clip and its counterpart that differs in one thing and in its truth. Right on both: an alarm on "
        "the event and none on the counterpart; always saying the same gives 0, a coin 25%. Worst case: a non-answer "
        "is wrong. Flips: the two answers differ. McNemar, exact, a scene's pairs together: alarms are as frequent on "
        "either side. d′: how well the two are told apart; c above 0: reluctant to alarm. Intervals cluster by scene."
    )
    return Table("twins", "Twins", columns, tuple(lines), note)


def _pair_line(name: str, view: str, twin: str, found: PairRates, told: Detection | None) -> tuple[Value, ...]:
    only = found["alarm_only_on"]
    return (
        name,
        view,
        twin.replace("_", " "),
        found["pairs"],
        found["both_right"],
        found["both_right_worst_case"],
        found["flip_rate"],
        only["event"],
        only["twin"],
        found["mcnemar_p"],
        None if told is None else told["d_prime"],
        None if told is None else told["criterion"],
    )


def models(run: RunData) -> Table:
    """Every two models against each other, on the same pairs."""
    columns = (
        MODEL,
        Column("other", "Other model"),
        Column("pairs", "Pairs", "count"),
        Column("only_model", "Right on both, model alone", "count"),
        Column("only_other", "Other alone", "count"),
        Column("p", "McNemar p", "p"),
        Column("p_holm", "p, Holm", "p"),
    )
    twins = Twins.among(run.clips)
    right = {} if twins is None else _right_on_both(run, twins)
    scenes = np.zeros(0, dtype=np.int64) if twins is None else twins.opposite_scenes
    filmed = {name for name in right if run.metrics["models"][name].get("sees_video")}
    together = [pair for pair in combinations(right, 2) if len(filmed.intersection(pair)) != 1]
    found = [(one, other, right[one], right[other]) for one, other in together]
    p_values = [signs_by_scene(first, second, scenes) for *_, first, second in found]
    lines = tuple(
        (one, other, len(first), int((first & ~second).sum()), int((second & ~first).sum()), p, adjusted)
        for (one, other, first, second), p, adjusted in zip(found, p_values, holm(p_values), strict=True)
    )
    note = (
        "Strict view; a pair with a non-answer is not right; counts are of pairs with their repeats. McNemar, exact, "
        "over scenes, whose pairs and repeats count together; adjusted by Holm over this table."
    )
    if 0 < len(filmed) < len(right):
        note += f" Not set against the others: {', '.join(sorted(filmed))} ({SEES_VIDEO})."
    return Table("twin_models", "Models against each other on twins", columns, lines, note)


def _right_on_both(run: RunData, twins: Twins) -> dict[str, npt.NDArray[np.bool_]]:
    """Which pairs each model is right on both of, [pairs, repeats]; without substitutes and baselines not named."""
    found = {}
    for name, rows in run.predictions.groupby("model", sort=False):
        row = run.metrics["models"].get(str(name))
        if row is not None and not (row["baseline"] or row["probe"] or row["variant"]):
            own = own_answers(rows, substitute=row["kind"] == "substitute")
            found[str(name)] = twins.right_on_both(rows, own, "strict")
    return found


def doses(run: RunData) -> Table:
    """The threshold of each model for each dose, or why it has none."""
    columns = (
        MODEL,
        Column("dose", "Dose"),
        Column("doses", "Doses", "count"),
        Column("answers", "Answers", "count"),
        Column("threshold", "Threshold", "rate"),
        Column("slope", "Slope", "rate"),
        Column("lapse", "Lapse rate", "rate"),
        Column("guess", "Guess rate", "share"),
        Column("why", "No threshold, because"),
    )
    lines: list[tuple[Value, ...]] = []
    for name, row in run.rows.items():
        if "twins" not in row:
            continue
        for dose, found in curves(row, run.fits).items():
            fit, why = (found, found.why_none or "") if found is not None else (None, _NO_FIT)
            levels = levels_of(row["twins"]["doses"][dose]["levels"])
            lines.append(
                (
                    name,
                    DOSES[dose],
                    len(levels),
                    sum(level.answers for level in levels),
                    fit.threshold if fit else None,
                    fit.slope if fit else None,
                    fit.lapse if fit else None,
                    fit.guess if fit else None,
                    why,
                )
            )
    note = (
        "How often the model says ghost probing (strict view) against how much there was to see. The threshold is the "
        "dose half-way between guess rate and lapse, with its 95% interval; the guess rate is that of the "
        "counterparts. A model that gives one answer at every dose, or none that rises with it, has no threshold. "
        "The curve takes all answers for independent; where a scene has several or is asked again, intervals are too "
        "narrow."
    )
    return Table("dose_response", "Dose and response", columns, tuple(lines), note)


def lights(run: RunData) -> Table:
    """How often each model sees the event in each light, and the visible time that it needs there."""
    columns = (
        MODEL,
        Column("light", "Light"),
        Column("answers", "Answers", "count"),
        Column("alarms", "Says ghost probing", "rate"),
        Column("guess", "On counterparts", "rate"),
        Column("threshold", "Threshold, s", "rate"),
        Column("slope", "Slope", "rate"),
        Column("why", "No threshold, because"),
    )
    lines: list[tuple[Value, ...]] = []
    for name, row in run.rows.items():
        for light, counted in lights_of(row).items():
            found = _fit(counted, counted["levels"], run.fits)
            lines.append(
                (
                    name,
                    light,
                    counted["answers"],
                    counted["says_event"],
                    counted["on_twins"],
                    found.threshold if found else None,
                    found.slope if found else None,
                    (found.why_none or "") if found else _NO_FIT,
                )
            )
    note = (
        "Strict view, answered clips; intervals cluster by scene. The threshold is of "
        f" {DOSES[LIGHT_DOSE]}, from the clips in that light alone."
    )
    return Table("dose_by_light", "Dose and response, by light", columns, tuple(lines), note)


def lights_of(row: TableRow) -> dict[str, InLight]:
    """What a row says in each light, where there are several."""
    return row["twins"].get("lights", {}) if "twins" in row else {}


def curves(row: TableRow, fits: bool) -> dict[str, DoseResponse | None]:
    """The curve of a model for each dose; None for one that is not fitted: psignifit is not installed, or not to be
    used. The row must have twins."""
    said = row["twins"]
    return {dose: _fit(said, counted["levels"], fits) for dose, counted in said["doses"].items()}


def _fit(said: OnTwins, counted: Sequence[Sequence[float]], fits: bool) -> DoseResponse | None:
    levels = levels_of(counted)
    why_none = why_no_curve(levels, said["twin_answers"])
    if why_none is not None:
        return DoseResponse(levels, why_none)
    return curve(levels, said["false_alarms"], said["twin_answers"]) if fits and fitting_is_here() else None


def fitting_is_here() -> bool:
    """Whether psignifit, which fits the curves, is installed."""
    try:
        import psignifit  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def has_curves(rows: Rows) -> bool:
    """Whether some model's answers rise with a dose, so that there is a curve to fit."""
    for row in rows.values():
        if "twins" not in row:
            continue
        counted = [(row["twins"]["twin_answers"], each["levels"]) for each in row["twins"]["doses"].values()]
        counted += [(light["twin_answers"], light["levels"]) for light in lights_of(row).values()]
        if any(why_no_curve(levels_of(levels), twin_answers) is None for twin_answers, levels in counted):
            return True
    return False


def was_fitted(written: str) -> bool:
    """Whether curves were fitted for a table, from the text of tables/dose_response.csv."""
    return _NO_FIT not in written
