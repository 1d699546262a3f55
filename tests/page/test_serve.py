"""What the page's server serves besides the page."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from unittest.mock import MagicMock

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from assistant.storage import SessionStore, StorageError
from assistant.ui.page import resources, serve, visitors

REQUEST = Request({"type": "http", "method": "GET", "path": "/healthz", "headers": []})


def health() -> Response:
    """Ask in a thread of its own: the browser's tests leave an event loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, serve.health(REQUEST)).result()


def test_health_is_ok_while_the_sessions_can_be_read(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "everything", lambda: store)
    answer = health()
    assert (answer.status_code, answer.body) == (200, b"ok")


def test_health_tells_strangers_nothing_of_the_database(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def everything() -> SessionStore:
        raise StorageError("db.lan/assistant cannot be used")

    monkeypatch.setattr(resources, "everything", everything)
    answer = health()
    assert (answer.status_code, answer.body) == (503, b"the sessions cannot be read")
    assert "db.lan" in caplog.text


def test_the_page_gives_a_browser_a_cookie_that_scripts_cannot_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = visitors.Cookie("secret")
    monkeypatch.setattr(resources, "cookie", lambda: cookie)
    app = Starlette(
        routes=[Route("/", serve.health)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=serve.name_visitor)],
    )
    monkeypatch.setattr(resources, "everything", lambda: MagicMock(SessionStore))
    page, behind_tls = {"accept": "text/html"}, {"accept": "text/html", "x-forwarded-proto": "https"}
    with TestClient(app) as browser:
        assert "set-cookie" not in browser.get("/").headers
        first = browser.get("/", headers=page)
        assert f"Max-Age={visitors.COOKIE_SECONDS}; Path=/; SameSite=lax" in first.headers["set-cookie"]
        assert "HttpOnly" in first.headers["set-cookie"]
        assert "Secure" not in first.headers["set-cookie"]
        again = browser.get("/", headers=behind_tls)
        assert "Secure" in again.headers["set-cookie"]
        assert again.cookies[cookie.name] == first.cookies[cookie.name]
        browser.cookies.set(cookie.name, "forged")
        assert cookie.read(browser.get("/", headers=page).cookies)


def test_a_region_of_a_picture_is_sent_as_a_thumbnail(
    store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "everything", lambda: store)
    sha256 = store.add_image(picture).sha256
    with TestClient(Starlette(routes=[Route("/parts/{sha256}/{region}", serve.picture)])) as browser:
        part = Image.open(BytesIO(browser.get(f"/parts/{sha256}/0,0,50,25").content))
        assert (part.format, part.size) == ("JPEG", (280, 112))
        line = Image.open(BytesIO(browser.get(f"/parts/{sha256}/100,0,100,0").content))
        assert line.size == (1, 1)
        for wrong in (f"{sha256}/1,2,3", f"{sha256}/a,b,c,d", f"{sha256}/9,9,1,1", f"{'0' * 64}/0,0,1,1"):
            assert browser.get(f"/parts/{wrong}").status_code == 404
