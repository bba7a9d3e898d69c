"""The words that all reports use for truths, grades, views and rates."""

from __future__ import annotations

GRADE_TITLES = {
    "ghost_probing": "ghost probing",
    "potential_ghost_probing": "potential",
    "normal": "normal",
    "no_answer": "no answer",
}
TRUTH_TITLES = {"ghost_probing": "ghost probing", "cut_in": "cut-in", "normal": "normal"}
VIEW_NOTES = {
    "strict": "Strict: only the grade “ghost probing” is a yes.",
    "lenient": "Lenient: “potential ghost probing” is a yes too.",
}
BASIS_TITLES = {"answered": "answered clips", "worst_case": "worst case", "best_case": "best case"}
BASIS_NOTES = {
    "answered": "Over the clips that the model answered.",
    "worst_case": "Over all clips; a clip without an answer counts as wrong.",
    "best_case": "Over all clips; a clip without an answer counts as right.",
}
RATE_TITLES = {
    "precision": "Precision",
    "recall": "Recall",
    "specificity": "Specificity",
    "fpr": "FPR",
    "f1": "F1",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Bal. accuracy",
    "mcc": "MCC",
}
