"""How often each 95% interval holds the true value: `python benchmark/statistics/coverage.py --write`.

Clips are drawn, and with them how many of them are positive; a model answers each at random with its own recall and
specificity, or its own distribution of scores. Up to 20 clips, figures of one model are enumerated: every table that
there is, with its chance. Everything else is simulated from a fixed seed. A table in which a figure has no value has
no interval either and is left out; the column "defined" says how often there is one.

Prints the tables as Markdown. `--write` puts them into docs/what-the-numbers-mean.md as well. Takes some ten minutes
on one core.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
from scipy.special import gammaln
from scipy.stats import norm

from ghostbench.scoring.intervals import estimate_rates
from ghostbench.scoring.paired import paired_differences
from ghostbench.scoring.prevalence import precisions, precisions_of
from ghostbench.scoring.ranking import auc_estimate, average_precision, average_precision_estimate, brier_estimate
from ghostbench.scoring.rates import Estimate, rates
from ghostbench.scoring.trivial import held_against

PAGE = Path(__file__).resolve().parents[2] / "docs" / "what-the-numbers-mean.md"
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
SEED = 2026
SIZES = (5, 20, 99, 200)
PREVALENCES = (0.1, 0.2, 0.3, 0.4, 0.5)
ENUMERATED = 20
LEVELS = (0.5, 0.7, 0.9, 0.98)
MODELS = tuple(product(LEVELS, LEVELS))
PAIRS = (
    ((0.7, 0.6), (0.7, 0.6)), ((0.9, 0.9), (0.7, 0.6)), ((0.5, 0.5), (0.9, 0.9)), ((0.9, 0.5), (0.6, 0.9)),
    ((1.0, 0.0), (0.7, 0.6)), ((1.0, 0.0), (0.9, 0.9)), ((0.95, 0.95), (0.9, 0.9)), ((0.5, 0.98), (0.7, 0.7)),
)  # fmt: skip
ALIKE = 0.5
"""The share of clips on which a pair's second model takes the first one's luck."""
AREAS, SPREADS = (0.5, 0.7, 0.85, 0.95, 0.99), (0.5, 1.0, 2.0)
DRAWN = {"one": 150, "pair": 120, "scores": 80, "chance": 400}
SINGLE = ("f1", "balanced_accuracy", "mcc", "precision_at")
RARE = "0.01"
PAIRED = ("accuracy", "recall", "specificity", "precision", "f1", "balanced_accuracy", "mcc")
TITLES = {
    "f1": "F1", "balanced_accuracy": "balanced accuracy", "mcc": "MCC", "auc": "AUC", "ap": "average precision",
    "brier": "Brier", "accuracy": "accuracy", "recall": "recall", "specificity": "specificity",
    "precision": "precision", "precision_at": "precision at 1 in 100",
}  # fmt: skip
EYE = np.eye(4, dtype=np.int64)


@dataclass
class Tally:
    """How much of the chance of each model's tables was covered, and how much had a value at all."""

    covered: dict[object, float] = field(default_factory=dict)
    defined: dict[object, float] = field(default_factory=dict)

    def add(self, model: object, weight: float, estimate: Estimate | None, true: float) -> None:
        if estimate is None or math.isnan(true):
            return
        assert estimate["low"] is not None
        assert estimate["high"] is not None
        held = estimate["low"] - 1e-9 <= true <= estimate["high"] + 1e-9
        self.covered[model] = self.covered.get(model, 0.0) + weight * held
        self.defined[model] = self.defined.get(model, 0.0) + weight

    def coverages(self) -> list[float]:
        """One for each model that had a value in one case of twenty at least."""
        return [self.covered[model] / whole for model, whole in self.defined.items() if whole >= 0.05]


Cells = dict[tuple[str, int, float], Tally]


def shares(recall: float, specificity: float, prevalence: float) -> np.ndarray:
    """Chances of tp, fp, fn, tn."""
    negative = 1 - prevalence
    return np.array(
        [prevalence * recall, negative * (1 - specificity), prevalence * (1 - recall), negative * specificity]
    )


