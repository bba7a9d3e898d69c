"""Runs over shares of a split put together to the run over all of it, if they are shares of one run alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghostbench.datasets.shards import share_of
from ghostbench.digests import digest
from ghostbench.errors import BadInput
from ghostbench.folder.ledger import encode
from ghostbench.folder.lines import ClipLine, PredictionLine
from ghostbench.folder.manifest import Manifest, MergedEntry, ModelEntry, ShardEntry, read_manifest, require_complete
from ghostbench.folder.names import ATTEMPTS, CLIPS, LEDGER, LOG, MANIFEST, MERGING, PREDICTIONS, PROMPTS, SENT
from ghostbench.folder.place import RunFolder, join_files, write_lines
from ghostbench.folder.reading import read_records
from ghostbench.folder.run_records import read_attempts
from ghostbench.folder.tags import read_tags, write_tags
from ghostbench.plugins.text import printable
from ghostbench.running.resume.resume import check_unchanged
from ghostbench.scoring.compared import stated, with_comparison

_OF_ITS_OWN = {
    "run_id", "command", "options", "started_at", "finished_at", "hardware", "max_cost", "resumed", "digests",
    "start_up_s", "merged", "seal",
}  # fmt: skip
"""What may differ between the shares of one run."""
_OF_ITS_OWN_PLACE = {"data_root", "labels", "annotations", "split_sha256", "n", "shard", "filters"}
_OF_ITS_OWN_MODEL = {"load_s", "stopped", "put_off_until"}


@dataclass(frozen=True, slots=True)
class _Share:
    """A run over one share."""

    folder: Path
    manifest: Manifest
    shard: ShardEntry

    @property
    def name(self) -> str:
        return f"{self.shard.number}/{self.shard.of}"

    @classmethod
    def at(cls, folder: Path) -> _Share:
        """Read one. Raises `BadInput` for a run that is unfinished, was changed, or is over no share."""
        manifest = read_manifest(folder)
        require_complete(folder, manifest)
        check_unchanged(folder, manifest)
        if manifest.dataset.shard is None:
            raise BadInput(f"{folder} is no share of a run: it was not made with --shard")
        return cls(folder, manifest, manifest.dataset.shard)


def merge(folders: Sequence[Path], out: Path, run_id: str | None, command: Sequence[str]) -> Path:
    """Put runs over all shares of a split together; return the folder of the run over the split.

    run_id : its name; None for that of the first share without its number. command : to be stated in the manifest.

    Raises `BadInput` for shares of different runs, and where clips are missing or there twice. Nothing is left then.
    """
    shares = [_Share.at(folder) for folder in folders]
    if not shares:
        raise BadInput("there is nothing to merge; name the folders of the runs that were made with --shard")
    _require_one_run(shares)
    _require_each_clip_once(shares)
    shares.sort(key=lambda share: share.shard.number)
    first = shares[0]
    target = RunFolder.at(out, run_id or _own_name(first))
    target.create()
    try:
        (target.path / MERGING).touch()
        _write(target, shares, [*command])
        (target.path / MERGING).unlink()
    except BaseException:
        target.close()
        shutil.rmtree(target.path, ignore_errors=True)
        raise
    target.close()
    return target.path


def _own_name(share: _Share) -> str:
    """The share's name without its number; where it has none, one that is not the share's."""
    name = share.manifest.run_id
    whole = name.removesuffix(f"-{share.shard.number}of{share.shard.of}")
    return whole if whole != name else f"{name}-merged"


def _require_one_run(shares: Sequence[_Share]) -> None:
    """Raise `BadInput` naming the first thing in which two shares are not of the same run."""
    first, *others = shares
    wanted = _of_the_run(first.manifest)
    for other in others:
        for key, was, now in _differences(wanted, _of_the_run(other.manifest)):
            raise BadInput(
                f"{first.folder} and {other.folder} are not shares of one run: {printable(key)} is {_short(was)} and "
                f"{_short(now)}; merge runs that differ in --shard alone"
            )


def _require_each_clip_once(shares: Sequence[_Share]) -> None:
    """Raise `BadInput` where a share is there twice, or clips of the split are in none."""
    seen: dict[int, _Share] = {}
    for share in shares:
        if (twice := seen.setdefault(share.shard.number, share)) is not share:
            raise BadInput(f"shard {share.name} is there twice, as {twice.folder} and {share.folder}; name it once")
    whole = shares[0].shard
    found = sorted(place for share in shares for place in share.shard.places)
    missing = sorted(set(range(whole.n)) - set(found))
    if missing:
        absent = ", ".join(f"{number}/{whole.of}" for number in range(1, whole.of + 1) if number not in seen)
        raise BadInput(f"{len(missing)} of {whole.n} clips are in none of these runs; what is missing: shard {absent}")
    if found != list(range(whole.n)):
        raise BadInput("these shares have clips in common, or clips that the split does not have: they were edited")


def _write(target: RunFolder, shares: Sequence[_Share], command: list[str]) -> None:
    first = shares[0].manifest
    clips = _clips(shares)
    write_lines(target.clips, map(encode, clips))
    folders = [share.folder for share in shares]
    join_files(target.path, folders, ATTEMPTS)
    for name in (SENT, LOG):
        if any((share.folder / name).is_file() for share in shares):
            join_files(target.path, folders, name)
    for share in shares:
        if (share.folder / PROMPTS).is_dir():
            shutil.copytree(share.folder / PROMPTS, target.path / PROMPTS, dirs_exist_ok=True)
    models = {name: _model(name, shares) for name in first.models}
    place = {clip.clip: number for number, clip in enumerate(clips)}
    rows = {name: number for number, name in enumerate(first.models)}
    lines = [line for share in shares for line in read_records(share.folder / PREDICTIONS, PredictionLine)]
    lines.sort(key=lambda line: (rows[line.model], place[line.clip], line.repeat))
    _require_told_ends(lines, models)
    write_lines(target.predictions, map(encode, lines))
    sealed = [*LEDGER, *([SENT] if target.sent.is_file() else [])]
    whole = shares[0].shard
    if any(stated(entry.facts) is not None for entry in models.values()):
        attempts = read_attempts(target.path).lines
        for name, entry in models.items():
            entry.facts = with_comparison(name, entry.facts, attempts)
    manifest = first.model_copy(
        update={
            "run_id": target.path.name,
            "command": command,
            "options": {**first.options, "shard": None, "cache": _cache_of_any(shares)} if first.options else None,
            "started_at": min(filter(None, (share.manifest.started_at for share in shares)), default=None),
            "finished_at": max(filter(None, (share.manifest.finished_at for share in shares)), default=None),
            "models": models,
            "dataset": first.dataset.model_copy(
                update={
                    "n": whole.n,
                    "split_sha256": whole.split_sha256,
                    "filters": _filters(first),
                    "shard": None,
                }
            ),
            "resumed": [],
            "merged": [_origin(share) for share in shares],
            "digests": {name: digest(target.path / name) for name in sealed},
            "seal": None,
        }
    )
    manifest.write_sealed(target.path)
    if tags := _tags_of_all(shares):
        write_tags(target.path, add=tags)


def _clips(shares: Sequence[_Share]) -> list[ClipLine]:
    """The clips' lines in the order of the whole split. Raises `BadInput` where they are not those of their shares."""
    lines: dict[int, ClipLine] = {}
    for share in shares:
        own = list(read_records(share.folder / CLIPS, ClipLine))
        stray = next((line for line in own if share_of(line.clip, share.shard.of) != share.shard.number), None)
        if stray is not None or len(own) != len(share.shard.places):
            raise BadInput(f"{share.folder / CLIPS} does not hold the clips of shard {share.name}: it was edited")
        lines |= dict(zip(share.shard.places, own, strict=True))
    return [lines[place] for place in sorted(lines)]


