"""The chat: questions below, the conversation beside its picture, the sessions in the sidebar.

It holds no knowledge of its own: the assistant answers, the store keeps, the parts of the page show.
"""

from __future__ import annotations

import logging
from functools import partial

import streamlit as st
from streamlit.typing import ChatInputValue

from assistant.agent.listening import TurnListener
from assistant.storage import StoredImage, StoredTurn
from assistant.vlm.errors import AssistantError
from assistant.vlm.pictures import open_picture
from assistant.vlm.tasks import Task

from . import conversation, picture_pane, resources, settings, sidebar, state, welcome
from .answering import Answering, Outcome
from .state import SessionId
from .text import plain
from .uploads import add_uploads

logger = logging.getLogger(__name__)

AUTOMATIC = "automatic"
TASKS: dict[str, str] = {
    AUTOMATIC: "Automatic",
    Task.CAPTION: "Caption",
    Task.VQA: "Question",
    Task.REFER: "Find one",
    Task.DETECTION: "Find all",
    Task.GROUNDING: "Describe with boxes",
    Task.IDENTIFY: "Name the region",
}


def page() -> st.Page:
    """Return this page, to be listed and linked to."""
    return st.Page(show, title="Assistant", default=True)


def show() -> None:
    """Show the chat."""
    prompt, task = show_input()
    session = state.current_session()
    session_id = session.id if session else None
    complaints = add_uploads(session_id, prompt.files if prompt else [])
    turns = resources.store().turns(session.id) if session else []
    looked_at = state.looked_at(session_id, turns)
    if prompt and prompt.text.strip() and not complaints:
        region = picture_pane.region(session_id, turns, looked_at)
        question = state.Question(prompt.text.strip(), looked_at, region, task)
        state.put_question(session_id, question)
    go_on(session_id)
    sidebar.show(session)
    show_session(session_id, turns, looked_at, complaints, task)
    resources.warm_up(state.preferences().model)


def show_input() -> tuple[ChatInputValue | None, Task | None]:
    """Show where questions are written; return what was sent and the task picked by hand."""
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
            "Ask about the picture",
            accept_file="multiple",
            file_type=settings.FILE_TYPES,
            max_upload_size=settings.UPLOAD_MB,
            max_chars=4000,
            submit_mode="disable",
            key="ask",
        )
    return prompt, None if picked == AUTOMATIC else Task(picked)


# --- asking ----------------------------------------------------------------------------------------------


def go_on(session_id: SessionId) -> None:
    """Begin the next question, and end the one that is answered: with its answer, or with what went wrong."""
    running = state.running(session_id)
    waiting = state.waiting_questions(session_id)
    if running is None and waiting:
        question = waiting.pop(0)
        ask = partial(answer, session_id, question, state.preferences())
        running = state.Running(question, Answering(ask))
        state.begin(session_id, running)
    if running is None or not running.answering.wait(0):
        return
    try:
        turn, _ = running.answering.outcome()
    except AssistantError as error:
        state.fail(session_id, state.Failure(running.question, str(error)))
    except Exception as error:
        logger.exception("no answer")
        reason = f"No answer: {type(error).__name__}. The log says more."
        state.fail(session_id, state.Failure(running.question, reason))
    else:
        state.keep_answer(session_id, turn)
        st.rerun()


def answer(
    session_id: SessionId, question: state.Question, wanted: state.Preferences, listener: TurnListener
) -> Outcome:
    """Answer a question; runs in a thread that knows nothing of the page."""
    kept = question.image
    picture = open_picture(resources.store().image_path(kept.sha256)) if kept else None
    return resources.assistant(wanted.model).ask(
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


def ask_again(task: Task | None, turn: StoredTurn) -> None:
    """Have a turn's question asked once more in its place, with the task that is picked now."""
    question = state.Question(turn.user, turn.image, turn.region, task, replaces=turn.number)
    state.put_question(turn.session_id, question)


# --- showing ---------------------------------------------------------------------------------------------


def show_session(
    session_id: SessionId,
    turns: list[StoredTurn],
    looked_at: StoredImage | None,
    complaints: list[str],
    task: Task | None,
) -> None:
    """Show the conversation beside its picture."""
    if looked_at is None:
        column = st.container()
    else:
        column, beside = st.columns([5, 4], gap="large")
        with beside, st.container(key="picture"):
            picture_pane.show(session_id, turns, looked_at, task)
    with column:
        show_conversation(session_id, turns, looked_at, task)
        for complaint in complaints:
            st.error(plain(complaint), icon=":material/error:")
        if not turns and not state.running(session_id) and not state.failure(session_id):
            show_beginning(session_id, looked_at)


def show_conversation(
    session_id: SessionId, turns: list[StoredTurn], looked_at: StoredImage | None, task: Task | None
) -> None:
    """Show the turns, and below them what is being answered or went wrong."""
    running, failure = state.running(session_id), state.failure(session_id)
    pending = running or failure
    if pending and turns and pending.question.replaces == turns[-1].number and running:
        turns = turns[:-1]
    conversation.show_turns(turns, looked_at, partial(ask_again, task))
    if pending:
        question, before = pending.question, turns[-1].image if turns else None
        conversation.show_question(question.message, question.image, question.region, before, len(turns) + 1)
    if running:
        conversation.show_running(running)
        conversation.show_waiting(state.waiting_questions(session_id), len(turns) + 2)
    elif failure:
        conversation.show_failure(failure, partial(state.put_question, session_id, failure.question))
    if state.takes_scroll():
        conversation.scroll_to_end(len(turns))


def show_beginning(session_id: SessionId, looked_at: StoredImage | None) -> None:
    """Show what to begin with: a picture, or a question about it."""
    if looked_at is None:
        welcome.show()
    elif message := welcome.show_suggestions():
        state.put_question(session_id, state.Question(message, looked_at))
        st.rerun()


__all__ = ["TASKS", "page", "show"]
