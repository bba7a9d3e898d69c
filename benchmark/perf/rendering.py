"""What drawing costs: core seconds a clip, clips per core-hour, and how long a grid of 240 clips takes here.

Draws twelve clips of five seconds at 640 x 360 and 25 frames a second, four scenes of the ready grid `cpnco` with two
twins each, by day and at night, on every core, into a folder that is removed afterwards.

    python benchmark/perf/rendering.py [--workers N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from ghostbench.rendering.grid import find_grid
from ghostbench.rendering.render import render

GRID = """
name: rendering-cost
seed: 50
seconds: 5
twins: [no_actor, in_view]
scenes:
  behaviour: emerges
  actor: child
  actor_kmh: 5
  start_m: 4
  occluder: parked_cars
  lateral_m: 1
  clearance_m: 1
  ego_kmh: [20, 40]
  light: [day, night]
"""
WANTED = 240


def core_seconds() -> float:
    """Of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Draw, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes that draw")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "grid.yaml"
        file.write_text(GRID, encoding="utf-8")
        load, began, used = os.getloadavg()[0], time.perf_counter(), core_seconds()
        clips = render(find_grid(str(file)), Path(scratch) / "out", given.workers)
        wall_s, core_s = time.perf_counter() - began, core_seconds() - used
    if not clips:
        sys.exit("nothing was drawn")
    found = {
        "clips": clips,
        "workers": given.workers,
        "load_before": round(load, 1),
        "wall_s": round(wall_s, 1),
        "core_s_a_clip": round(core_s / clips, 2),
        "clips_per_core_hour": round(3600 * clips / core_s),
        f"minutes_for_{WANTED}_clips": round(WANTED * wall_s / clips / 60, 1),
    }
    print(json.dumps(found) if given.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
