"""Several visitors on one page: their own sessions, limits, and links to read."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import typer
from streamlit.testing.v1 import AppTest

from assistant.storage import NewTurn, SessionStore
from assistant.tests.page.conftest import png
from assistant.tests.page.test_page import send, session_of, visible_text
from assistant.ui.commands.page import _whose_sessions
from assistant.ui.logs import JsonLines
from assistant.ui.page import limits, settings, visitors
from assistant.ui.page.settings import Limits, Sessions
from assistant.ui.page.visitors import Cookie, NoVisitorError, owner

Open = Callable[..., AppTest]


@pytest.fixture
def visit(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Open the page with separate sessions, as a visitor."""
    monkeypatch.setenv(settings.SESSIONS, Sessions.SEPARATE)

    def open_as(name: str, session_id: str | None = None) -> AppTest:
        monkeypatch.setattr(visitors, "current", lambda _: f"user {name}")
        return open_page(session_id)

    return open_as


def listed(tab: AppTest) -> list[str]:
    """Return the ids of the sessions in the sidebar that are not open."""
    return [
        str(button.key).removeprefix("open-") for button in tab.button if str(button.key).startswith("open-")
    ]


class TestWho:
    def test_a_cookie_is_read_only_where_it_was_signed(self) -> None:
        here, there = Cookie("secret"), Cookie("another")
        value = here.new()
        assert here.new() != value
        assert here.read({here.name: value})
        assert here.name != there.name
        assert there.read({there.name: value}) is None
        for forged in (value[:-1], value[1:], "", "x.y", "é"):
            assert here.read({here.name: forged}) is None
        assert here.read({}) is None

    def test_a_visitor_is_the_cookie_and_nobody_without_one(self) -> None:
        cookie = Cookie("secret")
        one, other = ({cookie.name: cookie.new()} for _ in range(2))
        assert owner([], one, cookie) == owner([], one, cookie) != owner([], other, cookie)
        with pytest.raises(NoVisitorError, match="allow cookies"):
            owner([], {}, cookie)

    def test_a_proxy_names_the_visitor_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(settings.USER_HEADER, "X-Forwarded-User")
        cookie = Cookie("secret")
        assert owner([" ann "], {}, cookie) == "user ann"
        for names in ([], [""], ["ann", "ben"], ["a" * 300]):
            with pytest.raises(NoVisitorError, match="no user in X-Forwarded-User: open the page through"):
                owner(names, {cookie.name: cookie.new()}, cookie)

    @pytest.mark.parametrize(
        ("shared", "address", "header", "whose"),
        [
            (None, "127.0.0.1", None, Sessions.LOCAL),
            (None, "localhost", None, Sessions.LOCAL),
            (None, "::1", None, Sessions.LOCAL),
            (None, "0.0.0.0", None, Sessions.SEPARATE),
            (None, "pictures.example.org", None, Sessions.SEPARATE),
            (None, "127.0.0.1", "X-Forwarded-User", Sessions.SEPARATE),
            (False, "127.0.0.1", None, Sessions.SEPARATE),
            (True, "0.0.0.0", None, Sessions.SHARED),
        ],
    )
    def test_sessions_are_separate_where_others_can_reach_the_page(
        self, shared: bool | None, address: str, header: str | None, whose: Sessions
    ) -> None:
        assert _whose_sessions(shared, address, header) is whose

    def test_a_header_cannot_tell_apart_visitors_who_share_everything(self) -> None:
        with pytest.raises(typer.BadParameter, match="exclude each other"):
            _whose_sessions(True, "0.0.0.0", "X-Forwarded-User")

    def test_without_a_cookie_the_page_says_in_one_line_what_it_needs(
        self, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(settings.SESSIONS, Sessions.SEPARATE)
        tab = open_page()
        assert [error.value for error in tab.error] == [
            r"this page needs a cookie to keep your sessions\: allow cookies\, and reload it"
        ]
        assert not tab.chat_input or not tab.sidebar.button


class TestSessions:
    def test_a_visitors_session_is_not_shown_to_another(
        self, visit: Callable[..., AppTest], store: SessionStore, picture: bytes
    ) -> None:
        anns = send(visit("ann"), "Where is the square?", ("red.png", picture))
        assert not anns.exception
        session = session_of(anns)
        assert store.get_session(session).owner == "user ann"
        assert listed(visit("ann")) == [session]
        bens = visit("ben", session)
        assert listed(bens) == []
        assert "The square" not in visible_text(bens)
        assert "session" not in bens.query_params

    def test_the_local_user_keeps_the_sessions_of_the_command_line(
        self, open_page: Open, store: SessionStore
    ) -> None:
        mine = store.create_session("mine").id
        store.for_owner("user ann").create_session("hers")
        assert listed(open_page()) == [mine]
        tab = send(open_page(), "[vqa] What is this?", ("red.png", png()))
        assert store.get_session(session_of(tab)).owner is None

    def test_shared_sessions_are_everybodys(
        self, open_page: Open, store: SessionStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(settings.SESSIONS, Sessions.SHARED)
        both = {store.create_session().id, store.for_owner("user ann").create_session().id}
        assert set(listed(open_page())) == both


class TestLimits:
    def test_one_picture_too_many_is_one_line_and_is_not_kept(
        self, visit: Callable[..., AppTest], store: SessionStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(settings.LIMITS, str(Limits(pictures=1)))
        tab = send(visit("ann"), "Where is the square?", ("red.png", png()))
        assert not tab.error
        send(tab, "And here?", ("more.png", png(500)))
        [error] = tab.error
        assert "you have 1 of 1 images\\: delete a session first" in error.value
        assert store.usage().pictures == 1
        assert not send(visit("ben"), "Where is the square?", ("red.png", png(500))).error

    @pytest.mark.parametrize(("megabytes", "fits"), [(1, False), (2, True), (0, True)])
    def test_pictures_may_be_so_large_in_all(
        self, store: SessionStore, monkeypatch: pytest.MonkeyPatch, megabytes: int, fits: bool
    ) -> None:
        monkeypatch.setenv(settings.SESSIONS, Sessions.SEPARATE)
        monkeypatch.setenv(settings.LIMITS, str(Limits(megabytes=megabytes)))
        if fits:
            limits.check_room(store, 1_500_000)
        else:
            with pytest.raises(limits.LimitError, match=r"^your images take 0 of 1 MB: "):
                limits.check_room(store, 1_500_000)

    def test_a_full_queue_refuses_a_question_and_keeps_its_words(
        self, visit: Callable[..., AppTest], store: SessionStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tab = send(visit("ann"), "Where is the square?", ("red.png", png()))
        waiting = limits.Queues[str]()
        waiting.by_session["another tab"] = ["one", "two"]
        monkeypatch.setenv(settings.LIMITS, str(Limits(waiting=2)))
        send(tab, "And the circle?")
        assert [error.value for error in tab.error] == [
            "2 of your questions are waiting\\: ask again when some are answered"
        ]
        assert "And the circle?" in visible_text(tab)
        waiting.by_session.clear()
        tab.button(key="retry").click().run() if any(b.key == "retry" for b in tab.button) else None
        [session] = store.list_sessions()
        assert session.turns in (1, 2)

    def test_a_closed_tabs_questions_no_longer_count(
        self, visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        visit("ann")
        monkeypatch.setenv(settings.LIMITS, str(Limits(waiting=1)))
        tab = limits.Queues[str]()
        tab.by_session[None] = ["one"]
        with pytest.raises(limits.LimitError):
            limits.check_queue()
        del tab
        limits.check_queue()

    def test_the_local_user_has_no_limits(self) -> None:
        assert settings.limits() is None


@pytest.fixture
def linked(store: SessionStore) -> str:
    """A link to a session of another visitor, with a picture and boxes."""
    ann = store.for_owner("user ann")
    image = ann.add_image(png())
    session = ann.create_session("Squares").id
    turn = NewTurn("Where is the <b>square</b>?", "On the left.", image)
    ann.append_turn(session, turn)
    ann.append_turn(session, replace(turn, user="And now?", answer="Still there."))
    link = ann.set_link(session, True)
    assert link is not None
    return link


def follow(open_page: Open, link: str) -> AppTest:
    tab = open_page()
    tab.query_params["link"] = link
    return tab.run()


class TestLinks:
    def test_a_link_shows_the_conversation_and_no_controls(
        self, open_page: Open, linked: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(settings.LINKS, "1")
        tab = follow(open_page, linked)
        assert not tab.exception
        assert not tab.error
        for words in ("Squares", "Where is the &lt;b&gt;square&lt;/b&gt;?", "On the left.", "Still there."):
            assert words in visible_text(tab)
        assert len(tab.get("image")) == 1
        assert [len(found) for found in (tab.chat_input, tab.button, tab.text_input, tab.feedback)] == [0] * 4

    @pytest.mark.parametrize("are_on", [True, False])
    def test_an_unknown_link_and_links_turned_off_are_one_line(
        self, open_page: Open, linked: str, are_on: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(settings.LINKS, "1" if are_on else "")
        tab = follow(open_page, "nonsense" if are_on else linked)
        [error] = tab.error
        assert ("this link is no longer valid" if are_on else "turned off here") in error.value
        assert "Squares" not in visible_text(tab)

    def test_a_session_is_given_a_link_and_it_is_taken_away(
        self, visit: Callable[..., AppTest], store: SessionStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(settings.LINKS, "1")
        tab = send(visit("ann"), "Where is the square?", ("red.png", png()))
        session = session_of(tab)
        tab.toggle(key=f"link-{session}").set_value(True).run()
        link = store.link(session)
        assert link
        assert any(f"?link={link}" in code.value for code in tab.code)
        tab.toggle(key=f"link-{session}").set_value(False).run()
        assert store.link(session) is None

    def test_links_are_off_unless_wanted(self, visit: Callable[..., AppTest]) -> None:
        tab = send(visit("ann"), "Where is the square?", ("red.png", png()))
        assert not any("Link" in toggle.label for toggle in tab.toggle)


def test_a_line_of_the_log_is_json_with_its_facts() -> None:
    record = logging.makeLogRecord(
        {"name": "here", "msg": "%s\nanswered", "args": ("ünder",), "levelno": 20, "levelname": "INFO"}
    )
    record.session, record.tasks = "3fd2", ["refer"]
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "info",
        "logger": "here",
        "message": "ünder\nanswered",
        "session": "3fd2",
        "tasks": ["refer"],
    }
