"""The page's reactions to users, without a browser."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from assistant.agent.tool_calling_planner import ToolCallingPlanner
from assistant.agent.turn import NOTHING_SAID
from assistant.storage import (
    NewTurn,
    SessionStore,
)
from assistant.tests.page.page_driver import (
    Open,
    draw_box,
    no_weights,
    only_session,
    send,
    session_of,
    thumbs,
    visible_text,
)
from assistant.tests.tools.fakes import calls, script
from assistant.tests.ui.fakes import ScriptedEngine
from assistant.ui.page import (
    about,
    resources,
    settings,
    sidebar,
    state,
)
from assistant.ui.page.text import plain
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task


def test_an_upload_with_a_question_is_answered_with_boxes(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    assert not tab.exception
    assert "The square is" in visible_text(tab)
    assert tab.expander[0].label.replace("\\", "").startswith("Found the square (83%), ")
    assert "[refer]" in visible_text(tab)
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


def test_a_task_picked_by_hand_replaces_the_plan(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = open_page()
    tab.pills(key="task").set_value(Task.DETECTION).run()
    send(tab, "Where is the dog?", ("red.png", picture))
    [turn] = store.turns(only_session(store))
    assert turn.steps[0].task == Task.DETECTION


def test_a_chat_model_plans_if_the_command_names_one(
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


@pytest.mark.parametrize(
    "evil",
    ["![x](http://example.org/x.png)", "<script>alert(1)</script>", "[a](http://example.org)", "<b>x</b>"],
)
def test_model_output_is_shown_verbatim(
    evil: str, open_page: Open, engine: ScriptedEngine, picture: bytes
) -> None:
    engine.answers[Task.VQA] = evil
    tab = send(open_page(), f"[vqa] what is {evil}?", ("red.png", picture))
    assert not tab.exception
    assert "<script" not in visible_text(tab).replace("<script>{", "")
    assert "<b>" not in visible_text(tab)
    shown = [element.value for element in tab.markdown] + [button.label for button in tab.button]
    shown += [expander.label for expander in tab.expander]
    assert not any("](" in text for text in (re.sub(r"!\[\]\(thumbnails/\w+\)", "", text) for text in shown))


def test_plain_escapes_all_markdown() -> None:
    assert plain("![x](http://a) `c` *d*\n# e") == (r"\!\[x\]\(http\:\/\/a\) \`c\` \*d\* \# e")
    assert plain("a" * 300, 10) == "a" * 9 + "…"


@pytest.mark.parametrize("name", ["photo", "photo.mpo", "photo.jfif", "photo.JPE", "photo.heic"])
def test_an_upload_is_judged_by_its_content_not_its_name(
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
    assert "not an image" in error.value
    assert store.list_sessions() == []


def test_a_question_sent_with_a_broken_upload_can_be_asked_without_it(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "What colour is it?", ("red.png", picture), ("broken.png", b"nope"))
    assert store.list_sessions() == []
    tab.run()
    assert "What colour is it?" in visible_text(tab)
    assert len(tab.error) == 1
    tab.button(key="retry-0").click().run()
    assert not tab.error
    [turn] = store.turns(only_session(store))
    assert turn.image is not None
    assert turn.answer == "Brown."


def test_a_model_that_cannot_be_loaded_is_one_line(
    open_page: Open, store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "load_model", no_weights)
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
    assert "Where is the square?" in visible_text(tab)


def test_a_session_is_deleted_only_after_confirmation(
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


def test_an_exported_session_is_imported_where_pictures_go(
    open_page: Open, store: SessionStore, picture: bytes
) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    content = store.export_json(session_of(tab)).encode()
    tab.button(key="new").click().run()
    send(tab, "", ("session.json", content))
    assert len(store.list_sessions()) == 2
    assert "Where is the square?" in visible_text(tab.run())


def test_search_words_are_highlighted_and_escaped() -> None:
    assert sidebar.highlighted("a *Red* ball", "red") == r"a \***:orange-background[Red]**\* ball"


def test_thumbs_are_kept_with_the_turn(open_page: Open, store: SessionStore, picture: bytes) -> None:
    tab = send(open_page(), "Where is the square?", ("red.png", picture))
    session_id = only_session(store)
    thumbs(tab).set_value(1).run()
    assert store.turns(session_id)[0].feedback == 1
    assert thumbs(open_page(session_id)).value == 1
    thumbs(tab).set_value(0).run()
    assert store.turns(session_id)[0].feedback == -1


def test_regenerating_replaces_the_last_answer_and_its_feedback(
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


def test_a_failed_question_is_asked_again(
    open_page: Open, store: SessionStore, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(resources, "load_model", no_weights)
        tab = send(open_page(), "What is it?", ("red.png", picture))
        assert "What is it?" in visible_text(tab)
    tab.button(key="retry-0").click().run()
    assert not tab.error
    assert [turn.user for turn in store.turns(only_session(store))] == ["What is it?"]


# --- settings and the model ------------------------------------------------------------------------------


def test_answers_are_checked_if_asked_for(
    open_page: Open, store: SessionStore, engine: ScriptedEngine, picture: bytes
) -> None:
    tab = open_page()
    tab.toggle(key="wanted-verify").set_value(True).run()
    send(tab, "Where is the dog?", ("red.png", picture))
    assert not tab.exception
    assert Task.IDENTIFY in [request.task for request in engine.requests]
    [turn] = store.turns(only_session(store))
    assert turn.steps[0].verifications
    assert "Self-check" in visible_text(tab)


def test_settings_outlive_their_fields(open_page: Open) -> None:
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
    assert "You asked." in visible_text(tab)


def test_an_answer_that_was_stopped_before_its_first_word_says_so_once(
    open_page: Open, store: SessionStore
) -> None:
    session_id = store.create_session("Stopped").id
    store.append_turn(session_id, NewTurn("count", NOTHING_SAID, stopped=True))
    tab = open_page(session_id)
    assert [expander.label for expander in tab.expander] == [plain("After 0.0 s")]
