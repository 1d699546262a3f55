"""The page with a model on a remote server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from assistant.storage import SessionStore
from assistant.tests.page.page_driver import send, visible_text
from assistant.tests.vlm.model_server import Answer, ModelServer, drops, fails, is_silent, says, sends
from assistant.ui import loading
from assistant.ui.page import about, resources
from assistant.vlm.engine.retries import RetryPolicy

BOX = '[{"bbox_2d": [100, 200, 500, 900], "label": "the square"}]'


@pytest.fixture(autouse=True)
def remote(
    open_page: Callable[..., AppTest],  # noqa: ARG001 - names a scripted model first
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Load the named model, and soon give up waiting for it."""
    policy = RetryPolicy(silence=5, answer=60, first_wait=0.01, longest_wait=0.02)
    monkeypatch.setattr(RetryPolicy, "from_environment", lambda: policy)
    monkeypatch.setattr(resources, "load_model", loading.load_model)


def test_the_page_asks_the_server_and_keeps_the_turn_where_it_fails(
    open_page: Callable[..., AppTest], store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer(usually=says(BOX)) as server:
        monkeypatch.setenv("ASSISTANT_MODEL", server.address)
        assert "Images and questions go to 127" in about.summary()
        tab = send(open_page(), "[refer] the square", ("square.png", picture))
        assert "is on the left" in visible_text(tab)
        assert "reports none" in visible_text(tab)
        server.usually = fails(500, "oops")
        tab = send(tab, "[refer] the circle")
        assert "failed (500: oops)" in visible_text(tab)
    (session,) = store.list_sessions()
    assert [turn.model for turn in store.turns(session.id)] == [f"{server.address}#qwen3-vl-4b"] * 2


@pytest.mark.parametrize(
    ("trouble", "line"),
    [
        (None, "nothing answers at"),
        (is_silent(), "was silent for 5 s"),
        (fails(429, "slow down"), "is asked too much (429: slow down) (tried 4 times)"),
        (drops("[{"), "broke the connection off (tried 4 times)"),
        (sends(b"<html>hello</html>"), "does not speak the OpenAI chat API"),
    ],
    ids=["dead", "silent", "rate limit", "broken off", "lying"],
)
def test_a_turn_survives_every_server_failure_and_can_be_retried(
    trouble: Answer | None,
    line: str,
    open_page: Callable[..., AppTest],
    store: SessionStore,
    picture: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = ModelServer(usually=trouble)
    monkeypatch.setenv("ASSISTANT_MODEL", f"{server.address}#qwen3-vl-4b")
    tab = open_page()
    if trouble is None:
        server.stop()
    send(tab, "[refer] the square", ("square.png", picture))
    assert not tab.exception
    assert line in visible_text(tab)
    (session,) = store.list_sessions()
    assert [turn.user for turn in store.turns(session.id)] == ["[refer] the square"]
    if trouble is not None:
        server.usually = says(BOX)
        tab.button(key="again").click().run()
        assert "is on the left" in visible_text(tab)
        assert len(store.turns(session.id)) == 1
        server.stop()
