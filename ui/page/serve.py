"""The server app for `streamlit run`: the page, its scripts, cookie and health, and images."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from assistant.ui import logs
from assistant.ui.page import settings
from assistant.ui.page.settings import Sessions
from assistant.vlm.errors import AssistantError
from assistant.vlm.grounding import Box

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
# A picture's URL is the hash of its content, so it never changes.
_IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}


class Revalidated(StaticFiles):
    """Static files that browsers revalidate, so that an update takes effect."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        """Send a file, or 304 if it is unchanged."""
        response = super().file_response(*arguments, **named)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def picture(request: Request) -> Response:
    """Send an image of the store as JPEG: whole, as a thumbnail, or a thumbnail of a region."""
    try:
        content = await run_in_threadpool(_content, request)
    except (AssistantError, ValueError, TypeError) as problem:  # no region if not an AssistantError
        raise HTTPException(404, str(problem)) from problem
    return Response(content, media_type="image/jpeg", headers=_IMMUTABLE)


def _content(request: Request) -> bytes:
    from assistant.ui.page import resources, visitors  # need a running server

    store = resources.everything()
    if settings.sessions() is Sessions.SEPARATE:
        named = request.headers.getlist(settings.user_header() or "")
        store = resources.store_of(visitors.owner(named, request.cookies, resources.cookie()))
    path = store.image_path(request.path_params["sha256"])
    if region := request.path_params.get("region"):
        return resources.part(path, Box(*map(int, region.split(","))))
    return resources.thumbnail(path) if "/thumbnails/" in request.url.path else resources.whole(path)


async def health(_: Request) -> Response:
    """Answer 200 while the sessions can be read, else 503; the reason goes to the log, not to strangers."""
    from assistant.ui.page import resources  # needs a running server

    try:
        await run_in_threadpool(lambda: resources.everything().list_sessions(1))
    except AssistantError:
        logger.warning("the sessions cannot be read", exc_info=True)
        return PlainTextResponse("the sessions cannot be read", 503)
    return PlainTextResponse("ok")


async def name_visitor(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Give every browser that opens the page a cookie that identifies its visitor, or renew it."""
    if "text/html" not in request.headers.get("accept", ""):
        return await call_next(request)
    from assistant.ui.page import resources, visitors  # need a running server

    cookie = await run_in_threadpool(resources.cookie)
    response = await call_next(request)
    response.set_cookie(
        cookie.name,
        request.cookies[cookie.name] if cookie.read(request.cookies) else cookie.new(),
        max_age=visitors.COOKIE_SECONDS,
        secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto")),
        httponly=True,
    )
    return response


if settings.logs_json():
    logs.write_json()

app = st.App(
    FOLDER / "app.py",
    routes=[
        Route("/pictures/{sha256}", picture),
        Route("/thumbnails/{sha256}", picture),
        Route("/parts/{sha256}/{region}", picture),
        Route("/healthz", health),
        Mount("/browser", Revalidated(directory=FOLDER / "browser")),
        Mount("/samples", Revalidated(directory=FOLDER.parent / "samples")),
    ],
    middleware=[Middleware(BaseHTTPMiddleware, dispatch=name_visitor)]
    if settings.sessions() is Sessions.SEPARATE
    else [],
)
