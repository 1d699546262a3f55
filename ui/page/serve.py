"""The server app for `streamlit run`: the page, its scripts, cookie and health, and pictures in two sizes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.ui import logs
from assistant.ui.page import settings
from assistant.ui.page.settings import Sessions
from assistant.vlm.errors import AssistantError

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
# A picture's URL is the hash of its content, so it never changes.
_IMMUTABLE = {"Cache-Control": "private, max-age=31536000, immutable"}


class Scripts(StaticFiles):
    """Static files that browsers revalidate, so that an update takes effect."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        """Send a file, or 304 if it is unchanged."""
        response = super().file_response(*arguments, **named)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def picture(request: Request) -> Response:
    """Send a picture of the store as JPEG, whole or as a thumbnail."""
    is_small = request.url.path.rsplit("/", 2)[-2] == "thumbnails"
    try:
        content = await run_in_threadpool(_content, request, is_small)
    except AssistantError as problem:
        raise HTTPException(404, str(problem)) from problem
    return Response(content, media_type="image/jpeg", headers=_IMMUTABLE)


def _content(request: Request, is_small: bool) -> bytes:
    from assistant.ui.page import resources, visitors  # need a running server

    store = resources.everything()
    if settings.sessions() is Sessions.SEPARATE:
        named = request.headers.getlist(settings.user_header() or "")
        store = resources.store_of(visitors.owner(named, request.cookies, resources.cookie()))
    path = store.image_path(request.path_params["sha256"])
    return resources.thumbnail(path) if is_small else resources.whole(path)


async def health(_: Request) -> Response:
    """Answer 200 while the sessions can be read, else 503; the reason goes to the log, not to strangers."""
    try:
        await run_in_threadpool(_read_sessions)
    except AssistantError:
        logger.warning("the sessions cannot be read", exc_info=True)
        return PlainTextResponse("the sessions cannot be read", 503)
    return PlainTextResponse("ok")


def _read_sessions() -> None:
    from assistant.ui.page import resources  # needs a running server

    resources.everything().list_sessions(1)


class VisitorCookie:
    """Gives every browser that opens the page a cookie by which its sessions are known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the cookie with the page itself, or renew it."""
        if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
            await self._app(scope, receive, send)
            return
        cookie = await run_in_threadpool(_cookie, Request(scope))

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def _cookie(request: Request) -> str:
    from assistant.ui.page import resources, visitors

    cookie = resources.cookie()
    value = request.cookies[cookie.name] if cookie.read(request.cookies) else cookie.new()
    is_secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    flags = f"Max-Age={visitors.COOKIE_SECONDS}; Path=/; HttpOnly; SameSite=Lax{'; Secure' * is_secure}"
    return f"{cookie.name}={value}; {flags}"


if settings.logs_json():
    logs.write_json()

app = st.App(
    FOLDER / "app.py",
    routes=[
        Route("/pictures/{sha256}", picture),
        Route("/thumbnails/{sha256}", picture),
        Route("/healthz", health),
        Mount("/browser", Scripts(directory=FOLDER / "browser")),
    ],
    middleware=[Middleware(VisitorCookie)] if settings.sessions() is Sessions.SEPARATE else [],
)
