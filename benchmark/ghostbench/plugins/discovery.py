"""Which plugins this environment has: the entry points of the group `ghostbench`, each once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions

from ghostbench.plugins.installed import OWN, entry_points_of, name_of, own_source
from ghostbench.plugins.text import printable

GROUP = "ghostbench"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Found:
    """An entry point, or why a distribution's list of them cannot be read.

    distribution : the name that its metadata states; None where it states none. folder : of its metadata.
    source : for parts of the ghostbench that runs here, the folder that its modules come from; "" for all others.
    """

    name: str
    distribution: str | None
    point: EntryPoint | None
    unreadable: str = ""
    folder: str = ""
    source: str = ""

    @property
    def own(self) -> bool:
        """Whether it is part of the ghostbench that runs here."""
        return bool(self.source)

    @property
    def removal(self) -> str:
        """How a user gets rid of it, in words without anything that a terminal or a shell would obey."""
        if self.own:
            return "install ghostbench again"
        name = self.distribution or self.name
        if name == OWN or not _NAME.fullmatch(name):
            return f"remove it: {printable(self.folder)}"
        return f"remove it with: pip uninstall {name}"


def find_plugins() -> list[Found]:
    """Every plugin once: our own distribution's first, so that none can take an in-tree name; the rest by name."""
    found: dict[tuple[str, str, str, bool], Found] = {}
    for distribution in distributions():
        for plugin in _of(distribution):
            value = plugin.point.value if plugin.point is not None else plugin.unreadable
            found.setdefault((plugin.name, value, plugin.distribution or "", plugin.own), plugin)
    unique: dict[tuple[str, str], Found] = {}
    for (name, value, _, _), plugin in sorted(found.items(), key=lambda item: (not item[1].own, item[0])):
        unique.setdefault((name, value), plugin)
    return list(unique.values())


def _of(distribution: Distribution) -> Iterator[Found]:
    """A distribution's plugins. Metadata is parsed for those that have any: most of an environment has none."""
    folder = str(getattr(distribution, "_path", ""))
    try:
        text = distribution.read_text("entry_points.txt")
    except (OSError, ValueError) as error:
        name = name_of(distribution)
        if name is not None and name.lower().startswith(GROUP):
            yield Found(name, name, None, f"its entry_points.txt cannot be read ({error})", folder=folder)
        return
    if not text or f"[{GROUP}]" not in text.replace(" ", ""):
        return
    name, source = name_of(distribution), own_source(distribution)
    try:
        points = list(entry_points_of(distribution).select(group=GROUP))
    except Exception as error:  # noqa: BLE001 - a malformed file fails in a dozen ways, and is its owner's affair
        reason = f"its entry_points.txt cannot be read ({type(error).__name__}: {error})"
        yield Found(name or "?", name, None, reason, folder, source)
        return
    for point in points:
        yield Found(point.name, name, point, "", folder, source)
