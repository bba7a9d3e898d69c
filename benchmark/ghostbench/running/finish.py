"""The end of a run: clips in order, predictions from the ledger alone, and the seal over all of it."""

from __future__ import annotations

from ghostbench.digests import own_digest
from ghostbench.folder.clip_lines import put_in_order
from ghostbench.folder.last_words import LastWords
from ghostbench.folder.ledger import encode
from ghostbench.folder.manifest import Manifest
from ghostbench.folder.place import RunFolder, write_lines
from ghostbench.folder.run_records import read_attempts
from ghostbench.running import manifest as manifests
from ghostbench.running.plan.plan import Plan
from ghostbench.running.rules.predictions import RowFacts, predict
from ghostbench.scoring.compared import with_comparison


def finish(plan: Plan, folder: RunFolder, manifest: Manifest) -> None:
    """Write predictions and the complete manifest of a run in which every unit is settled."""
    clips = put_in_order(folder.clips, plan.split.clips)
    rows = [RowFacts.of_entry(row.name, manifest.models[row.name]) for row in plan.rows]
    repeats = plan.options.repeats
    attempts = read_attempts(folder.path)
    for name, entry in manifest.models.items():
        entry.facts = with_comparison(name, entry.facts, attempts.lines)
    words = LastWords(attempts, [clip.clip for clip in clips], repeats)
    write_lines(folder.predictions, map(encode, predict(rows, clips, repeats, words, plan.task)))
    sealed = [folder.clips, folder.attempts, folder.predictions]
    if folder.sent.is_file():
        sealed.append(folder.sent)
    manifest.digests = {path.name: own_digest(path) for path in sealed}
    manifest.status = "complete"
    manifest.finished_at = manifests.utc_now()
    manifest.write_sealed(folder.path)
