"""The page's reactions to users, without a browser."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Feedback

from assistant.agent.tool_calling_planner import ToolCallingPlanner
from assistant.agent.turn import NOTHING_SAID
from assistant.storage import (
    LabelledBox,
    NewTurn,
    SessionStore,
    StorageError,
    StoredImage,
    StoredStep,
    StoredTurn,
)
from assistant.tests.page.conftest import png
from assistant.tests.tools.fakes import calls, script
from assistant.tests.ui.fakes import ScriptedEngine
from assistant.ui.page import (
    about,
    conversation,
    exports,
    resources,
    settings,
    sidebar,
    state,
    training_export,
)
from assistant.ui.page.answering import Answering
from assistant.ui.page.text import plain
from assistant.vlm.answers import Request
from assistant.vlm.data.records import Record, TaskTurn
from assistant.vlm.data.sources.own import OwnRecords
from assistant.vlm.errors import WeightsError
from assistant.vlm.grounding import Box, GroundedPhrase, parse
from assistant.vlm.tasks import Task

Open = Callable[..., AppTest]


def send(tab: AppTest, message: str = "", *files: tuple[str, bytes]) -> AppTest:
    """Send a message with files, as the chat input does."""
    field = tab.chat_input(key="ask")
    for name, content in files:
        field = field.upload(name, content, "image/png")
    return field.set_value(message).run()


def said(tab: AppTest) -> str:
    """Return all text of people and models on the page, as HTML."""
    return "\n".join(element.value for element in tab.html)


def session_of(tab: AppTest) -> str:
    """Return the session id in the tab's URL."""
    value = tab.query_params["session"]
    return value if isinstance(value, str) else value[0]


def only_session(store: SessionStore) -> str:
    [session] = store.list_sessions()
    return session.id


def thumbs(tab: AppTest) -> Feedback:
    """Return the thumbs of the last answer."""
    return tab.feedback[-1]


def draw_box(tab: AppTest, picture: bytes, corners: list[int]) -> AppTest:
    """Draw a box on a picture before the first question about it."""
    box = {"corners": corners, "asked": 0}
    tab.session_state[f"picture-{hashlib.sha256(picture).hexdigest()[:12]}"] = {"box": box}
    return tab.run()


