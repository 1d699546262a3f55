"""What the page's server serves besides the page."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.requests import Request
from starlette.responses import Response

from assistant.storage import SessionStore, StorageError
from assistant.ui.page import resources, serve

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
