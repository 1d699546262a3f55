"""What people do while an answer is running."""

from __future__ import annotations

import threading
import time

import pytest
from streamlit.testing.v1 import AppTest

from assistant.storage import (
    SessionStore,
    StorageError,
    StoredTurn,
)
from assistant.tests.page.page_driver import (
    Open,
    draw_box,
    only_session,
    send,
    session_of,
)
from assistant.tests.ui.fakes import ScriptedEngine
from assistant.ui.page import (
    conversation,
    state,
)
from assistant.ui.page.answering import Answering
from assistant.ui.page.text import plain
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task


class Slow:
    """A model that blocks on a question, and a page that does not wait for it."""

    def __init__(self, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._gate = threading.Event()
        self._engine = engine
        self._monkeypatch = monkeypatch

    def hold(self) -> None:
        self._engine.answers[Task.VQA] = lambda _: "brown" if self._gate.wait(20) else "too late"
        self._monkeypatch.setattr(conversation, "POLL_SECONDS", 0)

    def let_go(self, session_id: str | None = None) -> None:
        """Let the model answer; if a session is given, wait for the end of its answer."""
        running = state.running(session_id) if session_id else None
        self._gate.set()
        self._monkeypatch.setattr(conversation, "POLL_SECONDS", 20)
        assert running is None or running.answering.wait(20)


@pytest.fixture
def slow(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, open_page: Open) -> Slow:  # noqa: ARG001
    return Slow(engine, monkeypatch)


def keys(tab: AppTest) -> set[str | None]:
    return {button.key for button in tab.button}


def test_nothing_is_regenerated_while_an_answer_is_running(
    open_page: Open, store: SessionStore, picture: bytes, slow: Slow
) -> None:
    tab = send(open_page(), "Describe this picture", ("red.png", picture))
    send(tab, "Where is the square?")
    slow.hold()
    tab.pills(key="task").set_value(Task.VQA).run()
    tab.button(key="again").click().run()
    assert "stop" in keys(tab)
    assert "again" not in keys(tab)
    slow.let_go(session_of(tab))
    tab.run()
    assert "again" in keys(tab)
    assert [turn.steps[0].task for turn in store.turns(session_of(tab))] == [Task.CAPTION, Task.VQA]


def test_a_question_queued_in_a_new_session_is_asked_there_after_the_tab_moved_on(
    open_page: Open, store: SessionStore, picture: bytes, slow: Slow
) -> None:
    other = store.create_session("Another").id
    slow.hold()
    tab = send(open_page(), "What colour is it?", ("red.png", picture))
    send(tab, "Where is the square?")
    tab.button(key=f"open-{other}").click().run()
    tab.button(key="new").click().run()
    slow.let_go()
    made = wait_for_another(store, other)
    tab.run().button(key=f"open-{made}").click().run()
    assert [turn.user for turn in store.turns(made)] == ["What colour is it?", "Where is the square?"]


def wait_for_another(store: SessionStore, known: str) -> str:
    """Return the other session than a known one, once it has a turn."""
    for _ in range(200):
        for session in store.list_sessions():
            if session.id != known and session.turns:
                return session.id
        time.sleep(0.05)
    raise AssertionError("no session was made")


def test_an_error_is_shown_in_every_tab_of_the_session(
    open_page: Open, picture: bytes, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = send(open_page(), "Describe this picture", ("red.png", picture))
    slow.hold()
    session_id = session_of(first)
    send(first, "What colour is it?")
    second = open_page(session_id)
    assert "stop" in keys(second)
    monkeypatch.setattr(SessionStore, "append_turn", _full)
    slow.let_go(session_id)
    assert [error.value for error in second.run().error] == [plain("the disk is full; not saved: Brown.")]
    assert [error.value for error in first.run().error] == [error.value for error in second.error]


def _full(*_: object) -> StoredTurn:
    raise StorageError("the disk is full")


def test_a_box_belongs_to_one_question_and_not_to_the_next_in_the_queue(
    open_page: Open, store: SessionStore, picture: bytes, slow: Slow
) -> None:
    tab = send(open_page(), "", ("red.png", picture))
    slow.hold()
    send(draw_box(tab, picture, [200, 160, 500, 480]), "What colour is it?")
    assert "what" not in keys(tab)
    send(tab, "How large is it?")
    slow.let_go()
    tab.run()
    tab.run()
    assert [turn.region for turn in store.turns(only_session(store))] == [Box(20, 20, 50, 60), None]


def test_two_tabs_that_ask_at_once_are_answered_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(_: state.Question) -> Answering:
        begun.append(1)
        time.sleep(0.1)
        return object()  # type: ignore[return-value]

    begun: list[int] = []
    progress = state._Progress()
    monkeypatch.setattr(state, "_shared_progress", lambda: progress)
    monkeypatch.setattr(state, "waiting_questions", lambda _: [state.Question("?", None)])
    tabs = [threading.Thread(target=state.start_next, args=("session", slowly)) for _ in range(2)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert len(begun) == 1
