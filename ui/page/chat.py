"""The chat page: input below, the conversation next to its image, sessions in the sidebar.

It only connects the parts: the assistant answers, the store saves, other modules of the page display.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.typing import ChatInputValue

from assistant.agent.assistant import TITLE_LENGTH
from assistant.agent.listening import TurnListener
from assistant.storage import SessionStore, StoredImage, StoredTurn
from assistant.vlm.errors import AssistantError
from assistant.vlm.pictures import open_picture
from assistant.vlm.tasks import Task

from . import conversation, picture_pane, resources, settings, sidebar, state, talk, together, welcome
from .answering import Answering
from .state import SessionId
from .text import plain
from .uploads import add_uploads

logger = logging.getLogger(__name__)

AUTOMATIC = "automatic"
TASKS: dict[str, str] = {AUTOMATIC: "Automatic", **{task: task.definition.title for task in Task}}


def page() -> st.Page:
    """Return this page for navigation and links."""
    return st.Page(show, title="Assistant", default=True)


def show() -> None:
    """Show the chat."""
    prompt, task = show_input()
    session = state.current_session()
    session_id = session.id if session else None
    added, complaints = add_uploads(session_id, prompt.files if prompt else [])
    turns = resources.store().turns(session.id) if session else []
    selected = state.selected_picture(session_id, turns)
    if prompt and (message := prompt.text.strip()):
        region = picture_pane.region(selected)
        if complaints:  # do not ask: the question may be about the refused file; offer to try again
            question = state.Question(message, selected, region, task)
            state.reject(session_id, state.Failure(question, "; ".join(complaints)))
            complaints = []
        else:
            of_all = together.is_about_all(message)
            images = [selected] if region else state.asked_about(session_id, turns, added, of_all=of_all)
            ask_each(session_id, state.Question(message, selected, region, task), images)
    advance(session_id)
    selected = state.selected_picture(session_id, turns)
    sidebar.show(session)
    show_session(session_id, turns, selected, complaints, task)
    with st.bottom:
        talk.show(state.scroll_count())
    resources.warm_up(state.preferences().model)


def show_input() -> tuple[ChatInputValue | None, Task | None]:
    """Show the chat input; return the message sent and the task picked by hand."""
    with st.bottom:
        picked = st.pills(
            "Task",
            list(TASKS),
            format_func=TASKS.__getitem__,
            default=AUTOMATIC,
            required=True,
            wrap=False,
            key="task",
            label_visibility="collapsed",
        )
        prompt = st.chat_input(
            "Ask about the image",
            accept_file="multiple",
            max_upload_size=settings.UPLOAD_MB,
            max_chars=4000,
            submit_mode="disable",
            key="ask",
        )
    return prompt, None if picked == AUTOMATIC else Task(picked)


# --- asking ----------------------------------------------------------------------------------------------


def ask_each(session_id: SessionId, question: state.Question, images: Sequence[StoredImage | None]) -> None:
    """Queue a question about each of the images; a region only applies to one image."""
    if len(images) > 1:
        question = replace(question, region=None, is_of_several=True)
    for image in images:
        state.queue_question(session_id, replace(question, image=image))


def advance(session_id: SessionId) -> None:
    """Start the next question, and store the answer or failure of the finished one."""
    state.adopt_left_questions()
    running = state.start_next(session_id, partial(start, session_id))
    if running is None or not running.answering.wait(0):
        return
    try:
        turn = running.answering.outcome()
    except AssistantError as error:
        state.fail(session_id, running, str(error))
    except Exception as error:
        logger.exception("no answer")
        state.fail(session_id, running, f"No answer: {type(error).__name__}. The log says more.")
    else:
        state.finish(session_id, running, turn)
        st.rerun()


def start(session_id: SessionId, question: state.Question) -> Answering:
    """Start answering a question with this tab's preferences, and select its image."""
    if question.image:
        state.select_picture(session_id, question.image)
    return Answering(partial(answer, resources.store(), session_id, question, state.preferences()))


