"""Renders one scene with its twins: the unit of work that processes share, and that a killed run repeats."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ghostbench.rendering.drawing import recording
from ghostbench.rendering.encode import TwinWriter
from ghostbench.rendering.facts import ClipFacts, Dose, clip_facts
from ghostbench.rendering.grid import Grid
from ghostbench.rendering.parameters import Twin
from ghostbench.rendering.scene import Scene
from ghostbench.rendering.shots import Shooting
from ghostbench.rendering.sight import prepared, sight
from ghostbench.writing import write_text

_DRAWN_BY: Final = ("numpy", "opencv-python-headless", "av")


def renderer() -> dict[str, str]:
    """What draws: the digest of this package's code, and the versions of the libraries that it draws with."""
    folder = Path(recording.__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return {"code": digest.hexdigest(), **{name: version(name) for name in _DRAWN_BY}}


def twins_of(scene: Scene) -> list[Twin]:
    """The scene as it is, and the counterparts that it has."""
    return ["as_is", *(twin for twin in scene.grid.twins if scene.parameters.has(twin))]


def clip_id(grid: Grid, drawn_by: dict[str, str], scene: Scene, twin: Twin) -> str:
    """The name of a clip, which tells nothing: a digest of grid, renderer, scene and twin."""
    text = json.dumps([grid.sha256, drawn_by, scene.key, twin], sort_keys=True)
    return f"g{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def facts_file(folder: Path, scene: Scene) -> Path:
    """Where a scene's facts are kept until all scenes are done; it is there once its clips are."""
    return folder / f"{scene.key}.json"


def check_scene(scene: Scene) -> None:
    """Raise `BadInput` where a scene cannot be: `render_scene` would find it out only when its turn comes."""
    prepared(scene)


def render_scene(scene: Scene, drawn_by: dict[str, str], clips: Path, facts: Path) -> None:
    """Write the clips of a scene and its twins, and then their facts. Raises `BadInput` as `prepared` does."""
    import cv2

    cv2.setNumThreads(1)
    stage = prepared(scene)
    twins = twins_of(scene)
    digests = [hashlib.sha256() for _ in twins]
    doses = [Dose() for _ in twins]
    paths = [clips / f"{clip_id(scene.grid, drawn_by, scene, twin)}.mp4" for twin in twins]
    writer = TwinWriter(paths, scene.grid.fps, scene.grid.size, scene.grid.encoding)
    try:
        for shots in Shooting(stage).frames(twins):
            for twin, digest, dose in zip(twins, digests, doses, strict=True):
                digest.update(shots[twin].pixels.tobytes())
                dose.pixels.append(shots[twin].actor_pixels)
            writer.add(shots[twin].pixels for twin in twins)
    except BaseException:
        writer.give_up()
        raise
    writer.close()
    known = {
        path.stem: dataclasses.asdict(clip_facts(stage.scene, twin, sight(stage, twin), dose, digest.hexdigest()))
        for path, twin, dose, digest in zip(paths, twins, doses, digests, strict=True)
    }
    write_text(facts_file(facts, scene), json.dumps(known, sort_keys=True))


def read_facts(path: Path) -> dict[str, ClipFacts]:
    """What `render_scene` wrote of each clip."""
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {clip: ClipFacts(**each) for clip, each in known.items()}


def alone() -> None:
    """Keep the libraries of this process to one thread: the processes share the cores among them."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def deaf_to_ctrl_c() -> None:
    """Leave Ctrl-C to the process that shares the work out: it ends this one, without a word."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