def test_an_upload_with_a_question_is_answered_with_boxes(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    assert not tab.exception
    assert "The square is" in said(tab)
    assert tab.expander[0].label.replace("\\", "").startswith("Found the square (83%), ")
    assert "[refer]" in said(tab)
    [turn] = store.turns(only_session(store))
    assert turn.image is not None
    assert turn.steps[0].phrases[0].boxes == (Box(12, 30, 35, 92),)
    assert session_of(tab) == turn.session_id


def test_a_sample_is_picked_and_described(open_page: Open, store: SessionStore) -> None:
    tab = open_page()
    tab.button(key="sample-Cat").click().run()
    tab.button(key="try-Describe it").click().run()
    assert not tab.exception
    [turn] = store.turns(only_session(store))
    assert turn.steps[0].task == Task.CAPTION


def test_a_task_picked_by_hand_takes_the_place_of_the_plan(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = open_page()
    tab.pills(key="task").set_value(Task.DETECTION).run()
    send(tab, "Where is the dog?", ("red.png", picture))
    [turn] = store.turns(only_session(store))
    assert turn.steps[0].task == Task.DETECTION


def test_a_chat_model_plans_where_the_command_named_one(
    open_page: Open, store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []

    def load(name: str) -> ToolCallingPlanner:
        named.append(name)
        return ToolCallingPlanner(script(calls(("caption", {}))))

    monkeypatch.setattr(ToolCallingPlanner, "load", load)
    monkeypatch.setenv(settings.PLANNER, "fake:model")
    tab = send(open_page(), "Where is the dog?", ("red.png", picture))
    send(tab, "And the cat?")
    turns = store.turns(only_session(store))
    assert [turn.steps[0].task for turn in turns] == [Task.CAPTION] * 2
    assert named == ["fake:model"]
    assert "reads the messages" in about.summary()


def test_a_drawn_box_is_the_region_asked_about_and_gone_with_the_answer(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "", ("red.png", picture))
    draw_box(tab, picture, [200, 160, 500, 480]).button(key="what").click().run()
    assert not tab.exception
    [turn] = store.turns(only_session(store))
    assert turn.steps[0].task == Task.IDENTIFY
    assert turn.region == Box(20, 20, 50, 60)
    assert not [button for button in tab.button if button.key == "what"]


def test_any_question_may_be_about_the_drawn_box(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "", ("red.png", picture))
    send(draw_box(tab, picture, [200, 160, 500, 480]), "What colour is it?")
    [turn] = store.turns(only_session(store))
    assert turn.region == Box(20, 20, 50, 60)


def two_pictures(picture: bytes) -> list[tuple[str, bytes]]:
    other = BytesIO()
    Image.new("RGB", (60, 40), "blue").save(other, "PNG")
    return [("a.png", picture), ("b.png", other.getvalue())]


def widths(turns: list[StoredTurn]) -> list[int]:
    return [turn.image.width for turn in turns if turn.image]


def test_a_question_is_asked_of_every_picture_that_comes_with_it_and_answered_together(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the dog?", *two_pictures(picture)).run()
    assert not tab.exception
    turns = store.turns(session_of(tab))
    assert widths(turns) == [1000, 60]
    assert [turn.user for turn in turns] == ["Where is the dog?"] * 2
    assert "Found in all of the 2 pictures:" in [text.value for text in tab.markdown]
    assert said(tab).count("<tr>") == 2


def test_a_question_is_about_all_pictures_added_at_once_or_about_the_one_looked_at(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "", *two_pictures(picture))
    send(tab, "Describe this picture").run()
    session_id = session_of(tab)
    assert widths(store.turns(session_id)) == [1000, 60]
    send(tab, "What colour is it?").run()
    assert widths(store.turns(session_id))[2:] == [1000, 60]
    tab.toggle(key=state.all_key(session_id)).set_value(False).run()
    tab.session_state[f"pictures-{session_id}"] = {"picked": 0}
    send(tab.run(), "What colour is it?")
    assert widths(store.turns(session_id))[4:] == [1000]


def test_a_drawn_box_is_about_its_own_picture_alone(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "", *two_pictures(picture))
    send(draw_box(tab, picture, [200, 160, 500, 480]), "What colour is it?").run()
    [turn] = store.turns(session_of(tab))
    assert (widths([turn]), turn.region) == ([1000], Box(20, 20, 50, 60))


PERHAPS = "Found in picture 1, perhaps found in picture 2 of 2:"


@pytest.mark.parametrize(
    ("question", "task", "verdict"),
    [
        ("Which of these has a dog?", Task.REFER, PERHAPS),
        ("In which picture is there a dog?", Task.REFER, PERHAPS),
        ("What is the difference between the two pictures?", Task.CAPTION, "All 2 pictures:"),
        ("Is it brown?", Task.VQA, "Yes in picture 1, no in picture 2 of 2:"),
        ("What colour is it?", Task.VQA, "All 2 pictures:"),
    ],
)
def test_a_question_about_several_pictures_gets_one_answer(
    question: str,
    task: Task,
    verdict: str,
    open_page: Open,
    store: SessionStore,
    engine: ScriptedEngine,
    picture: bytes,
) -> None:
    def of(request: Request) -> str:
        assert request.image is not None
        is_first = request.image.width > 60
        engine.score = 0.83 if is_first else 0.3
        if task is Task.REFER:
            return "{<12><30><35><92>}"
        return ("yes" if is_first else "no") if question.startswith("Is") else "red"

    engine.answers[task] = of
    tab = send(open_page(), question, *two_pictures(picture)).run()
    turns = store.turns(session_of(tab))
    assert [turn.steps[0].task for turn in turns] == [task] * 2
    assert verdict in [text.value for text in tab.markdown]


@pytest.mark.parametrize(("found", "verdict"), [(True, "Found in all of"), (False, "Found in none of")])
def test_what_all_or_no_pictures_have_is_said_so(
    found: bool, verdict: str, open_page: Open, engine: ScriptedEngine, picture: bytes
) -> None:
    engine.answers[Task.REFER] = "{<12><30><35><92>}" if found else "none"
    tab = send(open_page(), "Where is the dog?", *two_pictures(picture)).run()
    assert f"{verdict} the 2 pictures:" in [text.value for text in tab.markdown]


def test_no_picture_is_left_out_when_the_question_about_it_fails(
    open_page: Open, store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(resources, "load_model", _fail)
        tab = send(open_page(), "Where is the dog?", *two_pictures(picture)).run()
        assert len(tab.error) == 2
    tab.button(key="retry-1").click().run()
    assert len(tab.error) == 1
    tab.button(key="retry-0").click().run()
    assert not tab.error
    assert sorted(widths(store.turns(session_of(tab)))) == [60, 1000]


def test_a_question_is_put_in_other_words(open_page: Open, store: SessionStore, picture: bytes) -> None:
    tab = send(open_page(), "Describe this picture", ("red.png", picture))
    tab.button(key="change").click().run()
    assert "The new answer replaces this one." in [caption.value for caption in tab.caption]
    tab.text_area(key="changed").set_value("What colour is it?")
    tab.button(key="ask-changed").click().run()
    [turn] = store.turns(session_of(tab))
    assert (turn.user, turn.answer) == ("What colour is it?", "Brown.")
    assert widths([turn]) == [1000]


def change(tab: AppTest, number: int, words: str) -> None:
    """Put an earlier question in other words."""
    tab.button(key=f"change-{number}").click().run()
    assert "Asked in a new session" in " ".join(caption.value for caption in tab.caption)
    tab.text_area(key="changed").set_value(words)
    tab.button(key="ask-changed").click().run()
    assert not tab.exception


def test_an_earlier_question_is_put_in_other_words_in_a_new_session_and_nothing_is_lost(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    for question in ("What colour is it?", "Describe this picture"):
        send(tab, question)
    tab.feedback[0].set_value(1).run()
    before = store.turns(session_of(tab))
    old = before[0].session_id
    store.set_corrections(old, 1, (LabelledBox("square", (1, 2, 3, 4)),))
    before = store.turns(old)
    change(tab, 2, "How large is it?")
    assert session_of(tab) != old
    assert store.turns(old) == before
    kept, asked = store.turns(session_of(tab))
    assert (kept.user, kept.feedback, kept.corrections) == ("Where is the square?", 1, before[0].corrections)
    assert (kept.steps, kept.image) == (before[0].steps, before[0].image)
    assert (asked.user, asked.image) == ("How large is it?", before[1].image)
    assert store.get_session(asked.session_id).title == "How large is it?"


def test_the_first_question_is_put_in_other_words_in_a_new_session(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    old = session_of(tab)
    send(tab, "What colour is it?")
    change(tab, 1, "Describe this picture")
    assert len(store.turns(old)) == 2
    [turn] = store.turns(session_of(tab))
    assert (turn.user, widths([turn])) == ("Describe this picture", [1000])


def test_a_question_about_several_pictures_is_put_in_other_words_for_all_of_them(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the dog?", *two_pictures(picture)).run()
    old = session_of(tab)
    tab.button(key="change").click().run()
    tab.text_area(key="changed").set_value("What colour is it?")
    tab.button(key="ask-changed").click().run()
    tab.run()
    assert len(store.turns(old)) == 2
    turns = store.turns(session_of(tab))
    assert [turn.user for turn in turns] == ["What colour is it?"] * 2
    assert widths(turns) == [1000, 60]


@pytest.mark.parametrize(
    "evil",
    ["![x](http://example.org/x.png)", "<script>alert(1)</script>", "[a](http://example.org)", "<b>x</b>"],
)
def test_words_of_the_model_are_shown_and_never_obeyed(
    evil: str, open_page: Open, engine: ScriptedEngine, picture: bytes
) -> None:
    engine.answers[Task.VQA] = evil
    tab = send(open_page(), f"[vqa] what is {evil}?", ("red.png", picture))
    assert not tab.exception
    assert "<script" not in said(tab).replace("<script>{", "")
    assert "<b>" not in said(tab)
    shown = [element.value for element in tab.markdown] + [button.label for button in tab.button]
    shown += [expander.label for expander in tab.expander]
    assert not any("](" in text for text in (re.sub(r"!\[\]\(thumbnails/\w+\)", "", text) for text in shown))


def test_plain_escapes_whatever_markdown_gives_a_meaning() -> None:
    assert plain("![x](http://a) `c` *d*\n# e") == (r"\!\[x\]\(http\:\/\/a\) \`c\` \*d\* \# e")
    assert plain("a" * 300, 10) == "a" * 9 + "…"


@pytest.mark.parametrize("name", ["photo", "photo.mpo", "photo.jfif", "photo.JPE", "photo.heic"])
def test_an_upload_is_judged_by_its_content_whatever_its_name(
    open_page: Open, store: SessionStore, picture: bytes, name: str
) -> None:
    tab = open_page()
    assert list(tab.chat_input(key="ask").proto.file_type) == []
    tab = send(tab, "Where is the red square?", (name, picture))
    assert [*tab.exception, *tab.error] == []
    assert store.turns(only_session(store))[0].image is not None


def test_a_broken_upload_is_one_line_and_leaves_no_session(open_page: Open, store: SessionStore) -> None:
    tab = send(open_page(), "What is it?", ("![x](y).png", b"nope"))
    assert not tab.exception
    [error] = tab.error
    assert error.value.startswith(r"\!\[x\]\(y\)\.png")
    assert "no picture" in error.value
    assert store.list_sessions() == []


def test_words_sent_with_a_broken_upload_stay_and_can_be_asked_without_it(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "What colour is it?", ("red.png", picture), ("broken.png", b"nope"))
    assert store.list_sessions() == []
    tab.run()
    assert "What colour is it?" in said(tab)
    assert len(tab.error) == 1
    tab.button(key="retry-0").click().run()
    assert not tab.error
    [turn] = store.turns(only_session(store))
    assert turn.image is not None
    assert turn.answer == "Brown."


def test_a_model_that_cannot_be_loaded_is_one_line(
    open_page: Open, store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "load_model", _fail)
    tab = send(open_page(), "What is it?", ("red.png", picture))
    assert not tab.exception
    assert [error.value for error in tab.error] == ["the weights cannot be had"]
    assert store.list_sessions() == []


def test_an_address_of_a_session_that_is_gone_begins_a_new_one(open_page: Open) -> None:
    tab = open_page("nothing")
    assert not tab.exception
    assert "session" not in tab.query_params
    assert any("What shall we look at" in text.value for text in tab.markdown)


def test_two_tabs_keep_their_own_sessions(open_page: Open, store: SessionStore, picture: bytes) -> None:
    first, second = open_page(), open_page()
    send(first, "Where is the square?", ("red.png", picture))
    send(second, "Describe this picture", ("red.png", picture))
    assert session_of(first) != session_of(second)
    send(first, "What colour is it?")
    assert sorted(session.turns for session in store.list_sessions()) == [1, 2]


def test_a_session_is_renamed_found_and_opened(open_page: Open, store: SessionStore, picture: bytes) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    session_id = only_session(store)
    tab.text_input(key=f"title-{session_id}").set_value("Red things").run()
    assert store.get_session(session_id).title == "Red things"
    tab.button(key="new").click().run()
    assert "session" not in tab.query_params
    tab.text_input(key="search").set_value("nothing such").run()
    assert not [button for button in tab.button if button.key == f"open-{session_id}"]
    tab.text_input(key="search").set_value("square").run()
    tab.button(key=f"open-{session_id}").click().run()
    assert session_of(tab) == session_id
    assert "Where is the square?" in said(tab)


def test_a_session_is_deleted_only_after_a_second_yes(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    tab.button(key="delete").click().run()
    assert len(store.list_sessions()) == 1
    tab.button(key="really-delete").click().run()
    assert not tab.exception
    assert store.list_sessions() == []
    assert "session" not in tab.query_params


def test_a_session_is_pinned_and_several_are_deleted_at_once(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    other = store.create_session("Other").id
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    mine = session_of(tab)
    tab.button(key="pin").click().run()
    assert store.get_session(mine).pinned
    tab.multiselect(key="chosen-sessions").set_value([mine, other]).run()
    files = zipfile.ZipFile(BytesIO(sidebar.archive(store, [mine, other]))).namelist()
    assert files == [f"session-{mine}.json", f"session-{other}.json"]
    tab.button(key="delete-many").click().run()
    tab.button(key="really-delete").click().run()
    assert not tab.exception
    assert store.list_sessions() == []
    assert "session" not in tab.query_params


def test_a_session_that_was_exported_is_read_in_where_pictures_go(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    content = store.export_json(session_of(tab)).encode()
    tab.button(key="new").click().run()
    send(tab, "", ("session.json", content))
    assert len(store.list_sessions()) == 2
    assert "Where is the square?" in said(tab.run())


def test_what_was_searched_for_stands_out_and_is_never_obeyed() -> None:
    assert sidebar.highlighted("a *Red* ball", "red") == r"a \***:orange-background[Red]**\* ball"


def test_thumbs_are_kept_with_the_turn(open_page: Open, store: SessionStore, picture: bytes) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    session_id = only_session(store)
    thumbs(tab).set_value(1).run()
    assert store.turns(session_id)[0].feedback == 1
    assert thumbs(open_page(session_id)).value == 1
    thumbs(tab).set_value(0).run()
    assert store.turns(session_id)[0].feedback == -1


def test_regenerating_replaces_the_last_answer_and_what_was_thought_of_it(
    open_page: Open, store: SessionStore, engine: ScriptedEngine, picture: bytes
) -> None:
    tab = send(open_page(), "What colour is it?", ("red.png", picture))
    thumbs(tab).set_value(0).run()
    engine.answers[Task.VQA] = "red"
    tab.button(key="again").click().run()
    assert not tab.exception
    [turn] = store.turns(only_session(store))
    assert (turn.user, turn.answer, turn.feedback) == ("What colour is it?", "Red.", None)
    assert thumbs(tab).value is None


def test_a_question_without_an_answer_is_asked_again(
    open_page: Open, store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(resources, "load_model", _fail)
        tab = send(open_page(), "What is it?", ("red.png", picture))
        assert "What is it?" in said(tab)
    tab.button(key="retry-0").click().run()
    assert not tab.error
    assert [turn.user for turn in store.turns(only_session(store))] == ["What is it?"]


def _fail(_: str) -> None:
    raise WeightsError("the weights cannot be had")


# --- while an answer is running --------------------------------------------------------------------------


class Slow:
    """A model that blocks on a question, and a page that does not wait for it."""

    def __init__(self, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._gate = threading.Event()
        self._engine = engine
        self._monkeypatch = monkeypatch

    def hold(self) -> None:
        self._engine.answers[Task.VQA] = lambda _: "brown" if self._gate.wait(20) else "too late"
        self._monkeypatch.setattr(conversation, "GLANCE", 0)

    def let_go(self, session_id: str | None = None) -> None:
        """Let the model answer; if a session is given, wait for the end of its answer."""
        running = state.running(session_id) if session_id else None
        self._gate.set()
        self._monkeypatch.setattr(conversation, "GLANCE", 20)
        assert running is None or running.answering.wait(20)


@pytest.fixture
def slow(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, open_page: Open) -> Slow:  # noqa: ARG001
    return Slow(engine, monkeypatch)


def keys(tab: AppTest) -> set[str | None]:
    return {button.key for button in tab.button}


def test_nothing_is_regenerated_while_an_answer_is_on_its_way(
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


def test_a_question_that_waits_in_a_new_session_is_asked_there_though_the_tab_went_on(
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


def test_what_went_wrong_is_shown_in_every_tab_of_the_session(
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
    assert [error.value for error in second.run().error] == [plain("the disk is full; not kept: Brown.")]
    assert [error.value for error in first.run().error] == [error.value for error in second.error]


def _full(*_: object) -> StoredTurn:
    raise StorageError("the disk is full")


def test_a_box_is_of_one_question_and_not_of_the_next_that_waits(
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
    tabs = [threading.Thread(target=state.begin_next, args=("session", slowly)) for _ in range(2)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert len(begun) == 1


# --- exports ---------------------------------------------------------------------------------------------


def test_a_session_is_taken_away_in_every_form(open_page: Open, store: SessionStore, picture: bytes) -> None:
    send(open_page(), "Where is the square?", ("red.png", picture))
    session_id = only_session(store)
    assert json.loads(store.export_coco(session_id))["annotations"][0]["bbox"] == [120, 240, 230, 496]
    drawn = Image.open(BytesIO(exports.annotated_png(store, session_id)))
    assert (drawn.format, drawn.size) == ("PNG", (1000, 800))
    with zipfile.ZipFile(BytesIO(exports.markdown_archive(store, session_id))) as archive:
        assert archive.namelist() == ["conversation.md", "picture-1.png"]


def test_answers_with_a_thumb_up_are_taken_away_to_train_on(
    open_page: Open, store: SessionStore, picture: bytes, tmp_path: Path
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    send(tab, "What colour is it?")
    tab.feedback[0].set_value(1).run()
    tab.feedback[1].set_value(0).run()
    with zipfile.ZipFile(BytesIO(training_export.good_answers(store, only_session(store)))) as archive:
        archive.extractall(tmp_path)
    [record] = learnt(tmp_path / "own.jsonl")
    assert record.picture is not None
    assert Path(record.picture.path).read_bytes() == picture
    assert record.turns == (TaskTurn(Task.REFER, "the square", "{<12><30><35><92>}"),)


@pytest.mark.parametrize(
    ("task", "boxes", "line"),
    [
        (Task.REFER, 1, {"task": "refer", "ask": "dogs", "answer": [[1, 2, 30, 40]]}),
        (Task.REFER, 0, {"task": "refer", "ask": "dogs", "answer": "not in the image"}),
        (
            Task.DETECTION,
            2,
            {"task": "detection", "ask": "dogs", "answer": {"dog": [[1, 2, 30, 40], [1, 2, 30, 40]]}},
        ),
        (Task.CAPTION, 1, {"task": "detection", "answer": {"dog": [[1, 2, 30, 40]]}}),
    ],
)
def test_corrected_boxes_are_what_is_learnt(
    task: Task, boxes: int, line: dict[str, object], tmp_path: Path
) -> None:
    image = StoredImage("0" * 64, "PNG", 333, 77, 1)
    corrected = (LabelledBox("Dog", (1, 2, 30, 40)),) * boxes
    turn = replace(turn_of(StoredStep(task, "dogs", raw="?"), image), corrections=corrected, feedback=None)
    assert training_export.training_lines(turn) == [line]
    (tmp_path / "red.png").write_bytes(png(333, 77))
    (tmp_path / "own.jsonl").write_text(json.dumps({"image": "red.png"} | line))
    assert len(learnt(tmp_path / "own.jsonl")) == 1


def learnt(file: Path) -> list[Record]:
    """Return the samples that training reads from a user's own data file."""
    source = OwnRecords(file)
    return [record for line in file.read_bytes().splitlines() for record in source.records(line)]


REGION = Box(20, 20, 50, 60)
GROUNDED = "<p>a dog</p>{<0><0><35><100>} in <p>snow</p>{<7><7><7><7>}"


@pytest.mark.parametrize(
    ("step", "learnt_turn"),
    [
        (StoredStep("caption", raw="a dog"), TaskTurn(Task.CAPTION, "", "a dog")),
        (StoredStep("vqa", "what?", REGION, raw="red"), TaskTurn(Task.VQA, "what?", "red")),
        (StoredStep("identify", "", REGION, raw="cup"), TaskTurn(Task.IDENTIFY, "", "cup", REGION)),
        (StoredStep(None, "hello", raw="Hello."), TaskTurn(None, "hello", "Hello.")),
        (
            StoredStep(
                "detection", "dogs", raw="?", phrases=(GroundedPhrase("dogs", (REGION, Box(0, 0, 1, 100))),)
            ),
            TaskTurn(Task.DETECTION, "dogs", "<p>dogs</p> {<20><20><50><60>}<delim>{<0><0><1><100>}"),
        ),
        (
            StoredStep("grounding", raw=GROUNDED, phrases=parse(GROUNDED).phrases),
            TaskTurn(Task.GROUNDING, "", GROUNDED),
        ),
    ],
)
def test_what_is_taken_away_to_train_on_is_read_as_it_was_answered(
    step: StoredStep, learnt_turn: TaskTurn, tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(png(333, 77))
    image = StoredImage("0" * 64, "PNG", 333, 77, 1)
    [line] = training_export.training_lines(turn_of(step, image))
    (tmp_path / "own.jsonl").write_text(json.dumps({"image": "red.png"} | line))
    [record] = learnt(tmp_path / "own.jsonl")
    assert record.turns == (learnt_turn,)


@pytest.mark.parametrize(
    "step",
    [
        StoredStep("caption", "", REGION, raw="a dog"),
        StoredStep("refer", "dogs", raw="?", phrases=(GroundedPhrase("", (REGION, REGION)),)),
        StoredStep("detection", "dogs", raw="none"),
        StoredStep("grounding", raw=f"{GROUNDED} {GROUNDED}", phrases=parse(GROUNDED).phrases),
        StoredStep("vqa", "what?", raw="red", error="it broke"),
    ],
)
def test_an_answer_that_training_has_no_form_for_is_left_out(step: StoredStep) -> None:
    assert training_export.training_lines(turn_of(step, StoredImage("0" * 64, "PNG", 333, 77, 1))) == []


def turn_of(step: StoredStep, image: StoredImage | None = None) -> StoredTurn:
    return StoredTurn(
        "?", "!", image, steps=(step,), session_id="s", number=1, created=datetime.now(UTC), feedback=1
    )


# --- settings and the model ------------------------------------------------------------------------------


def test_answers_are_checked_where_that_is_wanted(
    open_page: Open, store: SessionStore, engine: ScriptedEngine, picture: bytes
) -> None:
    tab = open_page()
    tab.toggle(key="wanted-verify").set_value(True).run()
    send(tab, "Where is the dog?", ("red.png", picture))
    assert not tab.exception
    assert Task.IDENTIFY in [request.task for request in engine.requests]
    [turn] = store.turns(only_session(store))
    assert turn.steps[0].verifications
    assert "Asked back" in said(tab)


def test_settings_are_kept_apart_from_their_fields_which_go_with_the_page(open_page: Open) -> None:
    tab = open_page()
    tab.toggle(key="wanted-verify").set_value(True).run()
    assert tab.session_state["preferences"] == state.Preferences("nano", verify=True)


def card_of(folder: Path, text: str) -> str:
    (folder / "README.md").write_text(text)
    return about.read_card(str(folder)).strip()


@pytest.mark.parametrize(
    ("evil", "shown"),
    [
        ("![x](http://example.org/x.png) [a](b)", "<p>x a</p>"),
        ("[![img](a)](http://t/x.png)", "<p>img</p>"),
        ("![a][b]\n\n[b]: http://t/x.png", "<p>a</p>"),
        ("[a](http://t/x_(y).png)", "<p>a</p>"),
        ("<http://t/x.png>", "<p>http://t/x.png</p>"),
        ("<script>1</script> `[refer] <b>`", "&lt;script&gt;1&lt;/script&gt; <code>[refer] &lt;b&gt;</code>"),
    ],
)
def test_links_pictures_and_html_of_a_card_are_shown_as_words(tmp_path: Path, evil: str, shown: str) -> None:
    card = card_of(tmp_path, f"---\nlicense: x\n---\n# Mine\n{evil}")
    assert card.startswith("<h1>Mine</h1>")
    assert shown in card
    assert not re.search("<(a|img|script|b)[ >]", card)


def test_the_card_of_the_model_is_shown_with_its_tables() -> None:
    card = about.read_card("nano")
    assert "nano" in card
    assert "<table>" in card
    assert "<code>phrase_refer</code>" in card
    assert "<a " not in card


def test_a_model_without_a_card_has_none(tmp_path: Path) -> None:
    assert about.read_card(str(tmp_path / "nothing")) == ""


def test_an_answer_that_was_stopped_says_so(open_page: Open, store: SessionStore) -> None:
    session_id = store.create_session("Stopped").id
    store.append_turn(session_id, NewTurn("count", "One, two", stopped=True, why="You asked."))
    tab = open_page(session_id)
    assert [expander.label for expander in tab.expander] == [plain("You stopped this answer after 0.0 s")]
    assert "You asked." in said(tab)


def test_an_answer_that_was_stopped_before_its_first_word_says_so_once(
    open_page: Open, store: SessionStore
) -> None:
    session_id = store.create_session("Stopped").id
    store.append_turn(session_id, NewTurn("count", NOTHING_SAID, stopped=True))
    tab = open_page(session_id)
    assert [expander.label for expander in tab.expander] == [plain("After 0.0 s")]