def answer(
    store: SessionStore,
    session_id: SessionId,
    question: state.Question,
    wanted: state.Preferences,
    listener: TurnListener,
) -> StoredTurn:
    """Answer a question; runs in a background thread without Streamlit's session state."""
    kept = question.image
    picture = open_picture(store.image_path(kept.sha256)) if kept else None
    assistant = resources.assistant(wanted.model, store)
    if question.is_of_several:
        assistant.planner = together.PerPicturePlanner(assistant.planner)
    return assistant.ask(
        session_id,
        question.message,
        picture,
        kept,
        question.region,
        question.task,
        replaces=question.replaces,
        listener=listener,
        verify=wanted.verify,
    )


def ask_again(
    turns: list[StoredTurn],
    task: Task | None,
    turn: StoredTurn,
    message: str | None = None,
    image: StoredImage | None = None,
) -> None:
    """Ask a turn's question again with the task picked now, edited or about another image.

    The answer replaces the session's last turn. An answer about another image becomes a new turn. An edited
    question starts a new session if it is not the last, or was about several images.
    """
    if state.is_busy(turn.session_id):  # another tab asked since this one was rendered
        return
    question = state.Question(message or turn.user, image or turn.image, turn.region, task)
    alike = together.same_question(turns, turn.number - 1)
    if image:
        state.queue_question(turn.session_id, replace(question, region=None))
    elif message and (turn.number < turns[-1].number or len(alike) > 1):
        session_id = branch(resources.store(), turns[: alike[0].number - 1], message)
        state.open_session(session_id)
        state.add_pictures(session_id, [one.image for one in alike if one.image])
        ask_each(session_id, question, [one.image for one in alike])
    else:
        state.queue_question(turn.session_id, replace(question, replaces=turn.number))


def branch(store: SessionStore, turns: Sequence[StoredTurn], question: str) -> str | None:
    """Copy `turns` with their feedback and corrections to a new session, titled by `question`.

    Return its id, None if there are no turns: the first answer then creates the session.
    """
    if not turns:
        return None
    session_id = store.create_session(question[:TITLE_LENGTH]).id
    for turn in turns:
        number = store.append_turn(session_id, turn).number
        store.set_feedback(session_id, number, turn.feedback)
        store.set_corrections(session_id, number, turn.corrections)
    return session_id


# --- showing ---------------------------------------------------------------------------------------------


def show_session(
    session_id: SessionId,
    turns: list[StoredTurn],
    selected: StoredImage | None,
    complaints: list[str],
    task: Task | None,
) -> None:
    """Show the conversation next to its image."""
    if selected is None:
        column = st.container()
    else:
        column, pane = st.columns([5, 7], gap="medium")
        with pane, st.container(key="picture"):
            picture_pane.show(session_id, selected, task)
    with column, st.container(key="talk"):
        show_conversation(session_id, turns, selected, task)
        for complaint in complaints:
            st.error(plain(complaint), icon=":material/error:")
        if not turns and not state.running(session_id) and not state.failures(session_id):
            show_beginning(session_id, selected)


def show_conversation(
    session_id: SessionId, turns: list[StoredTurn], selected: StoredImage | None, task: Task | None
) -> None:
    """Show the turns, and below them the running question or the failure."""
    running = state.running(session_id)
    waiting, is_busy = state.waiting_questions(session_id), state.is_busy(session_id)
    shown = turns
    if running and turns and running.question.replaces == turns[-1].number:
        shown = turns[:-1]
    pictures = state.pictures(session_id, turns)
    conversation.show_turns(shown, pictures, selected, None if is_busy else partial(ask_again, turns, task))
    number, before = len(shown) + 1, shown[-1].image if shown else None
    if running:
        conversation.show_question(running.question, before, number)
        conversation.show_running(running, len(running.answering.phrases))
        for offset, question in enumerate(waiting, 1):
            conversation.show_question(question, question.image, number + offset)
        number, before = number + 1 + len(waiting), running.question.image
    for index, failure in enumerate(state.failures(session_id)):
        conversation.show_question(failure.question, before, number + index)
        is_stale = failure.question.replaces and (is_busy or failure.question.replaces != len(turns))
        retry = None if is_stale else partial(state.retry, session_id, failure)
        conversation.show_failure(failure, retry, index)


def show_beginning(session_id: SessionId, selected: StoredImage | None) -> None:
    """Show the welcome screen, or suggested questions once there is an image."""
    if selected is None:
        welcome.show()
    elif message := welcome.show_suggestions():
        state.queue_question(session_id, state.Question(message, selected))
        st.rerun()
