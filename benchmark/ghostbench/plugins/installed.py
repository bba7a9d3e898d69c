"""What is installed here, asked so that a broken distribution costs nothing but itself.

Interrupted upgrades and hand-made packages leave metadata that is missing, empty or undecodable; the standard library
and several packages raise from deep within at the first one.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable
from importlib.metadata import Distribution, EntryPoints, distributions
from pathlib import Path
from urllib.parse import urlsplit

from ghostbench import imported

OWN = "ghostbench"
UNKNOWN = "unknown"

_read_entry_points: Callable[[Distribution], EntryPoints] = Distribution.entry_points.fget  # type: ignore[attr-defined]


def forgive_broken_distributions() -> None:
    """Make a distribution with unreadable entry points one that has none, for everything in this process.

    pydantic and fsspec read every distribution's entry points when they are imported, and raise what they meet. For
    programs alone: a library does not change the standard library under its user.
    """

    def forgiving(self: Distribution) -> EntryPoints:
        try:
            return _read_entry_points(self)
        except Exception:  # noqa: BLE001 - a malformed file fails in a dozen ways
            return EntryPoints(())

    Distribution.entry_points = property(forgiving)  # type: ignore[assignment,method-assign]


def entry_points_of(distribution: Distribution) -> EntryPoints:
    """A distribution's entry points. Raises what reading them raises, `forgive_broken_distributions` or not."""
    forgiven = type(distribution).entry_points is Distribution.entry_points
    return _read_entry_points(distribution) if forgiven else distribution.entry_points


@functools.cache
def own_folder() -> Path:
    """The folder that holds the package `ghostbench` that runs here."""
    return Path(imported.__file__).resolve().parent.parent


def own_source(distribution: Distribution) -> str:
    """The folder that holds the modules of the ghostbench that runs here, if this is its distribution; else "".

    Beside its metadata, or the tree that it was installed from in place (PEP 610). Taking the name is not enough.
    """
    if name_of(distribution) != OWN:
        return ""
    from urllib.request import url2pathname  # a sixth of what `bench --help` takes

    try:
        if Path(str(distribution.locate_file(""))).resolve() == own_folder():
            return str(own_folder())
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if not origin.get("dir_info", {}).get("editable"):
            return ""
        tree = Path(url2pathname(urlsplit(origin["url"]).path)).resolve()
    except Exception:  # noqa: BLE001 - broken metadata, and not ours then
        return ""
    return str(tree) if own_folder().is_relative_to(tree) else ""


def name_of(distribution: Distribution) -> str | None:
    """The name that its metadata states, None where it states none."""
    try:
        name: str | None = distribution.metadata["Name"]
    except Exception:  # noqa: BLE001 - broken metadata
        return None
    return name


def own_version() -> str:
    """The version of the ghostbench that runs here; "unknown" where it is not installed."""
    own = next((found for found in distributions(name=OWN) if own_source(found)), None)
    return (_version(own) if own is not None else None) or UNKNOWN


def version_of(name: str) -> str | None:
    """The version of an installed distribution, of the first one with readable metadata; None if there is none."""
    if name == OWN:
        return own_version()
    return next(filter(None, map(_version, distributions(name=name))), None)


def _version(distribution: Distribution) -> str | None:
    try:
        version: str | None = distribution.metadata["Version"]
    except Exception:  # noqa: BLE001 - broken metadata
        return None
    return version


def homes_of(packages: Iterable[str]) -> set[str]:
    """The names of the distributions that brought these top-level import packages or modules."""
    wanted = "|".join(map(re.escape, packages))
    # One look at all of them at once: the lists of files of a large environment are some ten megabytes.
    listed = re.compile(rf"\n(?:{wanted})(?:/|\.py,)")
    return (
        {name for found in distributions() if _brought(found, listed) and (name := name_of(found))} if wanted else set()
    )


def _brought(distribution: Distribution, listed: re.Pattern[str]) -> bool:
    """Whether a distribution's list of files, each at the start of a line, has one that is looked for."""
    try:
        files = distribution.read_text("RECORD") or distribution.read_text("installed-files.txt") or ""
    except Exception:  # noqa: BLE001 - broken metadata
        return False
    return listed.search("\n" + files) is not None
