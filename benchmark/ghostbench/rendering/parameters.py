"""What a rendered scene is made of: its parameters, each with its unit and range, and the twins that it can have."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Behaviour = Literal["emerges", "stops_behind", "walks_in_view", "crosses_far", "cuts_in"]
Actor = Literal["child", "adult", "cyclist", "scooter", "car", "none"]
Occluder = Literal["parked_cars", "van", "bus", "hedge", "wall", "queue", "none"]
Twin = Literal["as_is", "no_actor", "in_view", "no_occluder", "mirror"]
"""A scene as it is, without its actor, with the actor in plain view, with what hides it taken away, and its mirror
image."""

SPEEDS_KMH: Final[dict[str, float]] = {"child": 5, "adult": 5, "cyclist": 15, "scooter": 20, "car": 20}
"""How fast each actor moves, where nothing else is said. Child, adult and cyclist: Euro NCAP."""
STARTS_M: Final[dict[str, float]] = {"child": 4, "adult": 4, "cyclist": 6, "scooter": 6, "car": 7}
"""How far from the middle of the ego car's path each actor starts, where nothing else is said. Child: Euro NCAP."""

_PEOPLE = ("child", "adult")
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SceneParameters(BaseModel):
    """One scene. Lengths are metres, times seconds, speeds km/h.

    behaviour : what the actor does: emerges from behind the occluder into the ego car's path; walks towards the path
        and stops behind the occluder; walks in plain view from the start and then steps into the path; crosses far
        ahead; or, as a vehicle, cuts in from the next lane.
    occluder : what stands at the side from which the actor comes.
    ego_kmh, actor_kmh : steady speeds; an actor starts from standing.
    side : where the actor comes from, seen from the ego car.
    impact_percent : where the actor would be hit, in percent of the ego car's width, from the actor's side.
    lateral_m : from the ego car's side to the occluder's.
    clearance_m : from the occluder's end to the actor's line, along the road.
    start_m : from the middle of the ego car's path to where the actor starts.
    visible_s, visible_m : the wanted time, or distance from the ego car's front, between the first line of sight and
        contact; it sets the clearance. At most one of them, and then no `clearance_m`.
    contact_s : when the ego car's front reaches the actor; not before the clip's end, and soon after it if not stated:
        no clip shows a contact.
    far_m : how far beyond the occluder's end an actor crosses that crosses far ahead.
    lamps : whether street lamps are lit at dusk and at night.
    rain : its strength in [0, 1]. camera_noise : the sensor's noise; 1 is that of a cheap dash camera.
    traffic, pedestrians : how many vehicles and people there are that have nothing to do with it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    behaviour: Behaviour = "emerges"
    actor: Actor = "child"
    occluder: Occluder = "parked_cars"
    ego_kmh: Annotated[float, Field(ge=5, le=130)] = 40.0
    actor_kmh: Annotated[float, Field(ge=1, le=60)] | None = None
    side: Literal["right", "left"] = "right"
    impact_percent: Annotated[float, Field(ge=0, le=100)] = 50.0
    lateral_m: Annotated[float, Field(ge=0.2, le=4)] = 1.0
    clearance_m: Annotated[float, Field(ge=0.1, le=40)] = 1.0
    start_m: Annotated[float, Field(ge=1, le=20)] | None = None
    visible_s: Annotated[float, Field(ge=0.1, le=30)] | None = None
    visible_m: Annotated[float, Field(ge=0.5, le=200)] | None = None
    contact_s: _Positive | None = None
    far_m: Annotated[float, Field(ge=20, le=80)] = 30.0
    light: Literal["day", "dusk", "night"] = "day"
    lamps: bool = True
    rain: Annotated[float, Field(ge=0, le=1)] = 0.0
    camera_height_m: Annotated[float, Field(ge=0.8, le=3)] = 1.35
    camera_noise: Annotated[float, Field(ge=0, le=5)] = 1.0
    traffic: Annotated[int, Field(ge=0, le=6)] = 1
    pedestrians: Annotated[int, Field(ge=0, le=16)] = 4

    @model_validator(mode="after")
    def _possible(self) -> SceneParameters:
        if self.behaviour in ("emerges", "stops_behind") and self.occluder == "none" and self.actor != "none":
            raise ValueError(f"an actor that {self.behaviour.replace('_', ' ')} needs an occluder")
        if self.behaviour == "cuts_in" and self.actor not in ("car", "scooter", "none"):
            raise ValueError(f"a {self.actor} does not cut in: car and scooter do")
        if self.behaviour == "crosses_far" and self.actor not in (*_PEOPLE, "cyclist", "none"):
            raise ValueError(f"a {self.actor} does not cross far ahead: child, adult and cyclist do")
        wanted = [name for name in ("visible_s", "visible_m") if getattr(self, name) is not None]
        if len(wanted) == 2:
            raise ValueError("visible_s and visible_m are two words for one thing: give one of them")
        if wanted and "clearance_m" in self.model_fields_set:
            raise ValueError(f"{wanted[0]} sets the clearance: leave out clearance_m, or {wanted[0]}")
        if wanted and (self.behaviour != "emerges" or self.actor == "none"):
            raise ValueError(f"{wanted[0]} is for an actor that emerges")
        return self

    @property
    def speed_kmh(self) -> float:
        """The actor's speed."""
        return self.actor_kmh if self.actor_kmh is not None else SPEEDS_KMH.get(self.actor, 5.0)

    @property
    def start(self) -> float:
        """From the middle of the ego car's path to where the actor starts, metres."""
        return self.start_m if self.start_m is not None else STARTS_M.get(self.actor, 4.0)

    @property
    def walks(self) -> bool:
        """Whether the actor goes on foot."""
        return self.actor in _PEOPLE

    def has(self, twin: Twin) -> bool:
        """Whether a twin would be another picture than the scene as it is."""
        if twin == "no_actor":
            return self.actor != "none"
        if twin == "in_view":
            return self.actor != "none" and self.behaviour in ("emerges", "stops_behind")
        if twin == "no_occluder":
            return self.occluder != "none"
        return True
