"""What the page's server answers beside the page itself."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from assistant.storage import SessionStore, StorageError
from assistant.ui.page import resources, serve

REQUEST = Request({"type": "http", "method": "GET", "path": "/healthz", "headers": []})


def test_health_is_ok_while_the_sessions_can_be_read(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "everything", lambda: store)
    answer = asyncio.run(serve.health(REQUEST))
    assert (answer.status_code, answer.body) == (200, b"ok")


def test_health_tells_strangers_nothing_of_the_database(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def everything() -> SessionStore:
        raise StorageError("db.lan/assistant cannot be used")

    monkeypatch.setattr(resources, "everything", everything)
    answer = asyncio.run(serve.health(REQUEST))
    assert (answer.status_code, answer.body) == (503, b"the sessions cannot be read")
    assert "db.lan" in caplog.text
