"""Shares of a run on their own, put together again: the run that one machine would have made, or a plain refusal."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ghostbench
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.datasets.shards import parse_shard, shard_of, share_of
from ghostbench.errors import BadInput
from ghostbench.evidence.verify import verify
from ghostbench.folder.manifest import Manifest, read_manifest
from ghostbench.folder.names import MERGING
from ghostbench.folder.tags import Tags, read_tags, write_tags
from ghostbench.records import Clip, Split
from ghostbench.running.merge import merge

MODELS = "always,category-prior,random"
OF = 2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, drawn_dataset: Path) -> Path:
    """The folder `whole`, a run over all clips, and its two shares `part-1` and `part-2`."""
    out = tmp_path_factory.mktemp("shards")
    shards = {"whole": None, **{f"part-{number}": f"{number}/{OF}" for number in range(1, OF + 1)}}
    for name, shard in shards.items():
        more = {} if shard is None else {"shard": shard}
        ghostbench.run(MODELS, dataset=str(drawn_dataset), repeats=2, out=str(out), run_id=name, **more)
    return out


def parts(made: Path) -> list[Path]:
    return [made / f"part-{number}" for number in range(1, OF + 1)]


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_merged_shards_are_the_run_that_one_machine_makes(made: Path, tmp_path: Path) -> None:
    merged = merge(parts(made)[::-1], tmp_path, "merged", ["bench", "merge"])
    whole = made / "whole"
    assert (merged / "predictions.jsonl").read_bytes() == (whole / "predictions.jsonl").read_bytes()
    assert (merged / "clips.jsonl").read_bytes() == (whole / "clips.jsonl").read_bytes()
    asked = [Counter((x["model"], x["clip"], x["repeat"]) for x in lines(f, "attempts.jsonl")) for f in (merged, whole)]
    assert asked[0] == asked[1]
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (merged, whole)]
    assert manifests[0]["dataset"] == manifests[1]["dataset"]
    assert [part["shard"] for part in manifests[0]["merged"]] == ["1/2", "2/2"]
    from ghostbench.report.write import write_report
    from ghostbench.scoring.score import score_run

    scored, other = score_run(merged), score_run(whole)
    for name, row in other["models"].items():
        for key in ("n", "rows", "answered", "outcomes", "attempts", "confusion", "views"):
            assert scored["models"][name][key] == row[key]
    write_report(merged)
    assert verify(merged).findings == ()


def edited(folder: Path, copy: Path, change: Any) -> Path:
    """A copy of a shard whose manifest was made otherwise, sealed as a run seals it."""
    from ghostbench.folder.manifest import read_manifest

    shutil.copytree(folder, copy)
    manifest = read_manifest(copy)
    change(manifest)
    manifest.write_sealed(copy)
    return copy


def test_how_far_an_approximation_is_counts_over_all_shards(made: Path, tmp_path: Path) -> None:
    from ghostbench.digests import digest

    given = {"ghost_probing": 0.5, "potential_ghost_probing": 0.25, "normal": 0.25}
    counts = []
    for number, (part, apart) in enumerate(zip(parts(made), (0.125, 0.375), strict=True)):
        copy = edited(part, tmp_path / str(number), lambda manifest: None)
        ledger = lines(copy, "attempts.jsonl")
        own = [line for line in ledger if line["model"] == "random"]
        for line in own:
            other = {**given, "ghost_probing": 0.5 - apart, "normal": 0.25 + apart}
            line |= {"grade_probabilities": given, "compared": {"against": "exact", "grade_probabilities": other}}
        (copy / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in ledger))

        def state(manifest: Any, copy: Path = copy) -> None:
            manifest.digests["attempts.jsonl"] = digest(copy / "attempts.jsonl")
            manifest.models["random"].facts = {"compared_with": "exact", "compared_answers": 999}

        edited(copy, tmp_path / f"part-{number}", state)
        counts.append(len(own))
    merged = merge([tmp_path / "part-0", tmp_path / "part-1"], tmp_path, "merged", ["bench", "merge"])
    facts = json.loads((merged / "manifest.json").read_text())["models"]["random"]["facts"]
    assert min(counts) > 0
    assert facts == {
        "compared_with": "exact",
        "compared_answers": sum(counts),
        "changed_grade_rate": counts[1] / sum(counts),
        "largest_score_change": 0.375,
    }


def test_what_is_no_run_together_is_refused_in_one_line_and_leaves_nothing(made: Path, tmp_path: Path) -> None:
    one, two = parts(made)

    def other_seed(manifest: Any) -> None:
        manifest.seed = 7

    def other_labels(manifest: Any) -> None:
        manifest.dataset.labels_sha256 = "0" * 64

    def other_version(manifest: Any) -> None:
        manifest.versions["ghostbench"] = "0.0.1"

    def other_places(manifest: Any) -> None:
        manifest.dataset.shard.places[0] = parts_of(one)[0]

    def parts_of(folder: Path) -> list[int]:
        return json.loads((folder / "manifest.json").read_text())["dataset"]["shard"]["places"]

    torn = shutil.copytree(two, tmp_path / "torn")
    (torn / "attempts.jsonl").write_text((two / "attempts.jsonl").read_text().replace("always", "alwayz", 1))
    refused = {
        "seed is 0 and 7": [one, edited(two, tmp_path / "seed", other_seed)],
        "dataset.labels_sha256": [one, edited(two, tmp_path / "labels", other_labels)],
        "versions.ghostbench": [one, edited(two, tmp_path / "version", other_version)],
        "what is missing: shard 1/2": [two],
        "shard 1/2 is there twice": [one, two, one],
        "was not made with --shard": [one, made / "whole"],
        "was changed after the run ended": [one, torn],
        "is no run folder": [one, tmp_path / "nowhere"],
        "clips are in none of these runs": [one, edited(two, tmp_path / "places", other_places)],
    }
    for words, folders in refused.items():
        with pytest.raises(BadInput, match=words.replace(".", r"\.")) as told:
            merge(folders, tmp_path / "out", "merged", [])
        assert "\n" not in str(told.value)
        assert not (tmp_path / "out" / "merged").exists()


def test_a_run_that_is_there_is_not_written_over(made: Path, tmp_path: Path) -> None:
    merge(parts(made), tmp_path, "merged", [])
    before = (tmp_path / "merged" / "manifest.json").read_bytes()
    with pytest.raises(BadInput, match="exists"):
        merge(parts(made), tmp_path, "merged", [])
    assert (tmp_path / "merged" / "manifest.json").read_bytes() == before


def test_a_tag_that_all_shards_bear_is_the_whole_runs_too(made: Path, tmp_path: Path) -> None:
    shards = [shutil.copytree(part, tmp_path / part.name) for part in parts(made)]
    for number, shard in enumerate(shards, 1):
        write_tags(shard, add=["night", f"machine-{number}"], note="mine")
    whole = merge(shards, tmp_path, "merged", [])
    assert read_tags(whole) == Tags(("night",), "")


def test_what_a_kill_leaves_of_a_merge_is_in_nobodys_way(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as at_its_end:
        # As a kill leaves it: nothing is taken back.
        at_its_end.setattr(shutil, "rmtree", lambda *_, **__: None)
        at_its_end.setattr(Manifest, "write_sealed", killed)
        with pytest.raises(KeyboardInterrupt):
            merge(parts(made), tmp_path, "merged", [])
    assert (tmp_path / "merged" / "attempts.jsonl").stat().st_size
    whole = merge(parts(made), tmp_path, "merged", [])
    assert read_manifest(whole).merged is not None
    assert not (whole / MERGING).exists()
    # What is not a merge's own is nobody's to remove.
    other = tmp_path / "other"
    other.mkdir()
    (other / "attempts.jsonl").write_text("mine")
    with pytest.raises(BadInput, match="exists"):
        merge(parts(made), tmp_path, "other", [])
    assert (other / "attempts.jsonl").read_text() == "mine"


@given(st.sets(st.text(min_size=1, max_size=12), min_size=1, max_size=40), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_every_clip_is_in_one_shard_whatever_the_others_are(ids: set[str], of: int) -> None:
    clips = tuple(Clip(id=name, truth="normal") for name in sorted(ids))
    split = Split(dataset="d", name="all", clips=clips, labels_sha256="0", split_sha256="1")
    found: list[str] = []
    for number in range(1, of + 1):
        if not any(share_of(clip.id, of) == number for clip in clips):
            with pytest.raises(BadInput, match="fewer shards"):
                shard_of(split, f"{number}/{of}")
            continue
        part = shard_of(split, f"{number}/{of}")
        assert part.shard is not None
        assert [clips[place] for place in part.shard.places] == list(part.clips)
        assert part.known == clips
        found += [clip.id for clip in part.clips]
    assert sorted(found) == sorted(ids)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "1", "a/b", "1/3/5", "-1/3", "", "1.0/2", "１/２"])
def test_what_is_no_share_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="--shard"):
        parse_shard(text)


def test_the_shard_is_the_last_filter() -> None:
    whole = select(SplitQuery(limit=4), media=False)
    parts = [select(SplitQuery(limit=4, shard=f"{number}/2"), media=False) for number in (1, 2)]
    assert sorted(clip.id for part in parts for clip in part.clips) == sorted(clip.id for clip in whole.clips)
    assert all(part.shard is not None and part.shard.split_sha256 == whole.split_sha256 for part in parts)
    assert dataclasses.asdict(whole)["shard"] is None
