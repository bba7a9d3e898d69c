"""The server of `bench view`: a page, its script and style, and what they ask for as JSON and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostbench.datasets.granted import Granted
from ghostbench.errors import BadInput
from ghostbench.report.escape import plain, without_places
from ghostbench.viewer.frames import Frames, Sampled
from ghostbench.viewer.guard import Access, Guard
from ghostbench.viewer.runs import Runs, own_id

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

PAGE = Path(__file__).parent / "page"
_FILES = {"view.js": "text/javascript", "view.css": "text/css"}


def application(results: Path, granted: Granted, access: Access) -> ASGIApp:
    """The server over a folder of runs. granted : where media may be looked for."""
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    runs, frames = Runs(results), Frames(granted)

    def page(request: Request) -> Response:
        text = (PAGE / "view.html").read_text(encoding="utf-8")
        return Response(text, media_type="text/html", headers={"cache-control": "no-store"})

    def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return _refused("there is no such file")
        text = (PAGE / name).read_text(encoding="utf-8")
        return Response(text, media_type=_FILES[name], headers={"cache-control": "no-store"})

    def picture(request: Request) -> Response:
        run = runs.folder(request.path_params["run"])
        sampled = Sampled.of(run, own_id(run, request.query_params.get("clip", "")))
        found = frames.picture(run.header.dataset, sampled, int(request.path_params["index"]))
        if found is None:
            return _refused("there is no frame of that number")
        return Response(found, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    def reel(request: Request) -> Any:
        run = runs.folder(request.path_params["run"])
        sampled = Sampled.of(run, own_id(run, request.query_params.get("clip", "")))
        return {**frames.reel(run.header.dataset, sampled).state(), "sampled": list(sampled.frame_indices)}

    def told(give: Callable[[Request], Any]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            try:
                found = give(request)
            except BadInput as error:
                return _refused(without_places(plain(str(error))))
            if isinstance(found, Response):
                return found
            text = json.dumps(found, ensure_ascii=False, allow_nan=False)
            content = text.encode("utf-8", "replace")
            return Response(content, media_type="application/json", headers={"cache-control": "no-store"})

        return answer

    routes = [
        Route("/", page),
        Route("/page/{name}", file),
        Route("/api/runs", told(lambda _: {"results": plain(results.resolve().name), "runs": runs.table()})),
        Route("/api/runs/{run}", told(lambda request: runs.detail(request.path_params["run"]))),
        Route("/api/runs/{run}/index", told(lambda request: runs.index(request.path_params["run"]))),
        Route(
            "/api/runs/{run}/clip",
            told(lambda request: runs.clip(request.path_params["run"], request.query_params.get("clip", ""))),
        ),
        Route("/api/runs/{run}/frames", told(reel)),
        Route("/api/runs/{run}/frames/{index:int}", told(picture)),
    ]
    return Guard(Starlette(routes=routes), access)


def serve(app: ASGIApp, access: Access) -> None:
    """Answer until Ctrl-C. Raises `BadInput` where the port cannot be had."""
    import socket

    family = socket.AF_INET6 if ":" in access.host else socket.AF_INET
    try:
        listening = socket.create_server((access.host, access.port), family=family)
    except OSError as error:
        raise BadInput(f"port {access.port} of {access.host} cannot be had: {error.strerror}; choose --port") from None
    with listening:
        server_of(app).run(sockets=[listening])


def server_of(app: ASGIApp) -> uvicorn.Server:
    """What answers with it, and says nothing of itself."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
    )


def _refused(words: str) -> Response:
    from starlette.responses import Response

    content = json.dumps({"error": words}, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status_code=404, media_type="application/json", headers={"cache-control": "no-store"})
