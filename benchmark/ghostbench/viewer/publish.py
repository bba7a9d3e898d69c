"""Runs as a static folder: the viewer's page with what its server would answer in files beside it, and no media."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.folder.manifest import has_manifest, require_complete
from ghostbench.folder.reader import Folder
from ghostbench.plugins.text import printable
from ghostbench.report.escape import plain
from ghostbench.viewer.runs import Runs
from ghostbench.viewer.server import PAGE
from ghostbench.writing import make_folder, write_text

_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'"
_FRAMES = {"count": 0, "done": True, "times": [], "same": None, "sampled": [], "error": "published without media"}


def publish(runs: Sequence[Path], out: Path) -> int:
    """Write the folder, for a web server to serve as it is; return how many files it has.

    Raises `BadInput` for a run that has not ended, two runs of one name, and a folder that is there and not empty.
    """
    names = [plain(run.resolve().name) for run in runs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"two runs are called {printable(twice)}: publish them apart")
    for run in runs:
        require_complete(run, Folder.open(run).header)
    if has_manifest(out) or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise BadInput(f"{printable(str(out))} is there and not empty: name a new folder with --out")
    try:
        return _write(runs, out)
    except OSError as error:
        raise BadInput(f"cannot write to {printable(str(out))}: {error.strerror}; choose another --out") from None


def _write(runs: Sequence[Path], out: Path) -> int:
    data = out / "data"
    data.mkdir(parents=True)
    lines, files = [], 5
    for place, run in enumerate(runs):
        folder, read = data / str(place), Runs(run)
        (name,) = read.paths()
        make_folder(folder)
        index = read.index(name)
        _json(folder / "run.json", read.detail(name))
        _json(folder / "index.json", index)
        for number, clip in enumerate(index["clips"]):
            _json(folder / f"clip-{number}.json", read.clip(name, clip))
        lines.append({**read.line(name, run), "place": place})
        files += 2 + len(index["clips"])
    _json(data / "runs.json", {"results": "this collection", "runs": lines})
    _json(data / "frames.json", _FRAMES)
    page = (PAGE / "view.html").read_text(encoding="utf-8").replace('"/page/', '"')
    page = page.replace('<html lang="en">', '<html lang="en" data-published="yes">')
    head = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    write_text(out / "index.html", page.replace('<meta charset="utf-8">', head))
    for name in ("view.js", "view.css"):
        write_text(out / name, (PAGE / name).read_text(encoding="utf-8"))
    return files


def _json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False))