def all_tables(n: int) -> np.ndarray:
    rows = [(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]
    return np.array(rows)


def chances(tables: np.ndarray, cells: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(tables > 0, tables * np.log(cells), 0.0)
    return np.exp(gammaln(tables.sum(axis=1) + 1) - gammaln(tables + 1).sum(axis=1) + log.sum(axis=1))


def one_model(sizes: tuple[int, ...] = SIZES) -> Cells:
    """F1, balanced accuracy, MCC and precision at a rare prevalence, of the sixteen models."""
    rng = np.random.default_rng(SEED)
    found: Cells = {(name, n, p): Tally() for name in SINGLE for n in sizes for p in PREVALENCES}
    for n in sizes:
        known: dict[tuple[int, ...], dict[str, Estimate | None]] = {}
        tables = all_tables(n) if n <= ENUMERATED else None
        for prevalence, model in product(PREVALENCES, MODELS):
            cells = shares(*model, prevalence)
            drawn = tables if tables is not None else rng.multinomial(n, cells, size=DRAWN["one"])
            weights = chances(drawn, cells) if tables is not None else np.full(len(drawn), 1 / len(drawn))
            true = {**rates(*cells), "precision_at": precisions_of(cells)[RARE]}
            for table, weight in zip(drawn, weights, strict=True):
                key = tuple(int(count) for count in table)
                if key not in known:
                    rows = np.repeat(EYE, table, axis=0)
                    known[key] = {**estimate_rates(rows), "precision_at": precisions(rows)[RARE]}
                for name in SINGLE:
                    found[name, n, prevalence].add(model, float(weight), known[key][name], float(true[name]))
    return found


def pair_cells(first: tuple[float, float], second: tuple[float, float], prevalence: float) -> np.ndarray:
    """Chances of both yes, first only, second only, neither: of positives, then of negatives."""

    def both(a: float, b: float) -> np.ndarray:
        apart = np.array([a * b, a * (1 - b), (1 - a) * b, (1 - a) * (1 - b)])
        alike = np.array([min(a, b), a - min(a, b), b - min(a, b), 1 - max(a, b)])
        return (1 - ALIKE) * apart + ALIKE * alike

    return np.concatenate(
        [prevalence * both(first[0], second[0]), (1 - prevalence) * both(1 - first[1], 1 - second[1])]
    )


TP, FP, FN, TN = range(4)
FIRST, SECOND = np.array([TP, TP, FN, FN, FP, FP, TN, TN]), np.array([TP, FN, TP, FN, FP, TN, FP, TN])


def two_models() -> Cells:
    """Every paired difference of the eight pairs."""
    rng = np.random.default_rng(SEED + 1)
    found: Cells = {(name, n, p): Tally() for name in PAIRED for n in SIZES for p in PREVALENCES}
    for n, prevalence, pair in product(SIZES, PREVALENCES, PAIRS):
        one, other = (rates(*shares(*model, prevalence)) for model in pair)
        for table in rng.multinomial(n, pair_cells(*pair, prevalence), size=DRAWN["pair"]):
            said = np.repeat(np.arange(8), table)
            estimates = paired_differences(EYE[FIRST[said]], EYE[SECOND[said]])
            for name in PAIRED:
                true = float(one[name] - other[name])
                found[name, n, prevalence].add(pair, 1 / DRAWN["pair"], estimates[name], true)
    return found


def probability(score: np.ndarray, middle: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(score - middle)))


def scores() -> Cells:
    """AUC, average precision and Brier of fifteen models: positives normal, negatives normal with another spread."""
    rng = np.random.default_rng(SEED + 2)
    found: Cells = {(name, n, p): Tally() for name in ("auc", "ap", "brier") for n in SIZES for p in PREVALENCES}
    for prevalence, area, spread in product(PREVALENCES, AREAS, SPREADS):
        above = float(norm.ppf(area)) * math.sqrt(1 + spread**2)

        def draw(
            n: int, p: float = prevalence, above: float = above, spread: float = spread
        ) -> tuple[np.ndarray, np.ndarray]:
            truth = rng.random(n) < p
            return probability(np.where(truth, above, 0) + rng.normal(0, np.where(truth, 1, spread)), above / 2), truth

        many, right = draw(400_000)
        true_ap, true_brier = average_precision(many, right), float(np.mean((many - right) ** 2))
        for n in SIZES:
            for _ in range(DRAWN["scores"]):
                score, truth = draw(n)
                model, weight, at = (area, spread), 1 / DRAWN["scores"], np.arange(n)
                if truth.any() and not truth.all():
                    found["auc", n, prevalence].add(model, weight, auc_estimate(score, truth, at), area)
                if truth.any():
                    estimate = average_precision_estimate(score, truth, at)
                    found["ap", n, prevalence].add(model, weight, estimate, true_ap)
                found["brier", n, prevalence].add(model, weight, brier_estimate(score, truth, at), true_brier)
    return found


def chance() -> Iterator[str]:
    """How often a model that answers at random is said to beat the baselines, by how often it says yes."""
    rng = np.random.default_rng(SEED + 3)
    yield "| clips | says yes to | higher F1 than every baseline | `beats` | `undecided` | `does_not_beat` |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for n, often in product((20, 99, 200), (0.5, 0.9)):
        verdicts: list[str] = []
        higher = 0
        for _ in range(DRAWN["chance"]):
            positive, guess = rng.random(n) < 0.42, rng.random(n) < 0.42
            said = {"always": np.ones(n, bool), "never": np.zeros(n, bool), "random": guess}
            trivial = {name: EYE[np.where(positive, np.where(yes, TP, FN), np.where(yes, FP, TN))]
                       for name, yes in said.items()}  # fmt: skip
            yes = rng.random(n) < often
            own = EYE[np.where(positive, np.where(yes, TP, FN), np.where(yes, FP, TN))]
            found = held_against(own, trivial)
            verdicts.append(found["verdict"])
            higher += found["f1"] is not None and found["f1"] > found["best_f1"]
        parts = [higher / len(verdicts), *(verdicts.count(v) / len(verdicts) for v in WORDS)]
        yield f"| {n} | {often:.0%} | " + " | ".join(f"{100 * part:.1f}%" for part in parts) + " |"


WORDS = ("beats", "undecided", "does_not_beat")


def lines(cells: Cells, before: str = "") -> Iterator[str]:
    """One line a figure and size: the mean coverage over the models at each prevalence, and the lowest model's."""
    for name, n in dict.fromkeys((name, n) for name, n, _ in cells):
        tallies = [cells[name, n, p] for p in PREVALENCES]
        means = [float(np.mean(tally.coverages())) for tally in tallies]
        lowest = min(min(tally.coverages()) for tally in tallies)
        defined = float(np.mean([np.mean(list(tally.defined.values())) for tally in tallies]))
        shown = " | ".join(decimal(mean) for mean in means)
        yield f"| {before}{TITLES[name]} | {n} | {shown} | {decimal(lowest)} | {100 * defined:.0f}% |"


def decimal(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1)


HEAD = (
    f"| figure | clips | {' | '.join(f'{p:g}' for p in PREVALENCES)} | lowest model | defined |",
    "|---|---:|" + "---:|" * (len(PREVALENCES) + 2),
)


def report() -> str:
    done: list[str] = [*HEAD]
    steps: tuple[tuple[Callable[[], Cells], str], ...] = ((one_model, ""), (scores, ""), (two_models, "Δ "))
    for step, before in steps:
        begun = time.perf_counter()
        done += lines(step(), before)
        print(f"{step.__name__}: {time.perf_counter() - begun:.0f} s", flush=True)
    return "\n".join([*done, "", "Answers at random, 42% of the clips positive:", "", *chance()])


def write(text: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    options = parser.parse_args()
    text = report()
    print(text)
    if options.write:
        write(text)


if __name__ == "__main__":
    main()
