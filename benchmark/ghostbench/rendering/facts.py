"""What is known of a rendered clip: its label, and its parameters with the dose that its actor gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ghostbench.label import Scalar
from ghostbench.rendering.parameters import SceneParameters, Twin
from ghostbench.rendering.scene import LANE_LINE, Scene
from ghostbench.rendering.sight import distance_m
from ghostbench.rendering.stage import Sight
from ghostbench.rendering.tracks import EGO_WIDTH, CutIn

LABEL_COLUMNS: Final = ("first_visible_s", "danger_s", "contact_s", "occluder", "actor")
"""The columns of a rendered label file beside id and label; empty where a clip is labelled `none`."""

_MEASURES: Final = {name for name, each in SceneParameters.model_fields.items() if "float" in str(each.annotation)}


@dataclass
class Dose:
    """How much of the actor the frames of a clip show: its pixels in each frame, in order."""

    pixels: list[float] = field(default_factory=list)

    def facts(self, fps: int) -> dict[str, Scalar]:
        """The first frame with a pixel of it, seconds; the mean over the frames from then on; and the most."""
        shown = [number for number, pixels in enumerate(self.pixels) if pixels >= 1]
        if not shown:
            return {"visible_px": 0.0, "visible_px_most": 0.0}
        since = self.pixels[shown[0] :]
        return {
            "first_drawn_s": round(shown[0] / fps, 4),
            "visible_px": round(sum(since) / len(since), 2),
            "visible_px_most": max(since),
        }


@dataclass(frozen=True)
class ClipFacts:
    """One clip: its label in the grammar of label files, the label's further columns, and its parameters."""

    ground_truth_label: str
    columns: dict[str, str | float]
    parameters: dict[str, Scalar]


def clip_facts(scene: Scene, twin: Twin, seen: Sight, dose: Dose, drawn_sha256: str) -> ClipFacts:
    """What is known of one twin of a scene.

    seen : of the mirror image, what its original shows. drawn_sha256 : digest of the drawn frames' pixels.
    """
    said = scene.parameters
    shows_actor = scene.track(twin) is not None
    meets = shows_actor and (twin == "in_view" or said.behaviour in ("emerges", "walks_in_view"))
    truth, first, danger = "none", seen.first_s, None
    if shows_actor and twin in ("as_is", "mirror"):
        track = scene.track("as_is")
        if said.behaviour == "emerges" and first is not None:
            truth, danger = f"{first:.3f}s: ghost probing", max(_enters_path_s(scene), first)
        elif isinstance(track, CutIn):
            danger = track.enters_s(scene.box.width / 2, LANE_LINE)
            truth = f"{danger:.3f}s: cut-in"
    parameters = _parameters(scene, twin, seen, meets) | dose.facts(scene.grid.fps)
    columns: dict[str, str | float | None] = {}
    if truth != "none":
        columns = {
            "first_visible_s": _rounded(first),
            "danger_s": _rounded(danger),
            "contact_s": _rounded(scene.contact_s) if meets else None,
            "occluder": said.occluder.replace("_", " ") if truth.endswith("probing") else None,
            "actor": said.actor,
        }
    stated = {name: value for name, value in columns.items() if value is not None}
    return ClipFacts(truth, stated, parameters | {"drawn_sha256": drawn_sha256})


def _parameters(scene: Scene, twin: Twin, seen: Sight, meets: bool) -> dict[str, Scalar]:
    said = scene.parameters
    found: dict[str, Scalar | None] = {
        "scene": scene.key,
        "twin": twin,
        "behaviour": said.behaviour,
        "actor": said.actor if scene.track(twin) is not None else "none",
        "occluder": said.occluder.replace("_", " ") if twin != "no_occluder" else "none",
        "side": said.side if twin != "mirror" else {"right": "left", "left": "right"}[said.side],
        "ego_kmh": said.ego_kmh,
        "actor_kmh": said.speed_kmh,
        "impact_percent": said.impact_percent,
        "lateral_m": said.lateral_m,
        "clearance_m": round(said.clearance_m, 4),
        "start_m": said.start,
        "light": said.light,
        "lamps": said.lamps,
        "rain": said.rain,
        "camera_height_m": said.camera_height_m,
        "camera_noise": said.camera_noise,
        "traffic": said.traffic,
        "pedestrians": said.pedestrians,
        "contact_s": _rounded(scene.contact_s) if meets else None,
        "first_visible_s": _rounded(seen.first_s),
    }
    if meets and seen.first_s is not None:
        found |= {
            "visible_s": _rounded(scene.contact_s - seen.first_s),
            "visible_m": round(distance_m(scene, seen.first_s), 3),
        }
    if seen.first_s is not None:
        found["shown_s"] = _rounded(max(scene.grid.seconds - seen.first_s, 0.0))
    return {name: float(value) if name in _MEASURES else value for name, value in found.items() if value is not None}


def _enters_path_s(scene: Scene) -> float:
    """When the actor's front comes over the line of the ego car's side."""
    track = scene.track("as_is")
    assert track is not None
    low, high = scene.contact_s - 20.0, scene.contact_s
    while high - low > 1e-4:
        middle = (low + high) / 2
        reached = abs(track.at(middle).x) - scene.box.before <= EGO_WIDTH / 2
        low, high = (low, middle) if reached else (middle, high)
    return high


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
