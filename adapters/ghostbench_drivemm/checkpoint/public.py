"""The authors' public checkpoint: where it is on the Hugging Face hub, and which of its files are wanted."""

from __future__ import annotations

import re

from ghostbench_drivemm.checkpoint.inventory import NEEDED
from ghostbench_local.checkpoint.hub import Snapshot, Wanted, fetch_checkpoint, find_checkpoint

REPOSITORY = "DriveMM/DriveMM"
"""The authors' repository on the hub."""

REVISION = "main"
"""Branch, tag or commit. A branch is resolved to a commit at the first download; that commit is then kept."""

WANTED = Wanted(
    by="drivemm",
    title="DriveMM",
    files=re.compile(r"[\w.-]+\.safetensors|[\w.-]+\.json|chat_template\.jinja"),
    needed=NEEDED,
    instead="or give a local folder with --set drivemm.checkpoint=DIR",
)


def find_public(revision: str = REVISION) -> Snapshot | None:
    """The public checkpoint if it is already here, whole. Nothing is asked of the network."""
    return find_checkpoint(WANTED, REPOSITORY, revision)


def fetch_public(revision: str = REVISION) -> Snapshot:
    """Find the public checkpoint here or download it. Raises `DownloadError`; see `fetch_checkpoint`."""
    return fetch_checkpoint(WANTED, REPOSITORY, revision)
