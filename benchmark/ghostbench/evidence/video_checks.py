"""What rows that see the video were shown: by the ledger, and by the media where that may be opened."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ghostbench.datasets.granted import Granted, media_place
from ghostbench.errors import AttemptError, BadInput
from ghostbench.evidence.differences import Finding
from ghostbench.folder.names import ATTEMPTS
from ghostbench.folder.run_records import RunRecords
from ghostbench.outcomes import Outcome


def speaks_of_videos(run: RunRecords) -> bool:
    """Whether a row sees the video, or a line of the ledger has the digest of one."""
    entries = run.manifest.models.values()
    return any(entry.needs_video for entry in entries) or bool(run.attempts["video_sha256"].notna().any())


def check_videos(run: RunRecords, granted: Granted) -> tuple[list[Finding], str]:
    """Rows that see the video have the digest of one and no frames, all others have none; of a clip it is one digest,
    and that of the file where the media may be looked at. With a note where it may not."""
    seeing = [name for name, entry in run.manifest.models.items() if entry.needs_video]
    filmed = run.attempts["video_sha256"].notna()
    sees = run.attempts["model"].isin(seeing)
    answered = (run.attempts["outcome"] == Outcome.ANSWERED) & sees
    found = [
        *_each(run.attempts[filmed & ~sees], "has the digest of a video, and the row sees none"),
        *_each(run.attempts[sees & run.attempts["frames_sha256"].notna()], "has frames, and the row sees the video"),
        *_each(run.attempts[answered & ~filmed], "is answered and has no digest of the video that was seen"),
    ]
    shown = run.attempts[filmed & sees].groupby("clip", sort=False)["video_sha256"]
    for clip, digests in shown:
        if digests.nunique() > 1:
            found.append(Finding(ATTEMPTS, f"the video of {clip} was not the same each time"))
    again, note = _media_again(run, {str(clip): str(digests.iloc[0]) for clip, digests in shown}, granted)
    return [*found, *again], note


def _each(lines: pd.DataFrame, what: str) -> Iterator[Finding]:
    for model, clip, number in zip(lines["model"], lines["clip"], lines["attempt"], strict=True):
        yield Finding(ATTEMPTS, f"{model}, {clip}, attempt {number} {what}")


def _media_again(run: RunRecords, shown: dict[str, str], granted: Granted) -> tuple[list[Finding], str]:
    from ghostbench.datasets.layouts import find_media
    from ghostbench.media.own_file import video_sha256

    if not shown:
        return [], ""
    data = run.manifest.dataset
    try:
        where = media_place(granted, data.name, data.data_root, data.layout, data.fps)
        media = find_media(where.root, list(shown), layout=where.layout, fps=where.fps, within=where.within)
    except BadInput as error:
        return [], f"the videos that were seen were not compared with the media: {error}"
    found, unread = [], []
    for clip, digest in shown.items():
        try:
            now = video_sha256(str(media[clip]), where.root.credentials)
        except (KeyError, AttemptError):
            unread.append(clip)
            continue
        if now != digest:
            found.append(Finding(ATTEMPTS, f"the video of {clip} that was seen is not the one in the media now"))
    return found, f"{len(unread)} videos that were seen are not in the media any more: {unread[0]}" if unread else ""
