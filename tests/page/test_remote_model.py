"""The page with a model on a remote server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from assistant.storage import SessionStore
from assistant.tests.page.page_driver import said, send
from assistant.tests.vlm.model_server import ModelServer, fails, says
from assistant.ui.commands import options
from assistant.ui.page import about, resources
from assistant.vlm.engine.retries import RetryPolicy

BOX = '[{"bbox_2d": [100, 200, 500, 900], "label": "the square"}]'


def test_the_page_asks_the_server_and_keeps_the_turn_where_it_fails(
    open_page: Callable[..., AppTest], store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        RetryPolicy, "from_environment", lambda: RetryPolicy(first_wait=0.01, longest_wait=0.02)
    )
    monkeypatch.setattr(resources, "load_model", options.load_model)
    with ModelServer(usually=says(BOX)) as server:
        monkeypatch.setenv("ASSISTANT_MODEL", server.address)
        assert "Pictures and questions go to 127" in about.summary()
        tab = send(open_page(), "[refer] the square", ("square.png", picture))
        assert "is on the left" in said(tab)
        assert "reports none" in said(tab)
        server.usually = fails(500, "oops")
        tab = send(tab, "[refer] the circle")
        assert "failed (500: oops)" in said(tab)
    (session,) = store.list_sessions()
    assert [turn.model for turn in store.turns(session.id)] == [f"{server.address}#qwen3-vl-4b"] * 2
