"""What `streamlit run` serves: the page, and beside it its scripts and the pictures at full size."""

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
# The address of a picture is the hash of its content, so that it never changes.
_FOR_GOOD = {"Cache-Control": "private, max-age=31536000, immutable"}


class Scripts(StaticFiles):
    """Files that a browser asks for again after an update of the program."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        """Send a file, or say that it is as it was."""
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
    return Response(content, media_type="image/jpeg", headers=_FOR_GOOD)


def _content(sha256: str, is_small: bool) -> bytes:
    from assistant.ui.page import resources  # it wants a server that runs

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
