"""What a command that reads a run folder may open besides it: nothing that the folder names, all that the user does.

A run folder may be a stranger's. Its manifest says where the media and the labels lay when the run was made, and that
is a text like any other: it is shown, and opened only where it lies inside a folder that the user gave now. Registered
datasets are found by their names, and what they bring comes with an installed package.
"""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench.datasets import storage
from ghostbench.datasets.definition import Definition, registered_definition
from ghostbench.datasets.inside import lies_inside
from ghostbench.datasets.layouts import Where
from ghostbench.datasets.location import URL, Location
from ghostbench.datasets.select import labels_beside
from ghostbench.errors import BadInput
from ghostbench.plugins import registry
from ghostbench.records import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the user named on the command line, as `storage.accept` returned it; None for what was not named.

    data_root : folder or URL of the media. labels : the label file.
    """

    data_root: Location | None = None
    labels: Location | None = None

    @classmethod
    def of(cls, *, data_root: str | None = None, labels: str | None = None) -> Granted:
        """From the options `--data-root` and `--labels` as given. Raises `BadInput`."""
        return cls(
            data_root=None if data_root is None else storage.accept(data_root, "--data-root"),
            labels=None if labels is None else storage.accept(labels, "--labels"),
        )


NOTHING = Granted()


def media_place(granted: Granted, dataset: str, stated_root: str | None, layout: Layout, fps: float) -> Where:
    """Where a run's media may be looked for: where the user says, else where the registered dataset has its own.

    stated_root : what the run's manifest says, to be shown.

    Raises `BadInput`, with the way out, where neither says.
    """
    if granted.data_root is not None:
        return Where(root=granted.data_root, layout=layout, fps=fps)
    definition = _registered(dataset)
    if definition is None or definition.root is None:
        was = f" (the run had it in {registry.printable(stated_root)})" if stated_root is not None else ""
        raise BadInput(f"nothing that a run folder names is opened: say where the media is with --data-root{was}")
    way_out = "say where the media is with --data-root"
    root = definition.place("root", definition.root, way_out)
    return Where(root=root, layout=layout, fps=fps, within=definition.within)


def labels_place(granted: Granted, dataset: str, stated: str | None) -> Location:
    """The label file that a run may be held against.

    It is the one that the user names; else the one that the run states, where it lies inside the user's data root; else
    the registered dataset's own, or the one beside the user's media, as for the run itself.

    stated : what the run's manifest says, None where the run had the dataset's own.

    Raises `BadInput`, with the way out, where there is none of these.
    """
    if granted.labels is not None:
        return granted.labels
    way_out = "say where the label file is with --labels"
    if stated is not None:
        root = granted.data_root
        local = root is not None and root.is_local and URL.match(stated) is None
        if root is not None and local and lies_inside(stated, [root.shown]):
            return Location(stated)
        raise BadInput(
            f"nothing that a run folder names is opened: {way_out} (the run had {registry.printable(stated)})"
        )
    definition = _registered(dataset)
    if definition is not None and definition.labels is not None:
        return definition.place("labels", definition.labels, way_out)
    beside = labels_beside(Where(root=granted.data_root, layout="auto", fps=1.0)) if granted.data_root else None
    if beside is None:
        raise BadInput(f"the run does not say where they are; {way_out}")
    return beside


def _registered(name: str) -> Definition | None:
    return registered_definition(name) if name in registry.registry().datasets else None
