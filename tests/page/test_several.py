"""One question about several pictures, and edited questions."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from assistant.storage import (
    LabelledBox,
    SessionStore,
)
from assistant.tests.page.page_driver import (
    Open,
    draw_box,
    no_weights,
    send,
    session_of,
    two_pictures,
    visible_text,
    widths,
)
from assistant.tests.ui.fakes import ScriptedEngine
from assistant.ui.page import (
    resources,
    state,
)
from assistant.vlm.answers import Request
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task


def test_a_question_is_asked_of_every_picture_that_comes_with_it_and_answered_together(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the dog?", *two_pictures(picture)).run()
    assert not tab.exception
    turns = store.turns(session_of(tab))
    assert widths(turns) == [1000, 60]
    assert [turn.user for turn in turns] == ["Where is the dog?"] * 2
    assert "Found in all of the 2 images:" in [text.value for text in tab.markdown]
    assert visible_text(tab).count("<tr>") == 2


def test_a_question_is_about_all_pictures_added_at_once_or_about_the_selected_one(
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


@pytest.mark.parametrize(
    ("question", "task"),
    [
        ("Which of these has a dog?", Task.REFER),
        ("Compare them", Task.CAPTION),
        ("What do both pictures have in common?", Task.CAPTION),
    ],
)
def test_a_question_about_all_pictures_by_its_words_is_asked_of_each(
    question: str, task: Task, open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "", *two_pictures(picture))
    tab.toggle(key=state.all_key(None)).set_value(False).run()
    turns = store.turns(session_of(send(tab, question).run()))
    assert widths(turns) == [1000, 60]
    assert [turn.steps[0].task for turn in turns] == [task] * 2


def test_a_drawn_box_is_about_its_own_picture_only(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "", *two_pictures(picture))
    send(draw_box(tab, picture, [200, 160, 500, 480]), "What colour is it?").run()
    [turn] = store.turns(session_of(tab))
    assert (widths([turn]), turn.region) == ([1000], Box(20, 20, 50, 60))


PERHAPS = "Found in image 1, perhaps found in image 2 of 2:"


@pytest.mark.parametrize(
    ("question", "task", "verdict"),
    [
        ("Which of these has a dog?", Task.REFER, PERHAPS),
        ("In which picture is there a dog?", Task.REFER, PERHAPS),
        ("What is the difference between the two pictures?", Task.CAPTION, "All 2 images:"),
        ("Is it brown?", Task.VQA, "Yes in image 1, no in image 2 of 2:"),
        ("What colour is it?", Task.VQA, "All 2 images:"),
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
def test_what_all_or_no_pictures_have_is_summed_up(
    found: bool, verdict: str, open_page: Open, engine: ScriptedEngine, picture: bytes
) -> None:
    engine.answers[Task.REFER] = "{<12><30><35><92>}" if found else "none"
    tab = send(open_page(), "Where is the dog?", *two_pictures(picture)).run()
    assert f"{verdict} the 2 images:" in [text.value for text in tab.markdown]


def test_no_picture_is_left_out_when_its_question_fails(
    open_page: Open, store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(resources, "load_model", no_weights)
        tab = send(open_page(), "Where is the dog?", *two_pictures(picture)).run()
        assert len(tab.error) == 2
    tab.button(key="retry-1").click().run()
    assert len(tab.error) == 1
    tab.button(key="retry-0").click().run()
    assert not tab.error
    assert sorted(widths(store.turns(session_of(tab)))) == [60, 1000]


def test_a_question_is_edited(open_page: Open, store: SessionStore, picture: bytes) -> None:
    tab = send(open_page(), "Describe this picture", ("red.png", picture))
    tab.button(key="change").click().run()
    assert "The new answer replaces this one." in [caption.value for caption in tab.caption]
    tab.text_area(key="changed").set_value("What colour is it?")
    tab.button(key="ask-changed").click().run()
    [turn] = store.turns(session_of(tab))
    assert (turn.user, turn.answer) == ("What colour is it?", "Brown.")
    assert widths([turn]) == [1000]


def change(tab: AppTest, number: int, words: str) -> None:
    """Edit an earlier question."""
    tab.button(key=f"change-{number}").click().run()
    assert "Asked in a new session" in " ".join(caption.value for caption in tab.caption)
    tab.text_area(key="changed").set_value(words)
    tab.button(key="ask-changed").click().run()
    assert not tab.exception


def test_an_earlier_question_is_edited_in_a_new_session_and_nothing_is_lost(
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


def test_the_first_question_is_edited_in_a_new_session(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    old = session_of(tab)
    send(tab, "What colour is it?")
    change(tab, 1, "Describe this picture")
    assert len(store.turns(old)) == 2
    [turn] = store.turns(session_of(tab))
    assert (turn.user, widths([turn])) == ("Describe this picture", [1000])


def test_a_question_about_several_pictures_is_edited_for_all_of_them(
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
