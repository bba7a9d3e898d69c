"""What a run's clips are chosen by. Nothing of what chooses them is imported for it."""

from __future__ import annotations

from dataclasses import dataclass

ALL = "all"
"""The split that every dataset has: every labelled clip, in the order of the label file."""

ROOT_VARIABLE, LABELS_VARIABLE = "GHOSTBENCH_DATA_ROOT", "GHOSTBENCH_LABELS"
"""Variables of the environment that name data root and labels where nothing else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitQuery:
    """Which clips a run is about, as the command line says it.

    dataset : registered name, or path of a dataset YAML file.
    data_root : folder or URL of the media; None for the dataset's own.
    labels : label file, path or URL; None for the dataset's own, or the one beside the media.
    annotations : files with more about the clips, paths or URLs; they go before the dataset's own.
    split : name of a split of the dataset.
    clips : a glob over clip ids, or "@FILE" with one id a line; None for all of the split.
    limit : the most clips to take, from the split's beginning, >= 1.
    only_available : leave out the clips without media.
    skip_bad_labels : leave out bad label rows instead of refusing the file.
    shard : "I/N", the share of the clips that are left in the end; None for all of them.
    """

    dataset: str = "ghost5"
    data_root: str | None = None
    labels: str | None = None
    annotations: tuple[str, ...] = ()
    split: str = ALL
    clips: str | None = None
    limit: int | None = None
    only_available: bool = False
    skip_bad_labels: bool = False
    shard: str | None = None