def _model(name: str, shares: Sequence[_Share]) -> ModelEntry:
    """What is said of a row: as in the first share, and of its end as in the first share where it ended."""
    entries = [share.manifest.models[name] for share in shares]
    stopped = next((entry.stopped for entry in entries if entry.stopped is not None), None)
    until = max((entry.put_off_until for entry in entries if entry.put_off_until is not None), default=None)
    return entries[0].model_copy(update={"stopped": stopped, "put_off_until": until})


def _require_told_ends(lines: Sequence[PredictionLine], models: Mapping[str, ModelEntry]) -> None:
    """Raise `BadInput` where a model that sent nothing more ended otherwise in one share than in another."""
    for line in lines:
        stopped = models[line.model].stopped
        if line.attempts == 0 and line.answered_by is None and stopped is not None and line.outcome != stopped.outcome:
            raise BadInput(
                f"{printable(line.model)} was stopped as {stopped.outcome} in one share and as {line.outcome} in "
                "another; go on with these runs with --resume first"
            )


def _tags_of_all(shares: Sequence[_Share]) -> list[str]:
    """The tags that every share bears, in the order of the first."""
    first, *others = (read_tags(share.folder).tags for share in shares)
    return [tag for tag in first if all(tag in tags for tags in others)]


def _origin(share: _Share) -> MergedEntry:
    return MergedEntry(
        run_id=share.manifest.run_id,
        shard=share.name,
        manifest_sha256=digest(share.folder / MANIFEST),
        hardware=share.manifest.hardware,
    )


def _cache_of_any(shares: Sequence[_Share]) -> Any:
    """The cache that a share of the run had, whichever: answers of it stand in the ledger."""
    return next((cache for share in shares if (cache := (share.manifest.options or {}).get("cache"))), None)


def _filters(manifest: Manifest) -> list[str]:
    return [words for words in manifest.dataset.filters if not words.startswith("shard=")]


def _of_the_run(manifest: Manifest) -> dict[str, Any]:
    """What must be equal in all shares of a run."""
    stated = {key: value for key, value in manifest.as_mapping().items() if key not in _OF_ITS_OWN}
    dataset = {key: value for key, value in stated["dataset"].items() if key not in _OF_ITS_OWN_PLACE}
    shard = manifest.dataset.shard
    whole = {} if shard is None else {"shards": shard.of, "clips": shard.n, "split_sha256": shard.split_sha256}
    models = {}
    for name, entry in stated["models"].items():
        models[name] = {key: value for key, value in entry.items() if key not in _OF_ITS_OWN_MODEL}
        models[name]["facts"] = {"files": (entry.get("facts") or {}).get("files")}
    return {**stated, "dataset": {**dataset, **whole, "filters": _filters(manifest)}, "models": models}


def _differences(was: Any, now: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*was, *now]):
            yield from _differences(was.get(key), now.get(key), f"{where}.{key}" if where else str(key))
    elif was != now:
        yield where, was, now


def _short(value: Any) -> str:
    text = printable(str(value))
    return text if len(text) <= 60 else text[:59] + "…"
