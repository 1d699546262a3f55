"""The server app for `streamlit run`: the page, its scripts, and pictures at full and thumbnail size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from assistant.vlm.errors import AssistantError

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
        content = await run_in_threadpool(_content, request.path_params["sha256"], is_small)
    except AssistantError as problem:
        raise HTTPException(404, str(problem)) from problem
    return Response(content, media_type="image/jpeg", headers=_IMMUTABLE)


def _content(sha256: str, is_small: bool) -> bytes:
    from assistant.ui.page import resources  # needs a running server

    path = resources.store().image_path(sha256)
    return resources.thumbnail(path) if is_small else resources.whole(path)


app = st.App(
    FOLDER / "app.py",
    routes=[
        Route("/pictures/{sha256}", picture),
        Route("/thumbnails/{sha256}", picture),
        Mount("/browser", Scripts(directory=FOLDER / "browser")),
    ],
)
