"""Which plugins this environment has: the entry points of the group `ghostbench`, each once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions

GROUP = "ghostbench"
OWN = "ghostbench"


@dataclass(frozen=True, slots=True)
class Found:
    """An entry point, or why a distribution's list of them cannot be read.

    distribution : the name that `pip uninstall` takes; None where its metadata does not say.
    """

    name: str
    distribution: str | None
    point: EntryPoint | None
    unreadable: str = ""


def find_plugins() -> list[Found]:
    """Every plugin once: our own distribution's first, so that none can take an in-tree name; the rest by name."""
    found: dict[tuple[str, str, str], Found] = {}
    for distribution in distributions():
        for plugin in _of(distribution):
            value = plugin.point.value if plugin.point is not None else plugin.unreadable
            found.setdefault((plugin.name, value, plugin.distribution or ""), plugin)
    unique: dict[tuple[str, str], Found] = {}
    for (name, value, _), plugin in sorted(found.items(), key=lambda item: (item[0][2] != OWN, item[0])):
        unique.setdefault((name, value), plugin)
    return list(unique.values())


def _of(distribution: Distribution) -> Iterator[Found]:
    """A distribution's plugins. Metadata is parsed for those that have any: most of an environment has none."""
    try:
        text = distribution.read_text("entry_points.txt")
    except (OSError, ValueError):
        return
    if not text or f"[{GROUP}]" not in text.replace(" ", ""):
        return
    name = _name(distribution)
    try:
        points = list(distribution.entry_points.select(group=GROUP))
    except Exception as error:  # noqa: BLE001 - a malformed file fails in a dozen ways, and is its owner's affair
        yield Found(name or "?", name, None, f"its entry_points.txt cannot be read ({type(error).__name__}: {error})")
        return
    for point in points:
        yield Found(point.name, name, point)


def _name(distribution: Distribution) -> str | None:
    try:
        name: str | None = distribution.metadata["Name"]
    except Exception:  # noqa: BLE001 - broken metadata; the plugin is then known by its entry point alone
        return None
    return name
