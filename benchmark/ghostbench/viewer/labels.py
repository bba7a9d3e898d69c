"""The server of `bench label`: clip after clip, without its name, what models said of it, or what others labelled.

What the page sends is written to the annotator's file before it is answered. Times are those of frames: the page says
which frame it shows, and the decoder says when that is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.datasets.bare import videos_in
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import matching, select
from ghostbench.datasets.storage import Media, open_media
from ghostbench.errors import BadInput
from ghostbench.label import COLUMNS, contradiction
from ghostbench.labelling.agree import differ
from ghostbench.labelling.log import EVENT, FIELDS, FRAMES, Draft, Item, LabelLog, begin, checked, hold
from ghostbench.labelling.order import AGAIN, order_for
from ghostbench.labelling.raters import Rater, read_raters
from ghostbench.media.every import every_frame
from ghostbench.records import Clip
from ghostbench.report.escape import plain, without_places
from ghostbench.viewer.frames import jpeg
from ghostbench.viewer.guard import Access, Guard
from ghostbench.viewer.reels import Reel, Reels

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

PAGE: Final = Path(__file__).parent / "page"
_FILES: Final = {"label.js": "text/javascript", "label.css": "text/css", "view.css": "text/css"}
_LARGEST_BODY: Final = 10_000


@dataclass(frozen=True, slots=True)
class Labelling:
    """What one annotator labels, and where it is written down.

    credentials : what opens each clip's media. others : whose labels are shown beside, where disagreements are settled.
    held : what keeps the annotator's file to this process. unasked : how many clips came after the file was begun: its
    order stays.
    """

    log: LabelLog
    clips: Mapping[str, Clip]
    credentials: Mapping[str, Credentials]
    others: Sequence[Rater] = ()
    held: IO[bytes] | None = None
    unasked: int = 0


def labelling_of(queries: Sequence[SplitQuery], annotator: str, out: Path, settle: Sequence[str] = ()) -> Labelling:
    """An annotator's labelling of the clips of these data sets, with media; `out` is begun, or gone on with. A data
    set may be a folder of videos.

    settle : files of other annotators, whose disagreements alone are asked, and shown.

    Raises `BadInput`, also where no clip has media, and where the annotators agree.
    """
    clips: dict[str, Clip] = {}
    credentials: dict[str, Credentials] = {}
    names = []
    for query in queries:
        name, of, opening = _asked(query)
        names.append(name)
        for clip in of:
            if clip.media is not None and clips.setdefault(clip.id, clip) is not clip:
                raise BadInput(f"clip {clip.id} is in two of the data sets; label them one after the other")
            credentials[clip.id] = opening
    if not clips:
        raise BadInput("none of these clips has media; say where it is with --data-root")
    others = read_raters(settle) if settle else []
    asked = [clip for clip in clips if not others or differ([rater.ratings.get(clip) for rater in others])]
    if not asked:
        raise BadInput("these annotators do not differ on any of these clips: there is nothing to settle")
    order = order_for(annotator, asked, again=0 if others else AGAIN)
    held = hold(out)
    log = begin(out, annotator, "+".join(names), order)
    gone = next((clip for clip, _ in log.items if clip not in clips), None)
    if gone is not None:
        raise BadInput(f"{out} asks for {gone}, which has no media here; give the data set that it was begun with")
    known = {clip for clip, _ in log.items}
    return Labelling(log, clips, credentials, others, held, sum(clip not in known for clip in asked))


def _asked(query: SplitQuery) -> tuple[str, Sequence[Clip], Credentials]:
    """The name of what is to be labelled, its clips, a data set's or the videos of a folder, and what opens them."""
    if not os.path.isdir(query.dataset):
        split = select(query)
        return split.dataset, split.clips, split.credentials
    if query.labels is not None or query.data_root is not None:
        raise BadInput("a folder of videos has its clips in it: leave out --labels and --data-root")
    clips = videos_in(os.path.abspath(query.dataset))
    if query.clips is not None:
        clips = tuple(matching(query.clips, clips, []))
    return os.path.basename(os.path.abspath(query.dataset)), clips, NO_CREDENTIALS


