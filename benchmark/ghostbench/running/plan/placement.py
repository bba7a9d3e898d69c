"""Where a run's local models live, as `--on` says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from ghostbench.errors import BadInput
from ghostbench.plugins.registry import printable

Place = Literal["thread", "process", "ray"]
PLACES: Final[tuple[Place, ...]] = get_args(Place)
_OF_THIS_MACHINE: Final = frozenset({None, "auto", "local"})
"""Addresses of a Ray cluster that lead nowhere but to one of this machine."""


@dataclass(frozen=True, slots=True)
class Placement:
    """In threads of this process, in processes of their own, or in a Ray cluster.

    address : of the cluster, as given; None where nobody gave one.
    """

    place: Place
    address: str | None = None

    @classmethod
    def of(cls, on: str) -> Placement:
        """From the words of `--on`: `thread`, `process`, `ray` or `ray:ADDRESS`. Raises `BadInput`.

        >>> Placement.of("ray:10.0.0.1:6379")
        Placement(place='ray', address='10.0.0.1:6379')
        """
        word, colon, address = on.partition(":")
        for place in PLACES:
            if word == place and (not colon or (place == "ray" and address)):
                return cls(place, address or None)
        raise BadInput(f"--on '{printable(on)}' is no place for models; choose from {', '.join(PLACES)} or ray:ADDRESS")

    @property
    def on_ray(self) -> bool:
        """Whether models live in a Ray cluster, on machines that may be others."""
        return self.place == "ray"

    @property
    def leads_elsewhere(self) -> bool:
        """Whether it names a server that may be another machine's."""
        return self.address not in _OF_THIS_MACHINE
