"""The manifest's seal: whatever byte of a finished run's manifest is changed, it no longer holds."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ghostbench.folder.seal import check_seal, write_sealed

MANIFEST = {"format": 2, "status": "complete", "models": {"m": {"facts": {"seal": "0" * 64, "ü": 0.1}}}}


def test_a_finished_runs_manifest_is_sealed_and_anybody_can_compute_the_seal(bench: Any) -> None:
    assert bench.run("--models", "local-spy", "--limit", "2", "--run-id", "r").returncode == 0
    path = bench.folder / "results" / "r" / "manifest.json"
    assert check_seal(path) == "holds"
    seal = bench.manifest("r")["seal"]
    blank = path.read_bytes().replace(seal.encode(), b"0" * 64)
    assert hashlib.sha256(blank).hexdigest() == seal


@given(place=st.integers(0, 10_000), change=st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_byte_anywhere_is_noticed(tmp_path: Path, place: int, change: int) -> None:
    path = tmp_path / "manifest.json"
    write_sealed(path, MANIFEST)
    content = bytearray(path.read_bytes())
    assert check_seal(path) == "holds"
    content[place % len(content)] ^= change
    path.write_bytes(bytes(content))
    assert check_seal(path) != "holds"


def test_sealing_again_changes_nothing_and_a_manifest_without_a_seal_has_none(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_sealed(path, MANIFEST)
    before = path.read_bytes()
    write_sealed(path, json.loads(before))
    assert path.read_bytes() == before
    path.write_text(json.dumps({**MANIFEST, "seal": None}))
    assert check_seal(path) == "none"


@pytest.mark.slow
def test_a_resumed_run_is_sealed_anew_and_an_edited_manifest_is_not_gone_on_with(bench: Any) -> None:
    words = ("--models", "local-spy", "--limit", "2", "--run-id", "r")
    assert bench.run(*words).returncode == 0
    path = bench.folder / "results" / "r" / "manifest.json"
    assert bench.run(*words, "--resume").returncode == 0
    assert check_seal(path) == "holds"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'"load_s": [\d.e-]+', '"load_s": 0.001', text, count=1), encoding="utf-8")
    assert check_seal(path) == "broken"
    done = bench.run(*words, "--resume")
    assert done.returncode == 2
    assert "manifest.json was changed after the run ended" in done.stderr


@pytest.mark.parametrize("content", [b"", b"{}", b'{"seal": "' + b"0" * 63 + b'"}', b"\xff" * 100])
def test_what_is_no_sealed_manifest_has_no_seal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    assert check_seal(path) == "none"