def application(labelling: Labelling, access: Access) -> ASGIApp:
    """The server at which one annotator labels."""
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    served = _Served(labelling)

    def file(request: Request) -> Response:
        name = request.path_params.get("name", "label.html")
        kind = _FILES.get(name) if name != "label.html" else "text/html"
        if kind is None:
            return _json({"error": "there is no such file"}, 404)
        return Response((PAGE / name).read_bytes(), media_type=kind, headers={"cache-control": "no-store"})

    def picture(request: Request) -> Response:
        found = served.picture(request.path_params["n"], request.path_params["index"])
        if found is None:
            return _json({"error": "there is no frame of that number"}, 404)
        return Response(found, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    async def change(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        body = await request.body()
        try:
            line = json.loads(body) if len(body) <= _LARGEST_BODY else None
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict):
            return _json({"error": "no JSON object"}, 400)
        return await run_in_threadpool(told(lambda: served.change(request.path_params["n"], line)))

    def told(give: Callable[[], Any]) -> Callable[[], Response]:
        def answer() -> Response:
            try:
                return _json(give())
            except (BadInput, ValueError) as error:
                return _json({"error": without_places(plain(str(error)))}, 400)

        return answer

    routes = [
        Route("/", file),
        Route("/page/{name}", file),
        Route("/api/label", lambda _: told(served.summary)()),
        Route("/api/label/{n:int}", lambda request: told(lambda: served.item(request.path_params["n"]))()),
        Route("/api/label/{n:int}", change, methods=["POST"]),
        Route("/api/label/{n:int}/frames/{index:int}", picture),
    ]
    return Guard(Starlette(routes=routes), access, changes=True)


class _Served:
    """What the page asks for."""

    def __init__(self, labelling: Labelling) -> None:
        self._labelling, self._log = labelling, labelling.log
        self._reels = Reels()
        self._digests: dict[str, str] = {}

    def summary(self) -> dict[str, Any]:
        """Who labels, what can be said, and which items are done."""
        done = [self._draft(item).done for item in self._log.items]
        return {"annotator": plain(self._log.annotator), "fields": dict(FIELDS), "done": done}

    def item(self, n: int) -> dict[str, Any]:
        """An item as far as it is labelled, and its frames; nothing that names it."""
        item = self._item(n)
        draft, reel = self._draft(item), self._reel(item)
        stated = {"values": draft.values, "frames": draft.frames, "done": draft.done, "can_undo": bool(draft.history)}
        return {**stated, "again": item[1] == 1, "clip": reel.state(), "others": self._others(item[0])}

    def picture(self, n: int, index: int) -> bytes | None:
        """One frame as JPEG; None where there is none. Waits while it is still to be decoded."""
        return self._reel(self._item(n)).picture(index)

    def change(self, n: int, line: Mapping[str, Any]) -> dict[str, Any]:
        """Write down what the page says of an item. Raises `ValueError` for what it cannot say."""
        item = self._item(n)
        if "set" in line:
            self._set(item, str(line["set"]), line)
        elif line.get("undo") is True:
            self._log.append(item, undo=True)
        elif line.get("done") is True:
            self._check_done(item)
            self._log.append(item, done=True)
        else:
            raise ValueError("nothing to write down")
        return self.item(n)

    def _check_done(self, item: Item) -> None:
        """Raise `ValueError` where nobody can have seen the clip, and where no label file could hold what is said."""
        reel = self._reel(item)
        if reel.done and not reel.count:
            raise ValueError(f"no frame of this clip can be shown ({reel.error}): go on with ] and leave it")
        rating = self._draft(item).rating(None)
        if rating is None:
            raise ValueError("say first what the clip shows: keys 1, 2 and 3")
        wrong = contradiction(rating.labels)
        if wrong is not None:
            raise ValueError(f"{wrong}: set one of them anew")

    def _set(self, item: Item, name: str, line: Mapping[str, Any]) -> None:
        frame = line.get("frame")
        if FIELDS.get(name) != "seconds" or frame is None:
            value = checked(name, None if FIELDS.get(name) == "seconds" else line.get("value"))
            self._know_media(item)
            self._log.append(item, set=name, value=value)
            return
        times = self._times(item)
        if not isinstance(frame, int) or isinstance(frame, bool) or not 0 <= frame < len(times):
            raise ValueError("there is no frame of that number")
        self._know_media(item)
        self._log.append(item, set=name, value=round(times[frame], 6), frame=frame)

    def _times(self, item: Item) -> list[float]:
        """When each frame is shown."""
        reel = self._reel(item)
        reel.wait()
        if not reel.times:
            raise ValueError(reel.error or "the clip is still being decoded: try again")
        return reel.times

    def _reel(self, item: Item) -> Reel:
        """The clip's frames, whose decoding begins now where it has not."""

        def fill(reel: Reel) -> None:
            times: list[float] = []
            clip = item[0]
            for pixels in every_frame(str(self._labelling.clips[clip].media), times, self._labelling.credentials[clip]):
                reel.add(jpeg(pixels))
            reel.times = times

        return self._reels.of(item[0], fill)

    def _know_media(self, item: Item) -> None:
        """Note what is looked at before anything is said of it. Raises `ValueError` where it is no longer the same."""
        clip = item[0]
        if clip not in self._digests:
            self._digests[clip] = self._digest(clip)
        known = self._draft(item).media
        if known is None:
            self._log.append(item, media=self._digests[clip])
        elif known != self._digests[clip]:
            raise ValueError("this video is not the one of which it was said before: its file has changed since")

    def _digest(self, clip: str) -> str:
        media = Media.parse(str(self._labelling.clips[clip].media))
        if media.kind == "frames":
            return FRAMES
        location = media.opened_with(self._labelling.credentials[clip])
        with open_media(location, within=media.within) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]

    def _item(self, n: int) -> Item:
        if not 0 <= n < len(self._log.items):
            raise ValueError("there is no such clip")
        return self._log.items[n]

    def _draft(self, item: Item) -> Draft:
        return self._log.drafts.get(item) or Draft()

    def _others(self, clip: str) -> list[dict[str, Any]]:
        return [
            {"name": plain(rater.name), "values": {"truth": one.truth, EVENT: one.event_s, **said}}
            for rater in self._labelling.others
            if (one := rater.ratings.get(clip)) is not None
            for said in [{name: getattr(one.labels, name) for name in COLUMNS if name != "annotator"}]
        ]


def _json(value: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    content = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return Response(content, status_code=status, media_type="application/json", headers={"cache-control": "no-store"})
