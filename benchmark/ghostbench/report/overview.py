"""Runs below a folder in a line each: what they are, how they stand, and the best score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.folder.reader import Folder, runs_in
from ghostbench.folder.tags import read_tags
from ghostbench.report.escape import plain
from ghostbench.report.table import shown


def overview(results: Path) -> list[dict[str, Any]]:
    """Every run, the newest first, JSON values only.

    Returns
    -------
    Per run `name, state` ("running", "complete", "stopped", or "broken" with the `reason`), `started_at`, `dataset`,
    `task`, `n` (clips), `repeats`, `models`, `tags`, `note` ("" for none), and of a scored one `best`: the `model` with
    the highest F1 in the lenient view and its `f1_lenient`; baselines, probes and wordings beside the main one are none
    of them, nor are rows that saw the video where others saw the frames. It is null where there is none, and for tasks
    that ask at moments.
    """
    lines: list[dict[str, Any]] = []
    for path in runs_in(results):
        try:
            run = Folder.open(path)
        except BadInput as error:
            lines.append({"name": path.name, "state": "broken", "reason": str(error)})
            continue
        head, written = run.header, read_tags(path)
        lines.append(
            {
                "name": path.name,
                "state": run.state,
                "started_at": head.started_at,
                "dataset": head.dataset.name,
                "task": head.task.name,
                "n": head.dataset.n,
                "repeats": head.repeats,
                "models": list(head.models),
                "tags": list(written.tags),
                "note": written.note,
                "best": _best(path) if head.status == "complete" else None,
            }
        )
    return sorted(lines, key=lambda line: str(line.get("started_at") or ""), reverse=True)


def headline(line: dict[str, Any]) -> str:
    """A run of `overview` as one line of text."""
    if line["state"] == "broken":
        return plain(f"{line['name']}  broken  {line['reason']}")
    models = line["models"]
    named = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
    best = line["best"]
    score = f"  best F1 lenient {best['model']} {shown(best['f1_lenient'], 'rate')}" if best else ""
    when = str(line["started_at"] or "")[:16].replace("T", " ")
    what = f"{line['n']} clips of {line['dataset']}  {named}{score}{_written(line)}"
    return plain(f"{line['name']}  {line['state']}  {when}  {what}")


def _written(line: dict[str, Any]) -> str:
    """Tags and note."""
    tags = "".join(f"  #{tag}" for tag in line["tags"])
    return f"{tags}  “{line['note']}”" if line["note"] else tags


def _best(path: Path) -> dict[str, Any] | None:
    from ghostbench.folder.metrics_file import read_metrics

    try:
        rows = read_metrics(path)["models"].items()
        if any(row.get("early_warning") is not None for _, row in rows):
            return None  # an F1 of whole clips is no figure of warnings
        # The best of several wordings is no measure of a model, and frames that were made worse none at all.
        own = [(str(name), row) for name, row in rows if not (row["baseline"] or row["probe"] or row.get("variant"))]
        # Nor is who saw the video better than who saw the frames.
        own = [each for each in own if not each[1].get("sees_video")] or own
        scored = [(row["views"]["lenient"]["answered"]["f1"], name) for name, row in own]
        known = [(f1, name) for f1, name in scored if f1 is not None]
        f1, name = max(known, key=lambda each: float(each[0]["value"]))
        return {"model": name, "f1_lenient": {key: f1[key] for key in ("value", "low", "high")}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
